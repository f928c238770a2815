"""The simulated arm: its physics without ROS, and the node over real DDS."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from reports import points_of, report_of
from ros_harness import Probe, RosProcess, ros_system
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.errors import ConfigError
from sobo_planner.planning.planner import Plan, Planner
from sobo_planner.ros.outputs import conversions
from sobo_planner.ros.outputs.diagnostics import to_json
from sobo_planner.ros.simulator.node import ArmSimulatorNode
from sobo_planner.ros.simulator.simulation import STEP, ArmSimulation, Push
from sobo_planner.ros.simulator.tracking import PlanAssembler, TrackedPlan
from sobo_planner.ros.support import domain
from sobo_planner.tasks import Task
from sobo_planner.world import AttachedObject, Pose, Sphere, World, write_world


@pytest.fixture(scope="module")
def target(task: Task, home: np.ndarray) -> np.ndarray:
    return task.robot.tool_position(home + 0.5)


@pytest.fixture(scope="module")
def plan(task: Task, home: np.ndarray, target: np.ndarray) -> Plan:
    return Planner(task).plan(np.concatenate([home, np.zeros(6)]), target)


@pytest.fixture(scope="module")
def tracked(task: Task, plan: Plan) -> TrackedPlan:
    messages = messages_of(plan, task.robot.joint_names, 1)
    assembler = PlanAssembler(task.robot.joint_names)
    assembler.add_trajectory(messages[0])
    assembler.add_gains(messages[1])
    assembler.add_feedforward(messages[2])
    tracked = assembler.add_report(messages[3].data)
    assert tracked is not None
    return tracked


def messages_of(
    plan: Plan, names: list[str], plan_id: int
) -> tuple[JointTrajectory, Float64MultiArray, Float64MultiArray, String]:
    gains, feedforward = conversions.gains_message(plan.K), conversions.feedforward_message(plan.U)
    checksums = {
        "feedback_gains": conversions.checksum(gains),
        "feedforward": conversions.checksum(feedforward),
    }
    trajectory = conversions.trajectory_message(points_of(plan), names, conversions.Time(sec=plan_id))
    report = report_of(plan, plan_id, trajectory.header.stamp, checksums)
    return trajectory, gains, feedforward, String(data=to_json(report))


def run(simulation: ArmSimulation, seconds: float) -> bool:
    return all([simulation.step() for _ in range(round(seconds / STEP))])


def error(task: Task, simulation: ArmSimulation, target: np.ndarray) -> float:
    return float(np.linalg.norm(task.robot.tool_position(simulation.x[:6]) - target))


def test_holds_its_start(task: Task, home: np.ndarray) -> None:
    simulation = ArmSimulation(task.robot, home)
    assert run(simulation, 1.0)
    np.testing.assert_allclose(simulation.x, [*home, *np.zeros(6)], atol=1e-9)
    simulation.set_mass_error(0.2)
    assert run(simulation, 1.0)
    assert np.abs(simulation.x[:6] - home).max() < 0.02, "a stiff holding law sags little"
    simulation.set_mass_error(0.0)
    assert run(simulation, 2.0)
    np.testing.assert_allclose(simulation.x[:6], home, atol=5e-5)  # friction makes it creep


def test_reaches_the_goal_and_stays(task: Task, home: np.ndarray, target: np.ndarray, tracked: TrackedPlan) -> None:
    simulation = ArmSimulation(task.robot, home)
    simulation.follow(tracked)
    assert run(simulation, tracked.duration)
    assert error(task, simulation, target) < 0.01
    assert run(simulation, 2.0)
    assert error(task, simulation, target) < 0.01


def test_gains_beat_feedforward_alone_when_disturbed(
    task: Task, home: np.ndarray, target: np.ndarray, tracked: TrackedPlan
) -> None:
    errors = {}
    for gains in (True, False):
        simulation = ArmSimulation(task.robot, home)
        simulation.set_mass_error(0.2)
        simulation.push = Push(np.array([40.0, 40.0, 0.0]))
        simulation.use_gains = gains
        simulation.follow(tracked)
        run(simulation, tracked.duration)
        errors[gains] = error(task, simulation, target)
    assert errors[True] < 0.5 * errors[False], errors


def test_mujoco_as_the_arm(task: Task, home: np.ndarray, target: np.ndarray, tracked: TrackedPlan) -> None:
    """It follows a plan, feels pushes and masses, and is another arm than the model's."""
    pytest.importorskip("mujoco", reason="needs the extra `sim`")
    ends = {}
    for name, plant, error_of_mass in (("model", "model", 0.0), ("mujoco", "mujoco", 0.0), ("heavy", "mujoco", 0.2)):
        simulation = ArmSimulation(task.robot, home, plant)
        simulation.set_mass_error(error_of_mass)
        simulation.follow(tracked)
        assert run(simulation, tracked.duration)
        ends[name] = simulation.x[:6]
        assert error(task, simulation, target) < 0.01
    assert 1e-6 < np.abs(ends["model"] - ends["mujoco"]).max() < 2e-3
    assert np.abs(ends["heavy"] - ends["mujoco"]).max() > 1e-4
    pushed = ArmSimulation(task.robot, home, "mujoco")
    pushed.push = Push(np.array([0.0, 60.0, 0.0]), time=0.1, duration=0.1)
    pushed.follow(tracked)
    run(pushed, 0.2)
    moved = task.robot.tool_position(pushed.x[:6])
    pushed.push = Push()
    pushed.reset(home)
    pushed.follow(tracked)
    run(pushed, 0.2)
    assert moved[1] > task.robot.tool_position(pushed.x[:6])[1] + 1e-4


