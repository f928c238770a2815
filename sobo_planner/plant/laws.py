"""The two laws by which controllers turn a plan into torques, as `docs/controllers.md` describes them."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.motion import reference
from sobo_planner.planning import Plan
from sobo_planner.robot import Robot

Array = NDArray[np.float64]

# The firmware's position loop: every joint a spring and a damper, critically damped at this frequency [rad/s] for the
# inertia that it has in the home posture. For the UR5 these are 4 to 7 kNm/rad in the arm and 0.3 in the wrist. With a
# state that is 5 ms late, 80 rad/s shake it.
FREQUENCY = 50.0


class Interface(str, Enum):
    """What a controller commands."""

    EFFORT = "effort"  # torques, with the plan's own feedback
    POSITION = "position"  # positions, which the arm's firmware follows


class Law(Protocol):
    """A controller that follows one plan.

    Attributes:
        desired: States that it follows, (N, 2n), at the times that it was made for.
    """

    desired: Array

    def torque(self, k: int, x: Array) -> Array:
        """Torques (n,) at the k-th of its times, where the state x (2n,) was measured."""
        ...


class EffortLaw:
    """u = u* + K (x - x*), as linear_feedback_controller has it.

    x* is the plan's spline, nearer to the arm where that has fallen behind it (`motion.reference`). u* and K are held
    over each of the plan's steps. After the end the desired state is the last one at rest, with the torque against
    gravity and the last gains.

    Args:
        robot: The arm that the controller knows.
        plan: What is followed.
        times: When torques are asked for, since the plan's beginning, (N,) [s].
    """

    def __init__(self, robot: Robot, plan: Plan, times: Array) -> None:
        self.desired, self._speed = splines(plan.time, plan.X, times), robot.velocity_limit
        stages = np.clip(np.searchsorted(plan.time, times + 1e-9, side="right") - 1, 0, len(plan.U) - 1)
        self._feedforward, self._gains, self._stages = plan.U[stages], plan.K, stages
        self._feedforward[times >= plan.time[-1]] = robot.gravity(plan.X[-1, : robot.nq])

    def torque(self, k: int, x: Array) -> Array:
        """See `Law.torque`."""
        gains = self._gains[self._stages[k]]
        out: Array = self._feedforward[k] + gains @ (x - reference(self.desired[k], x, gains, self._speed))
        return out


class PositionLaw:
    """The plan's spline, as joint_trajectory_controller interpolates it, and the position loop of an arm's firmware.

    The loop is a spring and a damper for each joint, and the torque against gravity at the measured position.

    Args:
        robot: The arm that the firmware knows.
        plan: What is followed.
        times: When torques are asked for, since the plan's beginning, (N,) [s].
        home: Configuration whose inertia the loop is tuned for, (n,).
    """

    def __init__(self, robot: Robot, plan: Plan, times: Array, home: ArrayLike) -> None:
        self.desired = splines(plan.time, plan.X, times)
        self._robot, n = robot, robot.nv
        inertia = robot.torque_jacobians(np.append(home, np.zeros(n))[None], np.zeros((1, n)))[0, :, 2 * n :]
        self._spring = FREQUENCY**2 * np.diag(inertia)
        self._damper = 2.0 * FREQUENCY * np.diag(inertia)

    def torque(self, k: int, x: Array) -> Array:
        """See `Law.torque`."""
        n = self._robot.nv
        error = self.desired[k] - x
        out: Array = self._spring * error[:n] + self._damper * error[n:] + self._robot.gravity(x[:n])
        return out


def splines(knots: Array, X: Array, times: Array) -> Array:
    """States (N, 2n) at times (N,) on the cubic splines through states X (T+1, 2n); at rest in the last one later."""
    n = X.shape[1] // 2
    k = np.clip(np.searchsorted(knots, times, side="right") - 1, 0, len(knots) - 2)
    h = (knots[k + 1] - knots[k])[:, None]
    s = np.clip((times - knots[k])[:, None] / h, 0.0, 1.0)
    before, after = h * X[k, n:], h * X[k + 1, n:]
    start, change = X[k, :n], X[k + 1, :n] - X[k, :n]
    q = start + s**2 * (3.0 - 2.0 * s) * change + s * (1.0 - s) * ((1.0 - s) * before - s * after)
    v = 6.0 * s * (1.0 - s) * change + (1.0 - s) * (1.0 - 3.0 * s) * before + s * (3.0 * s - 2.0) * after
    v = np.where((times >= knots[-1])[:, None], 0.0, v / h)
    return np.hstack([q, v])
