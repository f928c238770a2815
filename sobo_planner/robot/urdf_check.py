"""Checks of a URDF that its parser leaves out: it drops an inertia or a shape that it cannot read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, fromstring

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
}
SHAPES = ("box", "cylinder", "sphere", "mesh")


def check_numbers(text: str) -> None:
    """Refuses a URDF in which a number that moves or bounds the robot is missing or none.

    Args:
        text: The URDF.

    Raises:
        RobotError: Not XML, or what is wrong in which link or joint.
    """
    try:
        robot = fromstring(text)
    except ParseError as error:
        raise RobotError(f"the URDF cannot be parsed: {error}") from error
    for part in (*robot.iterfind("link"), *robot.iterfind("joint")):
        where = f"{part.tag} {part.get('name', '')!r}"
        for element in _relevant(part):
            _check_element(element, where)
        for geometry in part.iterfind("collision/geometry"):
            shapes = [shape.tag for shape in geometry]
            if len(shapes) != 1 or shapes[0] not in SHAPES:
                raise RobotError(f"{where}: a collision needs one shape of {', '.join(SHAPES)}; it has {shapes}")


def _relevant(part: Element) -> Iterator[Element]:
    """All elements of a link or joint but what it looks like."""
    for child in part:
        if child.tag != "visual":
            yield child
            yield from _relevant(child)


def _check_element(element: Element, where: str) -> None:
    required, optional = REQUIRED.get(element.tag, {}), OPTIONAL.get(element.tag, {})
    numbers: dict[str, list[float]] = {}
    for name, size in (required | optional).items():
        value = element.get(name)
        if value is None and name in optional:
            continue
        found = _numbers(value, size)
        if found is None:
            raise RobotError(f"{where}: {element.tag} needs finite numbers in {name}, {size} of them, got {value!r}")
        numbers[name] = found
    if element.tag == "mass" and numbers["value"][0] < 0:
        raise RobotError(f"{where}: the mass must not be negative, got {element.get('value')}")
    if element.tag == "limit" and numbers.get("lower", [0.0])[0] > numbers.get("upper", [0.0])[0]:
        raise RobotError(f"{where}: lower limit {element.get('lower')} above the upper one {element.get('upper')}")


def _numbers(value: str | None, size: int) -> list[float] | None:
    try:
        found = [float(word) for word in (value or "").split()]
    except ValueError:
        return None
    return found if len(found) == size and all(map(math.isfinite, found)) else None
