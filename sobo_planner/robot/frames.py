"""Placements of links that are fixed to the URDF's root; poses are positions and unit quaternions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def rotate(quaternion: Vector, vector: Vector) -> Vector:
    """A vector (3,) rotated by a unit quaternion x, y, z, w, (4,)."""
    axis, w = quaternion[:3], quaternion[3]
    twice = 2.0 * np.cross(axis, vector)
    return vector + w * twice + np.cross(axis, twice)


def compose(first: Vector, second: Vector) -> Vector:
    """Quaternion (4,) of the rotation `second` followed by `first`: their product, x, y, z, w."""
    a, b = first[:3], second[:3]
    v, w = first[3], second[3]
    return np.append(v * b + w * a + np.cross(a, b), v * w - a @ b)


@dataclass(frozen=True)
class Placement:
    """Where a frame is in another one.

    Attributes:
        position: Of its origin, (3,) [m].
        quaternion: Its orientation x, y, z, w, (4,).
    """

    position: Vector
    quaternion: Vector

    @classmethod
    def identity(cls) -> Placement:
        """That of a frame in itself."""
        return cls(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))

    def __matmul__(self, other: Placement) -> Placement:
        """The placement `other`, given in this frame, in the frame that this one is given in."""
        position = self.position + rotate(self.quaternion, other.position)
        return Placement(position, compose(self.quaternion, other.quaternion))

    def inverse(self) -> Placement:
        """Where the other frame is in this one."""
        back = self.quaternion * [-1.0, -1.0, -1.0, 1.0]
        return Placement(-rotate(back, self.position), back)

    def goal(self, goal: Vector) -> Vector:
        """A goal in this frame, position (3,) or pose (7,), in the frame that this one is given in."""
        quaternion = goal[3:] if len(goal) == 7 else np.array([0.0, 0.0, 0.0, 1.0])
        moved = self @ Placement(goal[:3], quaternion)
        return np.concatenate([moved.position, moved.quaternion])[: len(goal)]


def carried_links(robot: Element, locked: Mapping[str, float]) -> dict[str, tuple[str, Placement]]:
    """All links, the root first: the joint that moves each ("" for none), and where the link is in that joint's frame.

    Args:
        robot: The root element of a URDF that was checked.
        locked: Positions of joints that do not move [rad or m].

    Returns:
        The nearest moving joint above each link. Its frame is that of its child link; for links that nothing moves, the
        frame is that of the root link.
    """
    root, joints = tree(robot)
    links = {root: ("", Placement.identity())}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for joint in joints.get(parent, []):
            child, name = link_of(joint, "child"), joint.get("name", "")
            if joint.get("type") != "fixed" and name not in locked:
                links[child] = name, Placement.identity()
            else:
                carrier, placement = links[parent]
                links[child] = carrier, placement @ origin_of(joint) @ _moved(joint, locked.get(name, 0.0))
            waiting.append(child)
    return links


def fixed_links(robot: Element, locked: Mapping[str, float]) -> dict[str, Placement]:
    """The links that do not move, and where they are in the frame of the root link, which comes first.

    Args:
        robot: The root element of a URDF that was checked.
        locked: Positions of joints that do not move [rad or m].
    """
    return {name: placement for name, (joint, placement) in carried_links(robot, locked).items() if not joint}


def tree(robot: Element) -> tuple[str, dict[str, list[Element]]]:
    """The root link of a URDF that was checked, and the joints whose parent each link is."""
    joints: dict[str, list[Element]] = {}
    children = set()
    for joint in robot.iterfind("joint"):
        joints.setdefault(link_of(joint, "parent"), []).append(joint)
        children.add(link_of(joint, "child"))
    root = next(name for link in robot.iterfind("link") if (name := link.get("name", "")) not in children)
    return root, joints


def link_of(joint: Element, end: str) -> str:
    """The link at an end of a joint, `parent` or `child`."""
    found = joint.find(end)
    return "" if found is None else found.get("link", "")


def _numbers(element: Element | None, name: str, otherwise: str) -> Vector:
    """Numbers in an attribute of an element that may not be there."""
    text = otherwise if element is None else element.get(name, otherwise)
    return np.array([float(word) for word in text.split()])


def origin_of(element: Element) -> Placement:
    """The placement that an element's `origin` gives: turned about the parent's x, then its y, then its z."""
    origin = element.find("origin")
    turned = np.array([0.0, 0.0, 0.0, 1.0])
    for axis, angle in zip(np.eye(3), _numbers(origin, "rpy", "0 0 0"), strict=True):
        turned = compose(_turn(axis, float(angle)), turned)
    return Placement(_numbers(origin, "xyz", "0 0 0"), turned)


def _moved(joint: Element, position: float) -> Placement:
    """By how much a joint at a position [rad or m] moves its child."""
    if joint.get("type") == "fixed" or position == 0.0:
        return Placement.identity()
    axis = _numbers(joint.find("axis"), "xyz", "1 0 0")
    axis = axis / np.linalg.norm(axis)
    if joint.get("type") == "prismatic":
        return Placement(axis * position, Placement.identity().quaternion)
    return Placement(np.zeros(3), _turn(axis, position))


def _turn(axis: Vector, angle: float) -> Vector:
    """Quaternion (4,) of a rotation by an angle [rad] about an axis (3,) of length 1."""
    return np.append(np.sin(angle / 2.0) * axis, np.cos(angle / 2.0))
