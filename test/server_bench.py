"""The surroundings of a `Server` on a single thread: its publishers are real, the test sets the time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.motion import Brakes, Followed
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.outputs.plan_outputs import PlanOutputs
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.support import domain
from sobo_planner.ros.support.status import Status
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach

N = 6
RATE = 100.0
ALL = QoSProfile(depth=500)


class Bench:
    """A server's surroundings: a node that nobody spins, and what it published."""

    def __init__(self, node: Node, task: ArmReach, home: np.ndarray) -> None:
        self.task, self.home = task, home
        self.time, self.defects, self.warned = 1000.0, [], []
        self.values: dict[str, Any] = {
            "state_timeout": 60.0,
            "deadline": 0.0,
            "publish_effort": False,
            "publish_acceleration": False,
            "velocity_scaling": 1.0,
            "acceleration_scaling": 1.0,
            "world_margin": 0.0,
            "goal_type": "position",
            "allow_nonzero_velocity_at_trajectory_end": False,
        }
        self.checker = PlanChecker(task)
        self.brakes = Brakes(task, self.checker)
        self.followed = Followed()
        self.outputs = PlanOutputs(
            node, task.robot, self.checker, self.followed, task.robot.joint_names, "none", self.values
        )
        self.outputs.open()
        self.ledger, self.inbox = Ledger(), Inbox()
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._reports: list[dict] = []
        self._trajectories: list[JointTrajectory] = []
        node.create_subscription(String, "plan_report", lambda m: self._reports.append(json.loads(m.data)), ALL)
        node.create_subscription(JointTrajectory, "joint_trajectory", self._trajectories.append, ALL)

    @property
    def core(self) -> Core:
        return Core(
            self.task,
            self.inbox,
            self.outputs,
            self.followed,
            self.ledger,
            self.brakes,
            self.values,
            now=lambda: self.time,
            info=lambda text: None,
            warn=lambda status, detail: self.warned.append((status, detail)),
            defect=self.defects.append,
        )

    def count(self, status: Status) -> int:
        return int(self.ledger.values()[f"count_{status.value}"])

    def counts(self) -> dict[str, int]:
        return {status.value: self.count(status) for status in Status if self.count(status)}

    def measure(self, x: np.ndarray | None = None) -> None:
        """A joint state comes in: by default the arm is where it is meant to be."""
        if x is None:
            timeline = self.followed.timeline
            x = np.concatenate([self.home, np.zeros(N)]) if timeline is None else timeline.state(self.time)
        self.inbox.put_state(x, self.time)

    def reports(self, count: int) -> list[dict]:
        """Waits for so many reports to arrive, and takes them."""
        while len(self._reports) < count:
            before = len(self._reports)
            self._executor.spin_once(timeout_sec=5.0)
            assert len(self._reports) + len(self._trajectories) > before, "nothing came"
        out, self._reports = self._reports, []
        assert len(out) == count
        return out

    def goal(self, offset: float) -> np.ndarray:
        return self.task.robot.tool_position(self.home + offset)


@contextmanager
def server_bench(task: ArmReach, home: np.ndarray) -> Iterator[Bench]:
    """A bench in a ROS domain of its own."""
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    node = Node("bench", context=context)
    try:
        yield Bench(node, task, home)
    finally:
        node.destroy_node()
        context.try_shutdown()
