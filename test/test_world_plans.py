"""Plans among obstacles: free of contact and within limits, refused with names where there is none."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sobo_planner.cli.main import main
from sobo_planner.errors import GoalError, StartError, WorldError
from sobo_planner.paths import share_path
from sobo_planner.planning import Planner, PlanStatus
from sobo_planner.planning.global_start import free_way
from sobo_planner.safety import Limit, PlanChecker
from sobo_planner.safety.points import sampled
from sobo_planner.solver import Budget, Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.bends import fastest, rounded
from sobo_planner.world import Box, Pose, Sphere, World, WorldObject, read_world

SHELF = share_path("config/worlds/shelf.yaml")
INTO = np.array([0.75, 0.0, 0.3])  # the lower compartment


@pytest.fixture(scope="module")
def shelf() -> World:
    return read_world(SHELF)


@pytest.fixture(scope="module")
def planner(task) -> Planner:
    return Planner(task, checker=PlanChecker(task))


@pytest.fixture(scope="module")
def home(task) -> np.ndarray:
    return np.concatenate([task.config.robot.home, np.zeros(task.nu)])


@pytest.fixture(scope="module")
def plan(planner, home, shelf):
    """A motion into the shelf."""
    return planner.plan(home, INTO, world=shelf)


def smallest_distance(task: ArmReach, plan, world: World) -> float:
    """Along the spline, in steps of 2 mrad."""
    _, Q = sampled(plan.time, plan.X[:, : task.nu], plan.X[:, task.nu :], 2e-3)
    return task.robot.with_world(world).nearest_object(Q).distance


def test_plan_into_a_shelf(task, planner, plan, shelf) -> None:
    assert plan.status is PlanStatus.CONVERGED
    assert plan.source == "global"  # the interpolation passes through the board
    distance = smallest_distance(task, plan, shelf)
    assert distance > 0.0
    around = plan.surroundings
    assert (around.version, around.hash, around.objects) == (shelf.version, shelf.hash, 5)
    assert around.distance == pytest.approx(distance, abs=2e-3)
    assert around.nearest[1] in ("shelf", "bench")


def test_equal_calls_give_equal_plans(planner, plan, home, shelf) -> None:
    assert np.array_equal(planner.plan(home, INTO, world=shelf).X, plan.X)


@pytest.mark.parametrize("kind", ["goal", "pose", "joints"])
def test_empty_worlds_change_nothing(task, planner, home, shelf, kind) -> None:
    """Also after plans in a world that is not."""
    q = home[: task.nu] + [0.4, -0.2, 0.3, 0.0, 0.2, 0.0]
    tool = task.robot.tool_pose(q)
    asked = {"goal": {"goal": tool[:3]}, "pose": {"goal": tool}, "joints": {"joints": q}}[kind]
    alone = Planner(task, checker=PlanChecker(task)).plan(home, **asked)
    planner.plan(home, INTO, world=shelf)
    empty = planner.plan(home, **asked, world=World())
    assert alone.X.shape == empty.X.shape and np.array_equal(alone.X, empty.X)
    assert np.array_equal(alone.U, empty.U) and np.array_equal(alone.K, empty.K)
    assert (alone.iterations, alone.duration) == (empty.iterations, empty.duration)
    assert empty.surroundings is None


def test_margins_are_kept(task, home, shelf) -> None:
    planner = Planner(task, checker=PlanChecker(task), world=shelf, margin=0.01)
    plan = planner.plan(home, INTO)
    assert plan.reached
    assert smallest_distance(task, plan, shelf) >= 0.01


def test_checkers_name_what_touches(task, planner, home, shelf) -> None:
    """The plan without the shelf passes through it."""
    careless, view = planner.plan(home, INTO), task.with_world(shelf)
    arrays = (careless.time, careless.X, careless.U, careless.K)
    assert PlanChecker(task).check(*arrays) is None
    violation = PlanChecker(task).of(view).check(*arrays)
    assert violation.limit is Limit.COLLISION
    assert "touches shelf, " in violation.detail or "mm from shelf" in violation.detail
    assert " s" in violation.detail
    other = PlanChecker(task).of(task.with_world(World((replace(shelf.find("ball"), pose=Pose((0, 0, 2))),))))
    assert other.check(*arrays) is None


def test_planners_without_a_checker_look_at_objects(task, home, shelf) -> None:
    plan = Planner(task).plan(home, INTO, world=shelf)
    assert smallest_distance(task, plan, shelf) > 0.0


def test_starts_and_goals_in_objects_are_refused(task, planner, home) -> None:
    at = task.robot.frame_position(home[: task.nu], "forearm_link")
    world = World((WorldObject("crate", Box((0.1, 0.1, 0.1)), Pose(tuple(at))),))
    with pytest.raises(StartError, match=r"the start is in collision: .* touches crate, \d+\.\d mm deep"):
        planner.plan(home, INTO, world=world)
    joints = np.array(task.config.robot.home) + 0.3
    tool = WorldObject("crate", Sphere(0.05), Pose(tuple(task.robot.tool_position(joints))))
    with pytest.raises(GoalError, match=r"the goal is in collision: \w+ touches crate"):
        planner.plan(home, joints=joints, world=World((tool,)))


def test_goals_that_cannot_be_reached(task, planner, home) -> None:
    """A position inside an object: every posture there touches it."""
    world = World((WorldObject("crate", Box((0.3, 0.3, 0.3)), Pose((-0.6, 0.2, 0.3))),))
    with pytest.raises(GoalError, match="no posture at the target was found that touches nothing: .* touches crate, "):
        planner.plan(home, [-0.6, 0.2, 0.3], world=world)


def test_poses_are_reached_by_free_postures(task, planner, home, shelf) -> None:
    view = task.with_world(shelf).with_orientation()
    pose = np.array([0.62, 0.0, 0.3, 0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5)])  # straight into the shelf
    plan = planner.plan(home, pose, world=shelf)
    assert plan.status is PlanStatus.CONVERGED
    assert smallest_distance(task, plan, shelf) > 0.0
    postures = view.goal_postures(Instance(home, pose))
    assert postures
    assert all(view.robot.contact(q) is None for q in postures)


def test_ways_are_free_and_the_same_for_a_seed(task, home, shelf) -> None:
    view = task.with_world(shelf).with_goal_type("joints")
    goal = task.with_world(shelf).goal_postures(Instance(home, INTO))[0]
    instance = Instance(home, goal)
    way = free_way(view, instance, Budget(), seed=4)
    assert np.array_equal(way, free_way(view, instance, Budget(), seed=4))
    assert not np.array_equal(way, free_way(view, instance, Budget(), seed=5))
    assert np.array_equal(way[0], home[: task.nu])
    assert np.array_equal(way[-1], goal)
    lines = [a + np.linspace(0, 1, 300)[:, None] * (b - a) for a, b in zip(way[:-1], way[1:], strict=True)]
    assert view.robot.first_collision(np.vstack(lines)) is None


def test_ways_past_bends_keep_limits(rng) -> None:
    speed, acceleration = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    points = rounded(rng.uniform(-1.0, 1.0, (5, 3)), speed)
    times = fastest(points, speed, acceleration)
    assert (np.diff(times) > 0.0).all()
    velocities = np.gradient(points, times, axis=0)
    used = np.abs(velocities) / speed
    assert used.max() < 1.02
    changes = np.diff(velocities, axis=0) / np.diff(times)[:, None]
    pressed = (np.abs(changes) / acceleration).max(axis=1)
    assert np.quantile(pressed, 0.9) < 1.15  # what is left is of the differences
    assert (np.maximum(used[1:].max(axis=1), pressed) > 0.8).mean() > 0.8  # nowhere slower than it has to be


def test_command_line(tmp_path, capsys, task) -> None:
    arguments = ["plan", "ur5", "--policy", "none", "--goal", "0.7", "0.0", "0.65", "--world"]
    assert main([*arguments, str(SHELF), "--json"]) == 0
    around = json.loads(capsys.readouterr().out)["surroundings"]
    assert around["objects"] == 5
    assert around["distance"] > 0.0
    damaged = tmp_path / "cell.yaml"
    damaged.write_text("objects:\n  ball:\n    sphere: {radius: -1}\n")
    with pytest.raises(WorldError, match="radius of a sphere"):
        read_world(damaged)
    assert main([*arguments, str(damaged)]) == 2
    assert "cell.yaml:3" in capsys.readouterr().err
