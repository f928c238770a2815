"""The files of bags: found, opened and read, one after the other."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sobo_planner.errors import DatasetError
from sobo_training.bags.mcap_chunks import MAGIC
from sobo_training.bags.mcap_file import McapFile
from sobo_training.bags.packing import READ_AT_ONCE, ZSTD, unpack_file
from sobo_training.bags.records import Batch, Damage, Findings, Wanted
from sobo_training.bags.sqlite_file import HEADER, SqliteFile

MCAP, SQLITE, PACKED = ".mcap", ".db3", ".zstd"
NAMES = re.compile(r".+\.(mcap|db3)(\.zstd)?$")
ROS1 = b"#ROSBAG"


@dataclass(frozen=True)
class Bag:
    """A recording: files that follow each other.

    Attributes:
        path: As it was named, or the folder inside of what was named.
        files: Its files in order.
    """

    path: Path
    files: tuple[Path, ...]


def find_bags(path: Path) -> list[Bag]:
    """The bags at a path: a file, the folder of a bag, or a folder of such folders.

    Raises:
        DatasetError: There is none, or it cannot be looked at.
    """
    try:
        if path.is_file():
            return [Bag(path, (path,))]
        if not path.is_dir():
            raise DatasetError(f"no bag at {path}")
        folders = sorted({path, *(each.parent for each in path.rglob("*") if NAMES.match(each.name))})
        bags = [Bag(folder, _files(folder)) for folder in folders]
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    bags = [bag for bag in bags if bag.files]
    if not bags:
        raise DatasetError(f"no bag in {path}: it holds no file that ends with .mcap or .db3")
    return bags


def _files(folder: Path) -> tuple[Path, ...]:
    found = [each for each in folder.iterdir() if NAMES.match(each.name) and each.is_file()]
    return tuple(sorted(found, key=_natural))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts `bag_10` behind `bag_9`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name)]


def digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(READ_AT_ONCE):
            sha.update(part)
    return sha.hexdigest()


def read(path: Path, wanted: Wanted, findings: Findings) -> Iterator[list[Batch]]:
    """Yields blocks of the messages in a file that are wanted, in the order of the file.

    Whatever keeps it from being read is a damage in the findings, never an error.
    """
    try:
        with _unpacked(path, findings) as plain:
            yield from _reader(plain, path, wanted, findings)
    except (OSError, EOFError, MemoryError) as error:
        findings.damages.append(Damage(path.name, f"cannot be read: {error}"))


def _reader(plain: Path, path: Path, wanted: Wanted, findings: Findings) -> Iterator[list[Batch]]:
    with plain.open("rb") as file:
        head = file.read(len(HEADER))
    suffixes = path.suffixes
    if not head:
        findings.damages.append(Damage(path.name, "the file is empty"))
    elif head.startswith(ROS1):
        what = "a bag of ROS 1; `rosbags-convert` makes one of ROS 2 of it"
        findings.damages.append(Damage(path.name, what))
    elif head == HEADER or (SQLITE in suffixes and not head.startswith(MAGIC)):
        yield from SqliteFile(plain, wanted, findings).blocks()
    elif head.startswith(MAGIC) or MCAP in suffixes:
        yield from McapFile(plain, wanted, findings).blocks()
    else:
        findings.damages.append(Damage(path.name, "is neither an MCAP file nor an SQLite bag"))


@contextmanager
def _unpacked(path: Path, findings: Findings) -> Iterator[Path]:
    """The file, or what it holds where it was compressed as a whole, in a temporary file."""
    with path.open("rb") as file:
        if file.read(len(ZSTD)) != ZSTD:
            yield path
            return
        file.seek(0)
        with tempfile.TemporaryDirectory(prefix="sobo-bag-") as folder:
            plain = Path(folder) / path.name.removesuffix(PACKED)
            problem = unpack_file(file, plain)
            if problem is not None:
                how = "can be decompressed in part" if plain.stat().st_size else "cannot be decompressed"
                findings.damages.append(Damage(path.name, f"{how}: {problem}"))
            yield plain
