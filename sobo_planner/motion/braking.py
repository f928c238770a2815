"""Bringing an arm to rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PlanningError
from sobo_planner.motion.motion import Motion, follow
from sobo_planner.robot import SEMI_IMPLICIT_EULER
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Guess
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains, commands

Array = NDArray[np.float64]

# Deceleration [rad/s^2] of a joint whose limit is far enough away: a third of a second from a UR5's rated speed.
DECELERATION = 10.0
# Share of the acceleration limits that is used where the way is long enough.
SHARE = 0.95


class Brakes:
    """Makes motions that stop. Used by one thread at a time.

    Args:
        task: The arm.
        checker: Passes every motion of `stop`.
    """

    def __init__(self, task: ArmReach, checker: PlanChecker) -> None:
        self._task, self._checker = task, checker

    def motion(self, x: Array, begin: float) -> Motion:
        """The motion that stops the arm from a state (2n,) and keeps it where it comes to rest."""
        guess = braking(self._task, x)
        U, K = commands(self._task, Gains.TRACKING, guess.X, guess.U, None)
        return Motion(begin, self._task.dt, guess.X, U, K)

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


def stopping_time(task: ArmReach, x: Array) -> float:
    """How long `braking` takes from a state (2n,) that is far enough from position limits [s]."""
    usual = np.minimum(DECELERATION, SHARE * task.acceleration_limit)
    return float(np.max(np.abs(x[task.nu :]) / usual))


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
    usual = np.minimum(DECELERATION, SHARE * task.acceleration_limit)
    deceleration = np.minimum(np.maximum(usual, v**2 / (2.0 * room)), task.acceleration_limit)
    states = np.empty((task.horizon, 2 * n))
    for t in range(task.horizon):
        before, v = v, np.sign(v) * np.maximum(np.abs(v) - deceleration * task.dt, 0.0)
        q = q + task.dt * (v if task.integrator == SEMI_IMPLICIT_EULER else 0.5 * (before + v))
        states[t] = np.concatenate([q, v])
    return follow(task, x, states)
