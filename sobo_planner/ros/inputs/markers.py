"""Obstacles from marker arrays, as RViz shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, Vector3
from visualization_msgs.msg import Marker, MarkerArray

from sobo_planner.errors import WorldError
from sobo_planner.robot.frames import Placement
from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.world import Box, Cylinder, Mesh, Part, Pose, Shape, Sphere, WorldObject

Key = tuple[str, int]

ADD, DELETE, DELETEALL = Marker.ADD, Marker.DELETE, Marker.DELETEALL
#: Names in doubt that are remembered; with more of them all markers are.
MOST_IN_DOUBT = 10_000
#: Kinds of markers that are solid, and what they are.
KINDS = {
    Marker.CUBE: "cube",
    Marker.SPHERE: "sphere",
    Marker.CYLINDER: "cylinder",
    Marker.CUBE_LIST: "cube list",
    Marker.SPHERE_LIST: "sphere list",
    Marker.TRIANGLE_LIST: "triangle list",
}


@dataclass(frozen=True)
class Placed:
    """A marker that was added.

    Attributes:
        body: What it stands for.
        expires: Monotonic time [s] at which it is gone; infinite for one that stays.
    """

    body: WorldObject
    expires: float = math.inf


class Markers:
    """The markers that are there, from messages that change some of them.

    A message is taken whole or not at all. What a message that was refused would have changed is in doubt: what comes
    afterwards is kept back until all of that was sent again, its lifetime is over, or all markers were deleted.

    Args:
        frames: Brings poses into the root link's frame.
    """

    def __init__(self, frames: GoalFrames) -> None:
        self._frames = frames
        self._placed: dict[Key, Placed] = {}
        self._doubt: dict[Key, float] = {}  # until when, in monotonic time [s]
        self._all_in_doubt = False

    def take(self, message: MarkerArray, now: float) -> dict[Key, Placed] | None:
        """Takes a message.

        Args:
            message: What came in.
            now: Monotonic time [s].

        Returns:
            The markers that are there now; None while some are in doubt.

        Raises:
            Refused: BAD_WORLD or BAD_FRAME, with the marker.
        """
        over = {key for key, until in self._doubt.items() if until <= now}
        placed = {key: each for key, each in self._placed.items() if each.expires > now and key not in over}
        doubt = {key: until for key, until in self._doubt.items() if key not in over}
        all_in_doubt = self._all_in_doubt
        try:
            for marker in message.markers:
                if marker.action == DELETEALL:
                    placed, doubt, all_in_doubt = {}, {}, False
                    continue
                key = marker.ns, marker.id
                doubt.pop(key, None)
                if marker.action == DELETE:
                    placed.pop(key, None)
                elif marker.action == ADD:  # the same number as MODIFY
                    placed[key] = self._read(marker, now)
                else:
                    raise _refused(marker, f"the action {marker.action} is not one of 0 (add), 2 and 3 (delete)")
        except Refused:
            self.doubt(message, now)
            raise
        self._placed, self._doubt, self._all_in_doubt = placed, doubt, all_in_doubt
        return None if doubt or all_in_doubt else placed

    def doubt(self, message: MarkerArray, now: float) -> None:
        """What a message that was refused would have changed is in doubt from a monotonic time [s] on."""
        for marker in message.markers:
            if marker.action == DELETEALL:
                self._all_in_doubt = True
                continue
            lifetime = _lifetime(marker) if marker.action == ADD else math.inf
            self._doubt[marker.ns, marker.id] = now + lifetime
        if len(self._doubt) > MOST_IN_DOUBT:
            self._doubt, self._all_in_doubt = {}, True

    @property
    def in_doubt(self) -> str:
        """What has to be sent again; empty if nothing."""
        if self._all_in_doubt:
            return "a message that deletes all markers was refused: send it again"
        names = sorted(map(name_of, self._doubt))
        return f"a message was refused that changed {', '.join(names[:5])}: send them again" if names else ""

    def _read(self, marker: Marker, now: float) -> Placed:
        if marker.type not in KINDS:
            known = ", ".join(f"{number} ({kind})" for number, kind in KINDS.items())
            raise _refused(marker, f"the type {marker.type} is not solid; these are {known}")
        frame = marker.header.frame_id
        if marker.frame_locked and not self._frames.is_fixed(frame):
            raise _refused(marker, f"it is locked to the frame {frame!r}, which may move; send it anew as it moves")
        try:
            pose = pose_of(self._frames.in_root(marker.header, "marker")) @ own_pose(marker)
            body = WorldObject(name_of((marker.ns, marker.id)), parts_of(marker), pose)
        except WorldError as error:
            raise _refused(marker, str(error)) from error
        except Refused as refusal:
            raise Refused(refusal.status, f"{name_of((marker.ns, marker.id))}: {refusal.detail}") from refusal
        return Placed(body, now + _lifetime(marker))


def _lifetime(marker: Marker) -> float:
    """For how long a marker is there [s]; infinity for good, which messages say by 0."""
    seconds = marker.lifetime.sec + 1e-9 * marker.lifetime.nanosec
    return float(seconds) if seconds > 0.0 else math.inf


def name_of(key: Key) -> str:
    """The name of a marker in the world: `namespace/number`."""
    return f"{key[0]}/{key[1]}"


def pose_of(placement: Placement) -> Pose:
    """A placement as worlds have it."""
    x, y, z = placement.position.tolist()
    quaternion = placement.quaternion / np.linalg.norm(placement.quaternion)
    qx, qy, qz, qw = quaternion.tolist()
    return Pose((x, y, z), (qx, qy, qz, qw))


def _refused(marker: Marker, detail: str) -> Refused:
    return Refused(Status.BAD_WORLD, f"marker {name_of((marker.ns, marker.id))!r}: {detail}")


def _xyz(point: Point | Vector3) -> tuple[float, float, float]:
    return point.x, point.y, point.z


def own_pose(marker: Marker) -> Pose:
    o = marker.pose.orientation
    return Pose(_xyz(marker.pose.position), (o.x, o.y, o.z, o.w))


def parts_of(marker: Marker) -> tuple[Part, ...]:
    """The shapes of a marker, in its own frame."""
    scale = _xyz(marker.scale)
    if marker.type == Marker.TRIANGLE_LIST:
        return (Part(_triangles(marker)),)
    if marker.type == Marker.CYLINDER:
        Box(scale)  # all of its sizes are checked
        return (Part(Cylinder(radius=0.5 * max(scale[:2]), length=scale[2])),)
    shape: Shape = Box(scale) if marker.type in (Marker.CUBE, Marker.CUBE_LIST) else _ball(scale)
    if marker.type in (Marker.CUBE_LIST, Marker.SPHERE_LIST):
        return tuple(Part(shape, Pose(_xyz(point))) for point in marker.points)
    return (Part(shape),)


def _ball(scale: tuple[float, float, float]) -> Sphere:
    """The ball that holds an ellipsoid of three diameters."""
    Box(scale)  # all of them are checked
    return Sphere(0.5 * max(scale))


def _triangles(marker: Marker) -> Mesh:
    """The mesh of a list of corners, three for each triangle; triangles without area are left out."""
    corners = np.array([_xyz(point) for point in marker.points]).reshape(-1, 3) * Box(_xyz(marker.scale)).size
    if not len(corners) or len(corners) % 3:
        raise WorldError(f"a triangle list needs three points for each triangle, got {len(corners)} points")
    if not np.isfinite(corners).all():
        raise WorldError("a point of the triangle list is not finite")
    points, index = np.unique(corners, axis=0, return_inverse=True)
    faces = index.reshape(-1, 3)
    a, b, c = faces.T
    kept = faces[(a != b) & (b != c) & (c != a)].tolist()
    return Mesh(tuple(map(tuple, points.tolist())), tuple(map(tuple, kept)))


def remaining(placed: dict[Key, Placed], now: float) -> dict[Key, Placed]:
    """Those that have not expired at a monotonic time [s]; the same dictionary if that is all of them."""
    if all(each.expires > now for each in placed.values()):
        return placed
    return {key: each for key, each in placed.items() if each.expires > now}
