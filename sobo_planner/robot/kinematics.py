"""Inverse kinematics of the tool, and straight motions in joint space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sobo_planner.robot import Robot

Array = NDArray[np.float64]

# A radian of orientation error counts as much as this distance [m] when both are minimised.
LEVER = 0.3


def inverse_kinematics(
    robot: Robot,
    q: Array,
    target: Array,
    *,
    tolerance: float = 1e-4,
    max_iterations: int = 200,
    max_step: float = 0.3,
    over: Callable[[], bool] | None = None,
) -> Array | None:
    """Finds a configuration near q whose tool is at the target, by damped least squares.

    Args:
        robot: The arm.
        q: Where to start [rad], (nq,).
        target: Position to reach [m], (3,); or pose, (7,), see `Robot.tool_pose`.
        tolerance: Accepted distance [m], together with `LEVER` times the angle of a pose.
        max_iterations: Steps before giving up.
        max_step: Largest change of a joint in one step [rad]; keeps the solution near q.
        over: Asked before each step whether to give up.

    Returns:
        The configuration, (nq,), within the position limits, and the shorter way round for joints that turn without
        end; None when the target was not reached.
    """
    start, q = np.array(q, float), np.array(q, float)
    for _ in range(max_iterations):
        if over is not None and over():
            return None
        error = _error(robot, q, target)
        distance = float(np.linalg.norm(error))
        if distance <= tolerance:
            return robot.unwound(q, start)
        jacobian = _jacobian(robot, q, target)
        damping = 1e-4 + 1e-2 * min(distance, 0.1)
        step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + damping * np.eye(len(error)), error)
        step *= min(1.0, max_step / max(float(np.abs(step).max()), 1e-12))
        q = np.clip(q + step, robot.position_lower, robot.position_upper)
    return None


def _error(robot: Robot, q: Array, target: Array) -> Array:
    """Error between tool and target [m]: (3,), or (6,) for a pose."""
    if len(target) == 3:
        return target - robot.tool_position(q)
    error = robot.pose_error(q, target)
    error[3:] *= LEVER
    return error


def _jacobian(robot: Robot, q: Array, target: Array) -> Array:
    """Derivative of the tool by the joints, in the units of `_error`: (3, nv), or (6, nv) for a pose."""
    if len(target) == 3:
        return robot.tool_jacobian(q)
    jacobian = robot.tool_pose_jacobian(q)
    jacobian[3:] *= LEVER
    return jacobian


def minimum_jerk(q0: Array, q1: Array, steps: int, dt: float, v0: Array | None = None) -> tuple[Array, Array]:
    """Minimum-jerk motion in joint space that ends at rest: a straight line if it begins at rest, too.

    Args:
        q0: Where it begins, (nq,).
        q1: Where it ends, (nq,).
        steps: Number of steps.
        dt: Step [s].
        v0: Velocity at the beginning, (nq,); at rest by default.

    Returns:
        Positions (steps+1, nq), and the velocities (steps+1, nq) with which semi-implicit Euler steps of length dt [s]
        reproduce them: Q[t+1] = Q[t] + dt V[t+1].
    """
    s = np.linspace(0.0, 1.0, steps + 1)
    law = s**3 * (10.0 - 15.0 * s + 6.0 * s**2)
    Q = q0 + law[:, None] * (q1 - q0)
    if v0 is not None:  # the fifth-order polynomial between 0 and 0 with this velocity and no acceleration at first
        Q += (s - 6.0 * s**3 + 8.0 * s**4 - 3.0 * s**5)[:, None] * (steps * dt * v0)
    V = np.zeros_like(Q)
    V[1:] = np.diff(Q, axis=0) / dt
    return Q, V
