"""Which goal a receding horizon serves: a new one in the place of the last only once there is a motion to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.receding import Cycle
from sobo_planner.ros.support.status import Refused, Status

Vector = NDArray[np.float64]

# Cycles in a row after which a goal is refused when none finds a motion to it, and how long they are [s] at least.
MAX_TRIES, TRIED_FOR = 80, 0.8


class RecedingGoals:
    """The goals that were asked for and not refused.

    Args:
        rate: Cycles per second.

    Attributes:
        taken_up: The last one that a motion leads to.
        asked: The last one, while no motion to it was found.
    """

    def __init__(self, rate: float) -> None:
        self._most_tries = max(MAX_TRIES, round(TRIED_FOR * rate))
        self.taken_up: Vector | None = None
        self.asked: Vector | None = None
        self._replaced: Vector | None = None  # was asked for before that, without a motion either
        self._tries = 0

    @property
    def served(self) -> Vector | None:
        """The goal of the next cycle."""
        return self.taken_up if self.asked is None else self.asked

    def ask(self, goal: Vector) -> None:
        """Takes a new goal."""
        self._replaced, self.asked, self._tries = self.asked, goal, 0

    def take_up(self, goal: Vector) -> None:
        """Keeps a goal, because a motion leads to it, or because it is waited for."""
        self.taken_up, self.asked = goal, None

    def refuse_asked(self) -> None:
        """Drops the goal that was asked for last: the one before is served again."""
        self.asked, self._replaced, self._tries = self._replaced, None, 0

    def drop(self) -> list[Vector]:
        """Drops all goals, and returns them."""
        dropped = [goal for goal in (self.taken_up, self.asked) if goal is not None]
        self.taken_up = self.asked = None
        return dropped

    def tried(self, cycle: Cycle) -> None:
        """Counts a cycle that brought no motion to the goal.

        Raises:
            Refused: PLAN_REFUSED, the goal was asked for and no motion to it was found for long.
        """
        self._tries += 1
        if self.asked is not None and self._tries >= self._most_tries:
            why = cycle.objection or f"the last one ends {cycle.tool_error:.2f} m from it"
            raise Refused(Status.PLAN_REFUSED, f"no cycle of {self._tries} found a motion to the goal: {why}")
