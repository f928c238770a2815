"""Markers of the planner node become the objects that its world has."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_serving import coasting_motion
from view_scenes import shelf_task
from visualization_msgs.msg import Marker, MarkerArray

from sobo_planner.errors import RobotError
from sobo_planner.ros.live.shown_markers import items_of_markers, text_of_markers, unchanged
from sobo_planner.ros.outputs.scene_markers import markers as markers_of
from sobo_planner.ros.outputs.scene_markers import nearest_along
from sobo_planner.tasks import ArmReach
from sobo_planner.view.scene import items_of


def bounds(vertices: np.ndarray) -> np.ndarray:
    return np.array([vertices.min(0), vertices.max(0)])


def test_markers_show_what_the_world_has(task: ArmReach) -> None:
    robot = shelf_task(task).robot
    shown = {item.name: item for item in items_of_markers(robot, markers_of(robot, None, "left_"), "left_")}
    meant = {item.name: item for item in items_of(robot, robot.world)}
    assert set(shown) == set(meant) == {"bench", "shelf", "bottle", "ball", "gripper"}
    for name in ("shelf", "bottle", "ball", "gripper"):
        assert shown[name].joint == meant[name].joint
        np.testing.assert_allclose(
            bounds(shown[name].surface.vertices), bounds(meant[name].surface.vertices), atol=1e-6, err_msg=name
        )
    assert shown["bench"].surface.vertices[:, 2].max() == pytest.approx(-0.01)
    assert shown["gripper"].joint == 5 and shown["shelf"].colour == pytest.approx((0.6, 0.6, 0.6))


def test_objects_that_did_not_change_stay_the_same(task: ArmReach, home: np.ndarray) -> None:
    """The nearest one gets another colour; the text says which it is."""
    robot = shelf_task(task).robot
    before = items_of_markers(robot, markers_of(robot, None))
    assert unchanged(items_of_markers(robot, markers_of(robot, None)), before) == before
    assert text_of_markers(markers_of(robot, None)) is None
    motion = coasting_motion(np.array([*home, 0.5, *5 * [0.0]]), 0.0, 0.02)
    nearest = nearest_along(robot, motion.X[:, :6])
    message = markers_of(robot, motion)
    after = unchanged(items_of_markers(robot, message), before)
    assert nearest is not None
    changed = {new.name for new, old in zip(after, before, strict=True) if new is not old}
    assert changed == set(nearest.names) & {item.name for item in before} and changed
    found = text_of_markers(message)
    assert found is not None and " - ".join(nearest.names) in found[0]
    np.testing.assert_allclose(found[1], nearest.tool)


def test_markers_that_cannot_be_shown_are_told(task: ArmReach) -> None:
    strange = Marker(ns="thing", type=Marker.CUBE, action=Marker.ADD)
    strange.header.frame_id = "nowhere"
    strange.pose.orientation.w = 1.0
    strange.scale.x = strange.scale.y = strange.scale.z = 0.1
    with pytest.raises(RobotError, match="thing is in the frame 'nowhere', which is no link of ur5"):
        items_of_markers(task.robot, MarkerArray(markers=[strange]))
    strange.scale.x = -1.0
    with pytest.raises(RobotError, match="thing/0 cannot be shown: .* got -1"):
        items_of_markers(task.robot, MarkerArray(markers=[strange]))
