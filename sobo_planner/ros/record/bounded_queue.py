"""What waits to be written: bounded in number and in size, so that a slow disk costs messages instead of memory."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class BoundedQueue(Generic[Item]):
    """First in, first out. Nobody ever waits; what does not fit is dropped and counted. Thread-safe.

    An item holds one or more messages, which are queued or dropped together.

    Args:
        count: How many messages it takes.
        size: How large they may be together [bytes].

    Attributes:
        dropped: Messages that did not fit.
    """

    def __init__(self, count: int, size: int) -> None:
        self._count, self._size = count, size
        self._items: deque[tuple[Item, int, int]] = deque()
        self._waiting = self._held = 0
        self._closed = False
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, item: Item, size: int, count: int = 1) -> bool:
        """Adds an item of so many messages, together of about that size [bytes]. Returns whether it fits."""
        with self._lock:
            if self._closed or self._waiting + count > self._count or self._held + size > self._size:
                self.dropped += count
                return False
            self._items.append((item, size, count))
            self._waiting += count
            self._held += size
            return True

    def take(self) -> Item | None:
        """Removes the first item; None if there is none."""
        with self._lock:
            if not self._items:
                return None
            item, size, count = self._items.popleft()
            self._waiting -= count
            self._held -= size
            return item

    @property
    def half_full(self) -> bool:
        """Whether half of what it takes waits."""
        return 2 * self._waiting >= self._count or 2 * self._held >= self._size

    def close(self) -> None:
        """Drops all items, and those that come later."""
        with self._lock:
            self._closed = True
            self.dropped += self._waiting
            self._items.clear()
            self._waiting = self._held = 0

    def __len__(self) -> int:
        """Messages that wait."""
        return self._waiting
