"""Planner node: joint states and a goal in, a trajectory with its feedback gains out.

Callbacks only check and store; one planning thread takes the latest goal and the latest state, plans (the
solver releases the GIL) and publishes. A goal that cannot be served is refused with a named reason, in the
log, in /diagnostics and on `plan_report`; it is never queued or retried.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.errors import PlanningError, SoboError, TaskError
from sobo_planner.planner import Plan, Planner
from sobo_planner.ros import conversions, diagnostics, node_parameters
from sobo_planner.ros.frames import GoalFrames
from sobo_planner.ros.inbox import Inbox
from sobo_planner.ros.parameters import changed, declare
from sobo_planner.ros.policy_source import open_policy
from sobo_planner.ros.process import WorkerThread, run_node
from sobo_planner.ros.refusal import Reason, Refused
from sobo_planner.ros.validation import JointStateReader, read_goal
from sobo_planner.tasks import load_arm

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LOG_PERIOD = 2.0  # [s] between two log lines of the same reason

LIVE_PARAMETERS = ("state_timeout", "deadline", "publish_effort")


class PlannerNode(Node):
    """Serves goals one after the other."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("planner", **kwargs)
        # First: a node whose task cannot be loaded is destroyed too.
        self._inbox = Inbox()
        self._worker = WorkerThread("planning", self._serve_goals)
        self._values = declare(self, node_parameters.PLANNER)
        self._task = load_arm(self._values["task"])
        self._policy, self._policy_name, self._policy_problem = open_policy(self._values["policy"], self._task)
        if self._policy_problem:
            self.get_logger().error(f"planning from interpolation: {self._policy_problem}")
        self._planner = Planner(self._task, self._policy)
        prefix = self._values["tf_prefix"]
        self._joint_names = [prefix + name for name in self._task.robot.joint_names]
        self._reader = JointStateReader(self._task.robot.joint_names, prefix)
        base_frame = prefix + (self._values["base_frame"] or self._task.config.robot.base_frame)
        self._frames = GoalFrames.listening(self, base_frame)
        self._ledger = diagnostics.Ledger()
        self._last_logged: dict[Reason, float] = {}
        self._plan_id = 0
        self._create_interfaces()
        self.add_post_set_parameters_callback(self._on_parameters_set)
        self._worker.start()
        self.get_logger().info(f"task {self._task.name}, policy {self._policy_name}: ready")

    def _create_interfaces(self) -> None:
        self._trajectory = self.create_publisher(JointTrajectory, "joint_trajectory", RELIABLE)
        self._gains = self.create_publisher(Float64MultiArray, "feedback_gains", RELIABLE)
        self._feedforward = self.create_publisher(Float64MultiArray, "feedforward", RELIABLE)
        self._report = self.create_publisher(String, "plan_report", RELIABLE)
        self._outputs = (self._trajectory, self._gains, self._feedforward, self._report)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        # Best effort takes both kinds of publishers.
        self.create_subscription(JointState, "joint_states", self._on_joint_state, qos_profile_sensor_data)
        self.create_subscription(PoseStamped, "goal_pose", self._on_goal, RELIABLE)
        self.create_timer(1.0, self._publish_diagnostics)

    def _on_parameters_set(self, parameters: list[Parameter]) -> None:
        self._values.update(changed(parameters, LIVE_PARAMETERS))

    def _on_joint_state(self, message: JointState) -> None:
        try:
            self._inbox.put_state(self._reader.read(message))
        except Refused as refusal:
            self._note_refusal(refusal)

    def _on_goal(self, message: PoseStamped) -> None:
        try:
            goal = read_goal(message, self._frames)
        except Refused as refusal:
            self._refuse_goal(refusal, None)
            return
        replaced = self._inbox.put_goal(goal)
        if replaced is not None:
            self._refuse_goal(Refused(Reason.SUPERSEDED, f"a newer goal {goal} came first"), replaced)

    def _serve_goals(self) -> None:
        while (goal := self._inbox.take_goal()) is not None:
            try:
                self._publish_plan(self._plan(goal))
            except Refused as refusal:
                self._refuse_goal(refusal, goal)
            except Exception as error:  # the node goes on serving whatever a defect throws
                self.get_logger().error(f"planning for {goal} failed", exc_info=True)
                self._refuse_goal(Refused(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}"), goal)

    def _plan(self, goal: NDArray[np.float64]) -> Plan:
        """Plans from the latest state. Raises Refused with the reason when that is not possible."""
        state = self._inbox.state
        if state is None:
            raise Refused(Reason.NO_STATE, "no valid joint state has come in yet; send the goal again")
        timeout = self._values["state_timeout"]
        if state.age > timeout:
            raise Refused(Reason.STALE_STATE, f"joint state is {state.age:.2f} s old, allowed are {timeout:g} s")
        try:
            return self._planner.plan(state.x, goal, self._values["deadline"] or None)
        except TaskError as error:
            raise Refused(Reason.OUT_OF_REACH, str(error)) from error
        except PlanningError as error:
            raise Refused(Reason.PLANNING_FAILED, str(error)) from error
        except SoboError as error:
            raise Refused(Reason.PLANNING_FAILED, f"{type(error).__name__}: {error}") from error

    def _publish_plan(self, plan: Plan) -> None:
        stamp = self.get_clock().now().to_msg()
        effort = self._values["publish_effort"]
        trajectory = conversions.trajectory_message(plan, self._joint_names, stamp, effort)
        gains = conversions.gains_message(plan.K)
        feedforward = conversions.feedforward_message(plan.U)
        checksums = {
            "feedback_gains": conversions.checksum(gains),
            "feedforward": conversions.checksum(feedforward),
        }
        self._plan_id += 1
        report = diagnostics.plan_report(self._plan_id, stamp, plan, self._policy_name, checksums)
        self._gains.publish(gains)
        self._feedforward.publish(feedforward)
        self._trajectory.publish(trajectory)
        self._report.publish(String(data=diagnostics.to_json(report)))
        self._ledger.count_plan(report)
        self.get_logger().info(
            f"plan {self._plan_id}: {plan.status.value} from {report['source']}, "
            f"{plan.iterations} iterations, cost {plan.cost:.4g}, {plan.phases_ms['total']:.0f} ms"
        )

    def _refuse_goal(self, refusal: Refused, goal: NDArray[np.float64] | None) -> None:
        """Refuses a goal to its sender too. `goal` is None when it could not be read."""
        self._note_refusal(refusal)
        report = diagnostics.refusal_report(refusal, None if goal is None else goal.tolist())
        self._report.publish(String(data=diagnostics.to_json(report)))

    def _note_refusal(self, refusal: Refused) -> None:
        self._ledger.count_refusal(refusal)
        now = time.monotonic()
        # rclpy throttles by source line; here each reason must get through on its own.
        if now - self._last_logged.get(refusal.reason, -LOG_PERIOD) >= LOG_PERIOD:
            self._last_logged[refusal.reason] = now
            self.get_logger().warning(f"refused {refusal}")

    def _publish_diagnostics(self) -> None:
        problems: list[tuple[bytes, str]] = []
        state = self._inbox.state
        if state is None:
            problems.append((DiagnosticStatus.WARN, "no joint state yet"))
        elif state.age > self._values["state_timeout"]:
            problems.append((DiagnosticStatus.STALE, f"joint state is {state.age:.1f} s old"))
        if self._policy_problem:
            problems.append((DiagnosticStatus.WARN, self._policy_problem))
        values = {
            "policy": self._policy_name,
            "policy_error": self._policy_problem,
            "policy_failures": str(self._planner.policy_failures),
            "state_age_s": "" if state is None else f"{state.age:.3f}",
            "states_without_velocity": str(self._reader.without_velocity),
            **{f"subscribers_{p.topic_name.lstrip('/')}": str(p.get_subscription_count()) for p in self._outputs},
            **self._ledger.values(),
        }
        status = diagnostics.status_message("planner", self._task.robot.name, problems, values)
        self._diagnostics.publish(diagnostics.diagnostics_message(self.get_clock().now().to_msg(), status))

    def destroy_node(self) -> None:
        """Ends the planning thread, then the node."""
        self._inbox.close()
        self._worker.join_within(5.0)
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Runs the node until it is interrupted. Returns the exit status."""
    return run_node(PlannerNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
