"""Everything that the planner node publishes about a plan. What breaks a rule of the consumers does not leave here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time as Stamp
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.motion import Followed, Motion
from sobo_planner.robot import Robot
from sobo_planner.robot.frames import Placement
from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.outputs import diagnostics
from sobo_planner.ros.outputs.execution import Execution
from sobo_planner.ros.outputs.plan_messages import plan_messages
from sobo_planner.ros.outputs.plan_recorder import PlanRecorder
from sobo_planner.ros.outputs.plan_reports import PlanReports
from sobo_planner.ros.outputs.torque_commands import TorqueCommands
from sobo_planner.ros.record import fast_cdr
from sobo_planner.ros.record.recording import Recording
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.safety import PlanChecker, Trajectory
from sobo_planner.solver import Interrupt
from sobo_planner.tasks import ArmReach
from sobo_planner.world import World

# Stamps name plans: on a clock that stands still the next one is a nanosecond later, up to so many.
STANDSTILL = 10**6

# Time given to subscribers to take what was published last [s].
HANDED_OVER_WITHIN = 1.0

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


class PlanOutputs:
    """Publishers of one planner. Thread-safe: the planning thread publishes plans, the executor's thread `control`,
    and a thread of their own torques.

    Args:
        node: Owner of the publishers.
        robot: The arm.
        checker: Passes every trajectory.
        followed: Where what is published is added.
        joint_names: Its joints as the controller knows them, prefix included.
        policy_name: For the reports.
        values: The node's parameters; those that may change are looked up for each message.
        report: Publisher of reports, which stays when these outputs are destroyed. None: one that does not.
        base: The base frame, which reports give goals in, in the root link's frame. None: the root link's frame.
        execution: Takes every trajectory, too, as an action's goal.
        recording: Records what is published.
        world: Gives what surrounds the arm as far as it is known, for the recording of refusals.
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        checker: PlanChecker,
        followed: Followed,
        joint_names: Sequence[str],
        policy_name: str,
        values: Mapping[str, Any],
        report: Publisher[String] | None = None,
        base: Placement | None = None,
        execution: Execution | None = None,
        recording: Recording | None = None,
        world: Callable[[], World] | None = None,
    ) -> None:
        self._node, self._joint_names = node, list(joint_names)
        self._checker, self._followed = checker, followed
        self._values = values
        self._reports = PlanReports(policy_name, values, base)
        self._lock = threading.Lock()
        self._open = False
        self._last_stamp = 0
        self._trajectory = node.create_publisher(JointTrajectory, "joint_trajectory", RELIABLE)
        self._gains = node.create_publisher(Float64MultiArray, "feedback_gains", RELIABLE)
        self._feedforward = node.create_publisher(Float64MultiArray, "feedforward", RELIABLE)
        self._report = report or node.create_publisher(String, "plan_report", RELIABLE)
        with_efforts = values.get("effort_rate", 0.0) > 0.0
        self._commands = TorqueCommands(node, robot, self._joint_names, with_efforts)
        self._publishers = (self._trajectory, self._gains, self._feedforward, self._report)
        self._lent, self._execution = report, execution
        self._recorder = None if recording is None else PlanRecorder(recording, robot, values, world)

    def open(self) -> None:
        """Lets messages pass, beginning without a motion."""
        with self._lock:
            self._open = True
            self._followed.forget()

    def close(self) -> None:
        """Lets nothing pass any more, not even what a thread is about to publish."""
        with self._lock:
            self._open = False
            self._followed.forget()

    def destroy(self) -> None:
        """Removes the publishers from their node, once subscribers have what was published: it may stop the arm."""
        self.close()
        end = time.monotonic() + HANDED_OVER_WITHIN
        for publisher in self._publishers:
            publisher.wait_for_all_acked(Duration(seconds=max(end - time.monotonic(), 0.0)))
        if self._execution is not None:
            self._execution.destroy()
        for publisher in (*self._publishers, *self._commands.publishers):
            if publisher is not self._lent:
                self._node.destroy_publisher(publisher)

    def subscribers(self) -> dict[str, str]:
        """Number of subscribers of each topic, for the diagnostics."""
        return {
            f"subscribers_{p.topic_name.rpartition('/')[2]}": str(p.get_subscription_count()) for p in self._publishers
        }

    def publish(
        self,
        motion: Motion,
        now: float,
        details: dict[str, Any],
        unless: Interrupt | None = None,
        still_fresh: Callable[[], Any] | None = None,
        among: ArmReach | None = None,
    ) -> dict[str, Any] | None:
        """Publishes a motion with its gains and its report.

        Args:
            motion: The motion, its beginning in ROS time [s].
            now: ROS time [s] for the stamp; the motion begins then or later.
            details: What else the report says.
            unless: Nothing is published once it is set.
            still_fresh: Called right before the messages leave: checking them takes time, on a busy computer perhaps
                long. What it raises keeps them back.
            among: The task in the world that counts instead of the checker's own.

        Returns:
            The report; None when the outputs were closed or `unless` was set meanwhile.

        Raises:
            Refused: PLAN_REFUSED, the checker refuses it, or a message would break a rule of the controller;
                EXECUTION_FAILED, no controller takes goals.
        """
        stamp, lead = self._stamp(now), max(motion.begin - now, 0.0)
        points = motion.trajectory(lead, self._values["allow_nonzero_velocity_at_trajectory_end"])
        self._check(points, motion, among)
        as_message = self._execution is not None
        messages = plan_messages(points, motion, self._joint_names, stamp, self._values, as_message)
        with self._lock:
            if not self._open or (unless is not None and unless.is_set()):
                return None
            if still_fresh is not None:
                still_fresh()
            if self._execution is not None:
                self._execution.check()
            report = self._reports.plan(stamp, lead, motion, details, messages.checksums)
            self._gains.publish(messages.gains)
            self._feedforward.publish(messages.feedforward)
            self._trajectory.publish(messages.trajectory)
            if self._execution is not None:
                self._execution.send(messages.as_message)
            told = fast_cdr.text(diagnostics.to_json(report))
            self._report.publish(told)
            self._followed.add(motion, now)
            self._commands.end_with(motion)
            if self._recorder is not None:
                self._recorder.plan(report["plan_id"], told, stamp, lead, motion, messages, details, among)
        return report

    def _stamp(self, now: float) -> Stamp:
        """The stamp of a plan at a ROS time [s]; no two plans have the same."""
        nanoseconds = round(now * 1e9)
        if 0 <= self._last_stamp - nanoseconds < STANDSTILL:
            nanoseconds = self._last_stamp + 1
        self._last_stamp = nanoseconds
        return Time(nanoseconds=nanoseconds).to_msg()

    def _check(self, points: Trajectory, motion: Motion, among: ArmReach | None) -> None:
        """Refuses points that must not leave. They cannot be changed afterwards."""
        checker = self._checker if among is None else self._checker.of(among)
        violation = checker.check_points(points, motion.U, motion.K)
        if violation is not None:
            raise Refused(Status.PLAN_REFUSED, violation.detail)

    def publish_refusal(self, refusal: Refused, goal: NDArray[np.float64] | None) -> None:
        """Tells whoever sent a goal why it is not served. `goal` is None when it could not be read."""
        with self._lock:
            if self._open:
                told = fast_cdr.text(diagnostics.to_json(self._reports.refusal(refusal, goal)))
                self._report.publish(told)
                if self._recorder is not None:
                    self._recorder.refusal(told)

    def publish_control(self, now: float, x: NDArray[np.float64] | None = None) -> None:
        """Publishes what `linear_feedback_controller` is to do, if its package is there.

        Args:
            now: ROS time [s].
            x: Where the arm is, (2n,), which the desired state must not be too far ahead of; None: not known.
        """
        with self._lock:
            timeline = self._followed.timeline
            if timeline is None or not self._open:
                return
            message = self._commands.control(timeline, now, x)
            if message is not None and self._recorder is not None:
                self._recorder.note("control", message)

    def publish_effort(self, now: float, state: StampedState) -> None:
        """Publishes the torque that holds the arm to what it follows, if `effort_rate` asks for it.

        Args:
            now: ROS time [s].
            state: The newest measurement.
        """
        with self._lock:
            timeline = self._followed.timeline
            if timeline is not None and self._open:
                self._commands.effort(timeline, now, state)
