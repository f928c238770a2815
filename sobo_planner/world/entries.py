"""Values of a document, each with the path of its key, so that errors can say where they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from sobo_planner.errors import WorldError
from sobo_planner.world.values import shown


class MisfitError(WorldError):
    """A value that is not allowed, with the dotted path of its key."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class Entry:
    """A value and the dotted path of its key; entries of lists have their index as a key."""

    value: Any
    key: str = ""

    def fail(self, message: str) -> NoReturn:
        """Raises an error that is about this entry."""
        raise MisfitError(self.key, message)

    @contextmanager
    def located(self, subject: str = "") -> Iterator[None]:
        """Errors raised inside are about this entry or about one within it, and begin with the subject."""
        try:
            yield
        except WorldError as error:
            key = error.key if isinstance(error, MisfitError) else self.key
            raise MisfitError(key, f"{subject}: {error}" if subject else str(error)) from error

    def mapping(self, known: Collection[str] | None = None, needed: Collection[str] = ()) -> dict[str, Entry]:
        """The entries of a mapping.

        Args:
            known: Keys that it may have; None for any text.
            needed: Keys that it must have.
        """
        if not isinstance(self.value, dict):
            self.fail(f"{self._label()} must be a mapping, got {shown(self.value)}")
        for key in self.value:
            if not isinstance(key, str):
                self.fail(f"{self._label()}: a key must be text, got {shown(key)}; put it in quotes")
            if known is not None and key not in known:
                self._inside(key, None).fail(f"unknown key {shown(key)}; known: {', '.join(known)}")
        for key in needed:
            if key not in self.value:
                self.fail(f"{self._label()}: the key {key} is missing")
        return {key: self._inside(key, value) for key, value in self.value.items()}

    def items(self) -> list[Entry]:
        """The entries of a list; nothing at all counts as an empty one."""
        if self.value is None:
            return []
        if not isinstance(self.value, (list, tuple)):
            self.fail(f"{self._label()} must be a list, got {shown(self.value)}")
        return [self._inside(str(number), value) for number, value in enumerate(self.value)]

    def _inside(self, key: str, value: Any) -> Entry:
        return Entry(value, f"{self.key}.{key}" if self.key else key)

    def _label(self) -> str:
        return self.key.rpartition(".")[2] or "a world"


def flag(entry: Entry) -> bool:
    """True or false, as tools write it."""
    if isinstance(entry.value, bool):
        return entry.value
    text = str(entry.value).lower() if isinstance(entry.value, (str, int)) else ""
    if text not in ("true", "false", "0", "1"):
        entry.fail(f"expected true or false, got {shown(entry.value)}")
    return text in ("true", "1")
