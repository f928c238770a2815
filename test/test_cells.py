"""Policies that know a world: instances there, solutions among objects, artifacts, and worlds that differ."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from sobo_planner.cli import main
from sobo_planner.errors import ConfigError, DatasetError, PolicyError, TaskError
from sobo_planner.planning import Planner
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.cell import NEAR, ToolDistance
from sobo_planner.world import Box, Pose, Sphere, World, WorldObject, write_world
from sobo_training.config import TrainConfig
from sobo_training.data.cell import ROOM, SOURCES, CellCollector, at_own_pace, planner_of
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions
from sobo_training.data.dataset import load
from sobo_training.evaluation.evaluate import evaluate
from sobo_training.evaluation.options import EvaluateOptions
from sobo_training.evaluation.report import render
from sobo_training.export.exporter import export
from sobo_training.learning.jacobians import closed_loop
from sobo_training.learning.runs import check_run, task_of_run
from sobo_training.learning.train import train

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SOBO_MBM_UR5", ROOT.parent / "shared/data/mbm_ur5.json.gz"))
WALL = WorldObject("wall", Box((0.04, 0.6, 0.5)), Pose((0.55, 0.0, 0.25)))
BALL = WorldObject("ball", Sphere(0.1), Pose((0.3, 0.5, 0.4)))
TINY = {"T_h": 16, "batch": 16, "hidden": (8, 8), "steps": 4}


@pytest.fixture(scope="module")
def cell(task: ArmReach) -> ArmReach:
    return task.in_cell(World((WALL, BALL)), "bench")


@pytest.fixture(scope="module")
def other(task: ArmReach) -> ArmReach:
    return task.in_cell(World((WALL,)), "bare")


@pytest.fixture(scope="module")
def folder(cell: ArmReach, tmp_path_factory) -> Path:
    """Four solutions, a policy that hardly learned from them, and its run."""
    made = tmp_path_factory.mktemp("cell")
    collect(cell, made / "data", CollectOptions(count=40, wanted=4, threads=1, shard_size=2), progress=False)
    config = TrainConfig.from_task(cell, "sob_diff", **TINY)
    export(train(load(made / "data", cell), cell, made / "run", config, progress=False), cell, made / "policy")
    return made


def test_the_tools_distance_is_that_to_the_nearest_object(task: ArmReach, rng) -> None:
    robot = task.robot.with_world(World((BALL, WorldObject("far", Sphere(0.2), Pose((0.0, -0.7, 0.3))))))
    distance = ToolDistance(robot)
    for q in rng.uniform(-2.0, 2.0, (20, 6)):
        tool = robot.tool_position(q)
        expected = min(np.linalg.norm(tool - [0.3, 0.5, 0.4]) - 0.1, np.linalg.norm(tool - [0.0, -0.7, 0.3]) - 0.2)
        assert distance(q) == pytest.approx(expected, abs=1e-5)


def test_instances_are_free_and_near_objects(cell: ArmReach) -> None:
    assert cell.work is not None
    for seed in range(5):
        instance = cell.sample(np.random.default_rng(seed))
        assert cell.robot.contact(instance.x0[:6]) is None and not instance.x0[6:].any()
        cell.check_goal(instance)
        gaps = [np.maximum(np.abs(instance.target - [0.55, 0, 0.25]) - [0.02, 0.3, 0.25], 0.0)]
        near = min(np.linalg.norm(gaps[0]), np.linalg.norm(instance.target - [0.3, 0.5, 0.4]) - 0.1)
        assert near < NEAR


def test_what_is_out_of_reach_is_said(task: ArmReach, monkeypatch) -> None:
    monkeypatch.setattr("sobo_planner.tasks.arm.instances.NEAR_TRIES", 20)
    far = task.in_cell(World((WorldObject("far", Sphere(0.1), Pose((5.0, 0.0, 0.0))),)))
    with pytest.raises(TaskError, match=r"20 configurations .* within 0\.2 m of an object"):
        far.sample(np.random.default_rng(0))


def test_a_cell_observes_the_first_joint_and_has_hashes_of_its_own(task: ArmReach, cell: ArmReach, other) -> None:
    turn, target = np.zeros(12), np.array([0.5, 0.1, 0.3])
    turn[0] = 1.0
    c, s = np.cos(1.0), np.sin(1.0)
    turned = np.array([c * target[0] - s * target[1], s * target[0] + c * target[1], target[2]])
    x = np.array([0.1, -1.0, 1.2, -0.5, 0.3, 0.2, *[0.0] * 6])
    np.testing.assert_allclose(task.observation(x, target), task.observation(x + turn, turned), atol=1e-9)
    assert np.abs(cell.observation(x, target) - cell.observation(x + turn, turned)).max() > 0.1
    assert len(cell.observation(x, target)) == cell.obs_dim == task.obs_dim + 4
    slope = cell.observation_jacobian(x, target)
    step = 1e-6 * np.eye(12)[0]
    numeric = (cell.observation(x + step, target) - cell.observation(x - step, target)) / 2e-6
    np.testing.assert_allclose(slope[:, 0], numeric, atol=1e-6)
    assert len({task.hash, cell.hash, other.hash}) == 3
    assert cell.policy_hash == other.policy_hash != task.policy_hash
    back = cell.seeing(False)
    assert back.policy_hash == task.policy_hash and back.obs_dim == task.obs_dim
    again = pickle.loads(pickle.dumps(cell))
    assert (again.hash, again.policy_hash, again.cell) == (cell.hash, cell.policy_hash, cell.cell)


def test_an_empty_world_is_refused(task: ArmReach) -> None:
    with pytest.raises(ConfigError, match="empty"):
        task.in_cell(World())
    with pytest.raises(ConfigError, match="pose"):
        task.with_orientation().in_cell(World((WALL,)))


def test_a_solution_at_the_tasks_pace_has_the_same_closed_loop(cell: ArmReach) -> None:
    """A state moved by dx moves the next one by the loop's dx, whatever the pace that both are written in."""
    planner = planner_of(cell)
    view, found = planner.optimum(cell.sample(np.random.default_rng(3)))
    solution, stretch = found.solution, view.stretch
    stored = at_own_pace(solution, stretch)
    scale = np.r_[np.ones(6), np.full(6, stretch)]
    np.testing.assert_allclose(stored.X, solution.X * scale)
    dx = np.linspace(-1e-3, 1e-3, 12)
    loop, slow = (closed_loop(each.A, each.B, each.K) for each in (solution, stored))
    np.testing.assert_allclose(slow[7] @ (scale * dx), scale * (loop[7] @ dx), atol=1e-12)
    step = cell.duration / cell.horizon  # positions still follow from velocities
    moved = np.diff(stored.X[:, :6], axis=0)
    np.testing.assert_allclose(moved, 0.5 * step * (stored.X[1:, 6:] + stored.X[:-1, 6:]), atol=1e-9)


