"""Simulated arm as a node: follows the planner's plans at 1 kHz and publishes joint states at 500 Hz.

One thread steps the simulation, catches up with the wall clock after a short delay (`pace`), and takes plans between
two steps; the executor's thread only hands it parameter changes, as commands that run there, too.
"""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message as read
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.robot.frames import rotate
from sobo_planner.ros.record import fast_cdr
from sobo_planner.ros.simulator.pace import Pace
from sobo_planner.ros.simulator.simulation import STEP, ArmSimulation, Push
from sobo_planner.ros.simulator.tracking import PlanAssembler, TrackedPlan
from sobo_planner.ros.support import node_parameters
from sobo_planner.ros.support.parameters import Parameters
from sobo_planner.ros.support.polled import PolledTopic
from sobo_planner.ros.support.process import WorkerThread, run_node
from sobo_planner.ros.support.status import Refused
from sobo_planner.tasks import load_arm
from sobo_planner.world import read_world

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
STEPS_PER_SAMPLE = 2  # 1 kHz steps, 500 Hz joint states


class ArmSimulatorNode(Node):
    """Runs one `ArmSimulation` in real time."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("arm_simulator", **kwargs)
        # First: a node whose task cannot be loaded is destroyed too.
        self._stopping = False
        self._worker = WorkerThread("simulation", self._run)
        parameters = Parameters(self)
        values = parameters.declare(node_parameters.SIMULATOR)
        task = load_arm(values["task"])
        if values["world"]:
            task = task.with_world(read_world(Path(values["world"]), task.robot.root_link))
        start = node_parameters.start_position(list(task.config.robot.home))
        self._values = values | parameters.declare([start])
        parameters.check_names()
        self._joint_names = [values["tf_prefix"] + name for name in task.robot.joint_names]
        self._base = task.robot.placement(task.config.robot.base_frame or task.robot.root_link)
        self._simulation = ArmSimulation(task.robot, np.array(self._values["start_position"]), values["plant"])
        self._configure(self._values)
        self._assembler = PlanAssembler(self._joint_names)
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._finished = True
        self._origin = 0
        self._create_interfaces()
        self.add_post_set_parameters_callback(self._on_parameters_set)
        self._worker.start()
        self.get_logger().info(
            f"task {task.name}: simulating {task.robot.name} at {1 / STEP:.0f} Hz, plant: {values['plant']}"
        )

    def _create_interfaces(self) -> None:
        self._states = self.create_publisher(JointState, "joint_states", RELIABLE)
        self._events = self.create_publisher(String, "simulation_report", RELIABLE)
        assembler = self._assembler
        self._topics: list[tuple[PolledTopic, Callable[[bytes], TrackedPlan | None]]] = [
            (PolledTopic(self, JointTrajectory, "joint_trajectory", RELIABLE), assembler.add_trajectory_cdr),
            *(
                (PolledTopic(self, kind, topic, RELIABLE), lambda data, kind=kind, add=add: add(read(data, kind)))
                for kind, topic, add in (
                    (Float64MultiArray, "feedback_gains", assembler.add_gains),
                    (Float64MultiArray, "feedforward", assembler.add_feedforward),
                    (String, "plan_report", lambda message: assembler.add_report(message.data)),
                )
            ),
        ]

    def _listen(self) -> None:
        """Takes what has come in of plans."""
        for topic, add in self._topics:
            for data, _ in topic.take():
                try:
                    plan = add(data)
                except Refused as refusal:
                    self.get_logger().warning(f"refused {refusal}", throttle_duration_sec=2.0)
                    continue
                if plan is not None:
                    self._follow(plan)

    def _on_parameters_set(self, parameters: list[Parameter]) -> None:
        changes = {parameter.name: parameter.value for parameter in parameters}
        self._commands.put(lambda: self._configure(changes))

    def _configure(self, changes: dict[str, Any]) -> None:
        """Applies new parameter values between two steps."""
        self._values.update(changes)
        simulation, values = self._simulation, self._values
        if "mass_error" in changes:
            simulation.set_mass_error(values["mass_error"])
        simulation.use_gains = values["use_gains"]
        simulation.push = Push(
            rotate(self._base.quaternion, np.array(values["push_force"])), values["push_time"], values["push_duration"]
        )
        if "start_position" in changes:
            simulation.reset(np.array(values["start_position"]))
            self._finished = True

    def _follow(self, plan: TrackedPlan) -> None:
        delay = 0.0 if plan.begin is None else plan.begin - 1e-9 * self._now()
        self._simulation.follow(plan, delay)
        self._finished = False
        self._announce("started", plan)

    def _run(self) -> None:
        pace = Pace(time.monotonic(), STEP)
        self._origin = self.get_clock().now().nanoseconds - self._simulated_nanoseconds()
        while not self._stopping:
            while not self._commands.empty():
                self._commands.get()()
            self._listen()
            if left_out := pace.leave_out(time.monotonic()):
                warning = f"{left_out:.1f} s behind the clock: left out"
                self.get_logger().warning(warning, throttle_duration_sec=2.0)
                self._origin += round(1e9 * left_out)
            for _ in range(pace.due(time.monotonic())):
                self._step()
            time.sleep(pace.rest(time.monotonic(), STEPS_PER_SAMPLE))

    def _step(self) -> None:
        simulation = self._simulation
        plan = simulation.plan
        if not simulation.step():
            self.get_logger().error("the arm went out of all bounds; it is back at its start")
            self._announce("diverged", plan)
        if simulation.steps % STEPS_PER_SAMPLE == 0:
            self._publish_state()
        if plan is not None and not self._finished and simulation.plan_time >= plan.duration:
            self._finished = True
            self._announce("finished", plan)

    def _simulated_nanoseconds(self) -> int:
        return round(self._simulation.steps * STEP * 1e9)

    def _now(self) -> int:
        """ROS time [ns] that the present step stands for: exact to the step, even while catching up."""
        return self._origin + self._simulated_nanoseconds()

    def _publish_state(self) -> None:
        x, n = self._simulation.x, len(self._joint_names)
        columns = x[:n], x[n:], self._simulation.torque
        self._states.publish(fast_cdr.joint_state(self._joint_names, divmod(self._now(), 10**9), *columns))

    def _announce(self, event: str, plan: TrackedPlan | None) -> None:
        """Publishes an event of a plan: `started`, `finished` or `diverged`."""
        report = {"event": event, "plan_id": plan.plan_id if plan else None, "stamp_ns": self._now()}
        self._events.publish(fast_cdr.text(json.dumps(report)))

    def destroy_node(self) -> None:
        """Ends the simulation's thread, then the node."""
        self._stopping = True
        self._worker.join_within(2.0)
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Runs the node until it is interrupted. Returns the exit status."""
    return run_node(ArmSimulatorNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
