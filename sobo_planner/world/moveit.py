"""MoveIt planning scenes as YAML: dumps of `moveit_msgs/PlanningScene`, and the short form of MotionBenchMaker.

Whatever says something about collisions and is not understood is refused; nothing is left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sobo_planner.errors import WorldError
from sobo_planner.world.entries import Entry
from sobo_planner.world.pose import Pose
from sobo_planner.world.scene import mesh_of_file
from sobo_planner.world.shapes import Box, Cylinder, HalfSpace, Mesh, Shape, Sphere
from sobo_planner.world.values import LARGEST, Triple, number, numbers, shown
from sobo_planner.world.world import AttachedObject, Part, World, WorldObject, allowed_pair

#: Keys that only a planning scene has.
MARKS = ("world", "robot_state", "allowed_collision_matrix", "collision_objects", "robot_model_name", "is_diff")
SCENE = (
    *("name", "robot_state", "robot_model_name", "fixed_frame_transforms", "allowed_collision_matrix", "link_padding"),
    *("link_scale", "object_colors", "world", "is_diff"),
)
OBJECT = (
    *("header", "id", "pose", "type", "primitives", "primitive_poses", "meshes", "mesh_poses", "planes", "plane_poses"),
    *("subframe_names", "subframe_poses", "operation"),
)
ATTACHED = ("link_name", "object", "touch_links", "detach_posture", "weight")
#: Frame of what has no header, as MoveIt's tools leave it out for this one.
_UNNAMED = "world"
# CollisionObject.ADD is a byte, which tools write in several ways.
_ADD = (0, "0", "\0", b"\0", [0], "add", "ADD")
# shape_msgs/SolidPrimitive, by name and number
_PRIMITIVES = {1: "box", 2: "sphere", 3: "cylinder", 4: "cone", 5: "prism"}
_DIMENSIONS = {"box": 3, "sphere": 1, "cylinder": 2}
#: The arm's base does not stand this deep in what is solid behind a plane [m].
_AT_BASE = 1e-3


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


def attached_object(entry: Entry, folder: Path | None) -> AttachedObject:
    """What an `AttachedCollisionObject` means that is added."""
    values = entry.mapping(ATTACHED, ("link_name", "object"))
    link = values["link_name"].value
    name, parts, pose = collision_object(values["object"], link, folder, default=link)
    touches = tuple(each.value for each in values.get("touch_links", Entry(None)).items())
    weight = values["weight"].value if "weight" in values else 0.0
    mass = None if isinstance(weight, (int, float)) and weight == 0 else weight  # zero is the message's default
    with entry.located():
        return AttachedObject(name, link, parts, pose, mass, touches=touches)


def collision_object(
    entry: Entry, frame: Any, folder: Path | None, default: Any = _UNNAMED
) -> tuple[str, tuple[Part, ...], Pose]:
    """Name, parts and pose of a `CollisionObject`."""
    values = entry.mapping(OBJECT, ("id",))
    name = values["id"].value
    with entry.located(f"object {shown(name)}"):
        refuse_frame(values.get("header"), frame, default)
        operation = values.get("operation", Entry(0))
        if operation.value not in _ADD:
            operation.fail(f"operation must be add, got {shown(operation.value)}; export the scene as it is")
        pose = pose_of(values["pose"]) if "pose" in values else Pose()
        parts = [
            *_parts(values, "primitives", "primitive_poses", _primitive),
            *_parts(values, "meshes", "mesh_poses", lambda each, _: _mesh(each, folder)),
            *_parts(values, "planes", "plane_poses", lambda each, at: _plane(each, pose @ at)),
        ]
        if not parts:
            entry.fail("it has no shapes")
    return name, tuple(parts), pose


def refuse_frame(header: Entry | None, frame: Any, default: Any = _UNNAMED) -> None:
    """Refuses all frames but one; a header that names none, or is missing, means the default."""
    given = header.mapping().get("frame_id", header) if header is not None else Entry("")
    text = "" if header is None or given is header else given.value
    named = text.removeprefix("/") if isinstance(text, str) else text
    if (named or default) == frame:
        return
    what = f"it is given in the frame {shown(named)}" if named else f"it names no frame, which means {shown(default)}"
    message = f"{what}, expected {shown(frame)}; transform it, or say that this is the base frame"
    if header is not None:
        given.fail(message)
    raise WorldError(message)


def _parts(values: Mapping[str, Entry], shapes: str, poses: str, make: Callable[[Entry, Pose], Shape]) -> list[Part]:
    """The shapes of one kind with their poses; no poses at all means that all are at the object's origin."""
    given = values.get(shapes, Entry(None)).items()
    at = [pose_of(each) for each in values.get(poses, Entry(None)).items()] or [Pose()] * len(given)
    if len(at) != len(given):
        values[poses].fail(f"there must be a pose for each of the {len(given)} {shapes}, got {len(at)}")
    parts = []
    for entry, pose in zip(given, at, strict=True):
        with entry.located():
            parts.append(Part(make(entry, pose), pose))
    return parts


