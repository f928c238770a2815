"""Checks of everything that reaches the planner from outside. A message is taken whole or refused whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from sobo_planner.ros.refusal import Reason, Refused

QUATERNION_TOLERANCE = 1e-3  # on the squared norm: single-precision senders pass


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
            raise Refused(Reason.BAD_STATE, f"joints named more than once: {duplicates}")
        missing = [name for name in self._wanted if name not in names]
        if missing:
            raise Refused(Reason.BAD_STATE, f"joints missing: {missing}")
        self._order = np.array([names.index(name) for name in self._wanted], dtype=np.intp)
        self._names = names
        return self._order

    def _column(self, data: Sequence[float], order: NDArray[np.intp], field: str, count: int) -> NDArray[np.float64]:
        if len(data) != count:
            raise Refused(Reason.BAD_STATE, f"{count} names but {len(data)} values of {field}")
        values = np.asarray(data, dtype=np.float64)[order]
        if not np.isfinite(values).all():
            bad = {name: float(v) for name, v in zip(self._wanted, values, strict=True) if not np.isfinite(v)}
            raise Refused(Reason.BAD_STATE, f"{field} not finite: {bad}")
        return values


def read_goal(message: PoseStamped, base_frame: str) -> NDArray[np.float64]:
    """Tool position (3,) [m] of a goal pose. The orientation is checked but not planned for.

    Args:
        message: pose in the robot's base frame.
        base_frame: name of that frame; no other frame is transformed.

    Raises:
        Refused: BAD_GOAL for another or an empty frame, a number that is not finite, or a quaternion off unit
            norm.
    """
    frame = message.header.frame_id
    if frame != base_frame:
        raise Refused(Reason.BAD_GOAL, f"goal in frame {frame!r}; only {base_frame!r} is planned in")
    p, o = message.pose.position, message.pose.orientation
    goal = np.array([p.x, p.y, p.z])
    quaternion = np.array([o.x, o.y, o.z, o.w])
    if not np.isfinite(goal).all() or not np.isfinite(quaternion).all():
        raise Refused(Reason.BAD_GOAL, f"goal not finite: position {goal}, orientation {quaternion}")
    # hypot-like: squaring a huge component must not overflow into a warning
    if np.abs(quaternion).max() > 2.0 or abs(float(quaternion @ quaternion) - 1.0) > QUATERNION_TOLERANCE:
        raise Refused(Reason.BAD_GOAL, f"orientation {quaternion} is not a unit quaternion")
    return goal
