"""Whether what was recorded gives an instance of the present task."""

from __future__ import annotations

import numpy as np

from sobo_planner.errors import GoalError, StartError
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach
from sobo_training.bags.candidates import Filters, UnusedError
from sobo_training.bags.joint_states import Array
from sobo_training.bags.worlds import LoggedWorld, Views

# How far the tool may have ended from a goal that counts as reached [m].
REACHED = 0.02
# Positions this far outside a limit [rad or m] are moved to it: encoders, and arms that rest at a limit.
NOISE = 0.01


class Checks:
    """The checks that candidates pass. Each raises UnusedError with the cause.

    Args:
        task: The present task.
        filters: What is used.

    Attributes:
        base: The task's base frame in the root link's frame.
    """

    def __init__(self, task: ArmReach, filters: Filters) -> None:
        self._task, self._filters, self._views = task, filters, Views(task)
        self.base = task.robot.placement(task.config.robot.base_frame or task.robot.root_link)

    def check_status(self, status: str) -> None:
        """Checks the status of a plan."""
        if status not in self._filters.statuses:
            raise UnusedError(f"status {status}")

    def check_error(self, error: float) -> None:
        """Checks how far from its goal a plan or a motion ended [m]; NaN where it had none."""
        most = self._filters.tool_error
        if most is not None and error > most:
            raise UnusedError(f"ended more than {most:g} m from its goal")

    def inside(self, position: Array) -> Array:
        """Positions (..., n) within the limits, where noise alone takes them outside."""
        robot = self._task.robot
        clipped = np.clip(position, robot.position_lower, robot.position_upper)
        if np.abs(clipped - position).max() > NOISE:
            raise UnusedError("a joint is beyond its limits")
        return clipped

    def instance(self, world: LoggedWorld | None, x0: Array, target: Array, end: Array | None = None) -> Instance:
        """An instance that passed all checks; `end` are the joints (n,) that reached, or nearly reached, the target."""
        task, region = self._views.of(world), self._filters.region
        if region is not None:
            place = self.base.inverse().goal(target)
            if (place < region[0]).any() or (place > region[1]).any():
                raise UnusedError("outside of the region")
        instance = Instance(x0, target)
        try:
            task.check_start(x0)
        except StartError as error:
            raise UnusedError(
                "links touch at the start" if "collision" in str(error) else "the start is beyond a limit"
            ) from error
        if end is not None and np.linalg.norm(task.robot.tool_position(end) - target) <= REACHED:
            if task.robot.colliding_pair(end) is not None:
                raise UnusedError("links touch at the end")
            return instance
        try:
            task.check_goal(instance)
        except GoalError as error:
            raise UnusedError("the goal is out of reach") from error
        return instance