def test_solutions_keep_their_distance_and_reach_their_targets(cell: ArmReach, folder: Path) -> None:
    data = load(folder / "data", cell)
    apart = cell.robot.with_world(cell.robot.world, 0.9 * ROOM)
    assert len(data) == 4 and set(data.start) <= set(range(len(SOURCES)))
    for X, target in zip(data.X, data.target, strict=True):
        assert all(apart.contact(q) is None for q in X[:, :6])
        assert cell.final_error(X, target) < 0.01


def test_failed_instances_are_counted_by_cause(cell: ArmReach) -> None:
    collector = CellCollector(cell, None, CollectOptions(threads=1))  # type: ignore[arg-type]
    collector.drawn = lambda number: (Instance(np.zeros(12), np.array([5.0, 0.0, 0.0])), None)  # type: ignore[method-assign,assignment,return-value]
    outcome = collector.solved(0)
    assert outcome.solution is None and outcome.causes in (("no_free_posture",), ("start_refused",))


@pytest.mark.slow
def test_processes_solve_the_same(cell: ArmReach, folder: Path, tmp_path: Path) -> None:
    collect(cell, tmp_path, CollectOptions(count=40, wanted=2, threads=2, shard_size=2), progress=False)
    np.testing.assert_array_equal(load(tmp_path, cell).X, load(folder / "data", cell).X[:2])


def test_another_world_is_refused_by_name(cell: ArmReach, other: ArmReach, task: ArmReach, folder: Path) -> None:
    options = CollectOptions(count=40, wanted=4, threads=1, shard_size=2)
    with pytest.raises(DatasetError, match=r"world\.name: the folder has 'bench', this call asks for 'bare'"):
        collect(other, folder / "data", options, progress=False)
    with pytest.raises(DatasetError, match=r"collected in the world bench .* the task is in the world bare"):
        load(folder / "data", other)
    with pytest.raises(DatasetError, match="the task is in no world"):
        load(folder / "data", task)
    with pytest.raises(PolicyError, match=r"holds a run in the world bench .* this one is in the world bare"):
        check_run(folder / "run", other)
    assert task_of_run(folder / "run").hash == cell.hash


