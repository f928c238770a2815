"""Checks of everything that reaches the planner from outside. A message is taken whole or refused whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from sobo_planner.ros.inputs.frames import GoalFrames, is_unit
from sobo_planner.ros.support.status import Refused, Status

GOAL_TYPES = ("position", "pose")
FARTHEST = 1e6  # [m] from the origin of a frame; squares of what is beyond may overflow


class JointStateReader:
    """Maps joint states by name onto the robot's joint order.

    Extra joints are ignored and any order is accepted. An empty `velocity` (some drivers send none) is read
    as rest and counted; an empty `name`, a duplicate or missing joint, a wrong size or a number that is not
    finite is refused. Values of ignored joints are not looked at.

    Attributes:
        without_velocity: messages read so far that carried no velocity.
    """

    def __init__(self, joint_names: Sequence[str], tf_prefix: str = "") -> None:
        self._wanted = [tf_prefix + name for name in joint_names]
        # The order of names hardly ever changes from one message to the next: remember the last mapping.
        self._names: list[str] | None = None
        self._order = np.zeros(0, dtype=np.intp)
        self.without_velocity = 0

    def read(self, message: JointState) -> NDArray[np.float64]:
        """Returns the state [q, v] (2n,) [rad, rad/s].

        Raises:
            Refused: BAD_STATE with the joint or the size that is wrong.
        """
        order = self._mapping(list(message.name))
        count = len(message.name)
        q = self._column(message.position, order, "position", count)
        if len(message.velocity) == 0:
            self.without_velocity += 1
            return np.concatenate([q, np.zeros_like(q)])
        return np.concatenate([q, self._column(message.velocity, order, "velocity", count)])

    def _mapping(self, names: list[str]) -> NDArray[np.intp]:
        if names == self._names:
            return self._order
        wanted = set(self._wanted)
        duplicates = [name for name, count in Counter(names).items() if count > 1 and name in wanted]
        if duplicates:
            raise Refused(Status.BAD_STATE, f"joints named more than once: {duplicates}")
        missing = [name for name in self._wanted if name not in names]
        if missing:
            raise Refused(Status.BAD_STATE, f"joints missing: {missing}")
        self._order = np.array([names.index(name) for name in self._wanted], dtype=np.intp)
        self._names = names
        return self._order

    def _column(self, data: Sequence[float], order: NDArray[np.intp], field: str, count: int) -> NDArray[np.float64]:
        if len(data) != count:
            raise Refused(Status.BAD_STATE, f"{count} names but {len(data)} values of {field}")
        values = np.asarray(data, dtype=np.float64)[order]
        if not np.isfinite(values).all():
            bad = {name: float(v) for name, v in zip(self._wanted, values, strict=True) if not np.isfinite(v)}
            raise Refused(Status.BAD_STATE, f"{field} not finite: {bad}")
        return values


def read_goal(message: PoseStamped, frames: GoalFrames, goal_type: str = "position") -> NDArray[np.float64]:
    """Goal of the tool in the base frame.

    Args:
        message: pose in the base frame, or in another one that `frames` knows.
        frames: brings it into the base frame.
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
    return position if goal_type == "position" else np.concatenate([position, quaternion])


def _check_distance(position: NDArray[np.float64]) -> None:
    if np.abs(position).max() > FARTHEST:
        raise Refused(Status.BAD_GOAL, f"goal at {position} m, farther than {FARTHEST:g} m")
