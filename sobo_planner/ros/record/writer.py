"""The thread that writes a bag."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from sobo_planner.ros.record.bounded_queue import BoundedQueue

MOST_WAITING = 20_000  # messages
MOST_BYTES = 64 * 2**20  # of waiting messages
FLUSH_PERIOD = 0.3  # [s]
FLUSH_SIZE = 2 * 2**20  # [bytes]
LOOK_PERIOD = 0.05  # [s] between two looks at the queue, unless it is woken
# After so much work the interpreter is left to the planning thread, which would otherwise wait for up to 5 ms.
SLICE = 1e-4  # [s]
PAUSE = 5e-4  # [s]
# With so many messages waiting, on a computer that is overloaded, it works for longer at once.
BACKLOG, LONG_SLICE = 400, 5e-4


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


class Entry(NamedTuple):
    """A message that waits.

    Attributes:
        topic: Number of its topic.
        time: When it came in or left [ns].
        serialise: Makes its data; called on the writer's thread.
        size: About how large it is [bytes].
    """

    topic: int
    time: int
    serialise: Callable[[], bytes]
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
        self.written = self._lost = self._added = 0
        self._thread = threading.Thread(name="recording", target=self._run, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Messages that were not written: the queue was full, they cannot be serialised, or the recording had ended."""
        return self._queue.dropped + self._lost

    def put(self, entry: Entry) -> None:
        """Leaves a message to be written. Returns at once, whatever the disk does."""
        self._queue.put(entry, entry.size)

    def wake(self) -> None:
        """Has what waits written now: the planning thread, which shares the interpreter, has nothing to do."""
        self._woken.set()

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
        flushed = paused = time.monotonic()
        while True:
            entry = self._queue.take()
            if entry is not None:
                self._add(entry)
            elif self._stopped:
                return
            else:
                self._woken.wait(LOOK_PERIOD)
                self._woken.clear()
                paused = time.monotonic()
            now = time.monotonic()
            if now - flushed >= FLUSH_PERIOD or self._sink.pending >= FLUSH_SIZE:
                self._flush()
                flushed = now
            if now - paused >= (SLICE if len(self._queue) < BACKLOG else LONG_SLICE):
                rest()
                paused = time.monotonic()

    def _flush(self) -> None:
        self._sink.flush()
        rest()
        self._sink.describe()
        self.written, self._added = self.written + self._added, 0

    def _add(self, entry: Entry) -> None:
        try:
            data = entry.serialise()
        except Exception:  # a message that cannot be written is not worth the rest of the bag
            self._lost += 1
            return
        self._sink.write(entry.topic, entry.time, data)
        self._added += 1
