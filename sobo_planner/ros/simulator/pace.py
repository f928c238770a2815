"""How a simulation in fixed steps keeps up with a clock, and what it does when it cannot."""

from __future__ import annotations

#: A simulation that is behind the clock by more than this [s] leaves that time out, so that a planner does not refuse
#: its joint states for their age (`state_timeout`).
LONGEST_BEHIND = 0.25
#: Steps taken at once [s]; the clock is looked at in between.
LONGEST_BURST = 0.05


class Pace:
    """Steps that are due. Times are those of a monotonic clock [s].

    Args:
        now: When the simulation begins.
        step: Length of a step [s].
    """

    def __init__(self, now: float, step: float) -> None:
        self._begin, self._step, self._done = now, step, 0

    def leave_out(self, now: float) -> float:
        """Gives up on catching up where it is too far behind; returns what is left out [s], or 0."""
        behind = self._behind(now)
        if behind <= LONGEST_BEHIND:
            return 0.0
        self._begin += behind
        return behind

    def due(self, now: float) -> int:
        """Steps to take now; they count as taken."""
        steps = max(0, int(min(self._behind(now), LONGEST_BURST) / self._step))
        self._done += steps
        return steps

    def rest(self, now: float, steps: int) -> float:
        """How long it is until so many steps are due [s]."""
        return max(0.0, steps * self._step - self._behind(now))

    def _behind(self, now: float) -> float:
        return now - self._begin - self._done * self._step
