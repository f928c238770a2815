"""The shapes in urdf/ur5.urdf against the collision meshes of example-robot-data's UR5."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from functools import cache

import coal
import numpy as np
import pinocchio as pin
import pytest
from robots import package_folders, ur5_reference_urdf, ur5_urdf


@cache
def load(reference: bool = False) -> tuple[pin.Model, pin.GeometryModel]:
    """Returns the model and its collision geometry, with all pairs of links that are not neighbours."""
    path = ur5_reference_urdf() if reference else ur5_urdf()
    model = pin.buildModelFromUrdf(str(path))
    folders = package_folders(path)
    geometry = pin.buildGeomFromUrdf(model, str(path), pin.GeometryType.COLLISION, package_dirs=folders)
    for second, b in enumerate(geometry.geometryObjects):
        for first, a in enumerate(geometry.geometryObjects[:second]):
            neighbours = abs(a.parentJoint - b.parentJoint) <= 1  # joints are numbered along the chain
            dummy = "ee_link" in a.name + b.name  # the reference hangs a small box on its tool
            if not neighbours and not dummy:
                geometry.addCollisionPair(pin.CollisionPair(first, second))
    return model, geometry


def colliding_links(q: Sequence[float] | np.ndarray, reference: bool = False) -> set[tuple[str, str]]:
    """Returns the pairs of links in collision, named without "_link"."""
    model, geometry = load(reference)
    data = geometry.createData()
    pin.computeCollisions(model, model.createData(), geometry, data, np.asarray(q, float), False)
    names = [shape.name.rpartition("_link_")[0] for shape in geometry.geometryObjects]
    results = zip(geometry.collisionPairs, data.collisionResults, strict=True)
    return {(names[pair.first], names[pair.second]) for pair, result in results if result.isCollision()}


def test_geometry_is_self_contained_and_uses_capsules() -> None:
    root = ElementTree.parse(ur5_urdf()).getroot()
    assert not list(root.iter("mesh"))
    moving = [link for link in root.iter("link") if link.find("inertial") is not None]
    assert len(moving) == 7
    assert all(link.find("visual") is not None and link.find("collision") is not None for link in moving)
    shapes = {shape.name: shape.geometry for shape in load()[1].geometryObjects}
    assert isinstance(shapes.pop("base_link_0"), coal.Cylinder)
    assert all(isinstance(shape, coal.Capsule) for shape in shapes.values())


@pytest.mark.parametrize(
    "q",
    [
        (0.0,) * 6,
        (0.0, -1.57, 1.57, -1.57, -1.57, 0.0),
        (0.0, -1.57, 0.0, -1.57, 0.0, 0.0),
        (0.0, -1.57, 0.0, 0.0, 0.0, 0.0),
        (0.0, -1.2, 2.0, -2.3, -1.57, 0.0),
        (1.0, -2.0, 2.6, -2.0, -1.57, 0.5),
    ],
)
def test_free_configurations(q: tuple[float, ...]) -> None:
    assert not colliding_links(q)
    assert not colliding_links(q, reference=True)


@pytest.mark.parametrize(
    ("q", "links"),
    [
        ((-2.9, 1.5, 0.7, -3.0, 1.4, -3.0), {("base", "upper_arm")}),
        ((-0.3, -3.1, -2.8, 1.1, 1.2, 0.5), {("base", "forearm")}),
        ((-3.1, 0.3, 2.8, 2.4, -1.1, -2.1), {("base", "wrist_1")}),
        ((3.1, 2.5, -2.6, -2.7, 2.1, 1.8), {("base", "wrist_3")}),
        ((1.0, 0.7, -2.9, 0.0, -1.1, -1.0), {("shoulder", "forearm"), ("upper_arm", "wrist_1")}),
        ((-0.9, -2.0, -2.9, -1.1, -2.7, -2.0), {("upper_arm", "wrist_1")}),
        ((-3.0, -1.2, -2.8, 1.7, 1.6, -0.4), {("upper_arm", "wrist_2")}),
        ((2.2, -1.7, 2.8, -1.1, -0.7, -1.4), {("upper_arm", "wrist_3")}),
        ((1.2, -0.7, -2.3, 1.4, 0.2, -1.2), {("forearm", "wrist_2")}),
        ((2.7, -0.7, -2.1, 2.4, 2.5, -2.8), {("forearm", "wrist_3")}),
    ],
)
def test_colliding_configurations(q: tuple[float, ...], links: set[tuple[str, str]]) -> None:
    assert colliding_links(q) == links
    assert colliding_links(q, reference=True) == links


def test_capsules_judge_like_the_reference_meshes() -> None:
    samples = np.random.default_rng(1).uniform(-np.pi, np.pi, (1000, 6))
    capsules = np.array([bool(colliding_links(q)) for q in samples])
    meshes = np.array([bool(colliding_links(q, reference=True)) for q in samples])
    assert 0.2 < capsules.mean() < 0.35
    assert np.mean(capsules == meshes) > 0.96
    assert np.mean(~capsules & meshes) < 0.01  # missed collisions
