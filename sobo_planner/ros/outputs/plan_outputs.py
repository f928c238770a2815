"""Everything that the planner node publishes about a plan. What breaks a rule of the consumers does not leave here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.motion import Followed, Motion, reference
from sobo_planner.robot import Robot
from sobo_planner.robot.frames import Placement
from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.outputs import conversions, diagnostics, efforts, linear_feedback
from sobo_planner.ros.outputs.execution import Execution
from sobo_planner.ros.outputs.trajectory_rules import Rules, broken_rule, keeps_rules
from sobo_planner.ros.record import fast_cdr
from sobo_planner.ros.record.plans import Published
from sobo_planner.ros.record.recording import Recording
from sobo_planner.ros.record.worlds import Surrounding
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.safety import PlanChecker, Trajectory
from sobo_planner.solver import Interrupt
from sobo_planner.tasks import ArmReach
from sobo_planner.world import World

# Stamps name plans: on a clock that stands still the next one is a nanosecond later, up to so many.
STANDSTILL = 10**6

# Time given to subscribers to take what was published last [s].
HANDED_OVER_WITHIN = 1.0

# Parameters that a plan depends on, for its recording.
RECORDED = ("goal_type", "velocity_scaling", "acceleration_scaling", "payload_mass", "payload_centre")

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
        self._node, self._robot, self._joint_names = node, robot, list(joint_names)
        self._checker, self._followed = checker, followed
        self._policy_name, self._values = policy_name, values
        self._lock = threading.Lock()
        self._open = False
        self._plan_id = 0
        self._last_stamp = 0
        self._end_torque = np.zeros(robot.nq)
        self._last_goal: tuple[NDArray[np.float64], list[float]] = np.zeros(0), []
        self._trajectory = node.create_publisher(JointTrajectory, "joint_trajectory", RELIABLE)
        self._gains = node.create_publisher(Float64MultiArray, "feedback_gains", RELIABLE)
        self._feedforward = node.create_publisher(Float64MultiArray, "feedforward", RELIABLE)
        self._report = report or node.create_publisher(String, "plan_report", RELIABLE)
        self._control = None
        if linear_feedback.available():
            self._control = node.create_publisher(linear_feedback.Control, linear_feedback.TOPIC, linear_feedback.QOS)
        self._efforts = None
        if values.get("effort_rate", 0.0) > 0.0:
            self._efforts = node.create_publisher(Float64MultiArray, efforts.TOPIC, efforts.QOS)
        self._publishers = (self._trajectory, self._gains, self._feedforward, self._report)
        self._lent, self._execution, self._recording, self._world = report, execution, recording, world
        self._from_root = (base or Placement.identity()).inverse()

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
        for publisher in (*self._publishers, self._control, self._efforts):
            if publisher is not None and publisher is not self._lent:
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
        nanoseconds = round(now * 1e9)
        if 0 <= self._last_stamp - nanoseconds < STANDSTILL:
            nanoseconds = self._last_stamp + 1
        self._last_stamp = nanoseconds
        stamp = Time(nanoseconds=nanoseconds).to_msg()
        lead = max(motion.begin - now, 0.0)
        effort, acceleration = self._values["publish_effort"], self._values["publish_acceleration"]
        moving_end = self._values["allow_nonzero_velocity_at_trajectory_end"]
        points = motion.trajectory(lead, moving_end)
        self._check(points, motion, among)
        names, rules = self._joint_names, Rules(tuple(self._joint_names), effort, moving_end)
        if self._execution is not None or not keeps_rules(points, names, stamp, effort, rules, acceleration):
            message = conversions.trajectory_message(points, names, stamp, effort, acceleration)
            if broken := broken_rule(message, rules):
                raise Refused(Status.PLAN_REFUSED, f"the controller would not accept the trajectory: {broken}")
        # In CDR already, which is recorded, too: rclpy, which has the interpreter meanwhile, would take a millisecond.
        trajectory = fast_cdr.joint_trajectory(points, names, (stamp.sec, stamp.nanosec), effort, acceleration)
        gains, gains_sum = conversions.gains_cdr(motion.K)
        feedforward, feedforward_sum = conversions.feedforward_cdr(motion.U)
        with self._lock:
            if not self._open or (unless is not None and unless.is_set()):
                return None
            if still_fresh is not None:
                still_fresh()
            if self._execution is not None:
                self._execution.check()
            self._plan_id += 1
            report = diagnostics.plan_report(
                self._plan_id, stamp, lead, motion, details | {"policy": self._policy_name}
            )
            report["goal"] = self._in_base(details.get("goal"))
            report["checksums"] = {
                "feedback_gains": gains_sum,
                "feedforward": feedforward_sum,
                "joint_trajectory": points.checksum,
            }
            self._gains.publish(gains)
            self._feedforward.publish(feedforward)
            self._trajectory.publish(trajectory)
            if self._execution is not None:
                self._execution.send(message)
            told = fast_cdr.text(diagnostics.to_json(report))
            self._report.publish(told)
            self._followed.add(motion, now)
            if self._control is not None or self._efforts is not None:
                self._end_torque = self._robot.gravity(motion.X[-1, : self._robot.nq])
            if self._recording is not None:
                around, version = self._around(details, among)
                context = {name: self._values[name] for name in RECORDED} | {"goal": details.get("goal")}
                if version is not None:
                    context["world_version"] = version
                published = Published(self._plan_id, stamp, lead, motion, trajectory, context)
                messages = {"feedback_gains": gains, "feedforward": feedforward, "plan_report": told}
                self._recording.plan(published, messages, around)
        return report

    def _around(self, details: Mapping[str, Any], among: ArmReach | None) -> tuple[Surrounding | None, int | None]:
        """The world of a motion, None where it was checked in another one, and its version; None without objects."""
        robot = self._robot if among is None else among.robot
        version = details.get("world", {}).get("version")
        if version is None and not robot.world.everything:
            return None, None
        made_here = version in (None, robot.world.version)
        return (Surrounding(robot.world, robot.margin) if made_here else None), version or robot.world.version

    def _check(self, points: Trajectory, motion: Motion, among: ArmReach | None) -> None:
        """Refuses points that must not leave. They cannot be changed afterwards."""
        checker = self._checker if among is None else self._checker.of(among)
        violation = checker.check_points(points, motion.U, motion.K)
        if violation is not None:
            raise Refused(Status.PLAN_REFUSED, violation.detail)

    def publish_refusal(self, refusal: Refused, goal: NDArray[np.float64] | None) -> None:
        """Tells whoever sent a goal why it is not served. `goal` is None when it could not be read."""
        report = diagnostics.refusal_report(refusal, self._in_base(goal))
        with self._lock:
            if self._open:
                told = fast_cdr.text(diagnostics.to_json(report))
                self._report.publish(told)
                if self._recording is not None:
                    self._recording.refusal(told, self._known())

    def _known(self) -> Surrounding | None:
        """What surrounds the arm as far as it is known; None for a node without a world."""
        world = None if self._world is None else self._world()
        if world is None or not (world.everything or self._values["world_topics"]):
            return None
        return Surrounding(world, self._values["world_margin"])

    def _in_base(self, goal: ArrayLike | None) -> list[float] | None:
        """A goal, as its sender may compare it: of the tool in the base frame, of the joints as it is."""
        if goal is None:
            return None
        values = np.asarray(goal, float)
        if not np.array_equal(values, self._last_goal[0]):  # a receding horizon reports the same one many times
            there = values if self._values["goal_type"] == "joints" else self._from_root.goal(values)
            self._last_goal = values.copy(), there.tolist()
        return self._last_goal[1]

    def publish_control(self, now: float, x: NDArray[np.float64] | None = None) -> None:
        """Publishes what `linear_feedback_controller` is to do, if its package is there.

        Args:
            now: ROS time [s].
            x: Where the arm is, (2n,), which the desired state must not be too far ahead of; None: not known.
        """
        with self._lock:
            timeline = self._followed.timeline
            if self._control is None or timeline is None or not self._open:
                return
            motion = timeline.at(now)
            if now < motion.begin:
                return
            stage = motion.stage(now)
            torque = motion.U[stage] if now <= motion.end else self._end_torque
            desired, gains = motion.state(now), motion.K[stage]
            if x is not None:
                desired = reference(desired, x, gains, self._robot.velocity_limit)
            stamp = Time(nanoseconds=round(now * 1e9)).to_msg()
            message = linear_feedback.control_message(stamp, self._joint_names, desired, torque, gains)
            self._control.publish(message)
            self._note("control", message)

    def publish_effort(self, now: float, state: StampedState) -> None:
        """Publishes the torque that holds the arm to what it follows, if `effort_rate` asks for it.

        Args:
            now: ROS time [s].
            state: The newest measurement.
        """
        with self._lock:
            timeline, robot = self._followed.timeline, self._robot
            if self._efforts is None or timeline is None or not self._open:
                return
            limits = robot.velocity_limit, robot.effort_limit
            torque = efforts.corrected_torque(timeline, now, state.x, state.stamp, self._end_torque, *limits)
            if torque is not None:
                self._efforts.publish(Float64MultiArray(data=conversions.doubles(torque)))

    def _note(self, role: str, message: Any) -> None:
        if self._recording is not None:
            self._recording.note(role, message)
