"""When and how an arm that replans leaves what it touches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import StartError
from sobo_planner.motion import Motion, Timeline
from sobo_planner.planning.leaving import RESTING, TOUCHES, way_out
from sobo_planner.planning.plan import LeftContact
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.instances import touching

Array = NDArray[np.float64]

# An object that was heard of on a topic is left once it has stood still for so long [s]: its gap to the resting arm has
# not changed by more than so much [m]. An arm that draws back slowly is hit by what comes faster: of 15 balls that
# crossed an arm's way two hit it while it drew back, none while it rested.
SETTLED = 0.5
STILL = 0.002


class Leaver:
    """Finds motions out of contacts, and waits where that is better.

    Attributes:
        objects_move: Whether objects may move, as far as is known.
    """

    def __init__(self) -> None:
        self.objects_move = False
        self._motion: Motion | None = None  # the last one that was found
        self._touching: tuple[float, float] | None = None  # since when the gap is as it is [s], and that gap [m]

    def gave(self, motion: Motion) -> bool:
        """Whether a motion is the last one that was found."""
        return motion is self._motion

    def free(self) -> None:
        """Notes that the arm touches nothing."""
        self._touching = None

    def motion(
        self, task: ArmReach, checker: PlanChecker, timeline: Timeline, x0: Array, handover: float
    ) -> tuple[Motion, LeftContact] | str:
        """The motion out of what an arm touches, to where it rests, and that contact.

        Args:
            task: The arm in its world.
            checker: Passes the motion.
            timeline: What the arm follows.
            x0: State (2n,) at the hand-over.
            handover: When that is [s].

        Returns:
            Why there is none yet, instead, while what it touches may still move; empty while the arm follows one.

        Raises:
            StartError: See `way_out`; or the checker refuses the motion.
        """
        if self.gave(timeline.last) and handover < timeline.end:
            return ""
        waits = self._waits(task, x0, handover)
        if waits:
            return waits
        way = way_out(task, x0)
        motion = Motion(handover, task.dt, *way.motion(task, task.dt))
        violation = checker.check(motion.time, motion.X, motion.U, motion.K)
        if violation is not None:
            raise StartError(f"the way out of a contact is refused: {violation.detail}")
        self._motion = motion
        return motion, replace(way.contact, steps=len(motion.U))

    def _waits(self, task: ArmReach, x0: Array, handover: float) -> str:
        """Why a contact of a resting arm is not left yet; empty if it may be."""
        n, robot = task.nu, task.robot
        touched = robot.contact(x0[:n])
        if not self.objects_move or touched is None or not touched.object or np.abs(x0[n:]).max() > RESTING:
            self._touching = None
            return ""
        gap = min(each.gap for each in robot.native.near(x0[:n], TOUCHES))
        if self._touching is None or abs(gap - self._touching[1]) > STILL:
            self._touching = handover, gap
        if handover - self._touching[0] >= SETTLED:
            return ""
        what = touching(touched, robot.margin)
        return f"the start is in collision: {what}; that is left once it has stood still for {SETTLED:g} s"