def test_the_artifact_carries_the_world(cell: ArmReach, task: ArmReach, folder: Path) -> None:
    policy = Policy.load(folder / "policy", task)
    assert policy.world == {"name": "bench", "hash": cell.robot.world.hash, "margin": 0.0}
    assert policy.task.sees_all and policy.serving(task.with_world(World((BALL,)))).task.sees_all
    with pytest.raises(PolicyError, match=r"trained for the world bench \(hash .*name a world"):
        policy.artifact.check_task(task)


def test_in_another_world_the_policy_is_tried_and_it_is_said(cell: ArmReach, other, folder: Path) -> None:
    policy = Policy.load(folder / "policy", other)
    planner = Planner(other, policy, PlanChecker(other), world=other.robot.world)
    instance = other.sample(np.random.default_rng(0))
    around = planner.plan(instance.x0, instance.target).surroundings
    assert around is not None and around.policy_knows == f"the world bench (hash {cell.robot.world.hash})"
    around = planner.plan(instance.x0, instance.target, world=cell.robot.world).surroundings
    assert around is not None and around.policy_knows == ""
    around = planner.plan(instance.x0, instance.target, world=World()).surroundings
    assert around is not None and (around.objects, around.policy_knows[:15]) == (0, "the world bench")
    assert planner.policy_failures == 0


def test_an_evaluation_in_a_world(cell: ArmReach, folder: Path) -> None:
    report = evaluate(cell, folder / "policy", EvaluateOptions(instances=2, samples=1), progress=False)
    assert report["world"]["name"] == report["policy_world"]["name"] == "bench"
    assert report["success"]["solver"] == 1.0
    for row in report["rows"]:
        assert (row["depth"] > 0.0) == (row["rollout"]["status"] == "invalid")
    assert "in the world bench" in render(report) and "touch nothing" in render(report)
    with pytest.raises(ConfigError, match="held-out"):
        evaluate(cell, folder / "policy", EvaluateOptions(instances=1), data=load(folder / "data", cell))


@pytest.mark.slow
def test_the_loop_in_a_world(tmp_path: Path, capsys) -> None:
    write_world(tmp_path / "bench.yaml", World((WALL, BALL)))
    sets = ["interplay.iterations=1", "interplay.trajectories=[3]", "interplay.epochs=1", "interplay.instances=2"]
    sets += ["policy.hidden=[8,8]", "training.batch=16", "policy.T_h=16"]
    arguments = ["interplay", "ur5", "--world", str(tmp_path / "bench.yaml"), "--threads", "1"]
    pairs = [part for each in sets for part in ("--set", each)]
    assert main([*arguments, "--out", str(tmp_path / "loop"), *pairs]) == 0
    assert "policy:" in capsys.readouterr().out
    config = json.loads((tmp_path / "loop" / "config.json").read_text())
    assert config["world"]["name"] == "bench"
    write_world(tmp_path / "bare.yaml", World((WALL,)))
    assert (
        main(["interplay", "ur5", "--world", str(tmp_path / "bare.yaml"), "--out", str(tmp_path / "loop"), *pairs]) != 0
    )
    assert "world.name" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_file(), reason="the problems of MotionBenchMaker for the UR5 are not here")
def test_the_benchmark_goes_on_where_it_stopped(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import cell_policies

    monkeypatch.setattr(cell_policies, "TRAINING", {name: TINY[name] for name in ("T_h", "batch", "hidden")})
    arguments = ["--out", str(tmp_path), "--data", str(DATA), "--json", str(tmp_path / "all.json"), "--scenes", "box"]
    arguments += ["--trajectories", "3", "--steps", "3", "--instances", "2", "--samples", "1", "--threads", "1"]
    arguments += ["--seeds", "1", "--methods", "diff"]
    assert cell_policies.main(arguments) == 0
    before = (tmp_path / "box" / "diff-0" / "report.json").stat().st_mtime_ns
    assert cell_policies.main(arguments) == 0
    assert (tmp_path / "box" / "diff-0" / "report.json").stat().st_mtime_ns == before
    record = json.loads((tmp_path / "all.json").read_text())
    (figures,) = record["table"].values()
    report = json.loads((tmp_path / "box" / "diff-0" / "report.json").read_text())
    assert figures["mean"]["free"] == report["rollouts"]["free"] and figures["seeds"] == 1
    assert report["collected"]["solutions"] == 3 and "box, diff" in capsys.readouterr().out
