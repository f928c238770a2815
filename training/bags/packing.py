"""What bags are compressed with: Zstandard and LZ4, whose libraries come with `rosbags`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO

#: First bytes of what Zstandard compressed; the first byte of a message that it did not is 0.
ZSTD = b"\x28\xb5\x2f\xfd"
READ_AT_ONCE = 1 << 20


def zstandard() -> Any:
    """The library, which Python has from 3.14 on."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def unpack_zstd(data: bytes, most: int) -> bytes:
    """Decompresses as much as there is, `most` bytes and one at most."""
    out: bytes = zstandard().ZstdDecompressor().decompress(data, max_length=most + 1)
    return out


def unpack_lz4(data: bytes, most: int) -> bytes:
    """The same for LZ4 frames."""
    from lz4.frame import LZ4FrameDecompressor

    out: bytes = LZ4FrameDecompressor().decompress(data, max_length=most + 1)
    return out


def unpack_file(file: BinaryIO, to: Path) -> str | None:
    """Decompresses a file with Zstandard, as far as it can be; returns why it ends early, None if it does not."""
    zstd = zstandard()
    decompressor = zstd.ZstdDecompressor()
    with to.open("wb") as out:
        try:
            while not decompressor.eof and (part := file.read(READ_AT_ONCE)):
                out.write(decompressor.decompress(part))
        except zstd.ZstdError as error:
            return str(error)
    return None if decompressor.eof else "it is cut"
