"""The records of an MCAP file: where a record may begin, and what the chunks hold.

Format: https://mcap.dev/spec. Every record is an opcode (1 byte), a length (8 bytes) and as many bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from sobo_training.bags.packing import unpack_lz4, unpack_zstd

MAGIC = b"\x89MCAP0\r\n"
HEAD = struct.Struct("<BQ")
MESSAGE_HEAD = struct.Struct("<HIQQ")
CHUNK_HEAD = struct.Struct("<QQQII")  # ends with the length of the compression's name
COMPRESSIONS = (b"", b"lz4", b"zstd")
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0F
OPCODES = range(0x01, 0x10)
#: No program writes larger ones; an absurd size is damage, and nothing to set memory aside for.
LARGEST_CHUNK = 1 << 30


class DamagedChunk(Exception):
    """The content of a chunk cannot be trusted or decoded."""


@dataclass(frozen=True)
class ChunkHead:
    """The beginning of a chunk record.

    Attributes:
        size: Uncompressed size.
        crc: CRC-32 of the uncompressed content; 0 where the writer gave none.
        compression: Name of the compression.
        data_start: Where the content begins, from the beginning of the record's body.
        data_size: Its size as it is stored.
    """

    size: int
    crc: int
    compression: str
    data_start: int
    data_size: int

    @property
    def length(self) -> int:
        """Size of the record's body, as these fields tell."""
        return self.data_start + self.data_size


def chunk_head(body: bytes) -> ChunkHead | None:
    """Reads the beginning of a chunk record's body; None where it is none."""
    if len(body) < CHUNK_HEAD.size:
        return None
    begin, end, size, crc, name_length = CHUNK_HEAD.unpack_from(body)
    name = body[CHUNK_HEAD.size : CHUNK_HEAD.size + name_length] if name_length <= 8 else b"?"
    start = CHUNK_HEAD.size + len(name) + 8
    if name not in COMPRESSIONS or len(body) < start or size > LARGEST_CHUNK or begin > end >= 1 << 63:
        return None
    (data_size,) = struct.unpack_from("<Q", body, start - 8)
    if name == b"" and data_size != size:
        return None
    return ChunkHead(size, crc, name.decode(), start, data_size)


def decompress(head: ChunkHead, data: bytes, complete: bool = True) -> bytes:
    """The content of a chunk.

    Args:
        head: Its head.
        data: As it is stored.
        complete: False for a chunk that the end of the file cuts: what can be read of it is returned.

    Raises:
        DamagedChunk: It cannot be decompressed, has another size or another checksum than it should.
    """
    try:
        raw = _decompress(head, data)
    except Exception as error:  # each library has errors of its own
        raise DamagedChunk(f"cannot be decompressed ({error})") from error
    if not complete:
        return raw
    if len(raw) != head.size:
        raise DamagedChunk(f"has {len(raw)} bytes instead of {head.size}")
    if head.crc and zlib.crc32(raw) != head.crc:
        raise DamagedChunk("does not match its checksum")
    return raw


def _decompress(head: ChunkHead, data: bytes) -> bytes:
    if head.compression == "zstd":
        return unpack_zstd(data, head.size)
    return unpack_lz4(data, head.size) if head.compression == "lz4" else data


def records(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """Opcode, begin and end of the body of each record in a chunk's content.

    Raises:
        DamagedChunk: At what is no record, after all those before it.
    """
    at, end = 0, len(raw)
    unpack = HEAD.unpack_from
    while at < end:
        if end - at < HEAD.size:
            raise DamagedChunk(f"ends inside a record at byte {at}")
        opcode, length = unpack(raw, at)
        begin, at = at + HEAD.size, at + HEAD.size + length
        if opcode not in (SCHEMA, CHANNEL, MESSAGE) or at > end or (opcode == MESSAGE and length < MESSAGE_HEAD.size):
            raise DamagedChunk(f"holds no record at byte {begin - HEAD.size}")
        yield opcode, begin, at


def text(body: bytes, at: int) -> tuple[str, int]:
    """A string in a record, and where it ends.

    Raises:
        struct.error, ValueError: There is none.
    """
    (length,) = struct.unpack_from("<I", body, at)
    end = at + 4 + length
    if end > len(body):
        raise ValueError(f"a string of {length} bytes does not fit")
    return body[at + 4 : end].decode(), end