def test_plants_that_are_none(task: Task, home: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="^the parameter plant must be one of model, mujoco, got 'real'$"):
        ArmSimulation(task.robot, home, "real")
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ConfigError, match="^the parameter plant: MuJoCo is not installed: .*; or set it to model$"):
        ArmSimulation(task.robot, home, "mujoco")


def test_push_acts_for_its_time_only(task: Task, home: np.ndarray, tracked: TrackedPlan) -> None:
    push = Push(np.array([0.0, 30.0, 0.0]), time=0.2, duration=0.1)
    assert [push.active(t) for t in (0.0, 0.19, 0.2, 0.29, 0.31)] == [False, False, True, True, False]
    assert not Push(time=0.0).active(0.05), "no force, no push"
    plain, pushed = ArmSimulation(task.robot, home), ArmSimulation(task.robot, home)
    pushed.push = push
    for simulation in (plain, pushed):
        simulation.follow(tracked)
        run(simulation, 0.2)
    np.testing.assert_array_equal(plain.x, pushed.x)
    for simulation in (plain, pushed):
        run(simulation, 0.1)
    moved = task.robot.tool_position(pushed.x[:6]) - task.robot.tool_position(plain.x[:6])
    assert moved[1] > 1e-4


def test_torques_stay_within_the_limits(task: Task, home: np.ndarray, tracked: TrackedPlan) -> None:
    simulation = ArmSimulation(task.robot, home)
    simulation.follow(tracked)
    simulation.x = simulation.x + 3.0
    assert np.all(np.abs(simulation.control()) <= task.robot.effort_limit)


def test_divergence_ends_at_the_start(task: Task, home: np.ndarray, tracked: TrackedPlan) -> None:
    simulation = ArmSimulation(task.robot, home)
    simulation.follow(tracked)
    simulation.x = np.full(12, np.nan)
    assert not simulation.step()
    np.testing.assert_array_equal(simulation.x, [*home, *np.zeros(6)])
    assert simulation.plan is None
    assert simulation.step()


@pytest.fixture(scope="module")
def simulator(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RosProcess, Probe]]:
    with ros_system(tmp_path_factory.mktemp("simulator"), task.robot.joint_names) as system:
        process = system.start("sobo_planner.ros.arm_simulator_node")
        system.probe.listen_to_states()
        system.probe.wait(lambda: len(system.probe.states) > 3)
        yield process, system.probe


class PlanSender:
    """Publishes a plan's messages as the planner does."""

    def __init__(self, probe: Probe) -> None:
        kinds = (
            (JointTrajectory, "joint_trajectory"),
            (Float64MultiArray, "feedback_gains"),
            (Float64MultiArray, "feedforward"),
            (String, "plan_report"),
        )
        self.publishers = [probe.create_publisher(kind, topic, 10) for kind, topic in kinds]
        # The probe listens to these topics too.
        probe.wait(lambda: all(publisher.get_subscription_count() > 1 for publisher in self.publishers))

    def send(self, messages: tuple) -> None:
        for publisher, message in zip(self.publishers, messages, strict=True):
            publisher.publish(message)


@pytest.fixture(scope="module")
def sender(simulator: tuple[RosProcess, Probe]) -> PlanSender:
    return PlanSender(simulator[1])


def event(probe: Probe, name: str, plan_id: int) -> dict | None:
    return next((e for e in probe.events if e["event"] == name and e["plan_id"] == plan_id), None)


def nanoseconds(state: JointState) -> int:
    return int(state.header.stamp.sec) * 10**9 + int(state.header.stamp.nanosec)


