"""Edits of a source file's text at the nodes of its tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One edit.

    Attributes:
        path: Of the file, from the root of the tree.
        line: Where the edit is.
        operator: Kind of edit.
        start: First byte that is replaced.
        end: The byte after the last one.
        text: What comes there.
        before: The line as it is.
        after: The line as it becomes.
        reach: Lines of which one has to run for the edit to matter; empty for what runs on import.
    """

    path: str
    line: int
    operator: str
    start: int
    end: int
    text: str
    before: str
    after: str
    reach: tuple[int, ...]

    def apply(self, source: str) -> str:
        """The source with the edit."""
        data = source.encode()
        return (data[: self.start] + self.text.encode() + data[self.end :]).decode()

    @property
    def identity(self) -> str:
        """The same for the same edit of the same line, wherever that is in the file."""
        return f"{self.path}: {self.before} -> {self.after}"


class Source:
    """A source file, its tree, and edits of it.

    Attributes:
        tree: The syntax tree.
        reach: Lines that the next edits matter for, see `Mutant.reach`.
    """

    def __init__(self, path: str, source: str) -> None:
        self._path, self._data = path, source.encode()
        self.tree = ast.parse(source)
        self.reach: tuple[int, ...] = ()
        self._offsets = [0]
        for line in self._data.split(b"\n"):
            self._offsets.append(self._offsets[-1] + len(line) + 1)

    def start(self, node: ast.AST) -> int:
        """First byte of a node."""
        return self._offsets[node.lineno - 1] + node.col_offset

    def end(self, node: ast.AST) -> int:
        """The byte after a node."""
        return self._offsets[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.AST) -> str:
        """A node as it is written."""
        return self._data[self.start(node) : self.end(node)].decode()

    def edit(self, operator: str, node: ast.AST, text: str) -> Mutant:
        """Replaces a node."""
        return self.replace(operator, node.lineno, self.start(node), self.end(node), text)

    def between(self, operator: str, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[Mutant]:
        """Replaces an operator between its operands, which may be in parentheses."""
        start, end = self.end(left), self.start(right)
        gap = self._data[start:end].decode()
        pattern = r"\s+".join(map(re.escape, old.split()))
        if old[0].isalpha():
            pattern = rf"\b{pattern}\b"
        found = re.search(pattern, re.sub(r"#[^\n]*", lambda comment: " " * len(comment.group()), gap))
        if found:
            at = start + len(gap[: found.start()].encode())
            line = left.end_lineno + gap[: found.start()].count("\n")
            yield self.replace(operator, line, at, at + len(found.group().encode()), new)

    def replace(self, operator: str, line: int, start: int, end: int, text: str) -> Mutant:
        """Replaces bytes in a line."""
        first, last = self._data.rfind(b"\n", 0, start) + 1, self._data.find(b"\n", end)
        last = len(self._data) if last < 0 else last
        before = self._data[first:last].decode()
        after = (self._data[first:start] + text.encode() + self._data[end:last]).decode()
        shown = [" ".join(part.split()) for part in (before, after)]
        return Mutant(self._path, line, operator, start, end, text, *shown, self.reach)
