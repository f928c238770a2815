"""Shapes of obstacles, about their own origin; axes of round ones are z. Lengths are in metres."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from sobo_planner.errors import WorldError
from sobo_planner.world.values import LARGEST, SMALLEST, Triple, digest, length, number, rounded, shown, triple, unit

#: Vertices and faces of a mesh.
MOST_VERTICES, MOST_FACES = 100_000, 200_000


class _Shape(ABC):
    """What all shapes have: a name of their kind, and a form as plain values."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def bounding_radius(self) -> float:
        """Radius of a sphere about the shape's origin that holds it [m]."""

    @cached_property
    def identity(self) -> str:
        """Hash of what the shape means; computed once, as meshes are large."""
        return digest(rounded(self.to_dict()))

    def to_dict(self) -> dict[str, Any]:
        """The shape in plain values, as in a world file: `{kind: {field: value}}`."""
        return {self.kind: {item.name: _plain(getattr(self, item.name)) for item in fields(self)}}  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def _lengths(shape: Any, *names: str) -> None:
    for name in names:
        object.__setattr__(shape, name, length(getattr(shape, name), f"{name} of a {shape.kind}"))


@dataclass(frozen=True)
class Box(_Shape):
    """A box.

    Attributes:
        size: Lengths of its edges along x, y, z [m].
    """

    size: Triple
    kind = "box"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", triple(self.size, "size of a box", SMALLEST, LARGEST))

    @property
    def bounding_radius(self) -> float:
        """Half of the diagonal [m]."""
        return 0.5 * math.hypot(*self.size)


@dataclass(frozen=True)
class Sphere(_Shape):
    """A ball of a radius [m]."""

    radius: float
    kind = "sphere"

    def __post_init__(self) -> None:
        _lengths(self, "radius")

    @property
    def bounding_radius(self) -> float:
        """The radius itself [m]."""
        return self.radius


@dataclass(frozen=True)
class Cylinder(_Shape):
    """A cylinder along z, its origin in the middle; radius and length [m]."""

    radius: float
    length: float
    kind = "cylinder"

    def __post_init__(self) -> None:
        _lengths(self, "radius", "length")

    @property
    def bounding_radius(self) -> float:
        """Distance of the rims [m]."""
        return math.hypot(self.radius, 0.5 * self.length)


@dataclass(frozen=True)
class Capsule(_Shape):
    """All points within `radius` of a segment of `length` along z [m]; end to end it measures length + 2 radius."""

    radius: float
    length: float
    kind = "capsule"

    def __post_init__(self) -> None:
        _lengths(self, "radius", "length")

    @property
    def bounding_radius(self) -> float:
        """Half of its whole length [m]."""
        return self.radius + 0.5 * self.length


@dataclass(frozen=True)
class HalfSpace(_Shape):
    """Everything on one side of a plane, such as a floor.

    Attributes:
        normal: Unit vector that points out of what is solid.
        offset: A point x is inside if normal . x <= offset [m].
    """

    normal: Triple = (0.0, 0.0, 1.0)
    offset: float = 0.0
    kind = "half_space"

    def __post_init__(self) -> None:
        normal = triple(self.normal, "normal of a half_space", -2.0, 2.0, "")
        object.__setattr__(self, "normal", unit(normal, "normal of a half_space"))
        object.__setattr__(self, "offset", number(self.offset, "offset of a half_space", -LARGEST, LARGEST))

    @property
    def bounding_radius(self) -> float:
        """Infinite."""
        return math.inf


@dataclass(frozen=True)
class Mesh(_Shape):
    """Triangles, or the convex hull of points.

    Attributes:
        vertices: Points [m].
        faces: Three indices of vertices each; none for a hull.
        convex: Whether the convex hull of the vertices is meant, which is solid. Triangles are a surface.
    """

    vertices: tuple[Triple, ...]
    faces: tuple[tuple[int, int, int], ...] = ()
    convex: bool = False
    kind = "mesh"

    def __post_init__(self) -> None:
        _require_list(self.vertices, "vertices", 4 if self.convex is True else 3, MOST_VERTICES)
        vertices = tuple(triple(vertex, f"vertex {n} of a mesh") for n, vertex in enumerate(self.vertices))
        object.__setattr__(self, "vertices", vertices)
        if not isinstance(self.convex, bool):
            raise WorldError(f"convex of a mesh must be true or false, got {shown(self.convex)}")
        _require_list(self.faces, "faces", 0 if self.convex else 1, 0 if self.convex else MOST_FACES)
        faces = tuple(_face(face, n, len(vertices)) for n, face in enumerate(self.faces))
        object.__setattr__(self, "faces", faces)
        if self.convex and _thickness(vertices) < SMALLEST:
            raise WorldError("the vertices of a convex mesh lie in a plane, so that it has no volume; use a thin box")

    @cached_property
    def identity(self) -> str:
        """As for all shapes; the order of the vertices of a hull means nothing."""
        return digest(["hull", rounded(sorted(set(self.vertices)))] if self.convex else rounded(self.to_dict()))

    @cached_property
    def bounding_radius(self) -> float:
        """Distance of the farthest vertex [m]."""
        return max(math.hypot(*vertex) for vertex in self.vertices)


Shape = Box | Sphere | Cylinder | Capsule | HalfSpace | Mesh
SHAPES: dict[str, type[Shape]] = {cls.kind: cls for cls in (Box, Sphere, Cylinder, Capsule, HalfSpace, Mesh)}


def _require_list(values: Any, what: str, least: int, most: int) -> None:
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        raise WorldError(f"{what} of a mesh must be a list, got {shown(values)}")
    if not least <= len(values) <= most:
        kind = "convex mesh (the hull of its vertices)" if most == 0 else "mesh"
        raise WorldError(f"a {kind} must have {least} to {most} {what}, got {len(values)}")


def _face(face: Any, number: int, count: int) -> tuple[int, int, int]:
    valid = isinstance(face, Sequence) and len(face) == 3
    if not valid or any(
        not isinstance(i, (int, np.integer)) or isinstance(i, bool) or not 0 <= i < count for i in face
    ):
        raise WorldError(
            f"face {number} of a mesh must be 3 indices of vertices in 0 ... {count - 1}, got {shown(face)}"
        )
    a, b, c = (int(i) for i in face)
    if len({a, b, c}) != 3:
        raise WorldError(f"face {number} of a mesh must name 3 different vertices, got {[a, b, c]}")
    return a, b, c


def _thickness(vertices: Sequence[Triple]) -> float:
    """Root mean square distance of points to the plane that fits them best [m]."""
    points = np.array(vertices)
    values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(values[-1]) / math.sqrt(len(points))
