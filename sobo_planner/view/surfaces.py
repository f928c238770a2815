"""Surfaces of shapes as triangles, for whatever draws them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sobo_planner.world import Box, Capsule, Cylinder, HalfSpace, Mesh, Part, Shape, Sphere

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

ROUND, HALF = np.linspace(0.0, 2.0 * np.pi, 25), np.linspace(-0.5 * np.pi, 0.5 * np.pi, 13)
CORNERS = np.array(list(product((-0.5, 0.5), repeat=3)))
#: The sides of a box by its corners, anticlockwise as seen from outside.
SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
#: Edge of the square that stands for a half-space, which has no end [m].
GROUND = 4.0


@dataclass(frozen=True)
class Surface:
    """Triangles, anticlockwise as seen from outside where the surface is closed.

    Attributes:
        vertices: Corners, (V, 3) [m].
        faces: Three indices of corners each, (F, 3).
    """

    vertices: Array
    faces: Indices

    @property
    def triangles(self) -> Array:
        """The corners of each face, (F, 3, 3) [m]."""
        return self.vertices[self.faces]

    def moved(self, rotation: Array, position: Array) -> Surface:
        """The surface turned by a matrix (3, 3), then shifted by (3,) [m]."""
        return Surface(self.vertices @ rotation.T + position, self.faces)

    def coarsened(self, grid: float) -> Surface:
        """The same with corners merged that lie in one cube of a grid [m]; faces that vanish are left out."""
        cells = np.floor(self.vertices / grid).astype(np.int64)
        _, cell = np.unique(cells, axis=0, return_inverse=True)
        cell = cell.reshape(-1)
        count = np.bincount(cell)
        middles = np.stack([np.bincount(cell, self.vertices[:, axis]) / count for axis in range(3)], 1)
        faces = kept(cell[self.faces])
        _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
        return Surface(middles, faces[np.sort(first)])


def kept(faces: Indices) -> Indices:
    """Those faces (F, 3) that have three different corners."""
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]


def merged(surfaces: Iterable[Surface]) -> Surface:
    """All of them as one."""
    vertices: list[Array] = [np.zeros((0, 3))]
    faces: list[Indices] = [np.zeros((0, 3), np.int64)]
    count = 0
    for each in surfaces:
        vertices.append(each.vertices)
        faces.append(each.faces + count)
        count += len(each.vertices)
    return Surface(np.vstack(vertices), np.vstack(faces))


def surface_of_parts(parts: Iterable[Part]) -> Surface:
    """The surfaces of placed shapes as one, in the frame of their poses."""
    return merged(
        Surface(placed(part, surface.vertices), surface.faces) for part in parts for surface in [surface_of(part.shape)]
    )


def placed(part: Part, points: Array) -> Array:
    """Points (N, 3) in the frame of a part's shape, in the frame of its pose."""
    rows = [part.pose.direction(axis) for axis in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))]
    moved: Array = points @ np.array(rows) + part.pose.position
    return moved


def surface_of(shape: Shape) -> Surface:
    """The surface of a shape in its own frame.

    A half-space is shown as a square of its plane, `GROUND` wide.
    """
    match shape:
        case Box():
            return _quads(CORNERS * shape.size, SIDES)
        case Sphere():
            return turned(shape.radius * np.cos(HALF), shape.radius * np.sin(HALF))
        case Cylinder():
            r, h = shape.radius, 0.5 * shape.length
            return turned(np.array([0.0, r, r, 0.0]), np.array([-h, -h, h, h]))
        case Capsule():
            half, middle = 0.5 * shape.length, len(HALF) // 2 + 1
            angles = np.concatenate([HALF[:middle], HALF[middle - 1 :]])
            up = np.where(np.arange(len(angles)) < middle, -half, half)
            return turned(shape.radius * np.cos(angles), shape.radius * np.sin(angles) + up)
        case HalfSpace():
            return _square(np.array(shape.normal), shape.offset)
        case Mesh():
            vertices = np.array(shape.vertices)
            return Surface(vertices, np.array(shape.faces, np.int64)) if shape.faces else hull(vertices)


