"""Worlds in recordings: each instance has the world that it was made in, and is solved there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

import logged_bags as logged
from test_from_bag import MOVES, run

from sobo_planner.solver import Guess, Instance, Solution, Solver
from sobo_planner.tasks import ArmReach
from sobo_planner.world import AttachedObject, Box, Pose, Sphere, World, WorldObject, world_from_dict
from sobo_training.bags.decoding import decoder
from sobo_training.bags.worlds import DAMAGED, USED, LoggedWorld, LoggedWorlds, UnknownWorldError, Views
from sobo_training.data.dataset import load

AT = logged.BEGIN + 20 * logged.SECOND
STAYED = "the recorded plan still is optimal, with its gains"


@pytest.fixture(scope="module")
def instance(task: ArmReach) -> Instance:
    return task.sample(np.random.default_rng(1))


@pytest.fixture(scope="module")
def alone(task: ArmReach, instance: Instance) -> Solution:
    return solved(task, instance)


@pytest.fixture(scope="module")
def world(task: ArmReach, instance: Instance, alone: Solution) -> World:
    """A ball that what would be the motion without it passes at 5 mm."""
    middle = task.robot.tool_position(alone.X[50, : task.nu])
    for far in np.arange(0.0, 0.5, 0.002):
        world = World((WorldObject("ball", Sphere(0.05), Pose((middle[0], middle[1], middle[2] + far))),))
        robot = task.robot.with_world(world)
        if robot.nearest_object(alone.X[:, : task.nu]).distance > 0.005:
            return world
    raise AssertionError("there is none")


def solved(task: ArmReach, instance: Instance) -> Solution:
    """What the solver does not improve any more."""
    solver = Solver(task)
    first = solver.solve(instance, task.interpolate(instance))
    return solver.solve(instance, Guess(first.X, first.U))


@pytest.fixture(scope="module")
def among(task: ArmReach, instance: Instance, world: World) -> Solution:
    """The same in that world."""
    return solved(task.with_world(world), instance)


def recorded(
    task: ArmReach, folder: Path, solution: Solution, *worlds: logged.Message, report: Any = None, **also: Any
) -> Path:
    """A bag with one plan."""
    target = task.robot.tool_position(solution.X[-1, : task.nu])
    plan = logged.plan(task, solution, target, task.dt, AT, report, **also)
    return logged.write(folder, [logged.recording(task), *worlds, *plan])


def test_a_plan_made_in_a_world_is_priced_and_solved_there(
    task: ArmReach, world: World, among: Solution, alone: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert among.converged and np.abs(among.X - alone.X).max() > 1e-3
    bag = recorded(task, tmp_path / "bag", among, logged.world(world, AT, 7), world_version=7)
    status, report = run(bag, "--out", tmp_path / "data", capsys=capsys)
    # where links come near an object, gains change from one solution to the next
    assert status == 0 and report["kinds"]["plan"]["outcomes"] == {"solved from the recorded motion": 1}
    assert [each["world"] for each in report["instances"]] == [world.hash]
    stored = json.loads((tmp_path / "data" / "bags.json").read_text())["worlds"]
    assert world_from_dict(stored[world.hash]["world"]) == world and stored[world.hash]["margin"] == 0.0
    dataset = load(tmp_path / "data", task)
    there = task.with_world(world)
    assert dataset.cost[0] == pytest.approx(there.cost(among.X, among.U, dataset.target[0]), rel=1e-3)
    np.testing.assert_allclose(dataset.X[0], among.X, atol=0.02)
    assert dataset.cost[0] > (1.0 + 1e-5) * task.cost(dataset.X[0], dataset.U[0], dataset.target[0])
    assert report["bags"][0]["topics"]["/planner/world"]["uses"] == {USED: 1}


def test_without_its_world_it_is_solved_as_ever(
    task: ArmReach, among: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recorded(task, tmp_path / "bag", among)
    status, report = run(bag, "--out", tmp_path / "data", capsys=capsys)
    assert status == 0 and STAYED not in report["kinds"]["plan"]["outcomes"]
    assert report["worlds"] == {} and report["instances"][0]["world"] is None


def test_an_empty_world_is_none(
    task: ArmReach, alone: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recorded(task, tmp_path / "bag", alone, logged.world(World(), AT, 3), world_version=3)
    status, report = run(bag, "--out", tmp_path / "data", capsys=capsys)
    assert status == 0 and report["kinds"]["plan"]["outcomes"] == {STAYED: 1} and report["worlds"] == {}


def spoiled(there: World, **changes: Any) -> logged.Message:
    topic, kind, time, content = logged.world(there, AT, 7)
    data = json.loads(content.data)
    return topic, kind, time, logged.string(data | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"world": {"objects": {"ball": {"sphere": {"radius": -1.0}}}}},
        {"world": {}},
        {"world": 5},
        {"hash": "another"},
        {"margin": -1.0},
        {"margin": None},
        {"version": "x"},
    ],
)
def test_a_damaged_world_is_a_reason_not_to_use_the_plan(
    changes: dict[str, Any],
    task: ArmReach,
    world: World,
    among: Solution,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag = recorded(task, tmp_path / "bag", among, spoiled(world, **changes), world_version=7)
    status, report = run(bag, "--out", tmp_path / "data", capsys=capsys)
    assert status == 1
    assert report["kinds"]["plan"]["not_used"] == {"the world that it was made in is damaged or lost": 1}
    assert report["bags"][0]["topics"]["/planner/world"]["uses"] == {DAMAGED: 1}


def test_a_world_that_does_not_fit_the_arm_is_one_too(
    task: ArmReach, among: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = World((), (AttachedObject("tool", "no_such_link", Sphere(0.01)),))
    bag = recorded(task, tmp_path / "bag", among, logged.world(held, AT, 7), world_version=7)
    _, report = run(bag, "--out", tmp_path / "data", capsys=capsys)
    assert report["kinds"]["plan"]["not_used"] == {"its world does not fit the arm": 1}


def test_what_touches_in_its_world_is_not_used(
    task: ArmReach, alone: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = task.robot.tool_position(alone.X[0, : task.nu])
    wall = World((WorldObject("wall", Box((0.1, 0.1, 0.1)), Pose(tuple(start.tolist()))),))
    bag = recorded(task, tmp_path / "bag", alone, logged.world(wall, AT, 7), world_version=7)
    _, report = run(bag, "--out", tmp_path / "data", capsys=capsys)
    assert report["kinds"]["plan"]["not_used"] == {"links touch at the start": 1}


def test_a_plan_that_leaves_a_contact_counts_from_where_it_is_free(
    task: ArmReach, alone: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recorded(task, tmp_path / "bag", alone, report={"contact": {"steps": 10}})
    status, report = run(bag, "--out", tmp_path / "data", capsys=capsys)
    assert status == 0
    np.testing.assert_allclose(load(tmp_path / "data", task).x0[0, : task.nu], alone.X[10, : task.nu], atol=1e-6)
    assert report["instances"][0]["stretch"] == pytest.approx(0.9)
    bag = recorded(task, tmp_path / "other", alone, report={"contact": {"steps": 100}})
    _, report = run(bag, "--out", tmp_path / "none", capsys=capsys)
    assert report["kinds"]["plan"]["not_used"] == {"its parts contradict each other": 1}


def test_motions_and_goals_are_of_the_world_at_their_time(
    task: ArmReach, home: np.ndarray, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first world there is none, and a damaged one is not the one before it."""
    stops = [home, *(home + np.array(move) for move in MOVES), home]
    positions = logged.path(stops, [1.5, 1.5, 1.5], 1.0, 250.0)
    states = logged.joint_states(task.robot.joint_names, positions, 250.0)
    second, third = logged.BEGIN + 2 * logged.SECOND, logged.BEGIN + round(4.8 * logged.SECOND)
    far = World((replace(world.objects[0], pose=Pose((0.0, 0.0, 3.0))),))
    broken = replace_time(spoiled(far, hash="another"), third)
    bag = logged.write(tmp_path / "bag", [logged.recording(task), *states, logged.world(far, second, 1, 0.01), broken])
    status, report = run(bag, "--out", tmp_path / "data", capsys=capsys)
    assert status == 0 and [each["world"] for each in report["instances"]] == [None, far.hash]
    assert report["worlds"][far.hash]["margin"] == 0.01
    assert report["kinds"]["motion"]["not_used"] == {"the world at that time is damaged": 1}


