"""What RViz shows of the world and of a motion."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from scripted_serving import coasting_motion
from visualization_msgs.msg import Marker, MarkerArray

from sobo_planner.motion import Followed, Motion
from sobo_planner.robot import Robot
from sobo_planner.ros.outputs.scene_markers import LATEST, MOST_PARTS, SceneMarkers, markers
from sobo_planner.ros.support import domain
from sobo_planner.tasks import ArmReach
from sobo_planner.world import (
    AttachedObject,
    Box,
    Capsule,
    Cylinder,
    HalfSpace,
    Mesh,
    Part,
    Pose,
    Sphere,
    World,
    WorldObject,
)

TETRAHEDRON = ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, 0.3))
AWAY = Pose((2.0, 0.0, 0.0))


def drawn(robot: Robot, *objects: WorldObject | AttachedObject, motion: Motion | None = None) -> list[Marker]:
    """The markers of objects, without the one that deletes all."""
    obstacles = tuple(each for each in objects if isinstance(each, WorldObject))
    attached = tuple(each for each in objects if isinstance(each, AttachedObject))
    first, *others = markers(robot.with_world(World(obstacles, attached)), motion, "left_").markers
    assert first.action == Marker.DELETEALL
    return others


@pytest.mark.parametrize(
    "shape, kinds, scale",
    [
        (Box((0.1, 0.2, 0.3)), [Marker.CUBE], (0.1, 0.2, 0.3)),
        (Sphere(0.1), [Marker.SPHERE], (0.2, 0.2, 0.2)),
        (Cylinder(0.1, 0.5), [Marker.CYLINDER], (0.2, 0.2, 0.5)),
        (Capsule(0.1, 0.5), [Marker.CYLINDER, Marker.SPHERE, Marker.SPHERE], (0.2, 0.2, 0.5)),
        (Mesh(TETRAHEDRON, ((0, 1, 2), (0, 1, 3))), [Marker.TRIANGLE_LIST], (1.0, 1.0, 1.0)),
    ],
)
def test_shapes_are_what_they_are(task: ArmReach, shape: object, kinds: list[int], scale: tuple[float, ...]) -> None:
    found = drawn(task.robot, WorldObject("thing", shape, AWAY))  # type: ignore[arg-type]
    assert [each.type for each in found] == kinds
    assert (found[0].scale.x, found[0].scale.y, found[0].scale.z) == pytest.approx(scale)
    assert found[0].header.frame_id == "left_base_link" and found[0].pose.position.x == 2.0
    assert len({(each.ns, each.id) for each in found}) == len(found) and {each.ns for each in found} == {"thing"}


def test_ends_of_capsules_and_corners_of_meshes_are_where_they_belong(task: ArmReach) -> None:
    turned = Pose((2.0, 0.0, 0.0), (0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5)))  # z along x
    _, low, high = drawn(task.robot, WorldObject("rod", Capsule(0.1, 0.5), turned))
    assert (low.pose.position.x, high.pose.position.x) == pytest.approx((1.75, 2.25))
    [mesh] = drawn(task.robot, WorldObject("mesh", Mesh(TETRAHEDRON, ((0, 1, 2), (0, 1, 3))), AWAY))
    corners = [(point.x, point.y, point.z) for point in mesh.points]
    assert corners == [TETRAHEDRON[n] for n in (0, 1, 2, 0, 1, 3)]
    [hull] = drawn(task.robot, WorldObject("hull", Mesh(TETRAHEDRON, convex=True), AWAY))
    box = {(point.x, point.y, point.z) for point in hull.points}
    assert box == {(x, y, z) for x in (0.0, 0.1) for y in (0.0, 0.2) for z in (0.0, 0.3)} and len(hull.points) == 36


@pytest.mark.parametrize("normal", [(0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.6, 0.0, 0.8)])
def test_half_spaces_end_at_their_plane(task: ArmReach, normal: tuple[float, float, float]) -> None:
    [found] = drawn(task.robot, WorldObject("floor", HalfSpace(normal, -1.0)))
    p, o = found.pose.position, found.pose.orientation
    pose = Pose((p.x, p.y, p.z), (o.x, o.y, o.z, o.w))
    top = pose.point((0.5, 0.3, 0.5 * found.scale.z))
    assert np.dot(normal, top) == pytest.approx(-1.0)
    assert pose.direction((0.0, 0.0, 1.0)) == pytest.approx(normal)


def test_attached_objects_move_with_their_link_and_clouds_are_left_out(task: ArmReach) -> None:
    cloud = tuple(Part(Sphere(0.01), Pose((2.0, 0.0, 0.1 * n))) for n in range(MOST_PARTS + 1))
    [held] = drawn(task.robot, AttachedObject("held", "tool0", Sphere(0.05)), WorldObject("points", cloud))
    assert held.ns == "held" and held.header.frame_id == "left_tool0" and held.frame_locked


@pytest.mark.parametrize("gap, red", [(0.05, 0.0), (-0.02, 1.0)])
def test_what_comes_nearest_is_named_and_coloured(task: ArmReach, home: np.ndarray, gap: float, red: float) -> None:
    motion = coasting_motion(np.array([*home, 0.5, *5 * [0.0]]), 0.0, 0.02)
    above = Pose((0.0, 0.0, 1.5))
    small = task.robot.with_world(World((WorldObject("near", Sphere(0.01), above),))).nearest_object(motion.X[:, :6])
    assert small is not None
    near = WorldObject("near", Sphere(0.01 + small.distance - gap), above)
    found = drawn(task.robot, near, WorldObject("far", Sphere(0.1), AWAY), motion=motion)
    colours = {each.ns: each.color for each in found}
    assert colours["far"].r == pytest.approx(0.6) and colours["near"].r > 0.8
    assert (colours["near"].g < 0.2) == bool(red)
    [text] = [each for each in found if each.type == Marker.TEXT_VIEW_FACING]
    assert "near: " in text.text and text.text.endswith(f"{1e3 * gap:.0f} mm")
    [way] = [each for each in found if each.type == Marker.LINE_STRIP]
    assert len(way.points) == len(motion.X)
    ends = task.robot.tool_positions(motion.X[[0, -1], :6])
    np.testing.assert_allclose([[p.x, p.y, p.z] for p in (way.points[0], way.points[-1])], ends)


@pytest.fixture
def node() -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    node = Node("planner", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def test_changes_are_published_to_those_who_listen(node: Node, task: ArmReach, home: np.ndarray) -> None:
    worlds, followed = [World((WorldObject("can", Sphere(0.1), AWAY),))], Followed()
    shown = SceneMarkers(node, task.robot, followed, lambda: worlds[-1], 0.0, "")
    sent: list[MarkerArray] = []
    publish, shown._publisher.publish = shown._publisher.publish, sent.append
    shown.update()
    assert sent == [], "nobody listens"
    heard: list[MarkerArray] = []
    node.create_subscription(MarkerArray, "planner/markers", heard.append, LATEST)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    while shown._publisher.get_subscription_count() == 0:
        executor.spin_once(timeout_sec=0.1)
    for _ in range(2):
        shown.update()
    assert [len(each.markers) for each in sent] == [2]
    followed.add(coasting_motion(np.array([*home, *np.zeros(6)]), 0.0, 0.02), 0.0)
    for _ in range(2):
        shown.update()
    worlds.append(World())
    for _ in range(2):
        shown.update()
    assert [len(each.markers) for each in sent] == [2, 4, 2]
    publish(sent[1])
    while not heard:
        executor.spin_once(timeout_sec=1.0)
    assert [each.ns for each in heard[0].markers] == ["", "can", "way of the tool", "nearest"]