def _primitive(entry: Entry, pose: Pose) -> Shape:
    values = entry.mapping(("type", "dimensions", "polygon"), ("type", "dimensions"))
    kind = values["type"].value
    kind = _PRIMITIVES.get(kind, kind) if isinstance(kind, int) and not isinstance(kind, bool) else kind
    kind = kind.lower() if isinstance(kind, str) else kind
    if not isinstance(kind, str) or kind not in _DIMENSIONS:
        values["type"].fail(f"type must be one of {', '.join(_DIMENSIONS)}, got {shown(kind)}; give a mesh for others")
    sizes = numbers(values["dimensions"].value, f"dimensions of a {kind}", _DIMENSIONS[kind], -LARGEST, LARGEST)
    if kind == "box":
        return Box((sizes[0], sizes[1], sizes[2]))
    return Sphere(*sizes) if kind == "sphere" else Cylinder(length=sizes[0], radius=sizes[1])


def _plane(entry: Entry, pose: Pose) -> Shape:
    """The half-space behind a plane a x + b y + c z + d = 0, in its own frame.

    A plane has no thickness, but an arm cannot get through it: solid is the side where the base frame's origin is not,
    and where the plane goes through it, the side that the normal points away from.
    """
    a, b, c, d = numbers(entry.mapping(("coef",), ("coef",))["coef"].value, "coef of a plane", 4, -LARGEST, LARGEST, "")
    norm = (a * a + b * b + c * c) ** 0.5
    number(norm, "the norm of a plane's normal", 1e-6, LARGEST, "")
    normal, offset = (a / norm, b / norm, c / norm), -d / norm
    distance = sum(n * p for n, p in zip(pose.direction(normal), pose.position, strict=True)) + offset
    if distance > _AT_BASE:  # the origin is behind the plane
        normal, offset = (-normal[0], -normal[1], -normal[2]), -offset
    return HalfSpace(normal, offset)


def _mesh(entry: Entry, folder: Path | None) -> Mesh:
    if isinstance(entry.value, dict) and "resource" in entry.value:
        return mesh_of_file(entry, "dimensions", folder, "resource")
    values = entry.mapping(("triangles", "vertices"), ("triangles", "vertices"))
    faces = [each.value for each in values["triangles"].items()]
    faces = [each.get("vertex_indices", each) if isinstance(each, dict) else each for each in faces]
    return Mesh(tuple(_triple(each) for each in values["vertices"].items()), tuple(faces))


def pose_of(entry: Entry) -> Pose:
    """A `Pose`; what it leaves out is at the origin, and not turned."""
    values = entry.mapping(("position", "orientation"))
    with entry.located():
        position = _triple(values["position"]) if "position" in values else (0.0, 0.0, 0.0)
        if "orientation" not in values:
            return Pose(position)
        turn = values["orientation"]
        names = ("x", "y", "z", "w")
        given = turn.mapping(names, names) if isinstance(turn.value, dict) else None
        quaternion = tuple(given[each].value for each in names) if given is not None else turn.value
        return Pose(position, quaternion)


def _triple(entry: Entry) -> Triple:
    """Three numbers as a list or as x, y and z; not yet checked."""
    if not isinstance(entry.value, dict):
        return entry.value
    values = entry.mapping(("x", "y", "z"), ("x", "y", "z"))
    return values["x"].value, values["y"].value, values["z"].value


def allowed_of(matrix: Entry) -> frozenset[tuple[str, str]]:
    """Pairs that an allowed collision matrix lets touch."""
    values = matrix.mapping(("entry_names", "entry_values", "default_entry_names", "default_entry_values"))
    defaults = values.get("default_entry_values", Entry(None)).items()
    if any(flag(each) for each in defaults):
        values["default_entry_values"].fail("names that may touch everything are not supported; give pairs instead")
    names = [each.value for each in values.get("entry_names", Entry(None)).items()]
    rows = values.get("entry_values", Entry(None)).items()
    if len(rows) != len(names):
        matrix.fail(f"entry_values must have a row for each of the {len(names)} names, got {len(rows)}")
    table = [_row(row, len(names)) for row in rows]
    pairs = []
    for i, first in enumerate(names):
        for j, second in enumerate(names[:i]):
            if table[i][j] != table[j][i]:
                rows[i].fail(f"the matrix must be symmetric; {shown(first)} and {shown(second)} differ")
            if table[i][j]:
                pairs.append((first, second))
    with matrix.located():
        return frozenset(allowed_pair(pair) for pair in pairs)


def _row(row: Entry, count: int) -> list[bool]:
    inside = row.mapping(("enabled",), ("enabled",))["enabled"] if isinstance(row.value, dict) else row
    flags = [flag(each) for each in inside.items()]
    if len(flags) != count:
        row.fail(f"a row of the matrix must have {count} entries, got {len(flags)}")
    return flags


def flag(entry: Entry) -> bool:
    """True or false, as tools write it."""
    if isinstance(entry.value, bool):
        return entry.value
    text = str(entry.value).lower() if isinstance(entry.value, (str, int)) else ""
    if text not in ("true", "false", "0", "1"):
        entry.fail(f"expected true or false, got {shown(entry.value)}")
    return text in ("true", "1")


def refuse_padding(entries: Mapping[str, Entry]) -> None:
    """Refuses links that are made larger or smaller, which the model of the arm has no place for."""
    for key, name, neutral in (("link_padding", "padding", 0), ("link_scale", "scale", 1)):
        for each in entries.get(key, Entry(None)).items():
            values = each.mapping(("link_name", name), (name,))
            if values[name].value != neutral:
                each.fail(
                    f"the {name} of a link must be {neutral}, got {shown(values[name].value)}; give a margin instead"
                )
