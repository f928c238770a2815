"""Distances of spheres, capsules and boxes against Coal's, and the cost on what comes near along changing motions."""

from __future__ import annotations

import coal
import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sobo_planner import _native
from sobo_planner.robot import Robot
from sobo_planner.solver import Refinement
from sobo_planner.world import AttachedObject, Box, Capsule, Pose, Sphere, World, WorldObject

Q = np.array([0.3, -1.2, 1.4, -0.4, 0.8, 0.2])
LINKS = ("base", "shoulder", "upper_arm", "forearm", "wrist_1", "wrist_2", "wrist_3")
SHAPES = {
    "ball": (Sphere(0.07), coal.Sphere(0.07)),
    "capsule": (Capsule(0.04, 0.3), coal.Capsule(0.04, 0.3)),
    "box": (Box((0.1, 0.2, 0.3)), coal.Box(0.1, 0.2, 0.3)),
}
names = st.sampled_from(sorted(SHAPES))


def placed(rng: np.random.Generator, spread: float) -> tuple[Pose, pin.SE3]:
    """A random pose; half of the time along the axes, so that lines and sides are parallel."""
    turn = pin.Quaternion(*rng.normal(size=4)).normalized() if rng.random() < 0.5 else pin.Quaternion.Identity()
    at = rng.uniform(-spread, spread, 3)
    return Pose(tuple(at), tuple(turn.coeffs())), pin.SE3(turn.matrix(), at)


@given(one=names, other=names, seed=st.integers(0, 2**32 - 1))
def test_distances_are_those_of_coal(task, one, other, seed) -> None:
    rng = np.random.default_rng(seed)
    held, on_tool = placed(rng, 0.3)
    pose = task.robot.tool_pose(Q)
    tool = pin.XYZQUATToSE3(np.concatenate([pose[:3], pose[3:]]))
    offset, moved = placed(rng, 0.5)
    where = tool * on_tool * moved
    quaternion = pin.SE3ToXYZQUAT(where)[3:]
    thing = WorldObject("thing", SHAPES[other][0], Pose(tuple(where.translation), tuple(quaternion)))
    # Links may touch it, so that the distance is that of what the tool holds.
    allowed = [(f"{link}_link", "thing") for link in LINKS]
    world = World((thing,), (AttachedObject("held", "tool0", SHAPES[one][0], held),)).with_allowed(*allowed)
    found = task.robot.with_world(world).nearest_object([Q])
    result = coal.DistanceResult()
    first, second = tool * on_tool, where
    expected = coal.distance(
        SHAPES[one][1],
        coal.Transform3s(first.rotation, first.translation),
        SHAPES[other][1],
        coal.Transform3s(second.rotation, second.translation),
        coal.DistanceRequest(),
        result,
    )
    assert found.distance == pytest.approx(expected, abs=1e-5)
    if one != "box" or other != "box":
        assert slope_is_right(task.robot.with_world(world), expected)


def slope_is_right(robot: Robot, distance: float) -> bool:
    """Whether the derivative by the joints is that of the distances; True where bodies overlap or axes may cross."""
    if distance < 0.02:
        return True
    [pair] = (each for each in robot.native.near(Q, distance + 1e-3) if each.contact.second == "thing")
    h = 1e-4
    values = [[robot.nearest_object([Q + sign * h * e]).distance for sign in (1.0, -1.0)] for e in np.eye(6)]
    middle = [np.sum(each) - 2.0 * pair.contact.distance for each in values]
    slopes = np.array([(after - before) / (2.0 * h) for after, before in values])
    smooth = np.abs(middle) < 1e-6  # not where another part of a body becomes the nearest
    return bool((np.abs(slopes - pair.slope)[smooth] < 2e-3).all())


def test_distances_of_a_capsule_and_a_box_are_exact(task) -> None:
    """The lower end of a tilted capsule above the top of a box, whose normal is tilted, too."""
    pose = task.robot.tool_pose(Q)
    tool = pin.XYZQUATToSE3(np.concatenate([pose[:3], pose[3:]]))
    tilt = pin.SE3(pin.utils.rotate("x", 0.7), np.array([0.01, 0.02, 0.3]))
    half, radius, top = 0.15, 0.04, 0.1
    end = (tool * tilt).act(np.array([0.0, 0.0, -half]))
    turn = (tool * tilt * pin.SE3(pin.utils.rotate("y", 0.3) @ pin.utils.rotate("x", -0.2), np.zeros(3))).rotation
    centre = end - turn @ np.array([0.013, -0.021, top + 0.05])
    box = WorldObject("thing", Box((0.3, 0.3, 2 * top)), Pose(tuple(centre), tuple(pin.Quaternion(turn).coeffs())))
    held = Pose(tuple(tilt.translation), tuple(pin.SE3ToXYZQUAT(tilt)[3:]))
    world = World((box,), (AttachedObject("held", "tool0", Capsule(radius, 2 * half), held),)).with_allowed(
        *((f"{link}_link", "thing") for link in LINKS)
    )
    found = task.robot.with_world(world).nearest_object([Q])
    assert found.distance == pytest.approx(0.05 - radius, abs=1e-12)


def test_the_cost_does_not_depend_on_what_was_looked_at_before(task, home) -> None:
    """Motions that change by little and by much, by a worker that has seen the ones before and by a new one each."""
    rng = np.random.default_rng(0)
    things = [WorldObject(f"box{k}", Box((0.1, 0.1, 0.1)), placed(rng, 0.8)[0]) for k in range(8)]
    among = task.with_world(World(tuple(things)))
    refinement, target = Refinement(clearance=100.0), np.array([0.4, 0.2, 0.4])
    worker, n, T = among.make_worker(refinement), among.nu, among.horizon
    X, costs = np.zeros((T + 1, 2 * n)), []
    X[:, :n] = home[:n]
    U = np.zeros((T, n))
    for scale in (0.0, 0.01, 0.1, 0.02, 1.0, 0.05, 2.0):
        X[:, :n] += np.linspace(0.0, 1.0, T + 1)[:, None] * scale * rng.normal(size=n)
        start = _native.Start(X[0], target, X, U)
        costs.append(worker.cost(start))
        assert costs[-1] == among.make_worker(refinement).cost(start)
    assert costs[-1] > task.make_worker(Refinement()).cost(start) + 1e-3  # some links came near something
