"""Copies of the tree in which tests run against edited files; the tree itself is only read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LEFT_OUT = shutil.ignore_patterns(
    ".*", "build", "install", "log", "out", "dist", "runs", "__pycache__", "*.egg-info", "results", "node_modules"
)


class Copy:
    """A copy of the tree with a process that runs tests in it.

    Args:
        root: The tree.
        folder: Where the copy goes.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.tree, self._folder = folder / "tree", folder
        shutil.copytree(root, self.tree, ignore=LEFT_OUT, symlinks=True)
        typing = self.tree / "build" / "typing"
        typing.mkdir(parents=True)
        (typing / "sobo_training").symlink_to(Path("../../training"))
        (folder / "temporary").mkdir()
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(self.tree), str(typing)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(folder / "temporary"),
            "OMP_NUM_THREADS": "1",
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        }
        self._start()

    def _start(self) -> None:
        script = Path(__file__).with_name("trials.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            cwd=self.tree,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Has a request served; see `trials`. Raises RuntimeError where its process ends instead."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request | {"folder": str(self._folder)}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        shutil.rmtree(self._folder / "temporary", ignore_errors=True)
        (self._folder / "temporary").mkdir()
        if not answer:
            raise RuntimeError(f"the process that runs tests ended with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def output(self) -> str:
        """What the last request printed."""
        return (self._folder / "output.txt").read_text(errors="replace")

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()


@contextmanager
def copies(root: Path, count: int) -> Iterator[list[Copy]]:
    """So many copies, which are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        made: list[Copy] = []
        try:
            for number in range(count):
                (Path(folder) / str(number)).mkdir()
                made.append(Copy(root, Path(folder) / str(number)))
            yield made
        finally:
            for copy in made:
                copy.close()
