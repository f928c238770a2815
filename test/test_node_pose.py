"""Pose goals on the running node, in both modes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from geometry_msgs.msg import PoseStamped
from ros_harness import Probe, ros_system

from sobo_planner.planning.plan import ORIENTED, REACHED
from sobo_planner.ros.outputs import conversions
from sobo_planner.tasks import Task


def pose_goal(probe: Probe, pose: np.ndarray) -> PoseStamped:
    message = probe.goal(pose[:3])
    orientation = message.pose.orientation
    orientation.x, orientation.y, orientation.z, orientation.w = (float(value) for value in pose[3:])
    return message


@pytest.fixture
def pose(task: Task, home: np.ndarray) -> np.ndarray:
    return task.robot.tool_pose(home + np.array([0.3, 0.2, -0.2, 0.3, -0.3, 0.4]))


def test_a_plan_ends_at_the_pose(task: Task, home: np.ndarray, pose: np.ndarray, tmp_path: Path) -> None:
    with ros_system(tmp_path, task.robot.joint_names) as system:
        system.start_planner("goal_type:=pose")
        probe = system.probe
        report = probe.plan(pose_goal(probe, pose), probe.joint_state(home))
        np.testing.assert_allclose(report["goal"], pose, atol=1e-9)
        trajectory = probe.pieces(report)[0]
        _, states = conversions.trajectory_arrays(trajectory, task.robot.joint_names)
    error = task.robot.pose_error(states[-1, :6], pose)
    assert np.linalg.norm(error[:3]) < REACHED and np.linalg.norm(error[3:]) < ORIENTED
    assert report["orientation_error"] < ORIENTED


def test_receding_horizon_ends_at_the_pose(task: Task, pose: np.ndarray, tmp_path: Path) -> None:
    with ros_system(tmp_path, task.robot.joint_names) as system:
        system.start_planner("goal_type:=pose", "mode:=receding_horizon")
        system.start("sobo_planner.ros.arm_simulator_node")
        probe = system.probe
        probe.listen_to_states()

        def arrived() -> bool:
            if not probe.states:
                return False
            error = task.robot.pose_error(np.array(probe.states[-1].position), pose)
            return bool(np.linalg.norm(error[:3]) < REACHED and np.linalg.norm(error[3:]) < ORIENTED)

        probe.wait(lambda: probe.values().get("status") == "READY")
        probe.goal_publisher.publish(pose_goal(probe, pose))
        probe.wait(arrived)
        assert any(report.get("goal") == pytest.approx(list(pose)) for report in probe.reports)
