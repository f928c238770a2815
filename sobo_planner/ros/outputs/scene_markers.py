"""What RViz shows of a plan: the objects that were avoided, the way of the tool, and what comes nearest to what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from geometry_msgs.msg import Pose as PoseMessage
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from sobo_planner.motion import Followed, Motion
from sobo_planner.robot import Robot
from sobo_planner.world import (
    AttachedObject,
    Box,
    Capsule,
    Cylinder,
    HalfSpace,
    Mesh,
    Part,
    Pose,
    Shape,
    Sphere,
    World,
    WorldObject,
)
from sobo_planner.world.values import Triple

LATEST = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
#: Objects of more shapes are left out: clouds, which RViz shows itself.
MOST_PARTS = 100
#: Size of the square that stands for a half-space, and its thickness [m].
GROUND = (4.0, 4.0, 0.01)
GREY, ORANGE, RED, GREEN = (0.6, 0.6, 0.6, 0.7), (1.0, 0.6, 0.0, 0.8), (0.9, 0.1, 0.1, 0.9), (0.2, 0.8, 0.3, 1.0)
LINE, TEXT = 0.005, 0.04  # width of the tool's way, height of letters [m]

_UNTURNED = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Nearest:
    """What comes nearest to what along a motion.

    Attributes:
        names: Of the two bodies.
        distance: Between them [m]; negative where they overlap.
        tool: Where the tool is then, (3,) [m].
    """

    names: tuple[str, str]
    distance: float
    tool: NDArray[np.float64]


def nearest_along(robot: Robot, Q: NDArray[np.float64]) -> Nearest | None:
    """What comes nearest to an obstacle at configurations Q (N, nq); None where there are none."""
    found = robot.nearest_object(Q)
    if found is None:
        return None
    distances = [one.distance for q in Q if (one := robot.nearest_object(q[None])) is not None]
    return Nearest((found.first, found.second), found.distance, robot.tool_position(Q[int(np.argmin(distances))]))


def markers(robot: Robot, motion: Motion | None, prefix: str = "") -> MarkerArray:
    """All markers of a robot's world and of a motion among its objects, which replace those of before.

    Args:
        robot: Knows its world.
        motion: What the arm follows, or followed last.
        prefix: What stands before the names of links in tf.
    """
    world, root = robot.world, prefix + robot.root_link
    Q = None if motion is None else motion.X[:, : robot.nq]
    nearest = None if Q is None else nearest_along(robot, Q)
    out = [Marker(header=Header(frame_id=root), action=Marker.DELETEALL)]
    for each in world.everything:
        frame = prefix + each.link if isinstance(each, AttachedObject) else root
        out += _object(each, frame, _colour(each.name, nearest))
    if Q is not None:
        points = [_point(row) for row in robot.tool_positions(Q).tolist()]
        scale = Vector3(x=LINE)
        out.append(_marker(root, "way of the tool", 0, Marker.LINE_STRIP, scale, GREEN, points=points))
    if nearest is not None:
        text = f"{' - '.join(nearest.names)}: {1e3 * nearest.distance:.0f} mm"
        at = Pose(tuple(nearest.tool.tolist()))
        colour = _colour(nearest.names[1], nearest)
        out.append(_marker(root, "nearest", 0, Marker.TEXT_VIEW_FACING, Vector3(z=TEXT), colour, at, text=text))
    return MarkerArray(markers=out)


def _colour(name: str, nearest: Nearest | None) -> tuple[float, ...]:
    if nearest is None or name not in nearest.names:
        return GREY
    return ORANGE if nearest.distance > 0.0 else RED


def _object(each: WorldObject | AttachedObject, frame: str, colour: tuple[float, ...]) -> Iterator[Marker]:
    if len(each.parts) > MOST_PARTS:
        return
    number = 0
    for part in each.shapes:
        for kind, scale, pose, points in _drawn(part):
            yield _marker(frame, each.name, number, kind, scale, colour, pose, points)
            number += 1


def _drawn(part: Part) -> Iterator[tuple[int, Vector3, Pose, list[Point]]]:
    """Types, sizes, poses and points of the markers that a shape is drawn with."""
    shape: Shape = part.shape
    if isinstance(shape, Box):
        yield Marker.CUBE, _size(shape.size), part.pose, []
    elif isinstance(shape, Sphere):
        yield Marker.SPHERE, _size(3 * (2.0 * shape.radius,)), part.pose, []
    elif isinstance(shape, (Cylinder, Capsule)):
        across = 2.0 * shape.radius
        yield Marker.CYLINDER, _size((across, across, shape.length)), part.pose, []
        if isinstance(shape, Capsule):
            for end in (-0.5 * shape.length, 0.5 * shape.length):
                yield Marker.SPHERE, _size((across, across, across)), part.pose @ Pose((0.0, 0.0, end)), []
    elif isinstance(shape, HalfSpace):
        turned = Pose((0.0, 0.0, 0.0), _turn_to(shape.normal))
        below = Pose((0.0, 0.0, shape.offset - 0.5 * GROUND[2]))
        yield Marker.CUBE, _size(GROUND), part.pose @ turned @ below, []
    else:
        yield Marker.TRIANGLE_LIST, _size((1.0, 1.0, 1.0)), part.pose, _corners(shape)


def _turn_to(normal: Triple) -> tuple[float, float, float, float]:
    """The shortest turn of z to a unit vector."""
    x, y, z = normal
    if z < -1.0 + 1e-9:
        return 1.0, 0.0, 0.0, 0.0
    quaternion = np.array([-y, x, 0.0, 1.0 + z])
    a, b, c, d = (quaternion / np.linalg.norm(quaternion)).tolist()
    return a, b, c, d


def _corners(mesh: Mesh) -> list[Point]:
    """Three points for each triangle; of a hull, those of its box."""
    if mesh.faces:
        return [_point(mesh.vertices[index]) for face in mesh.faces for index in face]
    low, high = np.min(mesh.vertices, axis=0), np.max(mesh.vertices, axis=0)
    corners = [[(low, high)[(n >> axis) & 1][axis] for axis in range(3)] for n in range(8)]
    sides = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
    return [_point(corners[n]) for a, b, c, d in sides for n in (a, b, c, a, c, d)]


def _marker(
    frame: str,
    name: str,
    number: int,
    kind: int,
    scale: Vector3,
    colour: tuple[float, ...],
    pose: Pose | None = None,
    points: list[Point] | None = None,
    text: str = "",
) -> Marker:
    r, g, b, a = colour
    pose = pose or Pose()
    x, y, z, w = pose.quaternion
    placed = PoseMessage(position=_point(pose.position), orientation=Quaternion(x=x, y=y, z=z, w=w))
    named = Marker(header=Header(frame_id=frame), ns=name, id=number, type=kind, frame_locked=True)
    named.scale, named.pose, named.color = scale, placed, ColorRGBA(r=r, g=g, b=b, a=a)
    named.points, named.text = points or [], text
    return named


def _point(values: Triple | list[float]) -> Point:
    return Point(x=float(values[0]), y=float(values[1]), z=float(values[2]))


def _size(values: tuple[float, ...]) -> Vector3:
    return Vector3(x=values[0], y=values[1], z=values[2])


class SceneMarkers:
    """Publishes `~/markers` when something changed and somebody listens; `update` is to be called now and then.

    Args:
        node: Owner of the publisher.
        robot: The robot, in the world of the node's file.
        followed: What the arm follows.
        world: The world as it is known now.
        margin: Distance [m] to be kept from objects.
        prefix: What stands before the names of links in tf.
    """

    def __init__(
        self, node: Node, robot: Robot, followed: Followed, world: Callable[[], World], margin: float, prefix: str
    ) -> None:
        self._node, self._robot, self._followed, self._world = node, robot, followed, world
        self._margin, self._prefix = margin, prefix
        self._publisher = node.create_publisher(MarkerArray, "~/markers", LATEST)
        self._shown: tuple[int, Motion | None] | None = None

    def update(self) -> None:
        """Publishes what is not shown yet."""
        world, timeline = self._world(), self._followed.timeline
        motion = None if timeline is None else timeline.last
        known = self._shown is not None and self._shown[0] == world.version and self._shown[1] is motion
        if known or self._publisher.get_subscription_count() == 0:
            return
        self._publisher.publish(markers(self._robot.with_world(world, self._margin), motion, self._prefix))
        self._shown = world.version, motion

    def destroy(self) -> None:
        """Removes the publisher."""
        self._node.destroy_publisher(self._publisher)
