"""What is wrong with the points of a trajectory, computed from Pinocchio's robot alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sobo_planner.robot import Robot

TOLERANCE = 1e-3  # [rad, rad/s]


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
    halves = 0.5 * (Q[1:] + Q[:-1])
    left = robot.colliding_pair(Q[0])  # an arm leaves what it touches; how is test_leaving.py's to check
    for k, q in enumerate(np.concatenate([Q, halves])):
        if (pair := robot.colliding_pair(q)) is not None and pair != left:
            yield f"{pair[0]} touches {pair[1]} near {times[k % len(Q)]:.3f} s"
            return
