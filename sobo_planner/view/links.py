"""What the links of a robot look like, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import WorldError
from sobo_planner.robot import Robot
from sobo_planner.robot.frames import Placement, carried_links, origin_of
from sobo_planner.robot.urdf import parse
from sobo_planner.view.surfaces import Surface, surface_of
from sobo_planner.world import Box, Capsule, Cylinder, Shape, Sphere

Array = NDArray[np.float64]

Colour = tuple[float, float, float]
#: Of bodies for which a URDF gives none.
PLAIN: Colour = (0.72, 0.74, 0.77)


@dataclass(frozen=True)
class Body:
    """A rigid surface of a link.

    Attributes:
        name: `link`, with a number where a link has several bodies.
        link: The link that it belongs to.
        joint: Index of the moving joint that carries the link; -1: none does.
        surface: Its surface in that joint's frame; in the root link's frame where none does.
        colour: Red, green, blue in [0, 1].
    """

    name: str
    link: str
    joint: int
    surface: Surface
    colour: Colour


@dataclass(frozen=True)
class Looks:
    """What a robot looks like.

    Attributes:
        bodies: All of its bodies.
        missing: Why collision bodies stand for the visual ones of some links, by link.
    """

    bodies: tuple[Body, ...]
    missing: dict[str, str]


def looks_of(robot: Robot, kinds: Sequence[str] = ("visual", "collision")) -> Looks:
    """The bodies of a robot's links, each link by the first kind that it has and that can be read.

    Args:
        robot: The robot.
        kinds: Elements of the URDF, best first. Collision bodies are those that the planner checks.
    """
    description = parse(robot.urdf)
    colours = {each.get("name", ""): _rgb(each) for each in description.iterfind("material")}
    links = carried_links(description, robot.description.locked)
    bodies: list[Body] = []
    missing: dict[str, str] = {}
    for link in description.iterfind("link"):
        name = link.get("name", "")
        joint, placement = links[name]
        index = robot.joint_names.index(joint) if joint else -1
        for kind in kinds:
            try:
                shapes = [(each, _shape(robot, link, each, placement)) for each in link.iterfind(kind)]
            except _UnreadableError as error:
                missing.setdefault(name, str(error))
                continue
            for number, (element, surface) in enumerate(shapes):
                title = f"{name}_{number}" if len(shapes) > 1 else name
                bodies.append(Body(title, name, index, surface, _colour(element, colours)))
            if shapes:
                break
    return Looks(tuple(bodies), missing)


def placements(robot: Robot, q: Array) -> list[tuple[Array, Array]]:
    """Rotation (3, 3) and origin (3,) [m] of the frame of each moving joint at q (n,), that of the root link last.

    So a body's `joint` is its index here, -1 included.
    """
    return [*(robot.joint_placement(q, index) for index in range(robot.nv)), (np.eye(3), np.zeros(3))]


def carrier(robot: Robot, link: str) -> tuple[int, Placement]:
    """The index of the joint that carries a link (-1: none), and where the link is in that joint's frame."""
    joint, placement = carried_links(parse(robot.urdf), robot.description.locked)[link]
    return (robot.joint_names.index(joint) if joint else -1), placement


def matrix(placement: Placement) -> Array:
    """The rotation of a placement as a matrix (3, 3)."""
    x, y, z, w = placement.quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


class _UnreadableError(Exception):
    """A shape cannot be shown."""


def _shape(robot: Robot, link: Element, element: Element, placement: Placement) -> Surface:
    """The surface of a `visual` or `collision` of a link, placed as the link is.

    Raises:
        _UnreadableError: It cannot be shown: only collision bodies were checked when the robot was read.
    """
    shape = next(iter(element.find("geometry") or ()), None)
    try:
        if shape is None:
            raise ValueError("it has no geometry")
        surface = _mesh(robot, shape) if shape.tag == "mesh" else surface_of(_primitive(shape, link, element))
        where = placement @ origin_of(element)
        return surface.moved(matrix(where), where.position)
    except (TypeError, ValueError, WorldError) as error:
        raise _UnreadableError(f"its {element.tag} cannot be read: {error}") from error


def _primitive(shape: Element, link: Element, element: Element) -> Shape:
    """A shape; a cylinder is a capsule where the link says that Pinocchio is to read it as one."""

    def numbers(name: str) -> list[float]:
        return [float(word) for word in shape.get(name, "").split()]

    match shape.tag:
        case "box":
            x, y, z = numbers("size")
            return Box((x, y, z))
        case "sphere":
            return Sphere(*numbers("radius"))
        case "cylinder":
            capsules = {each.get("name") for each in link.iterfind("collision_checking/capsule")}
            round_ends = element.tag == "collision" and element.get("name") in capsules
            return (Capsule if round_ends else Cylinder)(*numbers("radius"), *numbers("length"))
    raise ValueError(f"the shape {shape.tag!r} is unknown")


def _mesh(robot: Robot, shape: Element) -> Surface:
    """The surface in a mesh file, read as Pinocchio reads it: by assimp, with the units of the file.

    Raises:
        ValueError: It is not there, or cannot be read.
    """
    name = shape.get("filename", "")
    path = _located(robot, name)
    if path is None:
        raise ValueError(f"{name} is not there")
    scale = np.array([float(word) for word in shape.get("scale", "1 1 1").split()])
    try:
        import coal

        model = coal.MeshLoader().load(str(path), scale)
        vertices = np.array(model.vertices())
        faces = [[model.tri_indices(i)[k] for k in range(3)] for i in range(model.num_tris)]
    except (ImportError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())[:200]}") from error
    return Surface(vertices, np.array(faces, np.int64).reshape(-1, 3))


def _located(robot: Robot, name: str) -> Path | None:
    """The file of a mesh: `package://` addresses and relative names start from all folders above the URDF."""
    folders = list(robot.path.parents) if robot.path else []
    relative = name.partition("://")[2] if name.startswith(("package://", "model://")) else name.removeprefix("file://")
    found = [Path(relative)] if Path(relative).is_absolute() else [folder / relative for folder in folders]
    return next((path for path in found if path.is_file()), None)


def _rgb(material: Element) -> Colour | None:
    colour = material.find("color")
    if colour is None:
        return None
    try:
        red, green, blue, *_ = (float(word) for word in colour.get("rgba", "").split())
    except ValueError:
        return None
    return red, green, blue


def _colour(element: Element, known: dict[str, Colour | None]) -> Colour:
    material = element.find("material")
    if material is None:
        return PLAIN
    return _rgb(material) or known.get(material.get("name", "")) or PLAIN
