"""Objects that come on topics, while an arm replans among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import StartError, TaskError
from sobo_planner.motion import Motion
from sobo_planner.receding import RecedingPlanner
from sobo_planner.ros.inputs.worlds import SeenWorld
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.solver import Instance

Vector = NDArray[np.float64]


class MovingWorld:
    """Brings the newest world to the planner, and asks what it means for the arm and its goal.

    Args:
        core: Holds the world, and the task without objects from topics.
        planner: Takes each world over.
    """

    def __init__(self, core: Core, planner: RecedingPlanner) -> None:
        self._core, self._planner = core, planner
        self._reachable: Vector | None = None  # a goal that is free but for what came on topics

    def take_over(self) -> SeenWorld | None:
        """The world as it is now, which the planner takes over; None where it does not come from topics."""
        seen = self._core.fresh_world()
        if seen is not None:
            self._planner.set_world(seen.world)
        return seen

    def danger(self, *known: Motion | None) -> Refused | None:
        """Why a moving arm is to be stopped: its motion is about to run into an object, or objects are not known.

        Args:
            known: Motions that were checked in the newest world, or stop for an object already.
        """
        timeline, now = self._core.followed.timeline, self._core.now()
        if timeline is None or now >= timeline.end or any(timeline.last is each for each in known):
            return None
        try:
            self.take_over()
            contact = self._planner.contact_ahead(timeline, now)
        except Refused as refusal:
            return refusal
        return None if contact is None else Refused(Status.OBSTACLE_AHEAD, contact.detail)

    def touches_arm(self) -> bool:
        """Whether a state is bad for an object that came to where the arm is, and may go away again."""
        if self._core.worlds is None:
            return False
        try:
            self._core.task.check_start(self._core.fresh_state().x)
        except (StartError, Refused):
            return False
        return True

    def occupies(self, goal: Vector, x: Vector) -> bool:
        """Whether a goal that is not free can be reached from a state once the objects are gone that came on topics."""
        if self._core.worlds is None:
            return False
        if self._reachable is not goal:
            try:
                self._core.task.check_goal(Instance(x, goal), self._planner.progress)
            except TaskError:
                return False
            self._reachable = goal
        return True
