"""Goals: read, checked and brought into the robot's frame. A message is taken whole or refused whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from sobo_planner.ros.inputs.frames import GoalFrames, is_unit
from sobo_planner.ros.support.status import Refused, Status

GOAL_TYPES = ("position", "pose")
FARTHEST = 1e6  # [m] from the origin of a frame; squares of what is beyond may overflow


def read_goal(message: PoseStamped, frames: GoalFrames, goal_type: str = "position") -> NDArray[np.float64]:
    """Goal of the tool in the frame of the robot's root link.

    Args:
        message: pose in any frame that `frames` knows.
        frames: brings it into the root link's frame.
        goal_type: `position`: the orientation is checked, but not part of the goal; `pose`: it is.

    Returns:
        Position (3,) [m], or position and unit quaternion [x, y, z, qx, qy, qz, qw], (7,).

    Raises:
        Refused: BAD_GOAL for a number that is not finite or beyond `FARTHEST`, a quaternion off unit norm, or a
            frame that does not lead to the base frame.
    """
    if goal_type not in GOAL_TYPES:
        raise ValueError(f"goal_type must be one of {', '.join(GOAL_TYPES)}, got {goal_type!r}")
    p, o = message.pose.position, message.pose.orientation
    position, quaternion = np.array([p.x, p.y, p.z]), np.array([o.x, o.y, o.z, o.w])
    if not np.isfinite(position).all() or not np.isfinite(quaternion).all():
        raise Refused(Status.BAD_GOAL, f"goal not finite: position {position}, orientation {quaternion}")
    _check_distance(position)
    if not is_unit(quaternion):
        raise Refused(Status.BAD_GOAL, f"orientation {quaternion} is not a unit quaternion")
    position, quaternion = frames.to_base(message.header, position, quaternion / np.linalg.norm(quaternion))
    _check_distance(position)
    goal = position if goal_type == "position" else np.concatenate([position, quaternion])
    return frames.base.goal(goal)


def read_joint_goal(message: JointState, names: Sequence[str]) -> NDArray[np.float64]:
    """Goal of the joints, (n,) [rad or m], in the robot's order.

    Args:
        message: Names and positions of all joints in any order, and of others too.
        names: The joints, prefix included.

    Raises:
        Refused: BAD_GOAL for a joint that is missing or named twice, as many positions as there are no names, or a
            number that is not finite.
    """
    given, positions = list(message.name), np.asarray(message.position, float)
    if len(given) != len(positions):
        raise Refused(Status.BAD_GOAL, f"goal with {len(given)} names but {len(positions)} positions")
    for name in names:
        if given.count(name) != 1:
            what = "without joint" if name not in given else "that names twice the joint"
            raise Refused(Status.BAD_GOAL, f"goal {what} {name}; it needs each of {', '.join(names)} once")
    goal = positions[[given.index(name) for name in names]]
    if not np.isfinite(goal).all():
        raise Refused(Status.BAD_GOAL, f"goal not finite: {dict(zip(names, goal.tolist(), strict=True))}")
    return goal


def _check_distance(position: NDArray[np.float64]) -> None:
    if np.abs(position).max() > FARTHEST:
        raise Refused(Status.BAD_GOAL, f"goal at {position} m, farther than {FARTHEST:g} m")
