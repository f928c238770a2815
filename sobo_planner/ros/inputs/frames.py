"""Goals and obstacles given in other frames, brought into the frame of the robot's root link, in which plans are made.

The URDF says where links are that are fixed to its root. All other frames need tf2_ros, which comes with ROS
distributions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from sobo_planner.robot.frames import Placement, compose, rotate
from sobo_planner.ros.support.status import Refused, Status

try:
    import tf2_ros
except ImportError:
    tf2_ros = None

# What tf2 throws when there is no transform; without tf2_ros, what a buffer that stands for its own throws.
TransformException: type[Exception] = LookupError if tf2_ros is None else tf2_ros.TransformException
# Age [s] past which the latest transform says nothing about the present. tf is published at 10 Hz and more.
MAX_AGE = 1.0
QUATERNION_TOLERANCE = 1e-3  # on the squared norm: single-precision senders pass

Vector = NDArray[np.float64]


class Transforms(Protocol):
    """The one method of `tf2_ros.Buffer` that is used here."""

    def lookup_transform(self, target_frame: str, source_frame: str, time: Time) -> TransformStamped:
        """Transform from the source to the target frame at a time; 0: the latest."""
        ...


class GoalFrames:
    """Brings poses into the base frame, and goals from there into the root link's.

    Args:
        base_frame: frame that transforms are looked up to.
        buffer: transforms: a `tf2_ros.Buffer`, or what stands for one; None: only links fixed to the root are known.
        clock: ROS clock that the stamps of transforms are compared with.
        fixed: where frames that do not move, the base frame among them, are in the root link's frame. None: the base
            frame is that of the root link.

    Attributes:
        base_frame: as above.
        base: where it is in the root link's frame.
    """

    def __init__(
        self,
        base_frame: str,
        buffer: Transforms | None = None,
        clock: Clock | None = None,
        fixed: Mapping[str, Placement] | None = None,
    ) -> None:
        self.base_frame = base_frame
        self._fixed = fixed or {base_frame: Placement.identity()}
        self.base = self._fixed[base_frame]
        self._buffer = buffer
        self._clock = clock
        self._listener: Any = None

    @classmethod
    def listening(cls, node: Node, base_frame: str, fixed: Mapping[str, Placement] | None = None) -> GoalFrames:
        """Listens to /tf and /tf_static on the node's own executor, where tf2_ros is installed."""
        if tf2_ros is None:
            return cls(base_frame, fixed=fixed)
        # Without the node, which it would give a service. It then misses jumps of simulated time, see _check_age.
        buffer = tf2_ros.Buffer()
        frames = cls(base_frame, buffer, node.get_clock(), fixed)
        frames._listener = tf2_ros.TransformListener(buffer, node, spin_thread=False)
        return frames

    def close(self) -> None:
        """Ends the subscriptions to /tf and /tf_static."""
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None

    def is_fixed(self, frame: str) -> bool:
        """Whether a frame is a link fixed to the robot's root, so that what is given in it stays where it is."""
        return frame == self.base_frame or frame in self._fixed

    def in_root(self, header: Header, what: str) -> Placement:
        """Where a header's frame is in the root link's frame.

        Args:
            header: Frame and stamp.
            what: What is given in that frame, for messages.

        Raises:
            Refused: See `to_base`.
        """
        identity = Placement.identity()
        return self.base @ Placement(*self.to_base(header, identity.position, identity.quaternion, what))

    def to_base(
        self, header: Header, position: Vector, quaternion: Vector, what: str = "goal"
    ) -> tuple[Vector, Vector]:
        """Position and orientation in the base frame.

        The URDF says where links are that are fixed to its root. For other frames, the transform is that at the
        header's stamp, the latest for stamp 0. It must be known already: waiting for it would hold up everything else
        that the node does.

        Args:
            header: frame and stamp of the pose. As in tf2, names of frames have no leading slash.
            position: (3,) [m].
            quaternion: unit quaternion x, y, z, w, (4,).
            what: what is given in that frame, for messages.

        Returns:
            Position (3,) [m] and quaternion (4,) in the base frame.

        Raises:
            Refused: BAD_FRAME for an empty or unknown frame, a transform that is not available, too old or
                malformed.
        """
        frame = header.frame_id
        if frame == self.base_frame:
            return position, quaternion
        if frame in self._fixed:
            found = self.base.inverse() @ self._fixed[frame] @ Placement(position, quaternion)
            return found.position, found.quaternion
        if not frame:
            raise Refused(Status.BAD_FRAME, f"{what} without a frame (''); name one, such as {self.base_frame!r}")
        if frame.startswith("/"):
            raise Refused(Status.BAD_FRAME, f"{what} in frame {frame!r}; tf2 has no names with a leading slash")
        if self._buffer is None:
            advice = f"install tf2_ros, or give {what}s in {self.base_frame!r}"
            raise Refused(Status.BAD_FRAME, f"{what} in frame {frame!r}, and tf2_ros is not installed; {advice}")
        translation, rotation = self._lookup(header)
        return translation + rotate(rotation, position), compose(rotation, quaternion)

    def _lookup(self, header: Header) -> tuple[Vector, Vector]:
        """Translation (3,) and rotation (4,) that bring the header's frame into the base frame."""
        assert self._buffer is not None
        where = f"from {header.frame_id!r} to {self.base_frame!r}"
        try:
            found = self._buffer.lookup_transform(self.base_frame, header.frame_id, Time.from_msg(header.stamp))
        except TransformException as error:
            raise Refused(Status.BAD_FRAME, f"no transform {where}: {error}") from error
        except ValueError as error:  # of Time: a stamp before 1970
            raise Refused(Status.BAD_FRAME, f"no transform {where} at the stamp {header.stamp}: {error}") from error
        if header.stamp.sec == 0 and header.stamp.nanosec == 0:
            self._check_age(found, where)
        t, r = found.transform.translation, found.transform.rotation
        translation, rotation = np.array([t.x, t.y, t.z]), np.array([r.x, r.y, r.z, r.w])
        if not np.isfinite(translation).all() or not is_unit(rotation):
            raise Refused(Status.BAD_FRAME, f"the transform {where} is malformed: {translation}, rotation {rotation}")
        return translation, rotation / np.linalg.norm(rotation)

    def _check_age(self, found: TransformStamped, where: str) -> None:
        stamp = Time.from_msg(found.header.stamp)  # tf2 stores none that is negative
        if self._clock is None or stamp.nanoseconds == 0:  # static transforms, which do not age, have no stamp
            return
        age = 1e-9 * (self._clock.now().nanoseconds - stamp.nanoseconds)
        if not -MAX_AGE <= age <= MAX_AGE:  # a stamp to come is one from before a clock was set back
            raise Refused(Status.BAD_FRAME, f"the transform {where} is {age:.1f} s old, allowed are {MAX_AGE:g} s")


def is_unit(quaternion: Vector) -> bool:
    """Whether four numbers (4,) are a unit quaternion, as nearly as single precision and a little more gives it."""
    # Not by NumPy: the square of a huge component is infinite, which is no reason for a warning.
    return abs(sum(value * value for value in quaternion.tolist()) - 1.0) <= QUATERNION_TOLERANCE
