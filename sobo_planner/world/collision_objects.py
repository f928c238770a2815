"""MoveIt's collision objects: `moveit_msgs/CollisionObject` and `AttachedCollisionObject` as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sobo_planner.errors import WorldError
from sobo_planner.world.entries import Entry
from sobo_planner.world.objects import AttachedObject, Part
from sobo_planner.world.pose import Pose
from sobo_planner.world.scene import mesh_of_file
from sobo_planner.world.shapes import Box, Cylinder, HalfSpace, Mesh, Shape, Sphere
from sobo_planner.world.values import LARGEST, Triple, number, numbers, shown

#: Keys of an object, and of one that is attached.
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
