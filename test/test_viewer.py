"""The viewer on a real viser server: what stands where, beside Pinocchio; the time that is shown; what it is told."""

from __future__ import annotations

import builtins
import socket
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pinocchio as pin
import pytest

pytest.importorskip("viser", reason="needs viser: the extra `viz`")

from robots import ur5_urdf
from view_scenes import shelf_task, swinging_scene

from sobo_planner.errors import ConfigError
from sobo_planner.tasks import ArmReach
from sobo_planner.view.scene import Scene, items_of
from sobo_planner.view.viewer import Playback, Viewer, check_free, quaternion
from sobo_planner.world import Box, HalfSpace, Pose, World, WorldObject


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def scene(task: ArmReach) -> Scene:
    return swinging_scene(shelf_task(task))


@pytest.fixture(scope="module")
def viewer(scene: Scene) -> Iterator[Viewer]:
    made = Viewer(scene.robot, port=free_port())
    yield made
    made.close()


@pytest.fixture(scope="module")
def playback(viewer: Viewer, scene: Scene) -> Playback:
    return Playback(viewer, scene)


def transform(viewer: Viewer, name: str) -> pin.SE3:
    """Where a node is in the world: its own pose after those of the nodes above it."""
    out, parts = pin.SE3.Identity(), name.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        node = viewer.server.scene.get_handle_by_name("/" + "/".join(parts[:count]))
        if node is not None:  # a group without a pose of its own
            w, x, y, z = node.wxyz
            out = out * pin.SE3(pin.Quaternion(w, x, y, z).matrix(), np.array(node.position))
    return out


def corners(viewer: Viewer, name: str) -> np.ndarray:
    """The corners of a mesh in the world."""
    node = viewer.server.scene.get_handle_by_name(name)
    pose = transform(viewer, name)
    return np.asarray(node.vertices, float) @ pose.rotation.T + pose.translation


@pytest.mark.parametrize("seconds", [0.0, 0.73, 2.0])
def test_links_are_where_pinocchio_has_them(viewer: Viewer, playback: Playback, scene: Scene, seconds: float) -> None:
    model = pin.buildModelFromUrdf(str(ur5_urdf()))
    data = model.createData()
    playback.at(seconds)
    for name, motion in (("/robot", scene.plan), ("/proposal/arm", scene.proposal), ("/executed/arm", scene.executed)):
        assert motion is not None
        pin.framesForwardKinematics(model, data, motion.at(seconds))
        for joint in scene.robot.joint_names:
            found, meant = transform(viewer, f"{name}/{joint}"), data.oMi[model.getJointId(joint)]
            np.testing.assert_allclose(found.homogeneous, meant.homogeneous, atol=1e-6, err_msg=f"{name} {joint}")
    # The gripper of the world is a capsule 0.06 along z before tool0, whose middle is that of its corners.
    pin.framesForwardKinematics(model, data, scene.plan.at(seconds))
    meant = data.oMf[model.getFrameId("tool0")].act(np.array([0.0, 0.0, 0.06]))
    gripper = corners(viewer, "/robot/wrist_3_joint/attached/gripper")
    np.testing.assert_allclose(0.5 * (gripper.min(0) + gripper.max(0)), meant, atol=2e-3)


def test_the_world_and_the_ways_are_where_they_are(viewer: Viewer, playback: Playback, scene: Scene) -> None:
    bottle, shelf = corners(viewer, "/world/bottle"), corners(viewer, "/world/shelf")
    np.testing.assert_allclose([bottle.min(0), bottle.max(0)], [[0.68, 0.16, 0.16], [0.76, 0.24, 0.40]], atol=1e-6)
    np.testing.assert_allclose([shelf.min(0), shelf.max(0)], [[0.55, -0.42, 0.0], [0.87, 0.42, 0.86]], atol=1e-6)
    np.testing.assert_allclose(corners(viewer, "/planes/bench")[:, 2], -0.01, atol=1e-9)
    way = viewer.server.scene.get_handle_by_name("/plan").points
    np.testing.assert_allclose(way[:, 0], scene.way(scene.plan)[:-1], atol=1e-6)
    np.testing.assert_allclose(way[-1, 1], scene.way(scene.plan)[-1], atol=1e-6)
    np.testing.assert_allclose(viewer.server.scene.get_handle_by_name("/goal/position").position, scene.goal)
    for name, motion in (("proposal", scene.proposal), ("executed", scene.executed)):
        assert motion is not None
        way = viewer.server.scene.get_handle_by_name(f"/{name}/way").points
        np.testing.assert_allclose(way[-1, 1], scene.way(motion)[-1], atol=1e-6)


def test_a_browser_gets_its_page(viewer: Viewer) -> None:
    assert viewer.address.startswith("http://localhost:")
    with urllib.request.urlopen(viewer.address, timeout=10) as page:
        assert b"viser" in page.read().lower()