def turned(radius: Array, height: Array) -> Surface:
    """A profile, from below to above, turned about z; where its radius is 0 the surface is closed."""
    ring = np.stack([np.cos(ROUND[:-1]), np.sin(ROUND[:-1])], 1)
    count = len(ring)
    rims = [np.column_stack([r * ring, np.full(count, h)]) for r, h in zip(radius, height, strict=True)]
    quads = [
        (low + k, low + (k + 1) % count, low + count + (k + 1) % count, low + count + k)
        for low in range(0, count * (len(rims) - 1), count)
        for k in range(count)
    ]
    surface = _quads(np.vstack(rims), quads)
    _, first, index = np.unique(surface.vertices.round(9), axis=0, return_index=True, return_inverse=True)
    return Surface(surface.vertices[first], kept(index.reshape(-1)[surface.faces]))  # one corner at each pole


def sharp_edges(surface: Surface, angle: float = 0.5) -> Array:
    """The edges where two faces meet at an angle of more than given [rad], or where a face ends, (E, 2, 3) [m]."""
    triangles = surface.triangles
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-30)[:, None]
    pairs = np.concatenate([surface.faces[:, [0, 1]], surface.faces[:, [1, 2]], surface.faces[:, [2, 0]]])
    edges, index, count = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(index.reshape(-1), kind="stable")
    begin = np.cumsum(count) - count
    first, last = (order[at] % len(triangles) for at in (begin, begin + count - 1))
    together = np.einsum("ij,ij->i", normals[first], normals[last])
    return surface.vertices[edges[(count == 1) | (together < np.cos(angle))]]


def tube(points: Array, radius: float, sides: int = 8) -> Surface:
    """A round line along points (N, 3), of a radius [m], with flat ends."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    points = points[np.append(True, steps > 1e-9)]
    if len(points) < 2:
        return merged([])
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1)[:, None]
    across = np.cross(along[0], np.eye(3)[np.abs(along[0]).argmin()])
    angles = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
    rings = []
    for point, direction in zip(points, along, strict=True):
        across = across - (across @ direction) * direction  # as little twisted as can be
        across /= np.linalg.norm(across)
        circle = np.cos(angles)[:, None] * across + np.sin(angles)[:, None] * np.cross(direction, across)
        rings.append(point + radius * circle)
    quads = [
        (low + k, low + (k + 1) % sides, low + sides + (k + 1) % sides, low + sides + k)
        for low in range(0, sides * (len(rings) - 1), sides)
        for k in range(sides)
    ]
    return _quads(np.vstack(rings), quads)


def hull(points: Array) -> Surface:
    """The convex hull of points (N, 3), as Coal makes it."""
    import coal  # Pinocchio's Python module, which takes a while to load

    cloud = coal.StdVec_Vec3s()
    cloud.extend(list(points))
    found = coal.Convex.convexHull(cloud, True, "Qt")
    corners = np.array([found.point(i) for i in range(found.num_points)])
    faces = [[found.polygons(i)[k] for k in range(3)] for i in range(found.num_polygons)]
    return Surface(corners, np.array(faces, np.int64))


def _quads(vertices: Array, quads: Iterable[tuple[int, int, int, int]]) -> Surface:
    faces = [half for a, b, c, d in quads for half in ((a, b, c), (a, c, d))]
    return Surface(vertices, np.array(faces, np.int64))


def _square(normal: Array, offset: float) -> Surface:
    """A square of a plane about the point that is nearest to the origin."""
    first = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    first /= np.linalg.norm(first)
    second = np.cross(normal, first)
    corners = [
        offset * normal + 0.5 * GROUND * (u * first + v * second) for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    return _quads(np.array(corners), [(0, 1, 2, 3)])
