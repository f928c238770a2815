"""A rosbag2 folder of bounded size, which can be read at any time while it grows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sobo_planner.ros.record.mcap_file import McapFile, Topic
from sobo_planner.ros.record.mcap_records import Span
from sobo_planner.ros.record.metadata import metadata

# A file's summary, written anew at every flush, grows with these.
MOST_FLUSHES = 2000

Message = tuple[int, int, bytes]


class Bag:
    """Writes messages into files of limited size, and removes the oldest ones. Not thread-safe.

    Args:
        folder: The folder of the bag, which must not be there yet.
        topics: Its topics; messages name them by their place in this list.
        file_size: A file of this size is followed by the next [bytes].
        total_size: Beyond this the oldest files are removed [bytes]; the newest one stays in any case.
        head: What every file begins with, each as topic, time [ns] and data.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        topics: Sequence[Topic],
        file_size: int,
        total_size: int,
        head: Callable[[], Iterable[Message]] = tuple,
    ) -> None:
        folder.mkdir(parents=True)
        self._folder, self._topics = folder, topics
        self._file_size, self._total_size, self._head = file_size, total_size, head
        self._spans: dict[str, Span] = {}
        self._sizes: dict[str, int] = {}
        self._number = self._flushes = 0
        self._file = self._next()

    @property
    def size(self) -> int:
        """Size of its files [bytes]."""
        return sum(self._sizes.values())

    @property
    def pending(self) -> int:
        """Size of the messages that are not in a file yet [bytes]."""
        return self._file.pending

    def write(self, topic: int, time: int, data: bytes) -> None:
        """Adds a message of the topic with this number, in CDR, recorded at a time [ns]. `flush` writes it."""
        self._file.add(topic, time, data)

    def flush(self) -> None:
        """Writes what has been added, and begins the next file where this one is full. `describe` is to follow.

        Raises:
            OSError: It cannot be written. The bag can be read as it was before.
        """
        if self._file.pending == 0:
            return
        self._file.flush()
        self._flushes += 1
        self._sizes[self._name] = self._file.size
        if self._file.size >= self._file_size or self._flushes >= MOST_FLUSHES:
            self._file.close()
            self._file = self._next()

    def describe(self) -> None:
        """Replaces metadata.yaml: readers find all files without it being up to date, but not how much they hold.

        Raises:
            OSError: It cannot be written; the one before is still there.
        """
        temporary = self._folder / ".metadata.yaml.tmp"
        try:
            temporary.write_text(metadata(self._topics, self._spans), encoding="utf-8")
            os.replace(temporary, self._folder / "metadata.yaml")
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def close(self) -> None:
        """Writes what has been added and closes the bag.

        Raises:
            OSError: As `flush`.
        """
        self._file.close()
        self._sizes[self._name] = self._file.size
        self.describe()

    def _next(self) -> McapFile:
        """Begins a file, and removes the oldest ones if there is no room for it."""
        self._name = f"{self._folder.name}_{self._number}.mcap"
        self._number += 1
        self._flushes = 0
        file = McapFile(self._folder / self._name, self._topics)
        for message in self._head():
            file.add(*message)
        file.flush()
        self._spans[self._name], self._sizes[self._name] = file.span, file.size
        names = list(self._sizes)
        removed: list[str] = []
        while self.size + self._file_size > self._total_size and len(removed) < len(names) - 1:
            removed.append(names[len(removed)])
            del self._sizes[removed[-1]], self._spans[removed[-1]]
        self.describe()
        for name in removed:
            (self._folder / name).unlink(missing_ok=True)
        return file
