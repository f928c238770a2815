"""A robot in a world: contacts, distances with their slopes, and contacts along motions, which nothing slips past."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from sobo_planner import _native
from sobo_planner.errors import RobotError
from sobo_planner.robot import Robot
from sobo_planner.world import (
    AttachedObject,
    Box,
    Capsule,
    Cylinder,
    HalfSpace,
    Mesh,
    Pose,
    Sphere,
    World,
    WorldObject,
)

BALL = 0.05
CUBE = tuple((x, y, z) for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (-0.1, 0.1))
# Triangles of the sides of the cube at x = -0.1 and x = 0.1.
SIDES = ((0, 1, 2), (1, 3, 2), (4, 6, 5), (5, 6, 7))
# Far from the rest of the arm, so that the ball at the tool is what comes near objects.
Q = np.array([0.3, -1.2, 1.4, -0.4, 0.8, 0.2])


def with_ball(robot: Robot, *objects: WorldObject, margin: float = 0.0, **more) -> Robot:
    """The robot with a ball in front of its tool, among objects."""
    ball = AttachedObject("ball", "tool0", Sphere(BALL), Pose((0.0, 0.0, 0.1)), **more)
    return robot.with_world(World(objects, (ball,)), margin)


def ball_of(robot: Robot, q: np.ndarray) -> np.ndarray:
    """Centre of the ball."""
    pose = robot.tool_pose(q)
    return np.array(Pose(tuple(pose[:3]), tuple(pose[3:])).point((0.0, 0.0, 0.1)))


def placed(shape, at: np.ndarray, quaternion=(0.0, 0.0, 0.0, 1.0)) -> WorldObject:
    return WorldObject("thing", shape, Pose(tuple(at), quaternion))


def facing(axis: tuple[float, float, float], direction: np.ndarray) -> tuple[float, ...]:
    """The quaternion that turns an axis into a direction, both of length 1."""
    turn = np.append(np.cross(axis, direction), 1.0 + np.dot(axis, direction))
    return tuple(turn / np.linalg.norm(turn))


@pytest.mark.parametrize(
    ("shape", "axis", "surface"),
    [
        (Sphere(0.04), (0, 0, 1), 0.04),
        (Box((0.2, 0.06, 0.1)), (1, 0, 0), 0.1),
        (Cylinder(0.03, 0.2), (0, 0, 1), 0.1),
        (Capsule(0.03, 0.2), (0, 0, 1), 0.13),
        (HalfSpace((0.0, 0.0, 1.0), 0.01), (0, 0, 1), 0.01),
        (Mesh(CUBE, convex=True), (1, 0, 0), 0.1),
        (Mesh(CUBE, SIDES), (1, 0, 0), 0.1),
    ],
    ids=["sphere", "box", "cylinder", "capsule", "half_space", "hull", "mesh"],
)
def test_distances_of_all_shapes(task, shape, axis, surface) -> None:
    """A ball at the tool of the arm stretched out, 3 cm from the surface of a shape further out, or 1 cm within."""
    stretched = np.array([0.3, -0.6, 0.4, -0.2, 1.2, 0.0])
    ball = ball_of(task.robot, stretched)
    outwards = np.array([ball[0], ball[1], 0.0]) / np.hypot(ball[0], ball[1])
    for gap in (0.03, -0.01):
        object = placed(shape, ball + outwards * (surface + BALL + gap), facing(axis, -outwards))
        robot = with_ball(task.robot, object)
        nearest = robot.nearest_object([stretched])
        assert (nearest.first, nearest.second) == ("ball", "thing")
        assert nearest.distance == pytest.approx(gap, abs=1e-5)
        contact = robot.contact(stretched)
        assert (contact is not None) == (gap < 0.0)
        assert contact is None or (contact.first, contact.second, contact.object) == ("ball", "thing", True)


def test_half_spaces_are_solid_on_one_side(task) -> None:
    floor, ceiling = HalfSpace((0.0, 0.0, 1.0), -0.2), HalfSpace((0.0, 0.0, -1.0), -0.2)  # z <= -0.2, z >= 0.2
    home = np.array(task.config.robot.home)
    assert task.robot.with_world(World((WorldObject("floor", floor),))).contact(home) is None
    contact = task.robot.with_world(World((WorldObject("ceiling", ceiling),))).contact(home)
    assert contact.second == "ceiling"
    assert contact.object


def test_margins_allowed_pairs_and_other_worlds(task) -> None:
    at = ball_of(task.robot, Q) + np.array([0.0, 0.0, BALL + 0.04 + 0.01])
    near = placed(Sphere(0.04), at)
    assert with_ball(task.robot, near, margin=0.005).contact(Q) is None
    robot = with_ball(task.robot, near, margin=0.02)
    assert robot.colliding_pair(Q) == ("ball", "thing")
    allowed = robot.with_world(robot.world.with_allowed(("thing", "ball")), 0.02)
    assert allowed.contact(Q) is None
    assert robot.with_world(World()).contact(Q) is None  # the one before is gone
    assert robot.hash == task.robot.hash


def test_links_that_attached_objects_may_touch(task) -> None:
    """An attached object may touch its link, and those it says, but no others."""
    reaching_back = AttachedObject("rod", "tool0", Capsule(0.02, 0.3), Pose((0.0, 0.0, -0.05)))
    contact = task.robot.with_world(World((), (reaching_back,))).contact(Q)
    assert contact.object
    assert "rod" in (contact.first, contact.second)
    links = ("forearm_link", "wrist_1_link", "wrist_2_link")
    assert task.robot.with_world(World((), (replace(reaching_back, touches=links),))).contact(Q) is None


def test_attached_masses_are_carried(task) -> None:
    offset = (0.02, -0.01, 0.1)
    tool = AttachedObject("tool", "tool0", Sphere(0.03), Pose((0.0, 0.0, 0.1)), 1.5, (0.02, -0.01, 0.0))
    loaded = task.robot.with_world(World((), (tool,)))
    assert loaded.gravity(Q) == pytest.approx(task.robot.with_payload(1.5, offset).gravity(Q))
    again = loaded.with_world(World((), (tool,)))  # not twice
    assert again.gravity(Q) == pytest.approx(loaded.gravity(Q))


def test_worlds_stay_with_payloads_and_pickles(task) -> None:
    wall = placed(Sphere(0.01), ball_of(task.robot, Q))
    robot = with_ball(task.robot, wall)
    loaded = robot.with_payload(2.0)
    assert loaded.colliding_pair(Q) == robot.colliding_pair(Q) == ("ball", "thing")
    alone = loaded.with_world(World())
    assert alone.contact(Q) is None
    assert alone.gravity(Q) == pytest.approx(task.robot.with_payload(2.0).gravity(Q))
    copy = pickle.loads(pickle.dumps(robot))
    assert copy.world == robot.world
    assert copy.contact(Q).distance == robot.contact(Q).distance


def test_what_cannot_be_meant_is_refused(task) -> None:
    with pytest.raises(RobotError, match="'ball' is fixed to 'nowhere', which is not in the URDF"):
        task.robot.with_world(World((), (AttachedObject("ball", "nowhere", Sphere(0.1)),)))
    with pytest.raises(RobotError, match="0 or more, got -0.1"):
        task.robot.with_world(World(), -0.1)
    with pytest.raises(RobotError, match="two times or more"):
        task.robot.first_contact([0.0], [Q], [Q])
    with pytest.raises(RobotError, match="NaN"):
        task.robot.first_contact([0.0, np.nan], [Q, Q], [Q, Q])


def test_slopes_of_the_penalty(task) -> None:
    """The cost on what comes near an object, by finite differences, with the distance to be kept and the margin."""
    rng, rest = np.random.default_rng(0), np.zeros(6)
    weights = _native.ReachWeights()
    weights.position, weights.state, weights.control = np.zeros(3), np.zeros(12), rest
    weights.state_reference, weights.control_reference = np.zeros(12), rest
    weights.self_distance, weights.object_margin = 3.0, 0.03
    for _ in range(5):
        q = Q + rng.uniform(-0.3, 0.3, 6)
        ball = ball_of(task.robot, q)
        away = ball - task.robot.tool_position(q) + rng.uniform(-0.03, 0.03, 3)
        at = ball + away / np.linalg.norm(away) * (BALL + 0.04 + 0.02)
        robot = with_ball(task.robot, placed(Sphere(0.04), at), margin=0.01)

        def penalty(joints: np.ndarray, robot: Robot = robot):
            x = np.concatenate([joints, rest])
            return _native.reach_cost(robot.native, weights, np.zeros(3), x)

        value, gradient, hessian = penalty(q)
        assert value == pytest.approx(3.0 * 0.02**2, rel=1e-3)  # 2 cm apart, 1 to be kept, 3 of margin beyond
        slopes = [(penalty(q + 1e-6 * e)[0] - penalty(q - 1e-6 * e)[0]) / 2e-6 for e in np.eye(6)]
        assert gradient[:6] == pytest.approx(np.array(slopes), rel=1e-3, abs=1e-5)
        assert np.trace(hessian) > 0.0


def swing(angle: float, points: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first joint turns by an angle in a second, at constant speed, by few points."""
    time = np.linspace(0.0, 1.0, points)
    turn = np.outer(time, [angle, 0, 0, 0, 0, 0])
    return time, Q + turn, np.tile([angle, 0, 0, 0, 0, 0], (points, 1))


