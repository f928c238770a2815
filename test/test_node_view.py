"""The live viewer beside a running planner node, over real DDS."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
pytest.importorskip("viser", reason="needs viser: the extra `viz`")

from cloud_messages import cloud
from node_tools import StiffArm, is_at
from ros_harness import ros_system
from sensor_msgs.msg import PointCloud2
from test_viewer import corners, free_port, transform
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.errors import ConfigError
from sobo_planner.paths import share_path
from sobo_planner.ros.live.command import meet
from sobo_planner.ros.live.listener import MOST_POINTS, Listener
from sobo_planner.tasks import ArmReach
from sobo_planner.view.viewer import Viewer

PREFIX = "left_"


@pytest.fixture(scope="module")
def live(task: ArmReach, home: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """A node in a world with its arm, and a viewer that listens to it."""
    names = [PREFIX + name for name in task.robot.joint_names]
    with ros_system(tmp_path_factory.mktemp("view"), names) as system:
        world = share_path("config/worlds/shelf.yaml")
        process = system.start_planner("policy:=none", f"world:={world}", f"tf_prefix:={PREFIX}")
        probe, arm = system.probe, StiffArm(system.probe, home)
        arm.wait(lambda: is_at(probe, "READY"))
        node, followed = meet("planner", probe.context, 30.0)
        viewer = Viewer(followed.task.robot, port=free_port())
        listener = Listener(node, followed, viewer)
        yield probe, arm, viewer, listener, followed
        viewer.close()
        node.destroy_node()
        assert process.interrupt() == 0


def ask(live: tuple, target: np.ndarray) -> dict:
    """Sends a goal, and returns the report of it; again if no state had come in shortly before, on a busy computer."""
    probe, arm, *_ = live
    for _ in range(10):
        probe.reports.clear()
        probe.goal_publisher.publish(probe.goal(target, f"{PREFIX}base_link"))
        report = arm.wait(lambda: probe.reports and probe.reports[-1], 40.0)
        if report.get("reason") not in ("NO_STATE", "STALE_STATE"):
            return dict(report)
    raise AssertionError(f"never answered: {report}")


def test_the_arm_its_world_and_its_plan_are_shown(live: tuple, task: ArmReach, home: np.ndarray) -> None:
    probe, arm, viewer, listener, followed = live
    assert (followed.name, followed.task.name, followed.goal_type) == ("/planner", "ur5", "position")
    nodes = viewer.server.scene

    def shown(condition) -> None:
        def each() -> bool:
            listener.update()
            return bool(condition())

        arm.wait(each)

    def wrist() -> np.ndarray:
        return transform(viewer, "/robot/wrist_3_joint").translation

    shown(lambda: nodes.get_handle_by_name("/world/shelf") and nodes.get_handle_by_name("/robot").visible)
    np.testing.assert_allclose(wrist(), task.robot.joint_placement(home, 5)[1], atol=1e-6)
    bottle = corners(viewer, "/world/bottle")
    np.testing.assert_allclose([bottle.min(0), bottle.max(0)], [[0.68, 0.16, 0.16], [0.76, 0.24, 0.40]], atol=1e-6)
    assert nodes.get_handle_by_name("/robot/wrist_3_joint/attached/gripper") is not None

    target = task.robot.tool_position(home + 0.2)
    report = ask(live, target)
    trajectory = probe.pieces(report)[0]
    last = np.array(trajectory.points[-1].positions)
    shown(lambda: nodes.get_handle_by_name("/plan") and np.abs(arm.state()[:6] - last).max() < 1e-4)
    shown(lambda: np.abs(wrist() - task.robot.joint_placement(last, 5)[1]).max() < 1e-4)
    shown(lambda: nodes.get_handle_by_name("/goal/position"))
    np.testing.assert_allclose(nodes.get_handle_by_name("/goal/position").position, target)
    way = nodes.get_handle_by_name("/plan").points
    np.testing.assert_allclose(way[-1, 1], task.robot.tool_position(last), atol=1e-6)
    assert not nodes.get_handle_by_name("/planned").visible, "the arm is there"
    end = transform(viewer, "/planned/wrist_3_joint").translation
    np.testing.assert_allclose(end, task.robot.joint_placement(last, 5)[1], atol=1e-6)
    shown(lambda: nodes.get_handle_by_name("/driven"))
    shown(lambda: np.linalg.norm(nodes.get_handle_by_name("/driven").points[-1, 1] - target) < 0.01)
    driven = nodes.get_handle_by_name("/driven").points
    assert np.linalg.norm(driven[0, 0] - task.robot.tool_position(home)) < 0.01, "from where it was"
    shown(lambda: nodes.get_handle_by_name("/nearest"))
    shown(lambda: "converged, from interpolation, " in listener._text.content)
    arm.place(home)
    shown(lambda: nodes.get_handle_by_name("/planned").visible)


def test_refusals_and_silence_are_told(live: tuple) -> None:
    probe, arm, viewer, listener, _ = live
    ask(live, np.array([5.0, 0.0, 0.0]))

    def said(text: str) -> bool:
        listener.update()
        return text in listener._text.content

    arm.wait(lambda: said("refused, OUT_OF_REACH: ") and "no joint states" not in listener._text.content)
    probe.wait(lambda: said("no joint states for "))  # the arm is not asked to tick


def test_messages_that_cannot_be_read_are_told(live: tuple) -> None:
    """Handed over as they come from others: on the topics, the test's own probe would stumble over them."""
    _, _, viewer, listener, _ = live
    before = viewer.server.scene.get_handle_by_name("/goal/position").position
    moving = PointCloud2()
    moving.header.frame_id = f"{PREFIX}tool0"
    for show, message, told in (
        (listener._show_report, "{", "plan_report: a message cannot be read"),
        (listener._show_report, '{"status": "x", "goal": ["?"]}', "the goal ['?'] cannot be read"),
        (listener._show_plan, JointTrajectory(), "joint_trajectory: trajectory without points"),
        (listener._show_cloud, moving, "points: 'tool0' is neither the URDF's root link nor fixed to it"),
    ):
        show(message)
        listener.update()
        assert told in listener._text.content
    np.testing.assert_array_equal(viewer.server.scene.get_handle_by_name("/goal/position").position, before)


def test_clouds_are_thinned_and_placed(live: tuple) -> None:
    _, _, viewer, listener, _ = live
    points = np.tile([[0.5, 0.1, 0.3]], (3 * MOST_POINTS, 1))
    message = cloud(points)
    message.header.frame_id = f"{PREFIX}base_link"
    listener._show_cloud(message)
    shown = viewer.server.scene.get_handle_by_name("/points").points
    assert MOST_POINTS // 2 < len(shown) <= MOST_POINTS
    np.testing.assert_allclose(shown[0], [0.5, 0.1, 0.3], atol=1e-3)


def test_nodes_that_are_not_there_are_told(live: tuple) -> None:
    context = live[0].context
    with pytest.raises(ConfigError, match=r"no node /none answers within 0\.3 s"):
        meet("none", context, 0.3)
    with pytest.raises(ConfigError, match="--node must be a node's name such as /planner, got '/a b'"):
        meet("/a b", context, 0.3)


def test_the_command_shows_a_running_node(live: tuple) -> None:
    command = [sys.executable, "-m", "sobo_planner.cli", "view", "--node", "/planner", "--port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "/planner, task ur5\n"
            assert process.stdout.readline().startswith("open http://localhost:")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130 and "Traceback" not in err
