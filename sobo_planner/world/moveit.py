"""MoveIt planning scenes as YAML: dumps of `moveit_msgs/PlanningScene`, and the short form of MotionBenchMaker.

Whatever says something about collisions and is not understood is refused; nothing is left out in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sobo_planner.world.allowed_matrix import allowed_of
from sobo_planner.world.collision_objects import attached_object, collision_object
from sobo_planner.world.entries import Entry, flag
from sobo_planner.world.objects import AttachedObject, WorldObject
from sobo_planner.world.values import shown
from sobo_planner.world.world import World

#: Keys that only a planning scene has.
MARKS = ("world", "robot_state", "allowed_collision_matrix", "collision_objects", "robot_model_name", "is_diff")
SCENE = (
    *("name", "robot_state", "robot_model_name", "fixed_frame_transforms", "allowed_collision_matrix", "link_padding"),
    *("link_scale", "object_colors", "world", "is_diff"),
)


def world_of(document: Entry, frame: str, folder: Path | None) -> World:
    """The world of a planning scene, or of a `PlanningSceneWorld` alone; meshes are looked for in a folder."""
    if isinstance(document.value, dict) and not any(key in SCENE for key in document.value):
        return World(tuple(_objects(document, frame, folder)))
    entries = document.mapping(SCENE)
    if "is_diff" in entries and flag(entries["is_diff"]):
        entries["is_diff"].fail("this is a difference to a scene that is not known; export the whole scene")
    refuse_padding(entries)
    objects = _objects(entries["world"], frame, folder) if "world" in entries else []
    attached = _all_attached(entries["robot_state"], folder) if "robot_state" in entries else []
    matrix = entries.get("allowed_collision_matrix")
    allowed = allowed_of(matrix) if matrix is not None else frozenset()
    with document.located():
        return World(tuple(objects), tuple(attached), allowed)


def _objects(world: Entry, frame: str, folder: Path | None) -> list[WorldObject]:
    entries = world.mapping(("collision_objects", "octomap"))
    octomap = entries.get("octomap", Entry(None))
    if octomap_data(octomap.value):
        octomap.fail("the scene has an octomap, which is not supported; give boxes or meshes")
    out: list[WorldObject] = []
    names: set[str] = set()
    for entry in entries.get("collision_objects", Entry(None)).items():
        parts = collision_object(entry, frame, folder)
        with entry.located():
            out.append(WorldObject(*parts))
        if out[-1].name in names:
            entry.fail(f"two objects are named {out[-1].name!r}; names must be unique: rename one")
        names.add(out[-1].name)
    return out


def octomap_data(octomap: Any) -> bool:
    """Whether a message `OctomapWithPose` holds anything."""
    inner = octomap.get("octomap", octomap) if isinstance(octomap, dict) else octomap
    return bool(inner.get("data") if isinstance(inner, dict) else inner)


def _all_attached(state: Entry, folder: Path | None) -> list[AttachedObject]:
    if not isinstance(state.value, dict):
        state.fail(f"robot_state must be a mapping, got {shown(state.value)}")
    entries = state.mapping().get("attached_collision_objects", Entry(None)).items()
    return [attached_object(entry, folder) for entry in entries]


def refuse_padding(entries: Mapping[str, Entry]) -> None:
    """Refuses links that are made larger or smaller, which the model of the arm has no place for."""
    for key, name, neutral in (("link_padding", "padding", 0), ("link_scale", "scale", 1)):
        for each in entries.get(key, Entry(None)).items():
            values = each.mapping(("link_name", name), (name,))
            if values[name].value != neutral:
                each.fail(
                    f"the {name} of a link must be {neutral}, got {shown(values[name].value)}; give a margin instead"
                )
