"""Worlds: shapes with sane numbers, snapshots that never change, a hash of what is meant."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sobo_planner.errors import WorldError
from sobo_planner.robot.frames import Placement
from sobo_planner.world import (
    AttachedObject,
    Box,
    Capsule,
    Cylinder,
    HalfSpace,
    Mesh,
    Part,
    Pose,
    Sphere,
    World,
    WorldObject,
    world_from_dict,
)
from sobo_planner.world.world import MOST_SHAPES

TETRAHEDRON = ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, 0.3))
NO_LENGTHS = [math.nan, math.inf, -math.inf, 0, -0.0, -0.1, 1e-7, 1.0001e4, 10**400, True, None, "1", [1.0]]
TURN = (0.0, 0.0, math.sin(0.35), math.cos(0.35))

coordinates = st.floats(-10.0, 10.0)
lengths = st.floats(1e-6, 1e4)
turns = st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4).filter(lambda q: math.hypot(*q) > 0.1)
poses = st.builds(
    lambda position, q: Pose(position, tuple(value / math.hypot(*q) for value in q)),
    st.tuples(coordinates, coordinates, coordinates),
    turns,
)
shapes = st.one_of(
    st.builds(Box, st.tuples(lengths, lengths, lengths)),
    st.builds(Sphere, lengths),
    st.builds(Cylinder, lengths, lengths),
    st.builds(Capsule, lengths, lengths),
)
parts = st.builds(Part, shapes, poses)
names = st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable() and text.strip() != "")


def world() -> World:
    """Two obstacles, a gripper, a pair that may touch."""
    shelf = WorldObject("shelf", (Part(Box((0.3, 0.8, 0.02))), Part(Sphere(0.1), Pose((0.0, 0.0, 0.4)))))
    can = WorldObject("can", Cylinder(0.03, 0.14), Pose((0.8, 0.1, 0.5), TURN))
    hand = AttachedObject("hand", "tool0", Capsule(0.05, 0.1), mass=0.9, centre=(0.0, 0.0, 0.05), touches=("wrist",))
    return World((shelf, can), (hand,), frozenset({("shelf", "can")}))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda x: Box((x, 1.0, 1.0)), "size of a box"),
        (lambda x: Box((1.0, 1.0, x)), "size of a box"),
        (lambda x: Sphere(x), "radius of a sphere"),
        (lambda x: Cylinder(x, 1.0), "radius of a cylinder"),
        (lambda x: Cylinder(1.0, x), "length of a cylinder"),
        (lambda x: Capsule(x, 1.0), "radius of a capsule"),
        (lambda x: Capsule(1.0, x), "length of a capsule"),
    ],
)
@pytest.mark.parametrize("value", NO_LENGTHS, ids=repr)
def test_lengths_are_positive_and_finite(make: Callable[[Any], Any], what: str, value: Any) -> None:
    with pytest.raises(WorldError, match=rf"^{what} must be a number in \[1e-06, 10000\] m, got ") as refused:
        make(value)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 250


@pytest.mark.parametrize("value", [1e-6, 1e4, 1, np.float32(0.5), np.int64(2)])
def test_bounds_themselves_are_lengths(value: Any) -> None:
    assert Box((value, value, value)).size == (value, value, value)
    assert type(Sphere(value).radius) is float


@pytest.mark.parametrize("size", [(1.0, 1.0), (1.0, 1.0, 1.0, 1.0), 1.0, "111", {"x": 1.0}, None])
def test_a_box_has_three_edges(size: Any) -> None:
    with pytest.raises(WorldError, match="size of a box must be 3 numbers, got"):
        Box(size)


def test_bounding_radii_hold_the_shapes_and_touch_them() -> None:
    assert Box((0.2, 0.4, 0.4)).bounding_radius == pytest.approx(0.3)
    assert Sphere(0.2).bounding_radius == 0.2
    assert Cylinder(0.3, 0.8).bounding_radius == pytest.approx(0.5)
    assert Capsule(0.1, 0.4).bounding_radius == pytest.approx(0.3)
    assert Mesh(TETRAHEDRON, convex=True).bounding_radius == pytest.approx(0.3)
    assert HalfSpace().bounding_radius == math.inf


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vertices": ()}, "a mesh must have 3 to 100000 vertices, got 0"),
        ({"vertices": TETRAHEDRON}, "a mesh must have 1 to 200000 faces, got 0"),
        ({"vertices": TETRAHEDRON[:3], "convex": True}, "a mesh must have 4 to 100000 vertices, got 3"),
        ({"vertices": TETRAHEDRON, "faces": ((0, 1, 2),), "convex": True}, "0 to 0 faces, got 1"),
        ({"vertices": TETRAHEDRON, "faces": ((0, 1, 4),)}, r"face 0 of a mesh .* 0 ... 3, got \(0, 1, 4\)"),
        ({"vertices": TETRAHEDRON, "faces": ((0, 1, 2), (0, 1, -1))}, "face 1 of a mesh must be 3 indices"),
        ({"vertices": TETRAHEDRON, "faces": ((0, 1),)}, "face 0 of a mesh must be 3 indices"),
        ({"vertices": TETRAHEDRON, "faces": ((0, 1, 1),)}, "3 different vertices"),
        ({"vertices": TETRAHEDRON, "faces": ((0, 1, True),)}, "face 0 of a mesh must be 3 indices"),
        ({"vertices": (*TETRAHEDRON, (0.0, math.nan, 0.0)), "convex": True}, "vertex 4 of a mesh must be a number"),
        ({"vertices": (*TETRAHEDRON[:3], (0.3, 0.3, 0.0)), "convex": True}, "lie in a plane"),
        ({"vertices": TETRAHEDRON, "convex": "yes"}, "convex of a mesh must be true or false, got 'yes'"),
        ({"vertices": "abcd", "convex": True}, "vertices of a mesh must be a list"),
    ],
)
def test_meshes_that_are_none(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(WorldError, match=message):
        Mesh(**arguments)


@pytest.mark.parametrize("square", [1.0 - 0.0011, 1.0 + 0.0011, 0.0, 4.0])
def test_quaternions_and_normals_off_their_norm_are_refused(square: float) -> None:
    w = math.sqrt(square)
    with pytest.raises(WorldError, match=f"the quaternion .* has the norm {w:.6g}, expected 1"):
        Pose(quaternion=(0.0, 0.0, 0.0, w))
    with pytest.raises(WorldError, match="normal of a half_space .* expected 1"):
        HalfSpace((0.0, w, 0.0))


@pytest.mark.parametrize("square", [1.0 - 0.0009, 1.0 + 0.0009])
def test_quaternions_near_their_norm_are_made_exact(square: float) -> None:
    pose = Pose(quaternion=(math.sqrt(square), 0.0, 0.0, 0.0))
    assert pose.quaternion == (1.0, 0.0, 0.0, 0.0)
    assert Pose(pose.position, pose.quaternion) == pose


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.0001e4, "0", True])
def test_positions_are_finite_and_not_far(value: Any) -> None:
    with pytest.raises(WorldError, match=r"the position must be a number in \[-10000, 10000\] m, got "):
        Pose((0.0, 0.0, value))


@settings(max_examples=25)
@given(poses, poses, st.tuples(coordinates, coordinates, coordinates))
def test_poses_compose_as_placements_do(first: Pose, second: Pose, point: tuple[float, float, float]) -> None:
    a, b = (Placement(np.array(pose.position), np.array(pose.quaternion)) for pose in (first, second))
    expected, found = a @ b, first @ second
    np.testing.assert_allclose(found.position, expected.position, atol=1e-12)
    np.testing.assert_allclose(found.quaternion, expected.quaternion, atol=1e-12)
    np.testing.assert_allclose(found.point(point), first.point(second.point(point)), atol=1e-12)


@settings(max_examples=10)
@given(st.lists(parts, min_size=1, max_size=4), poses, names, names)
def test_plain_values_are_read_back_to_an_equal_world(some: list[Part], pose: Pose, first: str, second: str) -> None:
    attached = AttachedObject(f"{first}1", second, tuple(some), pose, 0.0, (0.1, -0.2, 0.3), (first,))
    original = World((WorldObject(f"{first}2", tuple(some), pose),), (attached,), frozenset({("a", f"{second}3")}))
    read = world_from_dict(original.to_dict())
    assert read == original and read.hash == original.hash
    assert read.version > original.version


def test_a_mesh_and_a_half_space_are_read_back() -> None:
    solid = WorldObject("solid", (Part(Mesh(TETRAHEDRON, convex=True)), Part(Mesh(TETRAHEDRON, ((0, 1, 2),)))))
    floor = WorldObject("floor", HalfSpace((0.0, 0.6, 0.8), -0.1), Pose((0.0, 0.0, -0.2), TURN))
    original = World((solid, floor))
    assert world_from_dict(original.to_dict()) == original


def test_order_does_not_matter() -> None:
    one = world()
    other = World(one.objects[::-1], one.attached, frozenset({("can", "shelf")}))
    assert one == other and one.hash == other.hash
    shelf = one.find("shelf")
    turned = one.with_object(WorldObject("shelf", shelf.parts[::-1]))
    assert turned.hash == one.hash


def test_the_hash_is_of_what_is_meant() -> None:
    """Of where the shapes are, however their poses are split, not of how quaternions are written."""
    part, pose = Part(Box((0.1, 0.2, 0.3)), Pose((0.3, 0.0, 0.1), TURN)), Pose((0.5, -0.2, 0.1), (0.6, 0.0, 0.0, 0.8))
    whole = World((WorldObject("box", (part,), pose),))
    flat = World((WorldObject("box", (Part(part.shape, pose @ part.pose),)),))
    mirrored = World((WorldObject("box", (part,), Pose(pose.position, (-0.6, 0.0, 0.0, -0.8))),))
    assert whole.hash == flat.hash == mirrored.hash
    lifted, floor = Pose((1.0, 2.0, 0.5)), HalfSpace((0.0, 0.0, 1.0), 0.5)
    assert World((WorldObject("floor", floor),)).hash == World((WorldObject("floor", HalfSpace(), lifted),)).hash


def test_the_hash_of_an_attached_object_is_of_what_is_meant() -> None:
    """Its centre of mass is where it is on the link; the link that it is fixed to need not be named twice."""
    pose = Pose((0.0, 0.1, 0.0), TURN)
    whole = AttachedObject("hand", "tool0", Sphere(0.1), pose, 1.0, (0.1, 0.0, 0.0))
    flat = AttachedObject(
        "hand", "tool0", (Part(Sphere(0.1), pose),), Pose(), 1.0, pose.point((0.1, 0.0, 0.0)), ("tool0",)
    )
    assert World((), (whole,)).hash == World((), (flat,)).hash
    elsewhere = replace(flat, centre=(0.1, 0.0, 0.0))
    assert World((), (whole,)).hash != World((), (elsewhere,)).hash


def test_the_order_of_the_points_of_a_hull_means_nothing() -> None:
    one, other = (Mesh(points, convex=True) for points in (TETRAHEDRON, TETRAHEDRON[::-1]))
    assert World((WorldObject("x", one),)).hash == World((WorldObject("x", other),)).hash
    surfaces = [Mesh(points, ((0, 1, 2),)) for points in (TETRAHEDRON, TETRAHEDRON[::-1])]
    assert len({World((WorldObject("x", each),)).hash for each in surfaces}) == 2


def test_whatever_changes_the_meaning_changes_the_hash() -> None:
    base = world()
    hand, can = base.attached[0], base.objects[0]
    changed = [
        base,
        World(),
        base.without("can"),
        base.without("hand"),
        base.with_pose("can", Pose((0.8, 0.1, 0.500001), TURN)),
        base.with_pose("can", Pose((0.8, 0.1, 0.5))),
        base.with_pose("hand", Pose((0.0, 0.0, 0.01))),
        base.with_object(replace(can, parts=Cylinder(0.03, 0.15))),
        base.with_object(replace(can, parts=Capsule(0.03, 0.14))),
        base.without("can").with_object(replace(can, name="can2")),
        base.with_attached(replace(hand, mass=1.0)),
        base.with_attached(replace(hand, mass=None, centre=None)),
        base.with_attached(replace(hand, centre=None)),
        base.with_attached(replace(hand, link="wrist_3")),
        base.with_attached(replace(hand, touches=())),
        base.with_allowed(("can", "base")),
        base.without_allowed(("can", "shelf")),
    ]
    assert len({each.hash for each in changed}) == len(changed)


def test_snapshots_stay_as_they_are() -> None:
    base = world()
    before = base.to_dict()
    versions = [base.version]
    for changed in (
        base.with_object(WorldObject("can", Sphere(1.0))),
        base.without("can", "hand"),
        base.with_allowed(),
    ):
        versions.append(changed.version)
    assert base.to_dict() == before
    assert versions == sorted(set(versions)), "every snapshot has a version of its own"
    with pytest.raises(FrozenInstanceError):
        base.objects = ()
    with pytest.raises(FrozenInstanceError):
        base.find("can").name = "x"
    copied = pickle.loads(pickle.dumps(base))
    assert (copied, copied.version, copied.hash) == (base, base.version, base.hash)


def test_objects_are_added_replaced_and_removed() -> None:
    base = world()
    bigger = base.with_object(WorldObject("can", Sphere(1.0)), WorldObject("new", Sphere(2.0)))
    assert [each.name for each in bigger.objects] == ["can", "new", "shelf"]
    assert bigger.find("can").parts == (Part(Sphere(1.0)),)
    assert bigger.without("new").with_object(base.find("can")) == base
    assert base.without("can", "shelf", "hand") == World(allowed=base.allowed)
    moved = base.with_pose("shelf", Pose((0.0, 0.0, 1.0)))
    assert [part.pose.position for part in moved.find("shelf").shapes] == [(0.0, 0.0, 1.0), (0.0, 0.0, 1.4)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.with_object(WorldObject("hand", Sphere(1.0))), "two objects are named 'hand'"),
        (lambda w: w.with_attached(AttachedObject("can", "tool0", Sphere(1.0))), "two objects are named 'can'"),
        (lambda w: w.with_object(*[WorldObject("x", Sphere(1.0))] * 2), "two objects are named 'x'"),
        (lambda w: w.without("cup"), r"no object named 'cup'; there are \['can', 'shelf', 'hand'\]"),
        (lambda w: w.with_pose("cup", Pose()), "no object named 'cup'"),
        (lambda w: w.with_allowed(("can", "can")), "two different names, got 'can' twice"),
        (lambda w: w.with_allowed(("can",)), "an allowed pair must be two names"),
        (lambda w: w.with_allowed("ab"), "an allowed pair must be two names"),
        (
            lambda w: w.with_allowed(("can", 3)),
            "a name in an allowed pair must be 1 to 200 printable characters, got 3",
        ),
        (lambda w: w.with_object(WorldObject("", Sphere(1.0))), "the name of an object must be .* got ''"),
        (lambda w: w.with_object(WorldObject("a\nb", Sphere(1.0))), r"must be .* got 'a\\nb'"),
        (lambda w: w.with_object(WorldObject("a" * 201, Sphere(1.0))), "1 to 200 printable characters"),
        (lambda w: w.with_object(WorldObject("cup", ())), "object 'cup' must have one or more shapes"),
        (lambda w: w.with_object(WorldObject("cup", (1,))), "object 'cup' must have one or more shapes"),
        (lambda w: w.with_object(WorldObject("cup", Sphere(1.0), (0, 0, 0))), "object 'cup' and its parts must have a"),
        (
            lambda w: w.with_object(WorldObject("far", (Part(Sphere(1.0), Pose((9e3, 0, 0))),), Pose((9e3, 0, 0)))),
            r"object 'far': the position must be a number in \[-10000, 10000\] m, got 18000.0",
        ),
        (lambda w: World((WorldObject("x", [Part(Sphere(1.0))] * (MOST_SHAPES + 1)),)), "may have 10000 shapes, got"),
    ],
)
def test_what_a_world_refuses(change: Callable[[World], Any], message: str) -> None:
    with pytest.raises(WorldError, match=message) as refused:
        change(world())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mass": -0.1}, r"attached object 'hand': the mass must be a number in \[0, 10000\] kg, got -0.1"),
        ({"mass": math.nan}, "the mass must be a number"),
        ({"mass": 1.0, "centre": (0.0, 0.0, math.inf)}, "the centre must be a number"),
        ({"centre": (0.0, 0.0, 0.0)}, "has a centre of mass .* but no mass"),
        ({"link": ""}, "the link must be 1 to 200 printable characters"),
        ({"touches": "wrist"}, "touches must be a list of links, got 'wrist'"),
        ({"touches": (None,)}, "a link that it touches must be"),
        ({"parts": HalfSpace()}, "has a half_space, which has no end"),
    ],
)
def test_what_an_attached_object_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(WorldError, match=message):
        AttachedObject(**{"name": "hand", "link": "tool0", "parts": Sphere(0.1), **arguments})


def test_who_may_touch_whom() -> None:
    base = world()
    assert base.allows("can", "shelf") and base.allows("shelf", "can")
    assert base.allows("hand", "tool0") and base.allows("wrist", "hand")
    assert not base.allows("hand", "shelf") and not base.allows("can", "tool0")
    assert not base.without_allowed(("shelf", "can")).allows("can", "shelf")
    assert not base.without("hand").allows("hand", "tool0")
