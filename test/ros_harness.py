"""Processes and a probing node for the tests over real DDS, each system in a ROS domain of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from monitor import Monitor
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.ros.support import domain

PLANNER, SIMULATOR = "sobo_planner.ros.planner_node", "sobo_planner.ros.arm_simulator_node"
LIMIT = 150  # [s] that a process may live
STARTING = 60.0  # [s] that it may take to start: seconds of processor time, of which a busy computer gives a share
RELIABLE = QoSProfile(depth=50)
MANY_STATES = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)


class RosProcess:
    """A node of ours as a process under `timeout`, with its output in a file."""

    def __init__(self, module: str, log: Path, environment: dict[str, str], parameters: Sequence[str]) -> None:
        self.log = log
        command = [
            "timeout",
            "--foreground",
            "-k",
            "5",
            str(LIMIT),
            sys.executable,
            "-m",
            module,
            "--ros-args",
        ]
        command += [word for parameter in parameters for word in ("-p", parameter)]
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **environment}
            )

    @property
    def node_pid(self) -> int:
        """Process id of the node itself, the child of `timeout`."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0])

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        """What the process has printed."""
        return self.log.read_text(errors="replace")

    def wait(self) -> int:
        """Exit status, once it ends on its own."""
        return self._process.wait(LIMIT + 10)

    def interrupt(self) -> int:
        """Sends SIGINT and returns the exit status."""
        if self.running:
            os.kill(self.node_pid, signal.SIGINT)
        return self._process.wait(15)

    def end(self) -> None:
        if self.running:
            self._process.terminate()  # timeout passes it on
            try:
                self._process.wait(8)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Probe(Node):
    """The test's side of the topics: sends what a robot and a user would send, keeps what comes back."""

    def __init__(self, context: Context, joint_names: Sequence[str]) -> None:
        super().__init__("probe", context=context)
        self.joint_names = list(joint_names)
        self.trajectories: list[JointTrajectory] = []
        self.gains: list[Float64MultiArray] = []
        self.feedforward: list[Float64MultiArray] = []
        self.reports: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.status: dict[str, DiagnosticStatus] = {}
        self.diagnosed = 0.0  # stamp of the latest diagnostics [s]
        self.states: list[JointState] = []
        self._listening = False
        self.states_heard = 0
        self.monitor: Monitor | None = None  # from the start of a planner on
        self.state_publisher = self.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
        self.create_subscription(JointState, "joint_states", self._on_state, MANY_STATES)
        self.goal_publisher = self.create_publisher(PoseStamped, "goal_pose", RELIABLE)
        self.create_subscription(JointTrajectory, "joint_trajectory", self._on_trajectory, RELIABLE)
        self.create_subscription(Float64MultiArray, "feedback_gains", self._on_gains, RELIABLE)
        self.create_subscription(Float64MultiArray, "feedforward", self._on_feedforward, RELIABLE)
        self.create_subscription(String, "plan_report", self._on_report, RELIABLE)
        self.create_subscription(String, "simulation_report", self._on_event, RELIABLE)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)

    def _on_state(self, message: JointState, info: dict[str, Any]) -> None:
        self.states_heard += 1
        if self.monitor is not None:
            publisher, number = info["publisher_gid"]["data"], info["publication_sequence_number"]
            self.monitor.state(message, info["source_timestamp"], publisher, number)
        if self._listening:
            self.states.append(message)

    def _on_trajectory(self, message: JointTrajectory, info: dict[str, Any]) -> None:
        if self.monitor is not None:
            self.monitor.trajectory(message, info["source_timestamp"])
        self.trajectories.append(message)

    def _on_gains(self, message: Float64MultiArray) -> None:
        if self.monitor is not None:
            self.monitor.gains(message)
        self.gains.append(message)

    def _on_feedforward(self, message: Float64MultiArray) -> None:
        if self.monitor is not None:
            self.monitor.feedforward(message)
        self.feedforward.append(message)

    def _on_report(self, message: String) -> None:
        if self.monitor is not None:
            self.monitor.report(message)
        self.reports.append(json.loads(message.data))

    def _on_event(self, message: String) -> None:
        self.events.append(json.loads(message.data))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.status.update({status.name: status for status in message.status})
        self.diagnosed = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec

    def listen_to_states(self) -> None:
        self._listening = True

    def wait(self, condition: Callable[[], Any], timeout: float = 20.0, each: Callable[[], None] | None = None) -> Any:
        """Spins until the condition holds and returns its value; calls `each` every few milliseconds."""
        end = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < end, f"nothing after {timeout} s"
            if each is not None:
                each()
            self._executor.spin_once(timeout_sec=0.02)
        return value

    def spin(self, timeout: float) -> None:
        """Takes one message, or waits [s] for it."""
        self._executor.spin_once(timeout_sec=timeout)

    def joint_state(self, q: Sequence[float], v: Sequence[float] | None = None) -> JointState:
        velocity = np.zeros(len(q)) if v is None else np.asarray(v)
        return JointState(name=self.joint_names, position=[*map(float, q)], velocity=[*map(float, velocity)])

    def goal(self, target: Sequence[float], frame: str = "base_link") -> PoseStamped:
        message = PoseStamped()
        message.header.frame_id = frame
        message.pose.position.x, message.pose.position.y, message.pose.position.z = map(float, target)
        return message

    def values(self, name: str = "planner") -> dict[str, str]:
        """Key-value pairs of the latest diagnostics."""
        return {pair.key: pair.value for pair in self.status[name].values} if name in self.status else {}

    def connect_to_planner(self) -> None:
        """Waits until every topic that the probe shares with the planner is matched."""
        topics = ("joint_trajectory", "feedback_gains", "feedforward", "plan_report")
        self.wait(lambda: self.state_publisher.get_subscription_count() > 0, STARTING)
        self.wait(lambda: self.goal_publisher.get_subscription_count() > 0)
        self.wait(lambda: all(self.values().get(f"subscribers_{topic}", "0") != "0" for topic in topics))

    def ask(self, goal: PoseStamped, state: JointState | None = None) -> dict[str, Any]:
        """Sends a goal, with joint states going on if given, and returns the planner's report of it."""
        self.reports.clear()
        self.goal_publisher.publish(goal)
        self.wait(lambda: self.reports, each=lambda: state and self.state_publisher.publish(state))
        return self.reports[-1]

    def ask_until(
        self, goal: PoseStamped, state: JointState, accept: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """Asks again until the report is the expected one: the planner may have missed the first states."""
        for _ in range(50):
            report = self.ask(goal, state)
            if accept(report):
                return report
        raise AssertionError(f"never answered as expected; the last report is {report}")

    def plan(self, goal: PoseStamped, state: JointState) -> dict[str, Any]:
        """Asks until a plan is made that starts from the given state."""
        order = [list(state.name).index(name) for name in self.joint_names]
        q = np.array(state.position)[order]
        return self.ask_until(
            goal, state, lambda report: "start" in report and np.allclose(report["start"][: len(q)], q)
        )

    def pieces(self, report: dict[str, Any]) -> tuple[JointTrajectory, Float64MultiArray, Float64MultiArray]:
        """The trajectory, gains and feedforward that came with a report."""
        stamp = Time(**report["stamp"])
        self.wait(lambda: self.trajectories and self.trajectories[-1].header.stamp == stamp)
        self.wait(lambda: len(self.gains) == len(self.trajectories) == len(self.feedforward))
        return self.trajectories[-1], self.gains[-1], self.feedforward[-1]

    def set_parameters(self, node: str, **values: Any) -> list[Any]:
        """Sets parameters of another node and returns the results."""
        client = AsyncParameterClient(self, node)
        self.wait(client.services_are_ready)
        future = client.set_parameters([Parameter(name, value=value) for name, value in values.items()])
        if self.monitor is not None:
            self.monitor.configure(values)
        self.wait(future.done)
        return list(future.result().results)

    def catch_up(self) -> None:
        """Takes what has come in on every topic; of joint states that go on, some may be left."""
        for _ in range(100):
            self._executor.spin_once(timeout_sec=0.0)

    def drain(self) -> None:
        """Takes all that has come in once nobody publishes: states too, or what was published last looks stale."""
        before = None
        while before != (before := (self.states_heard, self.monitor.messages if self.monitor is not None else 0)):
            self.catch_up()

    def close(self) -> None:
        self._executor.shutdown()
        self.destroy_node()


class RosSystem:
    """One ROS domain with a probe in this process and nodes in others.

    Closing it fails if a planner has published what it must not: `probe.monitor` has looked at every message.
    """

    def __init__(self, folder: Path, joint_names: Sequence[str]) -> None:
        self._folder = folder
        self._environment = domain.isolated_environment(str(folder / "ros"))
        self._before = dict(os.environ)
        os.environ.update(self._environment)  # discovery range and log folder are read from there
        self._context = Context()
        rclpy.init(context=self._context, domain_id=int(self._environment["ROS_DOMAIN_ID"]))
        self.probe = Probe(self._context, joint_names)
        self.processes: list[RosProcess] = []

    def start(self, module: str, *parameters: str) -> RosProcess:
        if module == PLANNER:
            self.probe.monitor = self.probe.monitor or Monitor()
            pairs = (parameter.split(":=", 1) for parameter in parameters)
            self.probe.monitor.configure({name: yaml.safe_load(value) for name, value in pairs})
        log = self._folder / f"{module.rsplit('.', 1)[-1]}-{len(self.processes)}.log"
        process = RosProcess(module, log, self._environment, parameters)
        self.processes.append(process)
        if module == SIMULATOR:  # before a planner acts on states, the monitor has to hear them
            self.probe.wait(lambda: self.probe.states_heard or not process.running, STARTING)
        return process

    def start_planner(self, *parameters: str) -> RosProcess:
        process = self.start(PLANNER, *parameters)
        self.probe.connect_to_planner()
        return process

    def close(self) -> None:
        for process in self.processes:
            process.end()
        self.probe.drain()
        self.probe.close()
        rclpy.shutdown(context=self._context)
        os.environ.clear()
        os.environ.update(self._before)
        if self.probe.monitor is not None:
            self.probe.monitor.verdict()


@contextmanager
def ros_system(folder: Path, joint_names: Sequence[str]) -> Iterator[RosSystem]:
    """A system that is taken down whatever the test does."""
    system = RosSystem(folder, joint_names)
    try:
        yield system
    finally:
        system.close()
