"""What the node's callbacks leave for the planning thread: the latest state and the latest goal."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class StampedState:
    """A state [q, v] (2n,) and the monotonic time [s] at which it came in."""

    x: Vector
    received: float

    @property
    def age(self) -> float:
        """Seconds since it came in, on the monotonic clock: jumps of the wall clock do not matter."""
        return time.monotonic() - self.received


class Inbox:
    """Holds one state and one goal; newer ones replace older ones, nothing is queued.

    Thread-safe: the executor's thread puts, the planning thread takes.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._state: StampedState | None = None
        self._goal: Vector | None = None
        self._closed = False

    @property
    def state(self) -> StampedState | None:
        """The latest valid state."""
        return self._state

    def put_state(self, x: Vector) -> None:
        """Stores the latest valid state."""
        self._state = StampedState(x, time.monotonic())

    def put_goal(self, goal: Vector) -> Vector | None:
        """Stores a goal and wakes the planning thread. Returns the goal that it replaced before use."""
        with self._condition:
            replaced, self._goal = self._goal, goal
            self._condition.notify()
            return replaced

    def take_goal(self) -> Vector | None:
        """Waits for a goal and takes it. Returns None once the inbox is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._goal is not None or self._closed)
            if self._closed:
                return None
            goal, self._goal = self._goal, None
            return goal

    def close(self) -> None:
        """Ends the planning thread's wait for good."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