def test_thin_walls_between_points(task) -> None:
    """A wall of 1 mm is found between points a quarter turn apart, and when the ball reaches it."""
    centre = ball_of(task.robot, Q)
    radius, angle = np.hypot(*centre[:2]), np.arctan2(centre[1], centre[0])
    at = angle + 1.0  # the wall's direction, seen from the base
    pose = Pose((radius * np.cos(at), radius * np.sin(at), centre[2]), (0, 0, np.sin(at / 2), np.cos(at / 2)))
    robot = with_ball(task.robot, WorldObject("wall", Box((0.3, 0.001, 0.3)), pose))
    time, positions, velocities = swing(3.0)
    assert robot.first_collision(positions) is None
    contact = robot.first_contact(time, positions, velocities)
    assert (contact.first, contact.second, contact.object) == ("ball", "wall", True)
    touching = 1.0 - np.arcsin((BALL + 0.0005) / radius)
    assert contact.time == pytest.approx(touching / 3.0, abs=1e-3)
    assert robot.first_contact(*swing(touching - 0.005)) is None


def test_sweeps_agree_with_dense_samples(task) -> None:
    """Along random motions in a cluttered world: the same first contact as at a thousand configurations."""
    rng = np.random.default_rng(3)
    boxes = tuple(
        WorldObject(f"box{n}", Box(tuple(rng.uniform(0.02, 0.2, 3))), Pose(tuple(rng.uniform(-0.7, 0.7, 3))))
        for n in range(8)
    )
    robot, outcomes = task.robot.with_world(World(boxes)), []
    for _ in range(20):
        start, change = rng.uniform(-2.0, 2.0, 6), rng.uniform(-1.0, 1.0, 6)
        time, s = np.array([0.0, 1.0]), np.linspace(0.0, 1.0, 1001)
        path = start + np.outer(3 * s**2 - 2 * s**3, change)  # the cubic from rest to rest
        samples = robot.first_collision(path)
        contact = robot.first_contact(time, [start, start + change], np.zeros((2, 6)))
        assert (samples is None) == (contact is None)
        if contact is not None:  # which to come within 0.1 mm of counts as
            assert contact.distance < 1e-4
            assert s[samples[0]] - 0.02 < contact.time < s[samples[0]] + 3e-3  # slow at both ends
        outcomes.append(contact is None)
    assert 3 < sum(outcomes) < 17


def test_leaving_a_contact(task) -> None:
    """What touches at the beginning may, on the way out alone."""
    centre = ball_of(task.robot, Q)
    side = np.array([-centre[1], centre[0], 0.0]) / np.hypot(*centre[:2])  # the way that the ball swings
    robot = with_ball(task.robot, placed(Sphere(0.04), centre - 0.07 * side))  # 2 cm deep
    for angle, leaves in ((0.5, True), (-0.5, False)):
        time, positions, velocities = swing(angle)
        assert robot.first_contact(time, positions, velocities).time < 1e-3
        contact = robot.first_contact(time, positions, velocities, leaving=True)
        assert (contact is None) == leaves
