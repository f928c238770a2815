"""The demo among obstacles: which goals it takes, what it measures, and its picture."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.errors import TaskError
from sobo_planner.paths import share_path
from sobo_planner.ros.demo import cell
from sobo_planner.ros.demo.cell import CLEAR, NEAR, clearance, gap, target_among
from sobo_planner.ros.demo.processes import DemoError
from sobo_planner.ros.demo.results import GoalResult, goal_table
from sobo_planner.solver import Instance
from sobo_planner.tasks import load_arm
from sobo_planner.world import (
    Box,
    Capsule,
    Cylinder,
    HalfSpace,
    Mesh,
    Pose,
    Sphere,
    World,
    WorldObject,
    read_world,
)

TURNED = Pose((1.0, 2.0, 3.0), (math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)))  # about x: y becomes z
TETRAHEDRON = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def shelf():
    task = load_arm("ur5")
    return task.with_world(read_world(share_path("config/worlds/shelf.yaml"), task.robot.root_link))


@pytest.mark.parametrize(
    ("shape", "point", "distance"),
    [
        (Box((2.0, 4.0, 6.0)), (1.0, 2.0, 3.0), 0.0),
        (Box((2.0, 4.0, 6.0)), (1.0 + 1.0 + 3.0, 2.0, 3.0 + 2.0 + 4.0), 5.0),
        (Sphere(0.5), (1.0, 2.0, 4.0), 0.5),
        (Cylinder(0.5, 2.0), (1.0, 2.0 - 1.0 - 0.3, 3.0 + 0.5 + 0.4), 0.5),
        (Capsule(0.5, 2.0), (1.0, 2.0 - 1.0 - 0.3, 3.0 + 0.4), 0.0),
        (Capsule(0.5, 2.0), (1.0, 2.0 - 1.0 - 3.0, 3.0 + 4.0), 4.5),
        (HalfSpace(), (1.0, 2.0, -5.0), math.inf),
        (Mesh(TETRAHEDRON, convex=True), (1.0, 2.0, 5.0), 1.0),
    ],
)
def test_distances_of_points_from_objects(shape, point, distance) -> None:
    """Of shapes turned by a right angle about x, so that their y points along z and their z along -y."""
    world = World((WorldObject("far", Sphere(0.1), Pose((50.0, 0.0, 0.0))), WorldObject("one", shape, TURNED)))
    if distance == math.inf:
        world = World((WorldObject("one", shape, TURNED),))
    assert gap(world, np.array(point)) == pytest.approx(distance)


def test_goals_lie_near_objects_and_can_be_reached(shelf) -> None:
    x, rng = np.concatenate([shelf.config.robot.home, np.zeros(6)]), np.random.default_rng(0)
    targets = [target_among(shelf, x, rng) for _ in range(2)]
    assert all(gap(shelf.robot.world, target) <= NEAR for target in targets)
    assert not np.allclose(*targets)


def test_a_world_without_such_goals_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_arm("ur5").with_world(World((WorldObject("far", Sphere(0.1), Pose((5.0, 0.0, 0.0))),)))
    monkeypatch.setattr(cell, "SAMPLES", 20)
    with pytest.raises(DemoError, match=r"among 20 postures none has its tool within 0\.1 m of an object"):
        target_among(task, np.zeros(12), np.random.default_rng(0))


class ScriptedRobot:
    """Its tool is at its first three joints; what is wrong with each posture looked at is told in advance.

    Args:
        faults: Of one posture after the other: `far`, `contact`, `grazes`, `alone`, or none.
    """

    world = World((WorldObject("ball", Sphere(10.0)),))
    position_lower, position_upper = np.array([-0.1, -0.2, -9.0]), np.array([0.1, 9.0, 0.2])

    def __init__(self, faults: list[str]) -> None:
        self.faults, self.seen = faults, []

    def tool_position(self, q):
        self.seen.append(q)
        self.fault = self.faults[len(self.seen) - 1]
        return np.array([20.0, 0.0, 0.0]) if self.fault == "far" else q

    def contact(self, q):
        return "contact" if self.fault == "contact" else None

    def nearest_object(self, Q):
        distance = {"grazes": 0.9 * CLEAR, "just clear": CLEAR}.get(self.fault, 1.0)
        return None if self.fault == "alone" else SimpleNamespace(distance=distance)


def test_the_first_posture_with_nothing_wrong_gives_the_goal() -> None:
    robot = ScriptedRobot(["far", "contact", "grazes", "alone", "refused", "just clear", ""])

    def check(instance: Instance) -> None:
        if robot.fault == "refused":
            raise TaskError("out of reach")

    task: Any = SimpleNamespace(robot=robot, check=check)
    target = target_among(task, np.zeros(6), np.random.default_rng(0))
    assert len(robot.seen) == 6
    np.testing.assert_array_equal(target, robot.seen[-1])


def test_postures_lie_within_limits_and_half_a_turn() -> None:
    robot = ScriptedRobot(["far"] * 300 + [""])
    task: Any = SimpleNamespace(robot=robot, check=lambda instance: None)
    target_among(task, np.zeros(6), np.random.default_rng(0))
    low, high = np.min(robot.seen, 0), np.max(robot.seen, 0)
    np.testing.assert_allclose(low, [-0.1, -0.2, -np.pi], atol=0.05)
    np.testing.assert_allclose(high, [0.1, np.pi, 0.2], atol=0.05)


def test_the_smallest_distance_of_a_motion(shelf) -> None:
    home = np.array(shelf.config.robot.home)
    Q = np.linspace(home, home + [0.3, 0.2, 0.0, 0.0, 0.0, 0.0], 5)
    distance, pair = clearance(shelf, Q)
    singles = [shelf.robot.nearest_object(q[None]).distance for q in Q]
    assert distance == pytest.approx(min(singles)) and ", " in pair
    assert clearance(load_arm("ur5"), Q) == (None, "")


def test_the_table_says_how_near_the_arm_came() -> None:
    near = {"clearance_m": 0.0123, "nearest": "arm, shelf", "source": "global"}
    target = [0.1, 0.2, 0.3]
    goals = [GoalResult(target, reached=True, **near), GoalResult(target, reached=False, refused="NO_PLAN: no way")]
    table = goal_table(goals)
    assert "nearest [mm]" in table and "arm, shelf" in table and "min 12.3" in table and "global" in table
    assert "nearest" not in goal_table([GoalResult([0.1, 0.2, 0.3], reached=True)])