def test_joint_states_come_at_500_hz(simulator: tuple[RosProcess, Probe], task: Task) -> None:
    _, probe = simulator
    probe.states.clear()
    probe.wait(lambda: len(probe.states) > 1000)
    stamps = np.array([nanoseconds(state) for state in probe.states])
    # It keeps up with the clock, though a busy machine may hold it up for a while.
    probe.wait(lambda: abs(probe.get_clock().now().nanoseconds - nanoseconds(probe.states[-1])) < 1e9)
    steps = np.diff(stamps)
    assert np.all(steps % 2_000_000 == 0), "stamps are exact to the step"
    # A busy machine loses samples on the way here (best effort); none that arrives is old or doubled.
    assert steps.min() == 2_000_000
    assert list(probe.states[0].name) == task.robot.joint_names
    assert all(len(field) == 6 for field in (probe.states[0].velocity, probe.states[0].effort))


def test_node_follows_a_plan_by_joint_names(
    simulator: tuple[RosProcess, Probe], sender: PlanSender, task: Task, plan: Plan, target: np.ndarray
) -> None:
    process, probe = simulator
    trajectory, *rest = messages_of(plan, task.robot.joint_names, 11)
    order = [5, 4, 3, 2, 1, 0]
    trajectory.joint_names = [trajectory.joint_names[i] for i in order]
    for point in trajectory.points:
        point.positions = [point.positions[i] for i in order]
        point.velocities = [point.velocities[i] for i in order]
    sender.send((trajectory, *rest))
    started = probe.wait(lambda: event(probe, "started", 11))
    finished = probe.wait(lambda: event(probe, "finished", 11))
    assert (finished["stamp_ns"] - started["stamp_ns"]) * 1e-9 > 0.9 * plan.time[-1]
    # States that were sent before the event may come in after it.
    probe.wait(lambda: np.linalg.norm(task.robot.tool_position(probe.states[-1].position) - target) < 0.01)
    assert process.running


def test_bad_plans_are_refused(simulator: tuple[RosProcess, Probe], sender: PlanSender, task: Task, plan: Plan) -> None:
    process, probe = simulator
    names = task.robot.joint_names
    trajectory, gains, feedforward, _ = messages_of(plan, names, 20)
    trajectory.points[4].positions[0] = float("nan")
    sender.send((trajectory, gains, feedforward, messages_of(plan, names, 20)[3]))
    sender.send((*messages_of(plan, names, 21)[:3], String(data='{"status": "converged"}')))
    sender.send(messages_of(plan, names, 22))
    probe.wait(lambda: event(probe, "started", 22))
    assert not event(probe, "started", 20) and not event(probe, "started", 21)
    assert "BAD_PLAN" in process.text()


def test_parameters_at_run_time(simulator: tuple[RosProcess, Probe], task: Task, home: np.ndarray) -> None:
    process, probe = simulator
    start = [float(value) for value in home + 0.1]
    assert probe.set_parameters("arm_simulator", start_position=start)[0].successful
    probe.wait(lambda: np.abs(np.array(probe.states[-1].position) - start).max() < 1e-6)
    assert all(
        result.successful
        for result in probe.set_parameters("arm_simulator", mass_error=0.2, use_gains=False, push_time=0.1)
    )
    probe.wait(lambda: np.abs(np.array(probe.states[-1].position) - start).max() > 1e-4)
    for refused in (
        {"start_position": [0.0]},
        {"start_position": [float("nan")] * 6},
        {"push_force": [0.0] * 4},
        {"mass_error": -1.0},
        {"task": "other"},
    ):
        result = probe.set_parameters("arm_simulator", **refused)[0]
        assert not result.successful and result.reason, refused
    assert process.running


def test_interrupt_is_clean(simulator: tuple[RosProcess, Probe]) -> None:
    """Runs last: it ends the node."""
    process, _ = simulator
    assert process.interrupt() == 0
    assert "Traceback" not in process.text()


def test_scripts_are_executable() -> None:
    for name in ("planner_node", "arm_simulator_node"):
        script = Path(__file__).parents[1] / "scripts" / name
        assert script.stat().st_mode & 0o111
        assert script.read_text().startswith("#!/usr/bin/env python3\n")


def test_the_arm_carries_what_a_world_attaches(task: Task, home: np.ndarray, tmp_path: Path) -> None:
    """It holds the weight of the gripper in the world file, which the planner's torques hold, too."""
    gripper = AttachedObject("gripper", "tool0", Sphere(0.05), Pose((0.0, 0.0, 0.1)), mass=2.0)
    world, path = World(attached=(gripper,)), tmp_path / "world.yaml"
    write_world(path, world)
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    try:
        node = ArmSimulatorNode(context=context, parameter_overrides=[Parameter("world", value=str(path))])
        try:
            held = node._simulation.torque
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)
    loaded = task.robot.with_world(world)
    np.testing.assert_allclose(held, loaded.gravity(home), atol=0.1)
    assert np.abs(held - task.robot.gravity(home)).max() > 5.0
