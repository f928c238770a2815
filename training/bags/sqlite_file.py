"""A lenient reader of SQLite bags: where pages are damaged or missing, the messages before and behind them are read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from sobo_training.bags.records import Batch, Channel, Damage, Findings, Wanted

# Messages that are read at once, and the largest number of one.
BLOCK = 2048
LARGEST_ID = 1 << 62
HEADER = b"SQLite format 3\0"
# The beginning of a file: its size of a page at byte 16, its number of pages at byte 28.
PAGES = struct.Struct(">16xH10xI")
# What a damaged head may ask to be set aside [bytes]; a file system that knows holes does not set it aside.
LARGEST_FILE = 1 << 36


class SqliteFile:
    """Reads one file `.db3`.

    Args:
        path: The file.
        wanted: Which channels to read; messages of the others are counted.
        findings: Where damages and counts are added.
    """

    def __init__(self, path: Path, wanted: Wanted, findings: Findings) -> None:
        self._path, self._wanted, self._findings = path, wanted, findings
        self._unreadable = 0

    def blocks(self) -> Iterator[list[Batch]]:
        """Yields blocks of messages in the order of the file."""
        try:
            with self._whole() as path, closing(_open(path)) as database:
                channels = self._channels(database)
                yield from self._messages(database, channels)
        except (sqlite3.Error, OverflowError) as error:
            self._damage(f"cannot be read: {error}")
        if self._unreadable:
            self._damage("rows are damaged", self._unreadable)

    @contextmanager
    def _whole(self) -> Iterator[Path]:
        """The file; of one that is cut a copy with empty pages for those missing, for SQLite reads no other."""
        with self._path.open("rb") as file:
            head = file.read(PAGES.size)
        missing = 0
        if len(head) == PAGES.size and head.startswith(HEADER):
            page, count = PAGES.unpack(head)
            missing = (65536 if page == 1 else page) * count - self._path.stat().st_size
        if not 0 < missing <= LARGEST_FILE:
            yield self._path
            return
        self._damage(f"the file is cut: {missing} bytes are missing")
        with tempfile.TemporaryDirectory(prefix="sobo-bag-") as folder:
            copy = Path(folder) / self._path.name
            shutil.copyfile(self._path, copy)
            os.truncate(copy, copy.stat().st_size + missing)
            yield copy

    def _channels(self, database: sqlite3.Connection) -> dict[int, Channel]:
        channels = {}
        for number, *texts in database.execute("SELECT id, name, type, serialization_format FROM topics"):
            channels[number] = Channel(*map(str, texts))
            self._findings.types.setdefault(channels[number].topic, channels[number].type)
        return channels

    def _messages(self, database: sqlite3.Connection, channels: dict[int, Channel]) -> Iterator[list[Batch]]:
        asked = {number: self._wanted(channel) for number, channel in channels.items()}
        last = -LARGEST_ID
        while last < LARGEST_ID:
            rows, error = _rows(database, last)
            if rows:
                yield self._batches(rows, channels, asked)
                last = rows[-1][0]
            elif error is None:
                return
            if error is not None:
                behind = _behind_damage(database, last)
                self._damage(f"messages behind number {max(last, 0)} cannot be read: {error}", _lost(last, behind))
                if behind is None:
                    return
                last = behind

    def _batches(
        self, rows: list[tuple[Any, ...]], channels: dict[int, Channel], asked: dict[int, bool]
    ) -> list[Batch]:
        messages: dict[int, tuple[list[int], list[bytes]]] = {}
        for _, topic, time, data in rows:
            sound = isinstance(data, bytes) and isinstance(time, int) and abs(time) < LARGEST_ID
            self._findings.passed += len(data) if sound else 0
            if topic not in channels or not sound:
                self._unreadable += 1
            elif not asked[topic]:
                self._findings.skipped[channels[topic].topic] += 1
            else:
                times, payloads = messages.setdefault(topic, ([], []))
                times.append(time)
                payloads.append(data)
        return [Batch(channels[n], np.array(times, np.int64), payloads) for n, (times, payloads) in messages.items()]

    def _damage(self, what: str, messages: int | None = None) -> None:
        self._findings.damages.append(Damage(self._path.name, what, messages))


def _open(path: Path) -> sqlite3.Connection:
    """Opens a file without changing it; where the journal of a killed recorder cannot be used, without it."""
    failure: sqlite3.Error | None = None
    for how in ("mode=ro", "mode=ro&immutable=1"):
        database = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)
        database.text_factory = lambda raw: raw.decode(errors="replace")
        try:
            database.execute("SELECT count(*) FROM topics").fetchone()
            return database
        except sqlite3.Error as error:
            failure = error
            database.close()
    raise failure or sqlite3.DatabaseError("it cannot be opened")


def _rows(database: sqlite3.Connection, last: int) -> tuple[list[tuple[Any, ...]], sqlite3.Error | None]:
    """The next messages behind a number, as far as they can be read, and what stopped that."""
    rows: list[tuple[Any, ...]] = []
    try:
        query = "SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id LIMIT ?"
        for row in database.execute(query, (last, BLOCK)):
            if not isinstance(row[0], int) or row[0] <= last or (rows and row[0] <= rows[-1][0]):
                raise sqlite3.DatabaseError("numbers of messages do not increase")
            rows.append(row)
    except sqlite3.Error as error:
        return rows, error
    return rows, None


def _behind_damage(database: sqlite3.Connection, last: int) -> int | None:
    """The smallest number behind which messages can be read again; None where there are none."""

    def readable(after: int) -> bool | None:
        query = "SELECT id, data FROM messages WHERE id > ? ORDER BY id LIMIT 1"
        with suppress(sqlite3.Error):
            return None if database.execute(query, (after,)).fetchone() is None else True
        return False

    start, step = max(last, 0), 1
    while not readable(start + step):
        if step > 1 << 40 or readable(start + step) is None:
            return None
        step *= 2
    low, high = start + step // 2, start + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if readable(middle) else (middle, high)
    return high


def _lost(last: int, behind: int | None) -> int | None:
    return None if behind is None else behind - max(last, 0)
