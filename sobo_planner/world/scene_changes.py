"""Changes to a world, as `moveit_msgs/PlanningScene` with `is_diff` says them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sobo_planner.errors import WorldError
from sobo_planner.world.allowed_matrix import allowed_of
from sobo_planner.world.collision_objects import (
    ATTACHED,
    OBJECT,
    attached_object,
    collision_object,
    pose_of,
    refuse_frame,
)
from sobo_planner.world.entries import Entry, MisfitError, flag
from sobo_planner.world.moveit import SCENE, octomap_data, refuse_padding
from sobo_planner.world.objects import AttachedObject, Part, WorldObject
from sobo_planner.world.pose import Pose
from sobo_planner.world.values import shown
from sobo_planner.world.world import World

# CollisionObject.operation, which is a byte.
_OPERATIONS = ("add", "remove", "append", "move")
_NOTHING = Entry(None)


def changed_world(world: World, scene: Mapping[str, Any], frame: str) -> World:
    """The world after a change.

    Args:
        world: Before it.
        scene: A `PlanningScene` whose `is_diff` is true, in plain values.
        frame: The base frame. What is given in another one is refused.

    Raises:
        WorldError: Something in it is not allowed, or needs what is not known: nothing of it is used.
    """
    try:
        return _changed(world, Entry(dict(scene)), frame)
    except MisfitError as error:
        raise WorldError(f"{error.key + ': ' if error.key else ''}{error}") from error


def _changed(world: World, document: Entry, frame: str) -> World:
    entries = document.mapping(SCENE)
    refuse_padding(entries)
    inside = entries["world"].mapping(("collision_objects", "octomap")) if "world" in entries else {}
    if octomap_data(inside.get("octomap", _NOTHING).value):
        inside["octomap"].fail("the scene has an octomap, which is not supported; send a point cloud on `points`")
    changes = inside.get("collision_objects", _NOTHING).items()
    objects = {each.name: each for each in world.objects}
    attached = {each.name: each for each in world.attached}
    if "robot_state" in entries:
        _change_attached(entries["robot_state"], attached, objects, changes)
    for entry in changes:
        _change_object(entry, objects, frame)
    allowed = world.allowed
    matrix = entries.get("allowed_collision_matrix")
    if matrix is not None and matrix.mapping().get("entry_names", _NOTHING).items():
        allowed = allowed_of(matrix)
    with document.located():
        return World(tuple(objects.values()), tuple(attached.values()), allowed)


def _operation(values: Mapping[str, Entry]) -> str:
    given = values.get("operation", Entry(0))
    value = given.value
    if isinstance(value, bytes) and len(value) == 1:
        value = value[0]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_OPERATIONS):
        return _OPERATIONS[value]
    given.fail(f"operation must be one of 0 to 3 ({', '.join(_OPERATIONS)}), got {shown(given.value)}")


def _name(values: Mapping[str, Entry]) -> str:
    name = values["id"].value
    if not isinstance(name, str):
        values["id"].fail(f"the name of an object must be text, got {shown(name)}")
    return name


def _change_object(entry: Entry, objects: dict[str, WorldObject], frame: str) -> None:
    """Carries out what a `CollisionObject` asks for."""
    values = entry.mapping(OBJECT, ("id",))
    name, operation = _name(values), _operation(values)
    if operation == "remove":
        if name:
            objects.pop(name, None)
        else:  # all of them
            objects.clear()
        return
    if operation == "move":
        objects[name] = _moved(entry, values, objects, frame)
        return
    _, parts, pose = collision_object(_as_added(entry), frame, None)
    before = objects.get(name)
    with entry.located():
        if operation == "append" and before is not None:
            back = before.pose.inverse() @ pose
            parts = (*before.parts, *(Part(part.shape, back @ part.pose) for part in parts))
            pose = before.pose
        objects[name] = WorldObject(name, parts, pose)


def _moved(entry: Entry, values: Mapping[str, Entry], objects: Mapping[str, WorldObject], frame: str) -> WorldObject:
    name = values["id"].value
    if name not in objects:
        entry.fail(f"there is no object named {shown(name)} that could be moved; add it")
    shapes = ("primitives", "primitive_poses", "meshes", "mesh_poses", "planes", "plane_poses")
    if any(values[each].items() for each in shapes if each in values):
        entry.fail(f"object {shown(name)} is moved and has shapes or their poses; add it anew")
    with entry.located(f"object {shown(name)}"):
        refuse_frame(values.get("header"), frame)
        pose = pose_of(values["pose"]) if "pose" in values else Pose()
    with entry.located():
        return WorldObject(name, objects[name].parts, pose)


def _as_added(entry: Entry) -> Entry:
    return Entry({key: value for key, value in entry.value.items() if key != "operation"}, entry.key)


def _change_attached(
    state: Entry, attached: dict[str, AttachedObject], objects: dict[str, WorldObject], changes: list[Entry]
) -> None:
    """Carries out what a `RobotState` says about attached objects; one that is attached is no obstacle any more.

    A state that is no difference itself lists all of them; an empty one says nothing.
    """
    values = state.mapping()
    given = values.get("attached_collision_objects", _NOTHING).items()
    if not ("is_diff" in values and flag(values["is_diff"])):
        if not given and not _names_joints(values):
            return
        attached.clear()
    for entry in given:
        inside = entry.mapping(ATTACHED, ("object",))
        what = inside["object"].mapping(OBJECT, ("id",))
        operation = _operation(what)
        if operation == "remove":
            link = inside["link_name"].value if "link_name" in inside else ""
            _detach(entry, _name(what), link, attached, changes)
        elif operation == "add":
            without = {**entry.value, "object": _as_added(inside["object"]).value}
            found = attached_object(Entry(without, entry.key), None)
            attached[found.name] = found
            objects.pop(found.name, None)
        else:
            entry.fail(f"attached objects can be added and removed, got {operation}; add it anew with all its shapes")


def _names_joints(state: Mapping[str, Entry]) -> bool:
    joints = state.get("joint_state", _NOTHING).value
    return bool(isinstance(joints, dict) and joints.get("name"))


def _detach(entry: Entry, name: str, link: Any, attached: dict[str, AttachedObject], changes: list[Entry]) -> None:
    """Removes attached objects, of which the same message says whether and where they are in the world."""
    gone = [each for each in attached.values() if name in ("", each.name) and (name or link in ("", each.link))]
    told = {change.value.get("id") for change in changes if isinstance(change.value, dict)}
    for each in gone:
        if each.name not in told and "" not in told:
            entry.fail(
                f"{each.name!r} is detached, and nothing says where it is then; add it to or remove it from `world` in "
                "the same message"
            )
        del attached[each.name]
