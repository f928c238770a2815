"""Checks of a URDF's tree: names, parents and children, one root; and which links move together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from xml.etree.ElementTree import Element

from sobo_planner.errors import RobotError


def check_tree(robot: Element) -> None:
    """Refuses what is no tree of named links and joints.

    Args:
        robot: The root element.

    Raises:
        RobotError: What is wrong with which link or joint.
    """
    if robot.tag != "robot" or not robot.get("name"):
        raise RobotError(f"a URDF is an element <robot name=...>, this is <{robot.tag}> with {sorted(robot.attrib)}")
    _refuse_xacro(robot)
    links = _names(robot, "link")
    _names(robot, "joint")
    if not links:
        raise RobotError("the URDF has no link")
    parents: dict[str, str] = {}
    for joint in robot.iterfind("joint"):
        parent, child = _end(joint, "parent", links), _end(joint, "child", links)
        if child in parents:
            raise RobotError(f"link {child!r} is the child of two joints, {parents[child]!r} and {joint.get('name')!r}")
        parents[child] = joint.get("name", "")
        if parent == child:
            raise RobotError(f"joint {joint.get('name')!r} joins link {child!r} to itself")
    roots = sorted(links - parents.keys())
    if len(roots) > 1:
        raise RobotError(f"the URDF has more than one root: {', '.join(roots)} are the children of no joint")
    lost = sorted(links - set(_reached(robot, roots)))
    if lost:
        joints = ", ".join(parents[link] for link in lost)
        raise RobotError(f"the links {', '.join(lost)} form a circle, or hang on one: look at the joints {joints}")


def bodies(robot: Element, moving: Sequence[str]) -> dict[str, list[Element]]:
    """The links that each moving joint carries up to the next one, nearest first.

    Args:
        robot: The root element of a tree that was checked.
        moving: Names of the joints that move.
    """
    links = {link.get("name"): link for link in robot.iterfind("link")}
    carried: dict[str, str | None] = {}
    joints = {_link(joint, "child"): joint for joint in robot.iterfind("joint")}
    out: dict[str, list[Element]] = {name: [] for name in moving}
    for name in _reached(robot, [name for name in links if name is not None and name not in joints]):
        joint = joints.get(name)
        if joint is None:
            carried[name] = None
            continue
        own = joint.get("name", "")
        carried[name] = own if own in moving else carried[_link(joint, "parent")]
        body = carried[name]
        if body is not None:
            out[body].append(links[name])
    return out


def _reached(robot: Element, roots: list[str]) -> Iterator[str]:
    """The names of all links that hang on the roots, parents before their children."""
    children: dict[str, list[str]] = {}
    for joint in robot.iterfind("joint"):
        children.setdefault(_link(joint, "parent"), []).append(_link(joint, "child"))
    waiting = list(roots)
    while waiting:
        name = waiting.pop(0)
        yield name
        waiting.extend(children.get(name, ()))


def _link(joint: Element, end: str) -> str:
    element = joint.find(end)
    return "" if element is None else element.get("link", "")


def _end(joint: Element, end: str, links: Set[str]) -> str:
    name = _link(joint, end)
    if name not in links:
        said = f"{end} link={name!r} is not a link of the URDF" if name else f"it needs an element <{end} link=...>"
        raise RobotError(f"joint {joint.get('name')!r}: {said}")
    return name


def _names(robot: Element, tag: str) -> set[str]:
    found: set[str] = set()
    for number, element in enumerate(robot.iterfind(tag), start=1):
        name = element.get("name")
        if not name:
            raise RobotError(f"{tag} number {number} has no name")
        if name in found:
            raise RobotError(f"the URDF has two {tag}s with the name {name!r}")
        found.add(name)
    return found


def _refuse_xacro(robot: Element) -> None:
    """Refuses elements and expressions of xacro, which a URDF parser passes over."""
    run = "run xacro, and use the URDF that it prints"
    prefixes = {"xacro"} | {
        name.partition(":")[2] for name, value in robot.attrib.items() if name.startswith("xmlns:") and "xacro" in value
    }
    for element in robot.iter():
        if element.tag.partition(":")[0] in prefixes and ":" in element.tag:
            raise RobotError(f"the URDF holds the xacro element <{element.tag}>: {run}")
    for part in (robot, *robot.iterfind("link"), *robot.iterfind("joint")):
        for element in [part] if part is robot else part.iter():
            for name, value in element.attrib.items():
                if "${" in value or "$(" in value:
                    where = f"{part.tag} {part.get('name')!r}: {name} of <{element.tag}>"
                    raise RobotError(f"{where} holds the xacro expression {value!r}: {run}")
