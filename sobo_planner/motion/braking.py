"""Bringing an arm to rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PlanningError
from sobo_planner.motion.motion import Motion, follow
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Guess, Instance, Solver
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Deceleration [rad/s^2] of a joint whose limit is far enough away: a third of a second from a UR5's rated speed.
DECELERATION = 10.0


class Brakes:
    """Makes motions that stop. Used by one thread at a time.

    Args:
        task: The arm.
        checker: Passes every motion of `stop`.
    """

    def __init__(self, task: ArmReach, checker: PlanChecker) -> None:
        self._task, self._checker = task, checker
        self._solver = Solver(task)

    def motion(self, x: Array, begin: float) -> Motion:
        """The motion that stops the arm from a state (2n,) and keeps it where it comes to rest.

        Its gains are those of a plan to the tool's position there.
        """
        guess = braking(self._task, x)
        target = self._task.robot.tool_pose(guess.X[-1, : self._task.nu])[: self._task.goal_size]
        gains = self._solver.gains(Instance(x, target), guess)
        return Motion(begin, self._task.dt, guess.X, guess.U, gains)

    def stop(self, x: Array, begin: float) -> Motion:
        """The same, checked like every plan.

        Raises:
            PlanningError: It would leave a limit, or links would touch.
        """
        motion = self.motion(x, begin)
        violation = self._checker.check(motion.time, motion.X, motion.U, motion.K)
        if violation is not None:
            raise PlanningError(f"the arm cannot be stopped within its limits: {violation.detail}")
        return motion


def braking(task: ArmReach, x: Array) -> Guess:
    """Brings every joint to rest with constant deceleration, before its position limit where it can.

    Args:
        task: The arm.
        x: State (2n,).

    Returns:
        A trajectory of the task's length, consistent with its dynamics and torque limits, at rest in the end.
    """
    n, robot = task.nu, task.robot
    q, v = x[:n].copy(), x[n:].copy()
    room = np.maximum(np.where(v > 0, robot.position_upper - q, q - robot.position_lower), 1e-3)
    deceleration = np.maximum(DECELERATION, v**2 / (2.0 * room))
    states = np.empty((task.horizon, 2 * n))
    for t in range(task.horizon):
        v = np.sign(v) * np.maximum(np.abs(v) - deceleration * task.dt, 0.0)
        q = q + task.dt * v
        states[t] = np.concatenate([q, v])
    return follow(task, x, states)
