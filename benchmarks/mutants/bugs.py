"""Bugs that a review once injected and that no test noticed then; `--bugs` injects them again."""

from __future__ import annotations

from typing import NamedTuple

from source import Mutant


class Bug(NamedTuple):
    """One of them: `old`, which stands once in the file, becomes `new`."""

    name: str
    path: str
    old: str
    new: str


def bug_of(bug: Bug, source: str) -> Mutant:
    """The edit. Raises ValueError where the text to replace is not there once."""
    if source.count(bug.old) != 1:
        raise ValueError(f"the bug {bug.name!r}: {bug.path} has {source.count(bug.old)} times {bug.old!r}, expected 1")
    at = source.index(bug.old)
    start, line = len(source[:at].encode()), source[:at].count("\n") + 1
    lines = tuple(range(line, line + bug.old.count("\n") + 1))
    before, after = (" ".join(text.split()) for text in (bug.old, bug.new))
    return Mutant(bug.path, line, bug.name, start, start + len(bug.old.encode()), bug.new, before, after, lines)


BUGS: tuple[Bug, ...] = ()
