"""What a world is made of: obstacles, and objects that are attached to links."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sobo_planner.errors import WorldError
from sobo_planner.world.pose import Pose
from sobo_planner.world.shapes import HalfSpace, Shape
from sobo_planner.world.values import Triple, name, number, shown, triple

#: Largest mass of an attached object [kg].
HEAVIEST = 1e4


@dataclass(frozen=True)
class Part:
    """A shape of an object, and its pose in the object's frame."""

    shape: Shape
    pose: Pose = Pose()

    def to_dict(self) -> dict[str, Any]:
        """The part in plain values, as in a world file."""
        return {**self.shape.to_dict(), **_pose_dict(self.pose)}


@dataclass(frozen=True)
class WorldObject:
    """An obstacle: one or more shapes that belong together.

    Attributes:
        name: Unique in a world.
        parts: Its shapes; a single shape may be given as it is.
        pose: Of the object in the base frame.
    """

    name: str
    parts: tuple[Part, ...]
    pose: Pose = Pose()

    def __post_init__(self) -> None:
        _prepare(self)

    @cached_property
    def shapes(self) -> tuple[Part, ...]:
        """The shapes, with their poses in the base frame."""
        return tuple(Part(part.shape, self.pose @ part.pose) for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """The object in plain values, as in a world file."""
        return {"shapes": [part.to_dict() for part in self.parts], **_pose_dict(self.pose)}


@dataclass(frozen=True)
class AttachedObject:
    """Shapes that move with a link, such as a gripper or a part that it holds.

    Attributes:
        name: Unique in a world.
        link: The link that it is fixed to.
        parts: Its shapes; a single shape may be given as it is.
        pose: Of the object in the link's frame.
        mass: Mass [kg], or None if it is not known.
        centre: Centre of mass in the object's frame [m], or None; needs a mass.
        touches: Links that it may touch, the one it is fixed to aside.
    """

    name: str
    link: str
    parts: tuple[Part, ...]
    pose: Pose = Pose()
    mass: float | None = None
    centre: Triple | None = None
    touches: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _prepare(self)
        what = f"attached object {self.name!r}"
        name(self.link, f"{what}: the link")
        if any(isinstance(part.shape, HalfSpace) for part in self.parts):
            raise WorldError(f"{what} has a half_space, which has no end; use a box")
        if self.mass is not None:
            object.__setattr__(self, "mass", number(self.mass, f"{what}: the mass", 0.0, HEAVIEST, "kg"))
        if self.centre is not None:
            if self.mass is None:
                raise WorldError(f"{what} has a centre of mass {shown(self.centre)} but no mass; give both, or none")
            object.__setattr__(self, "centre", triple(self.centre, f"{what}: the centre"))
        if isinstance(self.touches, str):
            raise WorldError(f"{what}: touches must be a list of links, got {shown(self.touches)}")
        links = sorted({name(link, f"{what}: a link that it touches") for link in self.touches})
        object.__setattr__(self, "touches", tuple(links))

    @cached_property
    def shapes(self) -> tuple[Part, ...]:
        """The shapes, with their poses in the link's frame."""
        return tuple(Part(part.shape, self.pose @ part.pose) for part in self.parts)

    @cached_property
    def extent(self) -> float:
        """Distance [m] from the link's origin within which all shapes are."""
        return max(math.hypot(*part.pose.position) + part.shape.bounding_radius for part in self.shapes)

    def to_dict(self) -> dict[str, Any]:
        """The object in plain values, as in a world file."""
        optional = {"mass": self.mass, "centre": self.centre and list(self.centre), "touches": list(self.touches)}
        given = {key: value for key, value in optional.items() if value not in (None, [])}
        shapes = [part.to_dict() for part in self.parts]
        return {"link": self.link, "shapes": shapes, **_pose_dict(self.pose), **given}


def _prepare(each: Any) -> None:
    """Checks the name, the parts and the pose of an object; a single shape becomes a part."""
    name(each.name, "the name of an object")
    parts = each.parts
    if isinstance(parts, (Part, Shape)):
        parts = (parts,)
    if not isinstance(parts, Iterable):
        raise WorldError(f"object {each.name!r}: parts must be shapes, got {shown(parts)}")
    parts = tuple(Part(part) if isinstance(part, Shape) else part for part in parts)
    if not parts or not all(isinstance(part, Part) for part in parts):
        raise WorldError(f"object {each.name!r} must have one or more shapes, got {shown(parts)}")
    if not all(isinstance(pose, Pose) for pose in (each.pose, *(part.pose for part in parts))):
        raise WorldError(f"object {each.name!r} and its parts must have a Pose each, got {shown(each.pose)}")
    object.__setattr__(each, "parts", parts)
    try:
        _ = each.shapes
    except WorldError as error:  # too far away
        raise WorldError(f"object {each.name!r}: {error}") from error


def _pose_dict(pose: Pose) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if any(pose.position):
        out["position"] = list(pose.position)
    if pose.quaternion != (0.0, 0.0, 0.0, 1.0):
        out["quaternion"] = list(pose.quaternion)
    return out
