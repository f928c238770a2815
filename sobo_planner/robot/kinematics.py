"""Inverse kinematics of the tool, and straight motions in joint space."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sobo_planner.robot import Robot

Array = NDArray[np.float64]

# A radian of orientation error counts as much as this distance [m] when both are minimised.
LEVER = 0.3
# Steps between two looks at what may end the search.
BLOCK = 20


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
        over: Asked every `BLOCK` steps whether to give up.

    Returns:
        The configuration, (nq,), within the position limits, and the shorter way round for joints that turn without
        end; None when the target was not reached.
    """
    start, q, goal = np.array(q, float), np.array(q, float), np.asarray(target, float)
    for done in range(0, max_iterations, BLOCK):
        if over is not None and over():
            return None
        q, reached = robot.native.approach(
            q,
            goal,
            min(BLOCK, max_iterations - done),
            lower=robot.position_lower,
            upper=robot.position_upper,
            tolerance=tolerance,
            max_step=max_step,
            lever=LEVER,
        )
        if reached:
            return robot.unwound(q, start)
    return None


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
    law, stopping = _laws(steps)
    Q = q0 + law * (q1 - q0)
    if v0 is not None:
        Q += stopping * (steps * dt * v0)
    V = np.zeros_like(Q)
    V[1:] = np.diff(Q, axis=0) / dt
    return Q, V


@lru_cache(maxsize=16)
def _laws(steps: int) -> tuple[Array, Array]:
    """Fifth-order polynomials of time from 0 to 1, (steps+1, 1) each.

    From 0 to 1, at rest at both ends; and from 0 to 0, with the velocity 1 and no acceleration at first.
    """
    s = np.linspace(0.0, 1.0, steps + 1)[:, None]
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2), s - 6.0 * s**3 + 8.0 * s**4 - 3.0 * s**5
