"""How far ahead of now the motions of a receding horizon begin."""

from __future__ import annotations

from collections import deque

# Periods from a cycle's beginning to the hand-over: one to compute, one to send the motion before it begins. More where
# cycles take longer, measured over the last ones, up to a bound [s], which doubles with each motion in a row that comes
# too late, up to another [s]: on a computer that is too slow, motions begin late rather than never.
LEAD_PERIODS = 2.0
LONGEST_LEAD = 0.2
LONGEST_LATE_LEAD = 1.0
WINDOW = 50


class Lead:
    """Follows what cycles take.

    Args:
        period: Of the cycles [s].

    Attributes:
        bound: The longest it may be now [s].
    """

    def __init__(self, period: float) -> None:
        self._shortest, self.bound = LEAD_PERIODS * period, LONGEST_LEAD
        self._durations: deque[float] = deque(maxlen=WINDOW)

    @property
    def seconds(self) -> float:
        """Time from now to the hand-over [s]."""
        return float(min(max(self._shortest, 1.2 * max(self._durations, default=0.0)), self.bound))

    def took(self, seconds: float) -> None:
        """Takes the time that a cycle took [s]."""
        self._durations.append(seconds)

    def in_time(self) -> None:
        """A motion was published before it begins."""
        self.bound = LONGEST_LEAD

    def late(self) -> None:
        """A motion came too late."""
        self.bound = min(2.0 * self.bound, LONGEST_LATE_LEAD)
