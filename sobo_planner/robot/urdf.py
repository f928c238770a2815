"""Reads a URDF: checks it, and writes it anew for Pinocchio, whose parser silently drops what it cannot read.

Where its parser finds an inertia malformed (a blank after the mass is enough), the link becomes weightless. So
Pinocchio never sees the file: it is given the elements that were checked, with their numbers, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, SubElement, TreeBuilder, canonicalize, tostring
from xml.parsers import expat

from sobo_planner.errors import RobotError
from sobo_planner.robot.inertia import check_inertias
from sobo_planner.robot.urdf_check import OPTIONAL, check_numbers
from sobo_planner.robot.urdf_joints import check_moving, locked_positions
from sobo_planner.robot.urdf_tree import bodies, check_tree

#: The elements of a link and of a joint that matter here.
KEPT = {
    "link": ("inertial", "collision", "collision_checking"),
    "joint": ("origin", "parent", "child", "axis", "limit", "dynamics"),
}
# Limits in a URDF are finite numbers. A joint without position limits gets these; in `Robot` they are infinite.
WIDE = "1e300"
# Elements of a URDF stand at most 6 deep.
DEEPEST = 50


@dataclass(frozen=True)
class Description:
    """A checked URDF.

    Attributes:
        text: What Pinocchio is given. Joints of type `continuous` are revolute ones in it, so that each has one angle.
        locked: Positions of all joints that do not move [rad or m], with those that mimic a locked one.
        unbounded: Names of the continuous joints that move.
    """

    text: str
    locked: dict[str, float]
    unbounded: frozenset[str]


def read(text: str, locked: Mapping[str, float]) -> Description:
    """Checks a URDF.

    Args:
        text: The URDF.
        locked: Joints to freeze and their positions [rad or m].

    Raises:
        RobotError: Not a URDF, or what is wrong with which link or joint.
    """
    robot = parse(text)
    check_tree(robot)
    check_numbers(robot)
    positions = locked_positions(robot, locked)
    moving = [joint for joint in robot.iterfind("joint") if _moves(joint, positions)]
    check_moving(moving)
    check_inertias(bodies(robot, [joint.get("name", "") for joint in moving]))
    turning = frozenset(joint.get("name", "") for joint in moving if joint.get("type") == "continuous")
    return Description(_written(robot, positions), positions, turning)


def identity(text: str, tool_frame: str, locked: Mapping[str, float], armature: Sequence[float]) -> str:
    """A hash of a robot. Comments and white space do not make another one, nor does what is written for Pinocchio.

    Raises:
        RobotError: A prefix of a name stands for no namespace.
    """
    try:
        meaning = canonicalize(text, strip_text=True)
    except ParseError as error:
        raise RobotError(f"the URDF cannot be parsed: {error}") from error
    return hashlib.sha256(repr((meaning, tool_frame, sorted(locked.items()), list(armature))).encode()).hexdigest()


def parse(text: str) -> Element:
    """The root element of a URDF, with the names of tags and attributes as written: URDF knows no namespaces.

    Raises:
        RobotError: Not XML, or XML that only other tools understand: entities, or xacro that was not run.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise RobotError(f"the URDF nests elements deeper than {DEEPEST}, at <{tag}>")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse_entity(name: str, *_: object) -> None:
        raise RobotError(f"the URDF declares the entity {name!r}, which URDF parsers do not know: write its text out")

    parser.StartElementHandler, parser.EndElementHandler, parser.EntityDeclHandler = start, end, refuse_entity
    try:
        parser.Parse(text.encode(), True)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        raise RobotError(f"the URDF cannot be parsed: {error}") from error
    return builder.close()


def _moves(joint: Element, locked: Mapping[str, float]) -> bool:
    return joint.get("type") != "fixed" and joint.get("name") not in locked


def _written(robot: Element, locked: Mapping[str, float]) -> str:
    """The robot as Pinocchio's parser is to read it."""
    root = Element("robot", {name: robot.attrib[name] for name in ("name", "version") if name in robot.attrib})
    for part in robot:
        if part.tag not in KEPT:
            continue
        out = SubElement(root, part.tag, part.attrib)
        out.extend(deepcopy(child) for child in part if child.tag in KEPT[part.tag])
        for limit in out.findall("limit"):
            limit.attrib = {name: limit.attrib[name] for name in OPTIONAL["limit"] if name in limit.attrib}
        if part.tag == "joint" and part.get("name") in locked:
            _widen(out, {"effort": "1", "velocity": "1"})
        elif part.tag == "joint" and part.get("type") == "continuous":
            _widen(out, {})
    return tostring(root, encoding="unicode")


def _widen(joint: Element, limits: Mapping[str, str]) -> None:
    """Removes the position limits of a joint, and sets these other limits."""
    if joint.get("type") == "continuous":
        joint.set("type", "revolute")
    given = joint.find("limit")
    limit = Element("limit", {} if given is None else given.attrib)
    limit.attrib.update(limits, lower=f"-{WIDE}", upper=WIDE)
    for element in joint.findall("limit"):
        joint.remove(element)
    joint.append(limit)
