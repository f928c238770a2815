"""The node's subscriptions to what worlds are made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from sobo_planner.errors import ConfigError, WorldError
from sobo_planner.ros.inputs import planning_scenes
from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.markers import Key, Markers, Placed, remaining
from sobo_planner.ros.inputs.planning_scenes import Scenes
from sobo_planner.ros.inputs.point_clouds import read_points, within_reach
from sobo_planner.ros.inputs.worlds import Layer, Worlds
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.world import WorldObject
from sobo_planner.world.voxels import boxes

OBSTACLES, PLANNING_SCENE, POINTS = "obstacles", "planning_scene", "points"
TOPICS = (OBSTACLES, PLANNING_SCENE, POINTS)
# Changes must not be lost; of clouds only the newest counts.
CHANGES = QoSProfile(depth=100)
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# Frames that clouds may come in: sensors.
MOST_SENSORS = 16


def topics_of(text: str) -> tuple[str, ...]:
    """The topics that the parameter `world_topics` names.

    Raises:
        ConfigError: One of them is none, or cannot be listened to.
    """
    names = tuple(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))
    for name in names:
        if name not in TOPICS:
            raise ConfigError(f"the parameter world_topics must name some of {', '.join(TOPICS)}, got {name!r}")
    if PLANNING_SCENE in names and not planning_scenes.available():
        raise ConfigError("planning_scene in the parameter world_topics needs moveit_msgs, which is not installed")
    return names


class WorldIntake:
    """Reads messages into a world. Each is taken whole, or refused whole and the last world stays.

    Args:
        worlds: Where layers go.
        frames: Brings poses into the root link's frame.
        scenes: Keeps the planning scene.
        reach: Distance [m] from the root link's origin beyond which points do not matter to the links.
        resolution: Edge of the cubes that stand for points [m].
        values: The node's parameters.
        now: ROS time [s].
        refused: Told why a message was refused.
    """

    def __init__(
        self,
        worlds: Worlds,
        frames: GoalFrames,
        scenes: Scenes,
        reach: float,
        resolution: float,
        values: Mapping[str, Any],
        now: Callable[[], float],
        refused: Callable[[Refused], None],
    ) -> None:
        self.worlds, self._frames = worlds, frames
        self._markers, self._scenes = Markers(frames), scenes
        self._reach, self._resolution = reach, resolution
        self._values, self._now, self._note = values, now, refused
        self._placed: tuple[dict[Key, Placed], float] = {}, 0.0  # markers that are in the world, and when they were
        self._newest: dict[str, float] = {}  # stamps of clouds
        self._coarsest: dict[str, float] = {}  # grids of clouds

    def obstacles(self, message: MarkerArray) -> None:
        """Takes markers."""
        try:
            stamps = [marker.header.stamp for marker in message.markers if marker.action == 0]
            measured = min((self._measured(stamp) for stamp in stamps), default=time.monotonic())
        except Refused as refusal:
            self._markers.doubt(message, time.monotonic())
            self._refuse(OBSTACLES, refusal)
            return
        try:
            placed = self._markers.take(message, measured)
            if placed is None:
                raise Refused(Status.BAD_WORLD, self._markers.in_doubt)
        except Refused as refusal:
            self._refuse(OBSTACLES, refusal)
            return
        try:
            self._show(placed, measured)
        except Refused as refusal:
            self._markers.doubt(message, time.monotonic())
            self._refuse(OBSTACLES, refusal)

    def _show(self, placed: dict[Key, Placed], measured: float) -> None:
        there = remaining(placed, time.monotonic())
        self.worlds.accept(OBSTACLES, Layer(tuple(each.body for each in there.values()), measured=measured))
        self._placed = there, measured

    def expire(self) -> None:
        """Removes markers whose lifetime is over; to be called now and then.

        Not while some are in doubt: those that should have taken their places may have been refused.
        """
        placed, measured = self._placed
        if not self._markers.in_doubt and remaining(placed, time.monotonic()) is not placed:
            self._show(placed, measured)

    def planning_scene(self, message: Any) -> None:
        """Takes a planning scene."""
        try:
            scene = self._scenes.take(message)
            self.worlds.accept(PLANNING_SCENE, Layer.of(scene, time.monotonic()))
        except Refused as refusal:
            self._scenes.doubt("a message was refused")
            self._refuse(PLANNING_SCENE, refusal)

    def points(self, message: PointCloud2) -> None:
        """Takes a cloud; it replaces the last one of its frame."""
        try:
            self._take_points(message)
        except WorldError as error:
            self._refuse(POINTS, Refused(Status.BAD_WORLD, f"point cloud: {error}"))
        except Refused as refusal:
            self._refuse(POINTS, refusal)

    def _take_points(self, message: PointCloud2) -> None:
        frame, stamp = message.header.frame_id, _seconds(message.header.stamp)
        measured, now = self._measured(message.header.stamp), self._now()
        newest = self._newest.get(frame, 0.0)
        if stamp and newest <= now + self._values["stamp_ahead"] and stamp < newest:
            raise Refused(Status.STALE_WORLD, f"point cloud: it is {newest - stamp:.3f} s older than the one before")
        if frame not in self._newest and len(self._newest) >= MOST_SENSORS:
            raise Refused(Status.BAD_WORLD, f"point cloud: clouds come in more than {MOST_SENSORS} frames")
        placement = self._frames.in_root(message.header, "point cloud")
        beyond = max((each.extent for each in self.worlds.seen.world.attached), default=0.0)
        points = within_reach(read_points(message), placement, self._reach + beyond)
        parts, resolution = boxes(points, self._resolution)
        name = POINTS if frame == next(iter(self._newest), frame) else f"{POINTS}/{frame}"
        objects = (WorldObject(name, parts),) if parts else ()
        self.worlds.accept(POINTS, Layer(objects, measured=measured), frame)
        self._newest[frame], self._coarsest[frame] = stamp, resolution

    def values(self, now: float) -> dict[str, str]:
        """What the diagnostics say, at a monotonic time [s]."""
        grids = {"points_resolution": f"{max(self._coarsest.values()):g}"} if self._coarsest else {}
        return self.worlds.values(now) | grids

    def _measured(self, stamp: Time) -> float:
        """Monotonic time [s] of a stamp; without one (0), now.

        Raises:
            Refused: STALE_WORLD, it is too old or ahead of ROS time.
        """
        arrived, seconds = time.monotonic(), _seconds(stamp)
        if seconds == 0.0:
            return arrived
        age, oldest, ahead = self._now() - seconds, self._values["world_timeout"], self._values["stamp_ahead"]
        if 0.0 < oldest < age:
            detail = f"a stamp is {age:.2f} s behind ROS time, allowed are {oldest:g} s (world_timeout)"
            raise Refused(Status.STALE_WORLD, detail)
        if -age > ahead:
            detail = f"a stamp is {-age:.2f} s ahead of ROS time, allowed are {ahead:g} s (stamp_ahead)"
            raise Refused(Status.STALE_WORLD, f"{detail}; compare the clocks, and their use_sim_time")
        return arrived - max(age, 0.0)

    def _refuse(self, source: str, refusal: Refused) -> None:
        told = Refused(refusal.status, f"{source}: {refusal.detail}")
        self.worlds.refused(source, refusal)
        self._note(told)


class WorldTopics:
    """Subscriptions to the topics that a world comes from.

    Args:
        node: Owner of the subscriptions.
        intake: Takes what comes.
        heard: Told of every message of obstacles and scenes in CDR, after the name of its topic, before it is taken.
    """

    def __init__(
        self, node: Node, intake: WorldIntake, heard: Callable[[str, bytes], object] = lambda name, data: None
    ) -> None:
        self._node, self.intake, self._heard = node, intake, heard
        self._subscriptions: list[Any] = []
        if OBSTACLES in intake.worlds.sources:
            take = self._taking(OBSTACLES, MarkerArray, intake.obstacles)
            self._subscriptions.append(node.create_subscription(MarkerArray, "obstacles", take, CHANGES, raw=True))
        if PLANNING_SCENE in intake.worlds.sources:
            kind = planning_scenes.PlanningScene
            take = self._taking(PLANNING_SCENE, kind, intake.planning_scene)
            self._subscriptions.append(node.create_subscription(kind, "planning_scene", take, CHANGES, raw=True))
        if POINTS in intake.worlds.sources:
            self._subscriptions.append(node.create_subscription(PointCloud2, "points", intake.points, NEWEST))

    def _taking(self, name: str, kind: Any, take: Callable[[Any], None]) -> Callable[[bytes], None]:
        """Takes messages in CDR: making that again for a recording would take milliseconds."""

        def heard(data: bytes) -> None:
            self._heard(name, data)
            take(deserialize_message(data, kind))

        return heard

    def close(self) -> None:
        """Ends the subscriptions."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())


def _seconds(stamp: Time) -> float:
    return float(stamp.sec + 1e-9 * stamp.nanosec)
