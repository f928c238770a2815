"""Markers as obstacles: what they mean, and that a message counts whole or not at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Quaternion, Vector3
from geometry_msgs.msg import Pose as PoseMessage
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from sobo_planner.robot.frames import Placement
from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.markers import Markers, remaining
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.world import Box, Cylinder, Mesh, Pose, Sphere, WorldObject

TURNED = Placement(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)]))
FRAMES = GoalFrames("base_link", fixed={"base_link": Placement.identity(), "table": TURNED})
NAN = math.nan


def marker(number: int = 0, kind: int = Marker.CUBE, **fields: Any) -> Marker:
    given: dict[str, Any] = {
        "ns": "cell",
        "scale": Vector3(x=0.1, y=0.2, z=0.3),
        "header": Header(frame_id="base_link"),
    }
    made = Marker(id=number, type=kind, **(given | fields))
    if "pose" not in fields:
        made.pose.position.x = 0.5
    return made


def array(*markers: Marker) -> MarkerArray:
    return MarkerArray(markers=list(markers))


def only(message: Marker) -> WorldObject:
    found = Markers(FRAMES).take(array(message), 0.0)
    assert found is not None
    [placed] = found.values()
    return placed.body


def triangles(*points: tuple[float, float, float], scale: float = 1.0) -> Marker:
    corners = [Point(x=x, y=y, z=z) for x, y, z in points]
    return marker(kind=Marker.TRIANGLE_LIST, points=corners, scale=Vector3(x=scale, y=scale, z=scale))


@pytest.mark.parametrize(
    "kind, shape",
    [
        (Marker.CUBE, Box((0.1, 0.2, 0.3))),
        (Marker.SPHERE, Sphere(0.15)),
        (Marker.CYLINDER, Cylinder(radius=0.1, length=0.3)),
    ],
)
def test_solid_markers(kind: int, shape: Any) -> None:
    assert only(marker(7, kind)) == WorldObject("cell/7", shape, Pose((0.5, 0.0, 0.0)))


@pytest.mark.parametrize("kind, shape", [(Marker.CUBE_LIST, Box((0.1, 0.2, 0.3))), (Marker.SPHERE_LIST, Sphere(0.15))])
def test_lists_have_a_shape_at_each_point(kind: int, shape: Any) -> None:
    found = only(marker(kind=kind, points=[Point(x=0.1), Point(z=-0.2)]))
    assert [part.shape for part in found.parts] == [shape, shape]
    assert [part.pose.position for part in found.shapes] == [(0.6, 0.0, 0.0), (0.5, 0.0, -0.2)]


def test_triangles_are_a_mesh_in_the_markers_scale() -> None:
    a, b, c, d = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    [part] = only(triangles(a, b, c, a, c, d, a, a, b, scale=0.1)).parts  # the last one has no area
    assert isinstance(part.shape, Mesh) and len(part.shape.vertices) == 4 and len(part.shape.faces) == 2
    assert max(map(max, part.shape.vertices)) == pytest.approx(0.1)


def test_frames_are_those_of_goals() -> None:
    pose = PoseMessage(position=Point(x=1.0))
    found = only(marker(header=Header(frame_id="table"), pose=pose))
    assert found.pose.position == pytest.approx((0.0, 1.0, 1.0))
    assert found.pose.quaternion == pytest.approx((0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)))


@pytest.mark.parametrize(
    "bad, status, message",
    [
        (marker(kind=Marker.ARROW), Status.BAD_WORLD, "marker 'cell/0': the type 0 is not solid"),
        (marker(action=1), Status.BAD_WORLD, "the action 1 is not"),
        (marker(scale=Vector3(x=0.1, y=0.1)), Status.BAD_WORLD, "marker 'cell/0': size of a box"),
        (marker(scale=Vector3(x=0.1, y=NAN, z=0.1)), Status.BAD_WORLD, "size of a box"),
        (marker(kind=Marker.SPHERE, scale=Vector3(x=0.1)), Status.BAD_WORLD, "size of a box"),
        (marker(kind=Marker.CYLINDER, scale=Vector3(x=0.1, z=0.1)), Status.BAD_WORLD, "size of a box"),
        (marker(kind=Marker.CUBE_LIST), Status.BAD_WORLD, "one or more shapes"),
        (marker(kind=Marker.CUBE_LIST, points=[Point(x=math.inf)]), Status.BAD_WORLD, "position"),
        (marker(pose=PoseMessage(position=Point(z=NAN))), Status.BAD_WORLD, "position"),
        (marker(pose=PoseMessage(orientation=Quaternion(w=0.5))), Status.BAD_WORLD, "norm 0.5"),
        (triangles((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)), Status.BAD_WORLD, "three points for each triangle, got 2"),
        (triangles(), Status.BAD_WORLD, "got 0 points"),
        (triangles((NAN, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), Status.BAD_WORLD, "not finite"),
        (triangles(*3 * [(0.0, 0.0, 0.0)]), Status.BAD_WORLD, "must have"),
        (marker(ns="\x1b[31m"), Status.BAD_WORLD, "printable"),
        (marker(header=Header(frame_id="map"), frame_locked=True), Status.BAD_WORLD, "locked to the frame 'map'"),
        (marker(header=Header(frame_id="map")), Status.BAD_FRAME, "cell/0: marker in frame 'map'"),
        (marker(header=Header()), Status.BAD_FRAME, "marker without a frame"),
    ],
)
def test_what_cannot_be_an_obstacle_is_refused_whole(bad: Marker, status: Status, message: str) -> None:
    markers = Markers(FRAMES)
    with pytest.raises(Refused, match=message) as refused:
        markers.take(array(marker(1), bad), 0.0)
    assert refused.value.status is status
    assert markers.take(array(), 0.0) is None, "nothing of it counts"


def test_markers_are_changed_and_deleted_by_their_names() -> None:
    markers = Markers(FRAMES)
    markers.take(array(marker(1), marker(2), marker(1, ns="other")), 0.0)
    found = markers.take(array(marker(2, Marker.SPHERE), marker(1, action=Marker.DELETE), marker(9, action=2)), 0.0)
    assert found is not None and {key: each.body.parts[0].shape for key, each in found.items()} == {
        ("cell", 2): Sphere(0.15),
        ("other", 1): Box((0.1, 0.2, 0.3)),
    }
    found = markers.take(array(Marker(action=Marker.DELETEALL), marker(5)), 0.0)
    assert found is not None and list(found) == [("cell", 5)]


def test_after_a_refusal_all_that_it_named_has_to_come_again() -> None:
    markers = Markers(FRAMES)
    assert markers.take(array(marker(1)), 0.0) is not None
    with pytest.raises(Refused):
        markers.take(array(marker(2), marker(3, Marker.ARROW)), 0.0)
    assert markers.take(array(marker(4)), 0.0) is None and "cell/2, cell/3" in markers.in_doubt
    assert markers.take(array(marker(2)), 0.0) is None
    found = markers.take(array(marker(3, action=Marker.DELETE)), 0.0)
    assert found is not None and sorted(found) == [("cell", 1), ("cell", 2), ("cell", 4)] and markers.in_doubt == ""


def test_a_refused_message_that_deletes_all_has_to_come_again() -> None:
    markers = Markers(FRAMES)
    with pytest.raises(Refused):
        markers.take(array(Marker(action=Marker.DELETEALL), marker(1, Marker.ARROW)), 0.0)
    assert markers.take(array(marker(1)), 0.0) is None and "deletes all" in markers.in_doubt
    assert markers.take(array(Marker(action=Marker.DELETEALL)), 0.0) == {}


def test_what_would_be_over_by_now_is_in_doubt_no_more() -> None:
    """As with a sender that numbers all that it sees anew."""
    markers = Markers(FRAMES)
    markers.take(array(marker(1)), 0.0)
    with pytest.raises(Refused):
        markers.take(array(marker(1, lifetime=Duration(sec=2)), marker(2, Marker.ARROW, lifetime=Duration(sec=1))), 5.0)
    assert markers.take(array(marker(3)), 6.5) is None
    found = markers.take(array(), 7.5)
    assert found is not None and list(found) == [("cell", 3)], "the refused 1 took the place of the one before"


def test_markers_expire() -> None:
    found = Markers(FRAMES).take(array(marker(1), marker(2, lifetime=Duration(sec=2, nanosec=500_000_000))), 10.0)
    assert found is not None
    assert remaining(found, 12.4) is found and list(remaining(found, 12.6)) == [("cell", 1)]
