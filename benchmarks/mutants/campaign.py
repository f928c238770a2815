"""Tries every mutant against its tests, on all processors, and keeps what came of each."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Queue

from copies import Copy
from source import Mutant

MEASURED_WITHIN = 600.0  # [s] for one test file under coverage
# A mutant's tests may take so many times what they took without it, and so much more [s]: more is an endless loop.
SLOWER, STARTING = 5.0, 15.0
# Tests that take longer in total [s] are left out, slow ones first: the mirror of a file is fast.
LONGEST = 10.0


@dataclass
class Reach:
    """What test files reach.

    Attributes:
        seconds: How long each test takes.
        lines: For each source file, tests by line.
        failed: Tests that fail without any edit; they judge nothing.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def tests(self, mutant: Mutant, files: Iterable[str]) -> list[str]:
        """Tests of these files that reach a mutant, quick ones first, file by file."""
        lines = self.lines.get(mutant.path, {})
        names = {name for line in mutant.reach for name in lines.get(line, ())}
        if not mutant.reach:  # what runs on import may be looked at without running a line of the file
            names = set(self.seconds)
        names -= set(self.failed)
        ranked: list[list[str]] = []
        for file in files:
            own = [name for name in names if name.split("::")[0] == file]
            ranked.append(sorted(own, key=lambda name: self.seconds[name]))
        ranked.sort(key=lambda own: sum(self.seconds[name] for name in own))
        chosen, left = [], LONGEST
        for name in (name for own in ranked for name in own):
            if not chosen or self.seconds[name] <= left:
                chosen.append(name)
                left -= self.seconds[name]
        return chosen


@dataclass(frozen=True)
class Outcome:
    """What came of one mutant.

    Attributes:
        path: The edited file.
        line: The edited line.
        operator: Kind of edit.
        before: The line as it is.
        after: The line as it became.
        verdict: `caught`, `timeout` (caught too), `survived`, or `unreached` by any test.
        by: The test that failed.
        tests: How many tests ran at most.
        key: Of the edit, the sources and the tests.
    """

    path: str
    line: int
    operator: str
    before: str
    after: str
    verdict: str
    by: str
    tests: int
    key: str

    @property
    def caught(self) -> bool:
        return self.verdict in ("caught", "timeout")

    @property
    def identity(self) -> str:
        """As `Mutant.identity`."""
        return f"{self.path}: {self.before} -> {self.after}"


class Results:
    """Outcomes in a file, a line each, so that an interrupted run can go on."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self.by_key: dict[str, Outcome] = {}
        self.by_identity: dict[str, Outcome] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text().splitlines() if path.exists() else ():
            self._keep(Outcome(**json.loads(line)))

    def add(self, outcome: Outcome) -> None:
        """Keeps an outcome."""
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
            self._keep(outcome)

    def _keep(self, outcome: Outcome) -> None:
        self.by_key[outcome.key] = outcome
        self.by_identity[outcome.identity] = outcome


def signature(root: Path) -> str:
    """Of everything that decides whether a mutant is caught."""
    digest = hashlib.sha256()
    for top in ("sobo_planner", "training", "test"):
        for path in sorted((root / top).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def measure(copies: list[Copy], tests: list[str], sources: list[str], done: Callable[[str], None]) -> Reach:
    """Runs each test file once under coverage."""
    reach = Reach()
    request = {"sources": sources, "limit": MEASURED_WITHIN}
    for file, answer in shared(copies, tests, lambda copy, file: (file, copy.ask(request | {"tests": [file]}))):
        if "lines" not in answer:
            raise RuntimeError(f"{file} could not be measured: {answer}")
        done(file)
        reach.seconds |= answer["seconds"]
        reach.failed += answer["failed"]
        for path, lines in answer["lines"].items():
            kept = reach.lines.setdefault(path, {})
            for line, names in lines.items():
                kept.setdefault(int(line), set()).update(names)
    return reach


def attempt(copy: Copy, mutant: Mutant, source: str, tests: list[str], reach: Reach, key: str) -> Outcome:
    """Runs a mutant's tests in a copy."""
    verdict, by = "unreached", ""
    if tests:
        files = {name.split("::")[0] for name in tests}
        request = {
            "path": mutant.path,
            "source": mutant.apply(source),
            "first": tests,
            "known": [name for name in reach.seconds if name.split("::")[0] in files],
            "limit": STARTING + SLOWER * sum(reach.seconds[name] for name in tests),
        }
        answer = copy.ask(request)
        if answer.get("timeout"):
            verdict = "timeout"
        elif answer.get("died") or answer["status"] != 0:
            verdict, by = "caught", (answer.get("failed") or ["the process died"])[0]
        else:
            verdict = "survived"
    lines = mutant.line, mutant.operator, mutant.before, mutant.after
    return Outcome(mutant.path, *lines, verdict, by, len(tests), key)


def shared(copies: list[Copy], items: list, work: Callable) -> Iterable:
    """Yields what `work(copy, item)` returns for each item, as it comes; no copy works on two at a time."""
    free: Queue[Copy] = Queue()
    for copy in copies:
        free.put(copy)

    def one(item: object) -> object:
        copy = free.get()
        try:
            return work(copy, item)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        futures = [pool.submit(one, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
