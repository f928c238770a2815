"""Records of the MCAP format (https://mcap.dev/spec) as bytes: as much of it as a recording needs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07
CHUNK_INDEX, STATISTICS, DATA_END = 0x08, 0x0B, 0x0F
PRIVATE = 0x80  # readers skip it
HEAD_SIZE = 9  # [bytes] of a record before its content
UNSET = 2**64 - 1

# Code, length, channel, sequence, the time of the recording and that of the publication.
_message_head = struct.Struct("<BQHIQQ").pack


def record(code: int, content: bytes) -> bytes:
    """A record."""
    return record_head(code, len(content)) + content


def record_head(code: int, size: int) -> bytes:
    """What comes before the `size` bytes of a record."""
    return struct.pack("<BQ", code, size)


def text(value: str) -> bytes:
    """A text with its length."""
    data = value.encode()
    return struct.pack("<I", len(data)) + data


def header(profile: str, library: str) -> bytes:
    """The first record of a file."""
    return record(HEADER, text(profile) + text(library))


def schema(number: int, name: str, encoding: str, definition: str) -> bytes:
    """A message type."""
    return record(SCHEMA, struct.pack("<H", number) + text(name) + text(encoding) + text(definition))


def channel(number: int, schema_number: int, topic: str, metadata: Mapping[str, str]) -> bytes:
    """A topic, whose messages are in CDR."""
    pairs = b"".join(text(key) + text(value) for key, value in metadata.items())
    numbers = struct.pack("<HH", number, schema_number)
    return record(CHANNEL, numbers + text(topic) + text("cdr") + struct.pack("<I", len(pairs)) + pairs)


def data_end() -> bytes:
    """The end of the data section, whose checksum is not computed: chunks have their own."""
    return record(DATA_END, struct.pack("<I", 0))


def footer(summary_start: int, summary: bytes) -> bytes:
    """The last record of a file, whose summary begins at a place of the file."""
    start = struct.pack("<BQQQ", FOOTER, 20, summary_start, 0)
    return start + struct.pack("<I", zlib.crc32(start, zlib.crc32(summary)))


@dataclass
class Span:
    """Times of messages and their numbers by channel.

    Attributes:
        first: Earliest time [ns].
        last: Latest time [ns].
        counts: Messages of each channel.
    """

    first: int = UNSET
    last: int = 0
    counts: dict[int, int] = field(default_factory=dict)

    def include(self, other: Span) -> None:
        """Counts the messages of another span."""
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        for number, count in other.counts.items():
            self.counts[number] = self.counts.get(number, 0) + count

    @property
    def total(self) -> int:
        """How many messages there are."""
        return sum(self.counts.values())


def statistics(span: Span, schemas: int, channels: int, chunks: int) -> bytes:
    """How much a file holds."""
    counts = b"".join(struct.pack("<HQ", *pair) for pair in sorted(span.counts.items()))
    first = 0 if span.first == UNSET else span.first
    numbers = struct.pack("<QHIIIIQQ", span.total, schemas, channels, 0, 0, chunks, first, span.last)
    return record(STATISTICS, numbers + struct.pack("<I", len(counts)) + counts)


class Chunk:
    """Messages that are written together.

    Attributes:
        size: Size of the messages with their heads [bytes].
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._places: dict[int, list[int]] = {}
        self.size = 0

    @property
    def span(self) -> Span:
        """Times and numbers of the messages."""
        times = [time for pairs in self._places.values() for time in pairs[::2]]
        counts = {number: len(pairs) // 2 for number, pairs in self._places.items()}
        return Span(min(times), max(times), counts) if times else Span()

    def add(self, number: int, sequence: int, time: int, data: bytes) -> None:
        """Adds a message of a channel, recorded at a time [ns]."""
        self._places.setdefault(number, []).extend((time, self.size))
        size = 22 + len(data)
        self._pieces += (_message_head(MESSAGE, size, number, sequence & 0xFFFFFFFF, time, time), data)
        self.size += HEAD_SIZE + size

    def records(self, start: int) -> tuple[Pieces, bytes]:
        """The chunk and the indexes of its messages, from `start` on; its entry in the summary."""
        span, data = self.span, b"".join(self._pieces)
        times = struct.pack("<QQ", span.first, span.last)
        size = len(data)
        head = times + struct.pack("<QI", size, zlib.crc32(data)) + text("") + struct.pack("<Q", size)
        length = HEAD_SIZE + len(head) + size
        indexes, offsets, place = [], b"", start + length
        for number, pairs in sorted(self._places.items()):
            indexes.append(_message_index(number, pairs))
            offsets += struct.pack("<HQ", number, place)
            place += len(indexes[-1])
        entry = times + struct.pack("<QQI", start, length, len(offsets)) + offsets
        entry += struct.pack("<Q", place - start - length) + text("") + struct.pack("<QQ", size, size)
        pieces = Pieces(record_head(CHUNK, length - HEAD_SIZE), head, data, b"".join(indexes))
        return pieces, record(CHUNK_INDEX, entry)


class Pieces(NamedTuple):
    """A chunk in the order in which it is in the file.

    Attributes:
        record_head: Head of its record.
        head: What comes before the messages.
        messages: The messages.
        indexes: Records with the places of the messages of each channel.
    """

    record_head: bytes
    head: bytes
    messages: bytes
    indexes: bytes


def _message_index(number: int, pairs: Sequence[int]) -> bytes:
    """Times and places of a channel's messages in a chunk, one after the other."""
    numbers = struct.pack(f"<HI{len(pairs)}Q", number, 8 * len(pairs), *pairs)
    return record(MESSAGE_INDEX, numbers)
