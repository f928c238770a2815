"""The task as the next cycle sees it: in the newest world, at the pace that is asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.timing import Pace
from sobo_planner.world import World

Array = NDArray[np.float64]

# Share of the acceleration limits by which a joint that is too fast slows down at least.
SLOWING = 0.5


class CurrentTask:
    """Views of one task; each method that changes the view returns whether it did.

    Args:
        task: The task as it is given.
        checker: Its checker.
        margin: Distance [m] to be kept from the objects of worlds that are set.

    Attributes:
        task: The view of now.
        checker: For its world.
    """

    def __init__(self, task: ArmReach, checker: PlanChecker, margin: float) -> None:
        self.task = self._given = task
        self.checker = checker
        self._margin, self._world = margin, (task.robot.world.version, task.robot.native)
        self._pace = Pace()

    def set_pace(self, pace: Pace) -> bool:
        """Takes the shares of the robot's speeds and accelerations that motions may use."""
        if pace == self._pace:
            return False
        self._pace = pace
        self.task = self.task.nominal.paced(pace)
        return True

    def set_world(self, world: World) -> bool:
        """Takes a world in the place of the one that the task was made in."""
        this = world.version, self._given.robot.native  # payloads are set in place
        if this == self._world:
            return False
        self._world = this
        task = self._given.with_world(world, self._margin)
        self.checker = self.checker.of(task)
        self.task = task.paced(self._pace)
        return True

    def slow_down(self, x: Array) -> bool:
        """Where a joint is faster at a hand-over than its share, it may be so: a bit slower from step to step."""
        n, nominal = self.task.nu, self.task.nominal
        usual = self._pace.velocity_scaling * nominal.robot.velocity_limit
        slower = np.maximum(np.abs(x[n:]) - SLOWING * self.task.acceleration_limit * self.task.dt, 0.0)
        if not ((slower > usual).any() or (self.task.velocity_limit > usual).any()):
            return False
        self.task = nominal.paced(self._pace, np.concatenate([x[:n], slower]))
        return True
