"""Joint goals, shares of the speeds and a payload, at a node over real DDS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from node_tools import StiffArm, monotonic_for, serving
from rclpy.qos import QoSProfile
from ros_harness import Probe
from sensor_msgs.msg import JointState

from sobo_planner.tasks import Task

N = 6


@pytest.fixture(scope="module")
def node(task: Task, home: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Probe, StiffArm]]:
    folder = tmp_path_factory.mktemp("speed")
    with serving(folder, task, home, "plan_once", "policy:=none", "goal_type:=joints") as (probe, arm):
        yield probe, arm


def ask(node: tuple[Probe, StiffArm], names: list[str], positions: list[float]) -> dict[str, Any]:
    """Sends a joint goal; returns the report of it."""
    probe, arm = node
    publisher = probe.create_publisher(JointState, "goal_joints", QoSProfile(depth=10))
    arm.wait(lambda: publisher.get_subscription_count() > 0)
    probe.reports.clear()
    publisher.publish(JointState(name=names, position=positions))
    arm.wait(lambda: probe.reports)
    probe.destroy_publisher(publisher)
    return probe.reports[-1]


def test_a_joint_goal_is_read_by_name_and_reached(task: Task, home: np.ndarray, node: tuple[Probe, StiffArm]) -> None:
    goal, names = home + 0.4, task.robot.joint_names
    report = ask(node, ["gripper", *reversed(names)], [0.1, *map(float, reversed(goal))])
    assert report["status"] == "converged" and report["joint_error"] < 1e-3, report
    np.testing.assert_allclose(report["goal"], goal)
    probe, arm = node
    arm.wait(lambda: np.abs(arm.state()[:N] - goal).max() < 1e-3)


def test_what_is_no_joint_goal_is_refused(task: Task, home: np.ndarray, node: tuple[Probe, StiffArm]) -> None:
    names = task.robot.joint_names
    report = ask(node, names[:-1], [0.0] * 5)
    assert report["reason"] == "BAD_GOAL" and names[-1] in report["detail"]
    report = ask(node, names, [*map(float, home[:-1]), 10.0])
    assert report["reason"] == "OUT_OF_REACH" and "10.0000, outside its limits [-6.2832, 6.2832]" in report["detail"]
    probe, arm = node
    probe.reports.clear()
    probe.goal_publisher.publish(probe.goal([0.4, 0.3, 0.4]))
    arm.wait(lambda: probe.reports)
    assert "takes goals on goal_joints alone" in probe.reports[-1]["detail"]


def test_a_share_of_the_speeds_holds_from_the_next_plan_on(
    task: Task, home: np.ndarray, node: tuple[Probe, StiffArm]
) -> None:
    probe, arm = node
    arm.place(home)
    assert probe.set_parameters("planner", velocity_scaling=0.1)[0].successful
    arm.wait(monotonic_for(0.5))  # the node hears of it
    report = ask(node, task.robot.joint_names, [float(q) for q in home - 0.4])
    assert report["status"] == "converged" and report["duration"] > 1.0
    arm.wait(lambda: probe.trajectories and probe.trajectories[-1].header.stamp.sec == report["stamp"]["sec"])
    speeds = np.abs([point.velocities for point in probe.trajectories[-1].points])
    assert 0.09 < (speeds / task.robot.velocity_limit).max() < 0.101
    for bad in (0.0, 2.0, float("nan")):
        assert not probe.set_parameters("planner", velocity_scaling=bad)[0].successful
    assert probe.set_parameters("planner", velocity_scaling=1.0)[0].successful


def test_a_payload_changes_the_torques_while_the_node_runs_and_one_too_heavy_is_refused(
    task: Task, home: np.ndarray, node: tuple[Probe, StiffArm]
) -> None:
    probe, arm = node
    torques = []
    assert all(each.successful for each in probe.set_parameters("planner", acceleration_scaling=0.02))
    for mass in (0.0, 3.0):
        arm.place(home)
        assert probe.set_parameters("planner", payload_mass=mass)[0].successful
        arm.wait(monotonic_for(0.5))  # the node hears of it
        report = ask(node, task.robot.joint_names, [float(q) for q in home + 0.2])
        np.testing.assert_allclose(report["start"][:N], home, atol=1e-6)
        torques.append(np.array(probe.pieces(report)[2].data).reshape(-1, N))
    change = task.robot.with_payload(3.0).gravity(home + 0.1) - task.robot.gravity(home + 0.1)
    assert (torques[1] - torques[0])[:, 1].mean() == pytest.approx(change[1], abs=2.0)
    answer = probe.set_parameters("planner", payload_mass=40.0)[0]
    assert not answer.successful and "cannot be held at home: shoulder_lift_joint would need" in answer.reason
