"""What controllers of torques get between plans: the desired state with its gains, or corrected torques."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.time import Time
from std_msgs.msg import Float64MultiArray

from sobo_planner.motion import Motion, Timeline, reference
from sobo_planner.robot import Robot
from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.outputs import conversions, efforts, linear_feedback

Array = NDArray[np.float64]


class TorqueCommands:
    """Publishers of `control`, where the package of its message is there, and of `effort_commands`. Not thread-safe.

    Args:
        node: Owner of the publishers.
        robot: The arm.
        joint_names: Its joints as the controller knows them, prefix included.
        with_efforts: Whether torques are published.
    """

    def __init__(self, node: Node, robot: Robot, joint_names: Sequence[str], with_efforts: bool) -> None:
        self._robot, self._joint_names = robot, joint_names
        self._end_torque = np.zeros(robot.nq)
        self._control = None
        if linear_feedback.available():
            self._control = node.create_publisher(linear_feedback.Control, linear_feedback.TOPIC, linear_feedback.QOS)
        self._efforts = node.create_publisher(Float64MultiArray, efforts.TOPIC, efforts.QOS) if with_efforts else None

    @property
    def publishers(self) -> list[Publisher[Any]]:
        """Those that there are."""
        return [each for each in (self._control, self._efforts) if each is not None]

    def end_with(self, motion: Motion) -> None:
        """Takes the motion that was published last: the torque after its end holds the arm there."""
        if self.publishers:
            self._end_torque = self._robot.gravity(motion.X[-1, : self._robot.nq])

    def control(self, timeline: Timeline, now: float, x: Array | None) -> Any:
        """Publishes what `linear_feedback_controller` is to do.

        Args:
            timeline: What the arm follows.
            now: ROS time [s].
            x: Where the arm is, (2n,), which the desired state must not be too far ahead of; None: not known.

        Returns:
            The message; None where there is no publisher, and before the first motion begins.
        """
        motion = timeline.at(now)
        if self._control is None or now < motion.begin:
            return None
        stage = motion.stage(now)
        torque = motion.U[stage] if now <= motion.end else self._end_torque
        desired, gains = motion.state(now), motion.K[stage]
        if x is not None:
            desired = reference(desired, x, gains, self._robot.velocity_limit)
        stamp = Time(nanoseconds=round(now * 1e9)).to_msg()
        message = linear_feedback.control_message(stamp, self._joint_names, desired, torque, gains)
        self._control.publish(message)
        return message

    def effort(self, timeline: Timeline, now: float, state: StampedState) -> None:
        """Publishes the torque that holds the arm to what it follows, if torques are published."""
        if self._efforts is None:
            return
        limits = self._robot.velocity_limit, self._robot.effort_limit
        torque = efforts.corrected_torque(timeline, now, state.x, state.stamp, self._end_torque, *limits)
        if torque is not None:
            self._efforts.publish(Float64MultiArray(data=conversions.doubles(torque)))
