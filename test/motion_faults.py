"""What is wrong with the points of a trajectory, computed from Pinocchio's robot alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sobo_planner.robot import Robot

TOLERANCE = 1e-3  # [rad, rad/s]
# What a pair that touches at the beginning may come nearer by before it comes apart [m].
NEARER = 5e-4


def motion_faults(
    robot: Robot, times: Any, Q: Any, V: Any, joint_box: tuple[Any, Any] | None, tool_box: tuple[Any, Any] | None
) -> Iterator[str]:
    """Limits, boxes, jumps and self-collision of points (N, n); the first excuses what it is outside by."""
    columns = [("position", Q, robot.position_lower, robot.position_upper)]
    columns.append(("velocity", V, -robot.velocity_limit, robot.velocity_limit))
    if joint_box is not None:
        columns.append(("joint box", Q, *joint_box))
    if tool_box is not None:
        columns.append(("tool box", np.array([robot.tool_position(q) for q in Q]), *tool_box))
    for name, values, lower, upper in columns:
        low, high = np.minimum(lower, values[0]) - TOLERANCE, np.maximum(upper, values[0]) + TOLERANCE
        bad = np.argwhere(~((values >= low) & (values <= high)))
        for k, i in bad[:1]:
            yield f"{name} {i} is {values[k, i]:.4f} at {times[k]:.3f} s"
    speed = np.abs(np.diff(Q, axis=0)) - robot.velocity_limit * np.diff(times)[:, None]
    if not speed.max(initial=0.0) <= TOLERANCE:
        yield "positions jump"
    if not np.isfinite(Q).all():
        return
    yield from _contacts(robot, times, Q)


def _contacts(robot: Robot, times: np.ndarray, Q: np.ndarray) -> Iterator[str]:
    """The first contact at the points and halfway between. What touches at the beginning may only come apart."""
    halfway = 0.5 * (Q[1:] + Q[:-1])
    left = robot.contact(Q[0])
    for k, q in enumerate(np.insert(Q, np.arange(1, len(Q)), halfway, axis=0)):
        found = robot.contact(q)
        if found is None:
            left = None
            continue
        same = left is not None and (found.first, found.second) == (left.first, left.second)
        if not same or found.distance < left.distance - NEARER:
            yield f"{found.first} touches {found.second} near {times[k // 2]:.3f} s"
            return
