"""Replanning in worlds that change: what is ahead of the arm, and the task in each world."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.motion import Brakes, Followed, Motion, Timeline
from sobo_planner.motion.braking import stopping_time
from sobo_planner.receding import RecedingPlanner
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach, load_arm
from sobo_planner.tasks.arm.timing import Pace
from sobo_planner.world import Pose, Sphere, World, WorldObject

BALL = WorldObject("ball", Sphere(0.1), Pose((2.0, 0.0, 0.0)))


@pytest.fixture(scope="module")
def planner(task: ArmReach) -> RecedingPlanner:
    checker = PlanChecker(task)
    parts = (task, checker, Brakes(task, checker), Followed())
    return RecedingPlanner(*parts, budget=1.0, propose_every=25, margin=0.05)


def turning(task: ArmReach, home: np.ndarray, speed: float) -> Timeline:
    """The arm turns about its base for two seconds."""
    Q = home + np.linspace(0.0, 2.0, 101)[:, None] * [speed, *5 * [0.0]]
    X = np.hstack([Q, np.tile([speed, *5 * [0.0]], (101, 1))])
    return Timeline(Motion(5.0, 0.02, X, np.zeros((100, 6)), np.zeros((100, 6, 12))))


def test_what_is_ahead_counts_as_far_as_the_arm_could_not_be_stopped_later(
    planner: RecedingPlanner, task: ArmReach, home: np.ndarray
) -> None:
    timeline, found = turning(task, home, 1.0), []
    x, y, z = task.robot.tool_position(home + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).tolist()
    planner.set_world(World((WorldObject("ball", Sphere(0.02), Pose((x, y, z))),)))
    for now in (5.0, 5.2, 5.5, 5.8, 6.5):
        found.append(planner.contact_ahead(timeline, now))
    assert found[0] is None and found[3] is not None and "ball" in found[3].detail
    assert found[4] is None, "it is past the ball"
    planner.set_world(World())
    assert planner.contact_ahead(timeline, 5.8) is None


def test_what_a_moving_arm_touches_already_is_ahead_of_it(
    planner: RecedingPlanner, task: ArmReach, home: np.ndarray
) -> None:
    """Though it draws away: what it touches may come after it."""
    behind = task.robot.tool_position(home - [0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
    planner.set_world(World((WorldObject("ball", Sphere(0.03), Pose(tuple(behind.tolist()))),)))
    timeline = turning(task, home, 1.0)
    found = planner.contact_ahead(timeline, 5.0)
    assert found is not None and "ball" in found.detail
    planner._leaver._motion = timeline.last
    assert planner.contact_ahead(timeline, 5.0) is None
    planner._leaver._motion = None
    planner.set_world(World())


def test_a_world_is_kept_at_another_pace_and_taken_over_once(
    planner: RecedingPlanner, task: ArmReach, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner.set_world(World((BALL,)))
    world = planner.task.robot.world
    assert world.objects == (BALL,) and planner.task.robot.margin == 0.05
    planner.set_pace(Pace(velocity_scaling=0.5))
    adopted = planner.task
    assert adopted.robot.world is world and adopted.velocity_limit[0] == 0.5 * task.robot.velocity_limit[0]
    planner.set_world(world)
    assert planner.task is adopted, "it is the same world"
    planner.set_world(World((BALL,)))
    assert planner.task.velocity_limit[0] == adopted.velocity_limit[0] and planner.task is not adopted
    planner.set_pace(Pace())


def test_a_payload_that_changes_is_carried_in_the_world(home: np.ndarray) -> None:
    task = load_arm("ur5")
    checker, world = PlanChecker(task), World((BALL,))
    planner = RecedingPlanner(task, checker, Brakes(task, checker), Followed(), budget=1.0, propose_every=25)
    planner.set_world(world)
    bare = planner.task.robot.gravity(home)
    task.robot.carry(3.0)
    planner.set_world(world)
    np.testing.assert_allclose(planner.task.robot.gravity(home), task.robot.gravity(home))
    assert np.abs(planner.task.robot.gravity(home) - bare).max() > 5.0


def test_stopping_takes_as_long_as_the_fastest_joint(task: ArmReach) -> None:
    x = np.zeros(12)
    x[7], x[9] = -3.0, 1.0
    assert stopping_time(task, x) == pytest.approx(3.0 / min(10.0, 0.95 * task.acceleration_limit[1]))
