"""How far an arm can be from its root in any posture, from its URDF alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from sobo_planner.robot.frames import link_of, tree

#: What a mesh may measure from its origin beyond what the URDF says of it, which is nothing [m].
MESH = 0.5


def reach(robot: Element, locked: Mapping[str, float]) -> float:
    """Distance [m] from the root link's origin within which all links stay, the collision shapes included.

    Args:
        robot: The root element of a URDF that was checked.
        locked: Positions of joints that do not move [rad or m].
    """
    root, joints = tree(robot)
    links = {link.get("name", ""): link for link in robot.iterfind("link")}
    waiting = [(root, 0.0)]
    farthest = 0.0
    while waiting:
        name, distance = waiting.pop()
        farthest = max(farthest, distance + max(map(_extent, links[name].iterfind("collision")), default=0.0))
        for joint in joints.get(name, []):
            further = distance + _length(joint.find("origin"), "xyz") + _travel(joint, locked)
            waiting.append((link_of(joint, "child"), further))
    return farthest


def _length(element: Element | None, name: str) -> float:
    return 0.0 if element is None else math.hypot(*(float(word) for word in element.get(name, "0").split()))


def _travel(joint: Element, locked: Mapping[str, float]) -> float:
    """How far a joint may move its child [m]."""
    if joint.get("type") != "prismatic":
        return 0.0
    name, limit = joint.get("name", ""), joint.find("limit")
    if name in locked:
        return abs(locked[name])
    return 0.0 if limit is None else max(abs(float(limit.get(end, "0"))) for end in ("lower", "upper"))


def _extent(collision: Element) -> float:
    """Distance of a collision shape's farthest point from the link's origin [m]."""
    shape = next(iter(collision.find("geometry") or ()), None)
    if shape is None:
        return 0.0
    own = {
        "box": 0.5 * _length(shape, "size"),
        "sphere": _length(shape, "radius"),
        "cylinder": math.hypot(_length(shape, "radius"), 0.5 * _length(shape, "length")),
        "capsule": _length(shape, "radius") + 0.5 * _length(shape, "length"),
    }.get(shape.tag, MESH)
    return _length(collision.find("origin"), "xyz") + own
