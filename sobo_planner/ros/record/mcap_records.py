"""Records of the MCAP format (https://mcap.dev/spec) as bytes: as much of it as a recording needs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07
CHUNK_INDEX, STATISTICS, DATA_END = 0x08, 0x0B, 0x0F
UNSET = 2**64 - 1


def record(code: int, content: bytes) -> bytes:
    """A record."""
    return struct.pack("<BQ", code, len(content)) + content


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


def message_head(number: int, sequence: int, time: int, size: int) -> bytes:
    """What comes before the `size` bytes of a message of a channel, recorded at a time [ns]."""
    return struct.pack("<BQHIQQ", MESSAGE, 22 + size, number, sequence & 0xFFFFFFFF, time, time)


def data_end() -> bytes:
    """The end of the data section, whose checksum is not computed: chunks have their own."""
    return record(DATA_END, struct.pack("<I", 0))


def footer(summary_start: int, summary: Iterable[bytes]) -> bytes:
    """The last record of a file, for a summary in pieces that begins at a place of the file."""
    start = struct.pack("<BQQQ", FOOTER, 20, summary_start, 0)
    checksum = 0
    for piece in (*summary, start):
        checksum = zlib.crc32(piece, checksum)
    return start + struct.pack("<I", checksum)


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

    def add(self, number: int, time: int) -> None:
        """Counts a message of a channel."""
        self.first, self.last = min(self.first, time), max(self.last, time)
        self.counts[number] = self.counts.get(number, 0) + 1

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
        span: Times and numbers of the messages.
        size: Their size with their heads [bytes].
    """

    def __init__(self) -> None:
        self.span, self.size = Span(), 0
        self._pieces: list[bytes] = []
        self._places: dict[int, list[int]] = {}
        self._checksum = 0

    def add(self, number: int, sequence: int, time: int, data: bytes) -> None:
        """Adds a message of a channel, recorded at a time [ns]."""
        self.span.add(number, time)
        self._places.setdefault(number, []).extend((time, self.size))
        for piece in (message_head(number, sequence, time, len(data)), data):
            self._checksum = zlib.crc32(piece, self._checksum)
            self._pieces.append(piece)
            self.size += len(piece)

    def records(self, start: int) -> tuple[list[bytes], bytes]:
        """The chunk with the indexes of its messages as pieces of a file from `start` on; its entry in the summary."""
        span = self.span
        times = struct.pack("<QQ", span.first, span.last)
        head = times + struct.pack("<QI", self.size, self._checksum) + text("") + struct.pack("<Q", self.size)
        length = 9 + len(head) + self.size
        indexes, offsets, place = [], b"", start + length
        for number, pairs in sorted(self._places.items()):
            indexes.append(_message_index(number, pairs))
            offsets += struct.pack("<HQ", number, place)
            place += len(indexes[-1])
        entry = times + struct.pack("<QQI", start, length, len(offsets)) + offsets
        entry += struct.pack("<Q", place - start - length) + text("") + struct.pack("<QQ", self.size, self.size)
        pieces = [struct.pack("<BQ", CHUNK, length - 9) + head, *self._pieces, *indexes]
        return pieces, record(CHUNK_INDEX, entry)


def _message_index(number: int, pairs: Sequence[int]) -> bytes:
    """Times and places of a channel's messages in a chunk, one after the other."""
    numbers = struct.pack(f"<HI{len(pairs)}Q", number, 8 * len(pairs), *pairs)
    return record(MESSAGE_INDEX, numbers)
