"""The demo's own node: sends goals, sets the simulator's parameters, records what the arm does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.ros.demo.processes import DemoError
from sobo_planner.ros.inputs.joint_states import JointStateReader
from sobo_planner.ros.outputs.conversions import trajectory_arrays
from sobo_planner.ros.support.status import Refused

Vector = NDArray[np.float64]
PLAN_TOPICS = ("joint_trajectory", "feedback_gains", "feedforward", "plan_report")
RELIABLE = QoSProfile(depth=50)
TIMEOUT = 30.0  # [s] for anything that should take a second


@dataclass(frozen=True)
class Motion:
    """What followed one goal.

    Attributes:
        report: the planner's report, of a plan or of a refusal.
        time: sample times (N,) [s], 0 when the arm began to follow the plan.
        X: measured states (N, 2n).
        plan_time: knots of the published trajectory (M,) [s], from 0.
        plan_X: its states (M, 2n).
    """

    report: dict[str, Any]
    time: Vector
    X: Vector
    plan_time: Vector
    plan_X: Vector

    @property
    def refused(self) -> str:
        """Why the goal was refused; empty if it was not."""
        if self.report["status"] != "refused":
            return ""
        return f"{self.report['reason']}: {self.report['detail']}"


class DemoClient(Node):
    """Talks to planner and simulator. It spins inside its own calls, in the caller's thread.

    Args:
        joint_names: the robot's joints.
        base_frame: frame of the goals.
        watch: called repeatedly while waiting; raises to stop waiting.
    """

    def __init__(self, joint_names: Sequence[str], base_frame: str, watch: Callable[[], None]) -> None:
        super().__init__("demo")
        self._base_frame = base_frame
        self._watch = watch
        self._joint_names = list(joint_names)
        self._reader = JointStateReader(joint_names)
        self._samples: list[tuple[int, Vector]] = []
        self._reports: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._trajectories: list[JointTrajectory] = []
        self._planner_values: dict[str, str] = {}
        self._goals = self.create_publisher(PoseStamped, "goal_pose", RELIABLE)
        self.create_subscription(JointState, "joint_states", self._on_state, qos_profile_sensor_data)
        self.create_subscription(String, "plan_report", self._append_json(self._reports), RELIABLE)
        self.create_subscription(String, "simulation_report", self._append_json(self._events), RELIABLE)
        self.create_subscription(JointTrajectory, "joint_trajectory", self._trajectories.append, RELIABLE)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self._simulator = AsyncParameterClient(self, "arm_simulator")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def _on_state(self, message: JointState) -> None:
        stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        try:
            sample = self._reader.read(message)
        except Refused as refusal:
            raise DemoError(f"the simulator sent a bad joint state: {refusal}") from refusal
        if sample is None or len(sample.joints) < len(self._joint_names):
            raise DemoError(f"the simulator sent a joint state without some of {self._joint_names}")
        self._samples.append((stamp, np.concatenate([sample.q, sample.v])))

    @staticmethod
    def _append_json(target: list[dict[str, Any]]) -> Callable[[String], None]:
        return lambda message: target.append(json.loads(message.data))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "planner":
                self._planner_values = {pair.key: pair.value for pair in status.values}

    def wait_for(self, what: str, condition: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
        """Spins until `condition` returns something true, and returns that.

        Raises:
            DemoError: it took longer than `timeout` seconds, or `watch` found a process dead.
        """
        end = time.monotonic() + timeout
        while not (found := condition()):
            self._watch()
            if time.monotonic() > end:
                raise DemoError(f"{what} did not come within {timeout:.0f} s")
            self._executor.spin_once(timeout_sec=0.05)
        return found

    def wait_until_connected(self) -> dict[str, str]:
        """Waits until planner, simulator and this node have met. Returns the planner's diagnostics."""
        self.wait_for("the planner's goal topic", lambda: self._goals.get_subscription_count() > 0, 60.0)
        self.wait_for("the simulator's parameters", self._simulator.services_are_ready)

        def connected() -> bool:
            counts = {t: int(self._planner_values.get(f"subscribers_{t}", "0")) for t in PLAN_TOPICS}
            everyone = min(counts.values()) > 0 and min(counts["joint_trajectory"], counts["plan_report"]) > 1
            return everyone and self._planner_values.get("state_age_s", "") != ""

        self.wait_for("planner and simulator to connect", connected)
        return self._planner_values

    def fresh_state(self) -> Vector:
        """The next state (2n,) that comes in."""
        self._samples.clear()
        # The first one may have waited in the queue for long.
        self.wait_for("joint states", lambda: len(self._samples) > 10)
        return self._samples[-1][1]

    def set_simulator(self, **values: Any) -> None:
        """Sets parameters of the simulator. Raises DemoError when it refuses one."""
        parameters = [Parameter(name, value=value) for name, value in values.items()]
        future = self._simulator.set_parameters(parameters)
        self.wait_for("the simulator to take its parameters", future.done)
        for result in future.result().results:
            if not result.successful:
                raise DemoError(f"the simulator refused {values}: {result.reason}")

    def place_arm(self, q: Vector) -> None:
        """Puts the simulated arm at rest at joint positions q (n,) [rad]."""
        self.set_simulator(start_position=[float(value) for value in q])
        self.wait_for("the arm at its start", lambda: np.abs(self.fresh_state()[: len(q)] - q).max() < 0.05)

    def move_to(self, target: Vector, settle: float) -> Motion:
        """Sends a goal, waits until its plan has been followed, then `settle` seconds more."""
        for record in (self._samples, self._reports, self._events, self._trajectories):
            record.clear()
        self._goals.publish(self._goal_message(target))
        self.wait_for("the planner's report", lambda: self._reports)
        report = self._reports[-1]
        if report["status"] == "refused":
            nothing = np.zeros(0)
            return Motion(report, nothing, nothing, nothing, nothing)
        begin = self.wait_for("the start of the motion", lambda: self._event("started", report["plan_id"]))
        end = self.wait_for("the end of the motion", lambda: self._event("finished", report["plan_id"]))
        last = end["stamp_ns"] + int(settle * 1e9)
        self.wait_for("the arm to settle", lambda: self._samples and self._samples[-1][0] >= last)
        samples = [sample for sample in self._samples if begin["stamp_ns"] <= sample[0] < last]
        times = np.array([stamp - begin["stamp_ns"] for stamp, _ in samples]) * 1e-9
        plan = trajectory_arrays(self._trajectory_of(report), self._joint_names)
        plan_time, plan_X = np.append(0.0, plan[0]), np.vstack([report["start"], plan[1]])
        return Motion(report, times, np.array([x for _, x in samples]), plan_time, plan_X)

    def _trajectory_of(self, report: dict[str, Any]) -> JointTrajectory:
        def published() -> JointTrajectory | None:
            found = [m for m in self._trajectories if m.header.stamp == Time(**report["stamp"])]
            return found[0] if found else None

        trajectory: JointTrajectory = self.wait_for("the trajectory of the report", published)
        return trajectory

    def _event(self, name: str, plan_id: int) -> dict[str, Any] | None:
        found = [event for event in self._events if event["event"] in (name, "diverged")]
        return next((event for event in found if event["plan_id"] == plan_id), None)

    def _goal_message(self, target: Vector) -> PoseStamped:
        message = PoseStamped()
        message.header.frame_id = self._base_frame
        message.header.stamp = self.get_clock().now().to_msg()
        position = message.pose.position
        position.x, position.y, position.z = (float(value) for value in target)
        return message

    def destroy_node(self) -> None:
        """Ends the executor, then the node."""
        self._executor.shutdown()
        super().destroy_node()
