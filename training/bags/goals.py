"""Goals and trajectories in a bag, by whomever they were sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sobo_planner.robot.frames import Placement
from sobo_training.bags.joint_states import Array
from sobo_training.bags.motions import KNOTS, Motion
from sobo_training.bags.records import SECOND

# [m] from the origin of a frame: farther than any arm reaches.
FARTHEST = 100.0


@dataclass(frozen=True)
class Goal:
    """Where the tool was to go.

    Attributes:
        recorded: When it was recorded [ns].
        target: Position in the root link's frame, (3,) [m].
    """

    recorded: int
    target: Array


def tool_goal(message: Any, frames: Mapping[str, Placement], prefix: str) -> Array:
    """The position (3,) [m] in the root link's frame that a PoseStamped or PointStamped asks for.

    Raises:
        ValueError: The frame is unknown, or a number is not finite.
    """
    point = message.point if hasattr(message, "point") else message.pose.position
    position = np.array([point.x, point.y, point.z], float)
    if not np.isfinite(position).all() or np.abs(position).max() > FARTHEST:
        raise ValueError("a number is not finite, or absurd")
    frame = str(message.header.frame_id).strip("/").removeprefix(prefix)
    if frame not in frames:
        raise ValueError(f"in frame {frame!r}, which is not fixed to the root link")
    return frames[frame].goal(position)


def joint_goal(message: Any, names: tuple[str, ...]) -> Array:
    """The positions (n,) of the arm's joints that a JointState asks for.

    Raises:
        ValueError: A joint is missing, or a number is not finite.
    """
    given, positions = list(message.name), np.asarray(message.position, float)
    if len(given) != len(positions) or not set(names) <= set(given):
        raise ValueError("a joint of the arm is missing")
    out = positions[[given.index(name) for name in names]]
    if not np.isfinite(out).all():
        raise ValueError("a number is not finite, or absurd")
    return out


def commanded(message: Any, recorded: int, names: tuple[str, ...]) -> Motion:
    """The motion that a JointTrajectory commands.

    Raises:
        ValueError: It has fewer than two points, other joints, damaged numbers, or times that do not increase.
    """
    given = list(message.joint_names)
    if not set(names) <= set(given):
        raise ValueError("a joint of the arm is missing")
    if len(message.points) < 2:
        raise ValueError("fewer than two points")
    if any(len(point.positions) != len(given) for point in message.points):
        raise ValueError("points without positions of all joints")
    order = [given.index(name) for name in names]
    position = np.array([point.positions[order] for point in message.points], float)
    time = np.array([point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in message.points])
    if not np.isfinite(position).all() or not (np.diff(time) > 0.0).all():
        raise ValueError("numbers that are not finite, or times that do not increase")
    stamp = message.header.stamp.sec * SECOND + message.header.stamp.nanosec or recorded
    rows = np.unique(np.linspace(0, len(time) - 1, min(KNOTS, len(time))).astype(int))
    begin = recorded + round(float(time[0]) * SECOND)
    end = recorded + round(float(time[-1]) * SECOND)
    return Motion(begin, end, stamp, time[rows] - time[0], position[rows], np.zeros(len(names)))
