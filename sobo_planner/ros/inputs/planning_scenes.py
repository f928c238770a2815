"""Worlds from MoveIt's planning scenes, where moveit_msgs is installed: whole scenes, and changes to them."""

from __future__ import annotations

import array
from collections.abc import Collection
from typing import Any

import numpy as np
from geometry_msgs.msg import Pose as PoseMessage

from sobo_planner.errors import WorldError
from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.markers import pose_of
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.world import Pose, World, world_from_dict
from sobo_planner.world.scene_changes import changed_world

try:
    from moveit_msgs.msg import PlanningScene
except ImportError:
    PlanningScene = None

# CollisionObject.REMOVE, which says nothing about places.
_REMOVE = b"\x01"


def available() -> bool:
    """Whether moveit_msgs is installed."""
    return PlanningScene is not None


class Scenes:
    """The scene that is there, from messages that are whole scenes or change the one before.

    A message is taken whole or not at all. After a change that was refused, or before any whole scene, what a change
    would lead to is not known: it is refused until a whole scene has come.

    Args:
        frames: Brings poses into the root link's frame.
        root: The root link.
        prefix: What senders put before the names of links.
        links: The links.
    """

    def __init__(self, frames: GoalFrames, root: str, prefix: str, links: Collection[str]) -> None:
        self._frames, self._root, self._prefix, self._links = frames, root, prefix, frozenset(links)
        self._scene: World | None = None
        self.doubt("no whole scene has come in yet")

    def doubt(self, why: str) -> None:
        """Changes are refused from now on, until a whole scene has come in."""
        self._in_doubt = why

    @property
    def in_doubt(self) -> str:
        """Why changes are refused; empty if they are not."""
        return self._in_doubt

    def take(self, message: Any) -> World:
        """The scene after a message.

        Raises:
            Refused: BAD_WORLD or BAD_FRAME, with the object.
        """
        try:
            scene = self._taken(message)
        except WorldError as error:
            self.doubt("a message was refused")
            raise Refused(Status.BAD_WORLD, f"planning scene: {error}") from error
        except Refused:
            self.doubt("a message was refused")
            raise
        self._scene, self._in_doubt = scene, ""
        return scene

    def _taken(self, message: Any) -> World:
        if message.is_diff and (self._in_doubt or self._scene is None):
            raise WorldError(f"this is a change, and {self._in_doubt}: send the whole scene, with is_diff: false")
        plain = plain_values(message)
        for inside, given in zip(plain["world"]["collision_objects"], message.world.collision_objects, strict=True):
            self._place(inside, given)
        for inside in plain["robot_state"]["attached_collision_objects"]:
            self._rename_attached(inside)
        matrix = plain["allowed_collision_matrix"]
        matrix["entry_names"] = [self._own(name) for name in matrix["entry_names"]]
        if message.is_diff:
            assert self._scene is not None
            return changed_world(self._scene, plain, self._root)
        return world_from_dict(plain, self._root)

    def _place(self, plain: dict[str, Any], given: Any) -> None:
        """Brings an object into the root link's frame."""
        if given.operation == _REMOVE:
            plain["header"]["frame_id"] = self._root
            return
        try:
            pose = pose_of(self._frames.in_root(given.header, "object")) @ _pose(given.pose)
        except Refused as refusal:
            raise Refused(refusal.status, f"planning scene: object {given.id!r}: {refusal.detail}") from refusal
        except WorldError as error:
            raise WorldError(f"object {given.id!r}: {error}") from error
        plain["pose"] = {"position": list(pose.position), "orientation": list(pose.quaternion)}
        plain["header"]["frame_id"] = self._root

    def _rename_attached(self, plain: dict[str, Any]) -> None:
        """Takes the prefix from the names of links."""
        plain["link_name"] = self._own(plain["link_name"])
        plain["touch_links"] = [self._own(name) for name in plain["touch_links"]]
        header = plain["object"]["header"]
        header["frame_id"] = self._own(header["frame_id"])

    def _own(self, name: str) -> str:
        """The name of a link as the URDF has it; other names as they are."""
        own = name.removeprefix(self._prefix)
        return own if own in self._links else name


def _pose(message: PoseMessage) -> Pose:
    p, o = message.position, message.orientation
    return Pose((p.x, p.y, p.z), (o.x, o.y, o.z, o.w))


def plain_values(message: Any) -> Any:
    """A message as dictionaries, lists and numbers."""
    if hasattr(message, "get_fields_and_field_types"):
        return {name: plain_values(getattr(message, name)) for name in message.get_fields_and_field_types()}
    if isinstance(message, (np.ndarray, array.array)):
        return message.tolist()
    if isinstance(message, (list, tuple)):
        return [plain_values(each) for each in message]
    return message
