"""What the node's callbacks leave for the planning thread: the latest state, the latest goal, a request to stop."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.solver import Interrupt

Vector = NDArray[np.float64]

NO_STATE = Refused(Status.NO_STATE, "no joint state has come in yet; send the goal again")


@dataclass(frozen=True)
class StampedState:
    """A state and when it was measured.

    Attributes:
        x: [q, v], (2n,).
        measured: When, in monotonic time [s].
        stamp: When, in ROS time [s].
    """

    x: Vector
    measured: float
    stamp: float

    @property
    def age(self) -> float:
        """Seconds since it was measured, on the monotonic clock: jumps of the wall clock do not matter."""
        return time.monotonic() - self.measured


@dataclass(frozen=True)
class Request:
    """What the planning thread is to do next: plan for a goal, or (without one) bring the arm to rest."""

    goal: Vector | None


class Source(Protocol):
    """Where states come from."""

    def take(self) -> None:
        """Puts what has come in into the inbox."""
        ...

    def drop(self) -> None:
        """Forgets what has come in."""
        ...


class Inbox:
    """Holds one state, one goal and whether to stop first; newer ones replace older ones, nothing is queued.

    A request to stop drops the goal before it and outlives a goal after it: the arm comes to rest even if that goal is
    refused. Thread-safe: the executor's thread puts, the planning thread takes.

    Args:
        source: Where states wait until somebody looks; None: they are put here as they come.

    Attributes:
        no_state: Why there is no state, as far as that is known: the refusal that a goal gets then.
    """

    def __init__(self, source: Source | None = None) -> None:
        self._condition = threading.Condition()
        self._source = source
        self._state: StampedState | None = None
        self.no_state = NO_STATE
        self._goal: Vector | None = None
        self._interrupt = Interrupt()
        self._closed = False

    @property
    def state(self) -> StampedState | None:
        """The latest valid state, as of the last look."""
        return self._state

    def look(self) -> StampedState | None:
        """Takes in what has been measured, and returns the latest valid state."""
        if self._source is not None:
            self._source.take()
        return self._state

    @property
    def closed(self) -> bool:
        """Whether the planning thread is to end."""
        return self._closed

    def put_state(self, x: Vector, stamp: float, measured: float | None = None) -> None:
        """Stores the latest valid state.

        Args:
            x: [q, v], (2n,).
            stamp: When it was measured, in ROS time [s].
            measured: The same in monotonic time [s]; None: now.
        """
        self._state = StampedState(x, time.monotonic() if measured is None else measured, stamp)

    def drop_state(self) -> None:
        """Forgets the state: what was measured before does not count any more."""
        self._state, self.no_state = None, NO_STATE

    def drop_measured(self) -> None:
        """Forgets the state, and what has been measured and not been looked at."""
        if self._source is not None:
            self._source.drop()
        self.drop_state()

    def put(self, goal: Vector | None) -> Vector | None:
        """Stores a goal, or None to bring the arm to rest. Returns the goal that it replaced before use."""
        with self._condition:
            replaced, self._goal = self._goal, goal
            if goal is None:
                self._interrupt.set()
            self._condition.notify()
            return replaced

    @property
    def interrupt(self) -> Interrupt:
        """Set while a request to stop waits, and once closed: what is planned for then is not wanted any more."""
        return self._interrupt

    def take(self, timeout: float | None = None) -> Request | None:
        """Waits for a request, at most `timeout` [s], and takes it. Returns None without one, or once closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._waits or self._closed, timeout)
            if self._closed:
                return None
            if self._interrupt.is_set():
                self._interrupt.clear()
                return Request(None)
            goal, self._goal = self._goal, None
            return None if goal is None else Request(goal)

    @property
    def _waits(self) -> bool:
        """Whether there is something to take."""
        return self._goal is not None or self._interrupt.is_set()

    def sleep(self, seconds: float) -> None:
        """Waits, until there is a request to stop or the inbox is closed at the latest; less than 0 s is no wait."""
        with self._condition:
            self._condition.wait_for(self._interrupt.is_set, seconds)

    def close(self) -> Vector | None:
        """Ends the planning thread's waits for good. Returns the goal that waited."""
        with self._condition:
            self._closed = True
            self._interrupt.set()
            self._condition.notify_all()
            return self._goal
