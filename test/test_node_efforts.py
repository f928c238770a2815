"""Torques for a controller of efforts, over real DDS: what they are, and that they end with the states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from node_tools import count
from ros_harness import RELIABLE, Probe, ros_system
from std_msgs.msg import Float64MultiArray

from sobo_planner.tasks import Task

N = 6


def test_torques_follow_the_states(task: Task, home: np.ndarray, tmp_path: Path) -> None:
    with ros_system(tmp_path, task.robot.joint_names) as system:
        probe, torques = system.probe, list[np.ndarray]()
        probe.create_subscription(
            Float64MultiArray, "effort_commands", lambda message: torques.append(np.array(message.data)), RELIABLE
        )
        planner = system.start_planner("effort_rate:=100.0", "policy:=none")
        report = probe.plan(probe.goal(task.robot.tool_position(home + 0.1)), probe.joint_state(home))
        trajectory, gains, _ = probe.pieces(report)
        end = np.array([*trajectory.points[-1].positions, *np.zeros(N)])
        last = np.reshape(gains.data, (-1, N, 2 * N))[-1]
        rest = task.robot.gravity(end[:N])
        for off in (np.zeros(2 * N), 1e-3 * np.arange(2 * N)):
            state = end + off
            expected = np.clip(rest - last @ off, -task.robot.effort_limit, task.robot.effort_limit)
            follow(probe, state, lambda expected=expected: torques and np.allclose(torques[-1], expected, atol=1e-9))
        probe.wait(lambda: count(probe, "STALE_STATE") > 0)
        probe.catch_up()
        published, before = len(torques), count(probe, "STALE_STATE")
        probe.wait(lambda: count(probe, "STALE_STATE") > before)
        assert len(torques) == published, "without states there is none"
        assert planner.interrupt() == 0 and "Traceback" not in planner.text()


def follow(probe: Probe, x: np.ndarray, done) -> None:
    """The arm is in a state until something holds."""
    probe.wait(done, each=lambda: probe.state_publisher.publish(probe.joint_state(x[:N], x[N:])))
