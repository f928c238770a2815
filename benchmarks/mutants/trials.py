"""Runs tests in a copy of the tree, one request a line of standard input, one answer a line of standard output.

A process of its own for each copy. What takes long to import and is never edited is imported once; each request runs in
a fork of that, in its own process group, so that an endless loop ends with everything that it started.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

SHARED = ("numpy", "yaml", "hypothesis.strategies", "coverage", "sobo_planner._native", "pinocchio", "safetensors")
SHARED += (
    "rclpy",
    "rclpy.lifecycle",
    "rclpy.executors",
    "trajectory_msgs.msg",
    "sensor_msgs.msg",
    "diagnostic_msgs.msg",
)
OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:cov", "--no-header", "-W", "ignore")


class Tests:
    """Chooses and orders tests, and takes note of how they end."""

    def __init__(self, known: list[str] | None, first: list[str], coverage: Any = None) -> None:
        self._known, self._rank, self._coverage = known, {name: k for k, name in enumerate(first)}, coverage
        self.failed: list[str] = []
        self.seconds: dict[str, float] = {}

    def pytest_sessionstart(self) -> None:
        # What fails is enough to know; hypothesis would go on for minutes to find the smallest example.
        settings.register_profile("mutants", settings(), phases=(Phase.explicit, Phase.generate), database=None)
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._known is not None:  # what parametrisation makes of the edited file counts too
            known = set(self._known)
            items[:] = [item for item in items if item.nodeid in self._rank or item.nodeid not in known]
        items.sort(key=lambda item: self._rank.get(item.nodeid, len(self._rank)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        began = time.monotonic()
        if self._coverage is not None:
            self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.monotonic() - began

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Runs test files under coverage: which test runs which line of the sources, how long each takes."""
    import coverage

    root = Path.cwd()
    cover = coverage.Coverage(
        data_file=None, include=[str(root / path) for path in request["sources"]], config_file=False
    )
    tests = Tests(None, [], cover)
    cover.start()
    pytest.main([*OPTIONS, *request["tests"]], plugins=[tests])
    cover.stop()
    data, lines = cover.get_data(), {}
    for path in data.measured_files():
        found = data.contexts_by_lineno(path)
        lines[str(Path(path).relative_to(root))] = {line: [c for c in names if c] for line, names in found.items()}
    return {"seconds": tests.seconds, "failed": tests.failed, "lines": lines}


def attempt(request: dict[str, Any]) -> dict[str, Any]:
    """Runs the chosen tests up to the first that fails."""
    tests = Tests(request["known"], request["first"])
    files = list(dict.fromkeys(name.split("::")[0] for name in request["first"]))
    status = pytest.main([*OPTIONS, "-x", *files], plugins=[tests])
    return {"status": int(status), "failed": tests.failed}


def forked(work: Callable[[dict[str, Any]], dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    """What `work` returns in a fork; {"timeout": True} once its time is up."""
    answer = Path(request["folder"], "answer.json")
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os.setsid()
        with open(Path(request["folder"], "output.txt"), "w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            try:
                answer.write_text(json.dumps(work(request)))
            finally:
                output.flush()
                os._exit(0)
    end = time.monotonic() + request["limit"]
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            _end(child)
            return {"timeout": True}
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what the tests have left behind
    return json.loads(answer.read_text()) if answer.exists() else {"died": True}


def _end(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def edited(request: dict[str, Any]) -> dict[str, Any]:
    """An attempt with one file edited, which is put back afterwards."""
    path = Path(request["path"])
    if any(getattr(module, "__file__", None) == str(path.resolve()) for module in list(sys.modules.values())):
        raise ValueError(f"{path} is imported before it is edited: take what imports it out of SHARED")
    # Compiled once more for every edit: edits of a size within a second look alike to the cache.
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
    before = path.read_text()
    path.write_text(request["source"])
    try:
        return forked(attempt, request)
    finally:
        path.write_text(before)


def main() -> None:
    """Serves requests until standard input ends."""
    sys.dont_write_bytecode = True
    for name in SHARED:
        with contextlib.suppress(ImportError):  # ROS may not be there
            importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        answer = forked(measure, request) if "sources" in request else edited(request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
