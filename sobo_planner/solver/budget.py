"""The time that planning may take, and the request to end it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from sobo_planner import _native
from sobo_planner.errors import DeadlineError, PlanInterruptedError

#: Ends planning from another thread: `set`, `clear`, `is_set`.
Interrupt = _native.Interrupt


class Budget:
    """Wall time from now on, and an interrupt. Every phase of planning looks at it.

    Args:
        limit: Time [s]; None for as long as it takes.
        interrupt: Another thread sets it to end planning.
        clock: Monotonic time [s].
    """

    def __init__(
        self,
        limit: float | None = None,
        interrupt: Interrupt | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit, self.interrupt, self._clock = limit, interrupt, clock
        self._began = clock()
        self._end = math.inf if limit is None else self._began + limit

    def elapsed(self) -> float:
        """Seconds since the budget was made."""
        return self._clock() - self._began

    def left(self) -> float:
        """Seconds left; infinite without a limit, negative once they have passed."""
        return self._end - self._clock()

    @property
    def interrupted(self) -> bool:
        """Whether planning is to end without a plan."""
        return self.interrupt is not None and self.interrupt.is_set()

    def over(self) -> bool:
        """Whether the time has passed, or planning was interrupted."""
        return self.interrupted or self.left() <= 0.0

    def keeping(self, seconds: float) -> Budget:
        """The same budget, over so many seconds earlier: what is left then is for something else."""
        other = Budget(self.limit, self.interrupt, self._clock)
        other._began, other._end = self._began, self._end - seconds
        return other

    def check(self, what: str) -> None:
        """Ends planning once the budget is over.

        Args:
            what: What has not been finished, as the subject of the message.

        Raises:
            PlanInterruptedError: Planning was interrupted.
            DeadlineError: The time has passed.
        """
        if self.interrupted:
            raise PlanInterruptedError("planning was interrupted")
        if self.left() <= 0.0:
            raise DeadlineError(f"{what} did not finish within the deadline of {self.limit:g} s; allow more time")


class WorkEstimate:
    """How long the shortest piece of work takes, from the last ones: what would end after the deadline is not begun."""

    #: Share of a measurement that still counts after the next one, or after work that was not begun because of it.
    FORGET = 0.8

    def __init__(self) -> None:
        self._shortest = math.inf
        self._estimate = 0.0

    @property
    def seconds(self) -> float:
        """The estimate [s]; 0 before the first measurement."""
        return self._estimate

    def measured(self, seconds: float) -> None:
        """Takes a measurement [s]."""
        self._shortest = min(self._shortest, seconds)
        self._estimate = max(seconds, self.FORGET * self._estimate)

    def not_begun(self) -> None:
        """Work was not begun. The estimate falls towards the shortest measurement, so that a slow one is not final."""
        if self._estimate > 0.0:
            self._estimate = max(self._shortest, self.FORGET * self._estimate)


#: As long as it takes.
UNLIMITED = Budget()
