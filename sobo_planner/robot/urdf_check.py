"""Checks of a URDF that its parser leaves out: it drops an inertia or a shape that it cannot read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from sobo_planner.errors import RobotError

#: Elements whose numbers count, and how many numbers each of their attributes holds.
REQUIRED = {
    "mass": {"value": 1},
    "inertia": dict.fromkeys(("ixx", "ixy", "ixz", "iyy", "iyz", "izz"), 1),
    "box": {"size": 3},
    "cylinder": {"radius": 1, "length": 1},
    "sphere": {"radius": 1},
}
OPTIONAL = {
    "origin": {"xyz": 3, "rpy": 3},
    "axis": {"xyz": 3},
    "mesh": {"scale": 3},
    "limit": {"lower": 1, "upper": 1, "velocity": 1, "effort": 1},
    "mimic": {"multiplier": 1, "offset": 1},
    "dynamics": {"damping": 1, "friction": 1},
}
SHAPES = ("box", "cylinder", "sphere", "mesh")
# What both Python and the parser of URDF take for a number: not 1_000, say, or the digits of other scripts.
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def check_numbers(robot: Element) -> None:
    """Refuses a URDF in which a number that moves or bounds the robot is missing or none.

    Args:
        robot: The root element. White space around its numbers becomes single blanks.

    Raises:
        RobotError: What is wrong in which link or joint.
    """
    for part in (*robot.iterfind("link"), *robot.iterfind("joint")):
        where = f"{part.tag} {part.get('name', '')!r}"
        for element in _relevant(part):
            _check_element(element, where)
        for inertial in part.iterfind("inertial"):
            for needed in ("mass", "inertia"):
                if inertial.find(needed) is None:
                    raise RobotError(
                        f"{where}: inertial needs an element <{needed}>; without it the link is weightless"
                    )
        for collision in part.iterfind("collision"):
            _check_collision(collision, where)


def _check_collision(collision: Element, where: str) -> None:
    shapes = [shape for geometry in collision.iterfind("geometry") for shape in geometry]
    if len(shapes) != 1 or shapes[0].tag not in SHAPES:
        found = [shape.tag for shape in shapes]
        raise RobotError(f"{where}: a collision needs one shape of {', '.join(SHAPES)}; it has {found}")
    if shapes[0].tag == "mesh" and not shapes[0].get("filename"):
        raise RobotError(f"{where}: mesh needs a filename")


def numbers_of(element: Element, name: str, default: float = 0.0) -> list[float]:
    """The numbers of an attribute that was checked, or the default."""
    return [float(word) for word in element.get(name, str(default)).split()]


def _relevant(part: Element) -> Iterator[Element]:
    """All elements of a link or joint but what it looks like."""
    for child in part:
        if child.tag != "visual":
            yield from child.iter()


def _check_element(element: Element, where: str) -> None:
    required, optional = REQUIRED.get(element.tag, {}), OPTIONAL.get(element.tag, {})
    if element.tag == "origin" and "quat_xyzw" in element.attrib:  # of URDF 1.1; parsers of 1.0 pass over it
        raise RobotError(f"{where}: origin has a quaternion (quat_xyzw), which is not supported: write rpy")
    numbers: dict[str, list[float]] = {}
    for name, size in (required | optional).items():
        value = element.get(name)
        if value is None and name in optional:
            continue
        found = _numbers(value, size)
        if found is None:
            raise RobotError(f"{where}: {element.tag} needs finite numbers in {name}, {size} of them, got {value!r}")
        numbers[name] = found
        element.set(name, " ".join((value or "").split()))
    if element.tag == "mass" and numbers["value"][0] < 0:
        raise RobotError(f"{where}: the mass must not be negative, got {element.get('value')}")
    if element.tag in SHAPES and element.tag != "mesh" and min(min(sizes) for sizes in numbers.values()) < 0:
        raise RobotError(f"{where}: a {element.tag} has a negative size: {dict(element.attrib)}")
    if element.tag == "limit" and numbers.get("lower", [0.0])[0] > numbers.get("upper", [0.0])[0]:
        raise RobotError(f"{where}: lower limit {element.get('lower')} above the upper one {element.get('upper')}")


def _numbers(value: str | None, size: int) -> list[float] | None:
    words = (value or "").split()
    if len(words) != size or not all(NUMBER.fullmatch(word) for word in words):
        return None
    found = [float(word) for word in words]
    return found if all(map(math.isfinite, found)) else None
