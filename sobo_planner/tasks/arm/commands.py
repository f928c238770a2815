"""What a motion's controller is given beside its states: torques, and gains that hold the arm to it."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sobo_planner.robot import CONSTANT_ACCELERATION
from sobo_planner.tasks.arm.task import ArmReach

Array = NDArray[np.float64]


class Gains(str, Enum):
    """Which feedback gains leave with a motion."""

    TRACKING = "tracking"  # hold the arm to the motion in all joints, also after its end
    TASK = "task"  # those of the optimal control problem: they bring the tool to the goal, whatever way is cheapest


def commands(task: ArmReach, gains: Gains, X: Array, U: Array, K: Array | None) -> tuple[Array, Array]:
    """Torques and gains to be executed.

    Args:
        task: The task, at the motion's pace.
        gains: Which gains.
        X: States, (T+1, nx).
        U: Torques of the optimal control problem, (T, nu) [Nm].
        K: Its gains du/dx, (T, nu, nx); not needed for tracking.

    Returns:
        Torques (T, nu), within the limits, and gains (T, nu, nx). The torques include dry friction. With constant
        accelerations they are those of the middle of each step, for they are held while the arm moves on.
    """
    n, A = task.nu, np.diff(X[:, task.nu :], axis=0) / task.dt
    middle = 0.5 * (X[:-1] + X[1:])
    torques, jacobians = task.robot.linear_torques(middle, A)
    if task.integrator != CONSTANT_ACCELERATION:
        torques = U
    limited = np.clip(torques + task.robot.friction_torque(middle[:, n:]), -task.torque_limit, task.torque_limit)
    return limited, _tracking(task, jacobians) if gains is Gains.TRACKING or K is None else K


def _tracking(task: ArmReach, jacobians: Array) -> Array:
    """Gains du/dx (T, nu, nx) of the LQ problem around a motion, from the derivatives of its inverse dynamics.

    Accelerations as controls make it one double integrator a joint, whose infinite horizon has the solution

        a = a* - kp (q - q*) - kd (v - v*),    kp = sqrt(w_position),    kd = sqrt(w_velocity + 2 kp)

    for weights relative to that of the squared acceleration. Inverse dynamics, linear around the motion, makes torques
    of it. They do not depend on the length of the steps, and hold for as long as the arm rests at the end.
    """
    weights, n = task.config.tracking, task.nu
    kp = np.sqrt(weights.position)
    kd = np.sqrt(weights.velocity + 2.0 * kp)
    inertia = jacobians[:, :, 2 * n :]
    return np.concatenate([jacobians[:, :, :n] - kp * inertia, jacobians[:, :, n : 2 * n] - kd * inertia], axis=2)