def replace_time(message: logged.Message, time: int) -> logged.Message:
    topic, kind, _, content = message
    return topic, kind, time, content


def test_a_topic_of_that_name_in_other_bags_is_no_world(
    task: ArmReach, alone: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic, kind, _, content = logged.recording(task)
    said = json.loads(content.data)
    del said["topics"]["world"]
    other = ("/somebody/world", "std_msgs/msg/String", AT, logged.string({"hello": "world"}))
    target = task.robot.tool_position(alone.X[-1, : task.nu])
    plan = logged.plan(task, alone, target, task.dt, AT)
    bag = logged.write(tmp_path / "bag", [(topic, kind, AT, logged.string(said)), other, *plan])
    status, report = run(bag, "--out", tmp_path / "data", capsys=capsys)
    assert status == 0 and report["instances"][0]["world"] is None


# ---------------------------------------------------------------- which world


def test_versions_come_before_times(world: World) -> None:
    decode, worlds, other = decoder(), LoggedWorlds("base_link"), World((replace(world.objects[0], name="other"),))

    def add(logged_world: World, time: int, version: int) -> None:
        message = logged.world(logged_world, time, version)[3]
        payload = bytes(logged.STORE.serialize_cdr(message, "std_msgs/msg/String"))
        assert worlds.add(time, payload, decode) == USED

    assert worlds.of(None, 100) is None
    add(world, 10, 1)
    add(other, 20, 2)
    assert worlds.of(None, 9) is None
    assert worlds.of(None, 10) == LoggedWorld(world, 0.0) == worlds.of(1, 99) == worlds.of(None, 19)
    assert worlds.of(None, 20) == LoggedWorld(other, 0.0) == worlds.of(2, 0)
    with pytest.raises(UnknownWorldError, match="damaged or lost"):
        worlds.of(3, 99)
    assert worlds.add(30, b"\0\1\0\0nonsense", decode) == DAMAGED
    with pytest.raises(UnknownWorldError, match="at that time"):
        worlds.of(None, 30)
    add(World(), 40, 4)
    assert worlds.of(None, 40) is None is worlds.of(4, 0)


def test_the_last_tasks_in_worlds_are_kept(task: ArmReach, world: World) -> None:
    views = Views(task)
    assert views.of(None) is task
    first = views.of(LoggedWorld(world, 0.0))
    again = World((replace(world.objects[0]),))
    assert views.of(LoggedWorld(again, 0.0)) is first and views.of(LoggedWorld(world, 0.1)) is not first
    for margin in (0.2, 0.3, 0.4):
        views.of(LoggedWorld(world, margin))
    assert views.of(LoggedWorld(world, 0.0)) is not first
