"""Joint states, decoded many at once: messages of one publisher are laid out alike but for their numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LITTLE_ENDIAN = (b"\x00\x01", b"\x00\x00")  # representation of a serialised message: little-endian CDR, big-endian
# More names than any robot has joints.
MOST_NAMES = 10_000


@dataclass(frozen=True)
class JointStates:
    """Joint states that name the same joints.

    Attributes:
        names: Of the joints, in the order of the message.
        rows: Which messages of a batch these are, (N,).
        stamps: Their stamps [ns], (N,).
        position: Positions, (N, n).
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    stamps: NDArray[np.int64]
    position: Array


@dataclass(frozen=True)
class _Layout:
    """Where what is in a serialised joint state.

    Attributes:
        names: Of the joints.
        fixed: Bytes that are the same in all messages laid out like this one, as indices.
        values: Those bytes.
        order: Byte order, `<` or `>`.
        position: Where the positions begin.
    """

    names: tuple[str, ...]
    fixed: NDArray[np.int64]
    values: NDArray[np.uint8]
    order: str
    position: int


class _Cursor:
    """Reads a message field by field, and notes which bytes are the same in every such message."""

    def __init__(self, data: bytes) -> None:
        if data[:2] not in LITTLE_ENDIAN:
            raise ValueError("not plain CDR")
        self.order = "<" if data[1] else ">"
        self.data, self.at, self.fixed = data, 12, [0, 1]

    def count(self, most: int) -> int:
        """The length of a sequence."""
        self.at += -self.at % 4
        (value,) = struct.unpack_from(f"{self.order}I", self.data, self.at)
        if value > most:
            raise ValueError(f"a sequence of {value} elements does not fit")
        self.fixed.extend(range(self.at, self.at + 4))
        self.at += 4
        return int(value)

    def string(self) -> str:
        """A string, which ends with a zero."""
        begin, length = self.at, self.count(len(self.data))
        begin, self.at = self.at, self.at + length
        if self.at > len(self.data):
            raise ValueError("a string does not fit")
        self.fixed.extend(range(begin, self.at))
        return self.data[begin : self.at].rstrip(b"\0").decode()

    def numbers(self) -> tuple[int, int]:
        """Where a sequence of doubles begins, and how many there are."""
        count = self.count(len(self.data) // 8)
        if count == 0:
            return self.at, 0
        begin = self.at + (4 - self.at) % 8  # aligned to the end of the 4 bytes in front of the message
        self.at = begin + 8 * count
        if self.at > len(self.data):
            raise ValueError("a sequence of doubles does not fit")
        return begin, count


def _layout(data: bytes) -> _Layout:
    """The layout of one message.

    Raises:
        ValueError, struct.error: It is none.
    """
    cursor = _Cursor(data)
    cursor.string()
    names = tuple(cursor.string() for _ in range(cursor.count(MOST_NAMES)))
    position, count = cursor.numbers()
    if count != len(names):
        raise ValueError(f"{len(names)} joints but {count} positions")
    if len(set(names)) < len(names):
        raise ValueError("a joint is named twice")
    for _ in ("velocity", "effort"):
        if cursor.numbers()[1] not in (0, count):
            raise ValueError("velocities or efforts of other joints than positions")
    fixed = np.array(cursor.fixed)
    return _Layout(names, fixed, np.frombuffer(data, np.uint8)[fixed], cursor.order, position)


class Decoder:
    """Decodes joint states, and remembers layouts that it met."""

    def __init__(self) -> None:
        self._layouts: dict[int, list[_Layout]] = {}

    def decode(self, payloads: Sequence[bytes | memoryview]) -> Iterator[JointStates]:
        """Yields the messages that can be decoded, those of one layout at a time; others are left out."""
        lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            content = np.frombuffer(b"".join([payloads[row] for row in rows.tolist()]), np.uint8).reshape(
                len(rows), length
            )
            yield from self._alike(rows, content)

    def _alike(self, rows: NDArray[np.int64], content: NDArray[np.uint8]) -> Iterator[JointStates]:
        known = self._layouts.setdefault(content.shape[1], [])
        for layout in known:
            same = (content[:, layout.fixed] == layout.values).all(axis=1)
            if same.any():
                yield _states(layout, rows[same], content[same])
                rows, content = rows[~same], content[~same]
        while len(rows):
            try:
                layout = _layout(content[0].tobytes())
            except (ValueError, struct.error):
                rows, content = rows[1:], content[1:]
                continue
            same = (content[:, layout.fixed] == layout.values).all(axis=1)
            if same.sum() > 1 and len(known) < 8:  # a damaged message has a layout of its own
                known.append(layout)
            yield _states(layout, rows[same], content[same])
            rows, content = rows[~same], content[~same]


def _states(layout: _Layout, rows: NDArray[np.int64], content: NDArray[np.uint8]) -> JointStates:
    stamps = np.ascontiguousarray(content[:, 4:12]).view(f"{layout.order}u4").astype(np.int64)
    end = layout.position + 8 * len(layout.names)
    position = np.ascontiguousarray(content[:, layout.position : end]).view(f"{layout.order}f8")
    return JointStates(layout.names, rows, stamps[:, 0] * 1_000_000_000 + stamps[:, 1], position.astype(np.float64))
