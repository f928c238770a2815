"""Worlds in our own form, see docs/worlds.md: what `World.to_dict` gives, and what is shorter to write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from sobo_planner.errors import WorldError
from sobo_planner.world.entries import Entry
from sobo_planner.world.meshes import read_mesh
from sobo_planner.world.objects import AttachedObject, Part, WorldObject
from sobo_planner.world.pose import Pose
from sobo_planner.world.shapes import SHAPES, Mesh, Shape
from sobo_planner.world.values import shown
from sobo_planner.world.world import FORMAT, World, allowed_pair

#: Keys of a world file.
KEYS = ("format", "frame", "objects", "attached", "allowed")
_POSE = ("position", "quaternion")
_OBJECT = (*SHAPES, "shapes", *_POSE)
_ATTACHED = (*_OBJECT, "link", "mass", "centre", "touches")


def world_of(document: Entry, frame: str, folder: Path | None) -> World:
    """The world of a document of our own form; mesh files are looked for in a folder, None for nowhere."""
    entries = document.mapping(KEYS)
    form = entries.get("format", Entry(FORMAT))
    if isinstance(form.value, bool) or form.value != FORMAT:
        form.fail(f"format must be {FORMAT}, got {shown(form.value)}; it may be of a newer sobo_planner")
    if "frame" in entries and entries["frame"].value != frame:
        entries["frame"].fail(
            f"the world is given in {shown(entries['frame'].value)}, expected {frame!r}: transform it"
        )
    objects = [_object(name, entry, folder) for name, entry in _named(entries.get("objects"))]
    attached = [_attached(name, entry, folder) for name, entry in _named(entries.get("attached"))]
    allowed = entries.get("allowed", Entry([])).items()
    pairs = set()
    for pair in allowed:
        with pair.located():
            pairs.add(allowed_pair(pair.value))
    with document.located():
        return World(tuple(objects), tuple(attached), frozenset(pairs))


def _named(entry: Entry | None) -> list[tuple[str, Entry]]:
    return [] if entry is None or entry.value is None else list(entry.mapping().items())


def _object(name: str, entry: Entry, folder: Path | None) -> WorldObject:
    with entry.located(f"object {shown(name)}"):
        parts, pose = _body(entry, _OBJECT, folder)
    with entry.located():
        return WorldObject(name, parts, pose)


def _attached(name: str, entry: Entry, folder: Path | None) -> AttachedObject:
    with entry.located(f"attached object {shown(name)}"):
        parts, pose = _body(entry, _ATTACHED, folder)
        entries = entry.mapping(_ATTACHED, ["link"])
        optional = {key: entries[key].value for key in ("mass", "centre") if key in entries}
        touches = tuple(each.value for each in entries.get("touches", Entry([])).items())
    with entry.located():
        return AttachedObject(name, entries["link"].value, parts, pose, touches=touches, **optional)


def _body(entry: Entry, known: tuple[str, ...], folder: Path | None) -> tuple[tuple[Part, ...], Pose]:
    """Parts and pose of an object: a list of shapes, or one in short form."""
    entries = entry.mapping(known)
    if "shapes" not in entries:
        return (Part(_shape(entry, entries, folder)),), _pose(entries)
    single = [key for key in SHAPES if key in entries]
    if single:
        entries[single[0]].fail(f"{single[0]} and shapes are both given; move the {single[0]} into shapes")
    parts = []
    for each in entries["shapes"].items():
        inside = each.mapping((*SHAPES, *_POSE))
        parts.append(Part(_shape(each, inside, folder), _pose(inside)))
    return tuple(parts), _pose(entries)


def _pose(entries: Mapping[str, Entry]) -> Pose:
    pose = Pose()
    for key in _POSE:
        if key in entries:
            with entries[key].located():
                pose = Pose(**{**vars(pose), key: entries[key].value})
    return pose


def _shape(entry: Entry, entries: Mapping[str, Entry], folder: Path | None) -> Shape:
    kinds = [kind for kind in SHAPES if kind in entries]
    if len(kinds) != 1:
        entry.fail(f"there must be one shape, got {', '.join(kinds) or 'none'}; shapes: {', '.join(SHAPES)}")
    given, cls = entries[kinds[0]], SHAPES[kinds[0]]
    if cls is Mesh and isinstance(given.value, dict) and "file" in given.value:
        return mesh_of_file(given, "scale", folder)
    values = given.mapping([item.name for item in fields(cls)])
    with given.located():
        try:
            return cls(**{key: value.value for key, value in values.items()})
        except TypeError as error:  # an argument is missing
            needed = ", ".join(item.name for item in fields(cls))
            raise WorldError(f"a {cls.kind} needs {needed}; given: {', '.join(values) or 'none'}") from error


def mesh_of_file(entry: Entry, scale: str, folder: Path | None, name: str = "file") -> Mesh:
    """The mesh of a file that an entry names, with a scale (one factor or three)."""
    values = entry.mapping((name, scale, "convex"))
    if folder is None:
        values[name].fail("mesh files can be named in files only; give vertices and faces")
    with entry.located():
        factor = values[scale].value if scale in values else 1.0
        convex = values["convex"].value if "convex" in values else False
        return read_mesh(folder, values[name].value, factor, convex)
