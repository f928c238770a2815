"""Surfaces of shapes: where they are, how large, closed, and seen from outside."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sobo_planner.view.surfaces import (
    GROUND,
    Surface,
    merged,
    sharp_edges,
    surface_of,
    surface_of_parts,
    tube,
)
from sobo_planner.world import Box, Capsule, Cylinder, HalfSpace, Mesh, Part, Pose, Sphere

TURNED = Pose((1.0, 2.0, 3.0), (math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)))  # about x: y becomes z
TETRAHEDRON = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def volume(surface: Surface) -> float:
    """By the divergence theorem: negative if the faces are seen from inside, wrong if there is a hole."""
    a, b, c = np.moveaxis(surface.triangles, 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)


ROUND = 24 / (2 * math.pi) * math.sin(2 * math.pi / 24)  # area of the polygon that stands for a circle


@pytest.mark.parametrize(
    ("shape", "exact", "least"),
    [
        (Box((0.2, 0.4, 0.6)), 0.048, 1.0),
        (Cylinder(0.3, 0.8), math.pi * 0.09 * 0.8 * ROUND, 1.0),
        (Sphere(0.5), 4 / 3 * math.pi * 0.125, 0.96),
        (Capsule(0.2, 0.6), 4 / 3 * math.pi * 0.008 + math.pi * 0.04 * 0.6, 0.96),
        (Mesh(TETRAHEDRON, convex=True), 1 / 6, 1.0),
    ],
)
def test_shapes_have_their_volume_where_they_are(shape, exact: float, least: float) -> None:
    """A polyhedron within a round shape is a little smaller; placed, all of it lies within the bounding ball."""
    surface = surface_of(shape)
    assert least * exact * (1 - 1e-9) <= volume(surface) <= exact * (1 + 1e-9)
    edges = np.sort(np.concatenate([surface.faces[:, [0, 1]], surface.faces[:, [1, 2]], surface.faces[:, [2, 0]]]), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all(), "each edge has two faces"
    placed = surface_of_parts([Part(shape, TURNED)])
    assert volume(placed) == pytest.approx(volume(surface))
    radii = np.linalg.norm(placed.vertices - TURNED.position, axis=1)
    assert radii.max() == pytest.approx(shape.bounding_radius, rel=1e-6)
    # Every corner of the placed surface is one of the shape's, by the pose's own arithmetic.
    np.testing.assert_allclose(placed.vertices[0], TURNED.point(tuple(surface.vertices[0])), atol=1e-12)


def test_meshes_are_their_faces() -> None:
    surface = surface_of(Mesh(TETRAHEDRON, faces=((0, 1, 2), (0, 1, 3))))
    np.testing.assert_array_equal(surface.triangles, [[TETRAHEDRON[i] for i in f] for f in ((0, 1, 2), (0, 1, 3))])


@pytest.mark.parametrize("normal", [(0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.6, 0.0, 0.8)])
def test_half_spaces_are_squares_of_their_plane(normal: tuple[float, float, float]) -> None:
    surface = surface_of(HalfSpace(normal, -0.3))
    np.testing.assert_allclose(surface.vertices @ normal, -0.3)
    a, b, c = surface.triangles[0]
    assert np.cross(b - a, c - a) @ normal == pytest.approx(GROUND**2)


def test_surfaces_join_and_become_coarser() -> None:
    both = merged([surface_of(Sphere(0.5)), surface_of(Sphere(0.5)).moved(np.eye(3), np.array([3.0, 0.0, 0.0]))])
    assert volume(both) == pytest.approx(2 * volume(surface_of(Sphere(0.5))))
    coarse = both.coarsened(0.2)
    assert len(coarse.faces) < 0.7 * len(both.faces)
    assert volume(coarse) == pytest.approx(volume(both), rel=0.2)
    assert np.abs(coarse.vertices - [1.5, 0.0, 0.0]).max() <= 2.0


def test_edges_that_are_sharp() -> None:
    assert len(sharp_edges(surface_of(Box((1.0, 1.0, 1.0))))) == 12
    assert len(sharp_edges(surface_of(Cylinder(0.3, 0.8)))) == 2 * 24
    assert len(sharp_edges(surface_of(Sphere(0.3)))) == 0
    assert len(sharp_edges(surface_of(HalfSpace()))) == 4, "the ends of a surface"


def test_tubes_are_as_long_and_thick_as_asked_for() -> None:
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [1.0, 0.0, 0.0]])
    surface = tube(points, 0.1)
    np.testing.assert_allclose([surface.vertices[:, 0].min(), surface.vertices[:, 0].max()], [0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(surface.vertices[:, 1:], axis=1), 0.1)
    assert len(tube(points[:2], 0.1).faces) == 0, "a point has no length"
