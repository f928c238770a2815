"""The thread that writes a bag."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from sobo_planner.ros.record.bounded_queue import BoundedQueue

MOST_WAITING = 20_000  # messages
MOST_BYTES = 64 * 2**20  # of waiting messages
# Time between two looks at the queue [s]. The thread is not woken for each plan: a thread that begins to run takes the
# interpreter and the processor from the planning thread. What came in within this time is lost with the process.
PERIOD = 0.3
FLUSH_SIZE = 2 * 2**20  # [bytes]
DESCRIBE_PERIOD = 1.0  # [s]
# After so much work the interpreter is left to the planning thread, which would otherwise wait for up to 5 ms.
SLICE = 1e-4  # [s]
PAUSE = 5e-4  # [s]
# With so many messages waiting, on a computer that is overloaded, it works for longer at once.
BACKLOG, LONG_SLICE = 2000, 5e-4


def rest() -> None:
    """Leaves the interpreter and the processor to others."""
    time.sleep(PAUSE)


class Sink(Protocol):
    """Where messages go; of a `Bag` as much as is used."""

    @property
    def pending(self) -> int:
        """Size of what is not written yet [bytes]."""
        ...

    def write(self, topic: int, time: int, data: bytes) -> None:
        """Adds a message."""
        ...

    def flush(self) -> None:
        """Writes what has been added."""
        ...

    def describe(self) -> None:
        """Writes what else there is to know of it."""
        ...

    def close(self) -> None:
        """Writes what has been added and ends."""
        ...


# The number of its topic, when it came in or left [ns], and its data in CDR, or what makes them on the writer's thread.
Message = tuple[int, int, bytes | Callable[[], bytes]]


class Entry(NamedTuple):
    """Messages that wait: of one plan, or that came in together. All of them are queued, or none.

    Attributes:
        messages: The messages.
        size: About how large they are together [bytes].
    """

    messages: Sequence[Message]
    size: int


class Writer:
    """Writes messages on a thread of its own.

    The first thing that goes wrong ends it: the sink is closed, what waits is dropped, and so is what comes later.

    Args:
        sink: Where they go; it is closed in the end.
        failed: Told on that thread what went wrong, once.

    Attributes:
        problem: What went wrong; empty if nothing did.
        written: Messages written so far.
    """

    def __init__(self, sink: Sink, failed: Callable[[str], None]) -> None:
        self._sink, self._failed = sink, failed
        self._queue: BoundedQueue[Entry] = BoundedQueue(MOST_WAITING, MOST_BYTES)
        self._stopped, self._woken = False, threading.Event()
        self.problem = ""
        self.written = self._lost = self._added = self._undescribed = 0
        self._thread = threading.Thread(name="recording", target=self._run, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Messages that were not written: the queue was full, they cannot be serialised, or the recording had ended."""
        return self._queue.dropped + self._lost

    def put(self, entry: Entry) -> bool:
        """Leaves messages to be written. Returns at once, whatever the disk does: whether they fit."""
        fits = self._queue.put(entry, entry.size, len(entry.messages))
        if self._queue.half_full:
            self._woken.set()
        return fits

    def close(self, within: float) -> bool:
        """Has everything written that waits. Returns whether that was done within a time [s]."""
        self._stopped = True
        self._woken.set()
        self._thread.join(within)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._write_all()
            self._sink.close()
            self.written += self._added
        except Exception as error:  # a disk that is full, a folder that is gone; planning goes on in any case
            self.problem = f"{type(error).__name__}: {error}"
            self._lost += self._added
            self._queue.close()
            with contextlib.suppress(Exception):  # it has failed already
                self._sink.close()
            self._failed(self.problem)

    def _write_all(self) -> None:
        described = time.monotonic()
        ends = False
        while not ends:
            self._woken.wait(PERIOD)
            self._woken.clear()
            ends = self._stopped  # what was put before that is in the queue by now
            self._take_waiting()
            self._flush()
            if time.monotonic() - described >= DESCRIBE_PERIOD:
                self._describe()
                described = time.monotonic()

    def _take_waiting(self) -> None:
        """Adds what waits to the sink, with pauses."""
        flushed = resumed = time.monotonic()
        while (entry := self._queue.take()) is not None:
            self._add(entry)
            now = time.monotonic()
            if now - flushed >= PERIOD or self._sink.pending >= FLUSH_SIZE:
                self._flush()
                flushed = now
            if now - resumed >= (SLICE if len(self._queue) < BACKLOG else LONG_SLICE):
                rest()
                resumed = time.monotonic()

    def _flush(self) -> None:
        self._sink.flush()
        self.written += self._added
        self._undescribed, self._added = self._undescribed + self._added, 0

    def _describe(self) -> None:
        try:
            self._sink.describe()
        except OSError:  # most likely the folder is gone, and what was written since
            self.written -= self._undescribed
            self._lost += self._undescribed
            raise
        self._undescribed = 0

    def _add(self, entry: Entry) -> None:
        for topic, moment, data in entry.messages:
            try:
                found = data if isinstance(data, bytes) else data()
            except Exception:  # a message that cannot be written is not worth the rest of the bag
                self._lost += 1
                continue
            self._sink.write(topic, moment, found)
            self._added += 1
