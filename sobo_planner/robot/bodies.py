"""Worlds as the extension takes them: placed shapes, point masses, pairs that may touch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sobo_planner import _native
from sobo_planner.world import AttachedObject, Box, Capsule, Cylinder, HalfSpace, Mesh, Pose, Shape, Sphere, World

# Shapes that are kept, so that a world that changes a little makes few new ones.
KEPT = 20_000


class _Key:
    """A shape that is looked up by what it means: comparing meshes takes long."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __hash__(self) -> int:
        return hash(self.shape.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.shape.identity == other.shape.identity


def native_shape(shape: Shape) -> _native.Shape:
    """The extension's form of a shape, made once."""
    return _made(_Key(shape))


@lru_cache(maxsize=KEPT)
def _made(key: _Key) -> _native.Shape:
    shape = key.shape
    if isinstance(shape, Box):
        return _native.Shape.box(np.array(shape.size))
    if isinstance(shape, Sphere):
        return _native.Shape.sphere(shape.radius)
    if isinstance(shape, Cylinder):
        return _native.Shape.cylinder(shape.radius, shape.length)
    if isinstance(shape, Capsule):
        return _native.Shape.capsule(shape.radius, shape.length)
    if isinstance(shape, HalfSpace):
        return _native.Shape.half_space(np.array(shape.normal), shape.offset)
    return _mesh(shape)


def _mesh(shape: Mesh) -> _native.Shape:
    vertices = np.array(shape.vertices)
    return _native.Shape.hull(vertices) if shape.convex else _native.Shape.mesh(vertices, np.array(shape.faces))


def placed_shapes(world: World) -> list[_native.PlacedShape]:
    """All shapes of a world, attached ones included."""
    return [
        _native.PlacedShape(
            each.name,
            each.link if isinstance(each, AttachedObject) else "",
            native_shape(part.shape),
            _numbers(part.pose),
        )
        for each in world.everything
        for part in each.shapes
    ]


def loads(world: World) -> list[_native.Load]:
    """The masses of attached objects that are known; without a centre they are at the middle of the shapes' origins."""
    found = []
    for each in world.attached:
        if not each.mass:
            continue
        middle = np.mean([part.pose.position for part in each.shapes], axis=0)
        centre = middle if each.centre is None else np.array(each.pose.point(each.centre))
        found.append(_native.Load(each.link, each.mass, centre))
    return found


def _numbers(pose: Pose) -> np.ndarray:
    return np.array([*pose.position, *pose.quaternion])
