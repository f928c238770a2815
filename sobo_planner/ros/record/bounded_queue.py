"""What waits to be written: bounded in number and in size, so that a slow disk costs messages instead of memory."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class BoundedQueue(Generic[Item]):
    """First in, first out. Nobody ever waits; what does not fit is dropped and counted. Thread-safe.

    Args:
        count: How many items it takes.
        size: How large they may be together [bytes].

    Attributes:
        dropped: Items that did not fit.
    """

    def __init__(self, count: int, size: int) -> None:
        self._count, self._size = count, size
        self._items: deque[tuple[Item, int]] = deque()
        self._held = 0
        self._closed = False
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, item: Item, size: int) -> bool:
        """Adds an item of about that size [bytes]. Returns whether it fits."""
        with self._lock:
            if self._closed or len(self._items) >= self._count or self._held + size > self._size:
                self.dropped += 1
                return False
            self._items.append((item, size))
            self._held += size
            return True

    def take(self) -> Item | None:
        """Removes the first item; None if there is none."""
        with self._lock:
            if not self._items:
                return None
            item, size = self._items.popleft()
            self._held -= size
            return item

    def close(self) -> None:
        """Drops all items, and those that come later."""
        with self._lock:
            self._closed = True
            self.dropped += len(self._items)
            self._items.clear()

    def __len__(self) -> int:
        return len(self._items)
