"""A small writer of MCAP files, as the format's specification has them, for files that no library writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import logged_bags as logged
import lz4.frame

MAGIC = b"\x89MCAP0\r\n"


def record(opcode: int, body: bytes) -> bytes:
    """A record."""
    return struct.pack("<BQ", opcode, len(body)) + body


def text(value: str) -> bytes:
    """A string."""
    return struct.pack("<I", len(value)) + value.encode()


def chunk(content: bytes, times: Sequence[int], compression: str, crc: bool) -> bytes:
    """A chunk, with the checksum of its content or without."""
    data = lz4.frame.compress(content) if compression == "lz4" else content
    head = struct.pack("<QQQI", min(times), max(times), len(content), zlib.crc32(content) if crc else 0)
    return record(0x06, head + text(compression) + struct.pack("<Q", len(data)) + data)


def index(number: int, times: Sequence[int]) -> bytes:
    """The index of a channel's messages in a chunk; where they are is not read here."""
    entries = b"".join(struct.pack("<QQ", time, 0) for time in times)
    return record(0x07, struct.pack("<HI", number, len(entries)) + entries)


def mcap(
    messages: Sequence[logged.Message], each: int = 100, compression: str = "", crc: bool = True, chunked: bool = True
) -> tuple[bytes, list[int]]:
    """A file without a summary, and where its chunks (or messages) begin.

    Args:
        messages: What it holds.
        each: Messages a chunk.
        compression: Of the chunks: none or `lz4`.
        crc: Whether chunks have checksums.
        chunked: False: messages are outside of chunks.
    """
    topics = {topic: kind for topic, kind, _, _ in messages}
    numbers = {topic: number for number, topic in enumerate(topics, 1)}
    described = b"".join(
        record(0x03, struct.pack("<H", number) + text(topics[topic]) + text("ros2msg") + text(""))
        + record(0x04, struct.pack("<HH", number, number) + text(topic) + text("cdr") + struct.pack("<I", 0))
        for topic, number in numbers.items()
    )
    out, places = MAGIC + record(0x01, text("ros2") + text("test")) + described, []

    def body(message: tuple[str, str, int, Any]) -> bytes:
        topic, kind, time, content = message
        payload = bytes(logged.STORE.serialize_cdr(content, kind))
        return record(0x05, struct.pack("<HIQQ", numbers[topic], 0, time, time) + payload)

    for first in range(0, len(messages), each):
        part = messages[first : first + each]
        if chunked:
            places.append(len(out))
            out += chunk(b"".join(map(body, part)), [each[2] for each in part], compression, crc)
            for topic, number in numbers.items():
                out += index(number, [time for name, _, time, _ in part if name == topic])
        else:
            for message in part:
                places.append(len(out))
                out += body(message)
    return out + record(0x0F, bytes(4)) + record(0x02, bytes(20)) + MAGIC, places