def test_playing_takes_the_arm_from_the_slider_to_the_end(viewer: Viewer, playback: Playback, scene: Scene) -> None:
    def wait(condition: Any) -> None:
        end = time.monotonic() + 20.0
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)

    def shown() -> np.ndarray:
        return transform(viewer, "/robot/wrist_3_joint").translation

    last = np.asarray(scene.robot.joint_placement(scene.plan.Q[-1], 5)[1])
    playback.slider.value = 1.7
    playback.play()
    wait(lambda: 1.7 < playback.slider.value < 2.0 or playback.slider.value == 2.0)
    wait(lambda: playback.slider.value == playback.duration and playback.button.label == "Play")
    wait(lambda: np.allclose(shown(), last, atol=1e-6))  # another thread draws it
    playback.play()  # from the beginning
    wait(lambda: 0.0 < playback.slider.value < 1.0)
    playback.play()  # pause
    wait(lambda: playback.button.label == "Play")
    assert playback.slider.value < playback.duration
    paused = scene.robot.joint_placement(scene.plan.at(playback.slider.value), 5)[1]
    wait(lambda: np.allclose(shown(), paused, atol=1e-3))


def test_goals_of_all_kinds(viewer: Viewer, playback: Playback, scene: Scene) -> None:
    nodes = viewer.server.scene
    pose = np.array([0.4, 0.1, 0.3, 0.0, 1.0, 0.0, 0.0])
    viewer.show_goal(pose, "pose")
    assert nodes.get_handle_by_name("/goal/position") is None
    np.testing.assert_allclose(transform(viewer, "/goal/pose").rotation, np.diag([-1.0, 1.0, -1.0]), atol=1e-9)
    viewer.show_goal(scene.plan.Q[-1], "joints")
    assert nodes.get_handle_by_name("/goal/pose") is None
    np.testing.assert_allclose(
        transform(viewer, "/goal/arm/wrist_3_joint").translation,
        scene.robot.joint_placement(scene.plan.Q[-1], 5)[1],
        atol=1e-6,
    )
    viewer.show_goal(scene.goal, "position")


def test_objects_come_and_go(viewer: Viewer, playback: Playback, scene: Scene) -> None:
    nodes = viewer.server.scene
    ball = nodes.get_handle_by_name("/world/ball")
    robot = scene.robot
    kept = tuple(item for item in scene.items if item.name != "shelf")
    more = items_of(robot, World((WorldObject("crate", (Box((0.1, 0.1, 0.1)), HalfSpace()), Pose((1.0, 0.0, 0.0))),)))
    viewer.show_items([*kept, *more])
    assert nodes.get_handle_by_name("/world/shelf") is None
    assert nodes.get_handle_by_name("/world/ball") is ball, "what did not change is not sent again"
    np.testing.assert_allclose(corners(viewer, "/world/crate").mean(0), [1.0, 0.0, 0.0], atol=1e-9)
    assert nodes.get_handle_by_name("/planes/crate") is not None
    viewer.show_items(scene.items)
    assert nodes.get_handle_by_name("/world/crate") is None and nodes.get_handle_by_name("/world/shelf") is not None


def test_plans_without_proposal_have_no_ghost(scene: Scene) -> None:
    viewer = Viewer(scene.robot, port=free_port())
    try:
        Playback(viewer, replace(scene, proposal=None, executed=None))
        assert viewer.server.scene.get_handle_by_name("/proposal/way") is None
        viewer.show_way("/plan", np.zeros((1, 3)), (0.0, 0.0, 0.0))
        assert viewer.server.scene.get_handle_by_name("/plan") is None, "a point is no way"
    finally:
        viewer.close()


def test_a_port_that_is_taken_is_told(viewer: Viewer, scene: Scene) -> None:
    port = viewer.server.get_port()
    with pytest.raises(ConfigError, match=rf"cannot listen at localhost, port {port}: .*; choose another"):
        Viewer(scene.robot, port=port)
    for host, wrong in (("localhost", 70000), ("no such host", 8080)):
        with pytest.raises(ConfigError, match=f"cannot listen at {host}, port {wrong}: "):
            check_free(host, wrong)


def test_without_viser_the_extra_is_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "viser":
            raise ModuleNotFoundError(name=name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'cannot import viser: .*pip install "sobo_planner\[viz\]"'):
        Viewer(scene.robot, port=free_port())


def test_quaternions_of_rotations(rng: np.random.Generator) -> None:
    for _ in range(20):
        rotation = pin.SE3.Random().rotation
        w, x, y, z = quaternion(rotation)
        np.testing.assert_allclose(pin.Quaternion(w, x, y, z).matrix(), rotation, atol=1e-12)
