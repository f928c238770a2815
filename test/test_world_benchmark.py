"""`sobo bench worlds`: its independent check, what counts as solved, and a problem where the data is at hand."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sobo_planner.cli import main
from sobo_planner.cli.main import join_command
from sobo_planner.errors import ConfigError, DatasetError, SoboError
from sobo_planner.planning import Planner
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import load_task
from sobo_training.bench.options import NotMeasured
from sobo_training.bench.worlds import run
from sobo_training.bench.worlds.check import Check
from sobo_training.bench.worlds.problems import goal_near, read_problems, world_of
from sobo_training.bench.worlds.run import WorldsOptions, bench_worlds, exceeded, fault, render, summary

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SOBO_MBM_UR5", ROOT.parent / "shared/data/mbm_ur5.json.gz"))
PROBLEM = {
    "obstacles": [
        {"name": "wall", "shape": "box", "size": [0.02, 1, 1], "position": [0.6, 0, 0.5], "quaternion": [0, 0, 0, 1]},
        {
            "name": "can",
            "shape": "cylinder",
            "size": [0.2, 0.05],
            "position": [0, 0.7, 0.1],
            "quaternion": [0, 0, 1, 0],
        },
    ]
}
SPHERES = [[0.0, 0.0, 0.05, 0.04]]


def test_the_check_agrees_with_ours(task, rng) -> None:
    """Its geometry is built apart: configurations in contact are the same."""
    check = Check(str(task.robot.path), PROBLEM, SPHERES)
    robot = task.robot.with_world(world_of(PROBLEM, SPHERES))
    found = [(check.touches(q), robot.contact(q) is not None) for q in rng.uniform(-2.0, 2.0, (200, 6))]
    assert all(theirs == ours for theirs, ours in found)
    assert 20 < sum(theirs for theirs, _ in found) < 180


def test_the_check_finds_contacts_between_points(task) -> None:
    """The arm sweeps through the wall within one interval."""
    check = Check(str(task.robot.path), PROBLEM, [])
    q = np.array([-2.0, -0.4, 0.6, -0.2, 0.0, 0.0])
    turned = q + np.array([4.0, 0, 0, 0, 0, 0])
    assert not check.touches(q)
    assert not check.touches(turned)
    time, Q = np.array([0.0, 2.0]), np.vstack([q, turned])
    contact = check.contact(time, Q, np.zeros((2, 6)))
    ours = task.robot.with_world(world_of(PROBLEM, [])).first_contact(time, Q, np.zeros((2, 6)))
    assert contact == pytest.approx(ours.time, abs=2e-3)
    assert check.contact(time, np.vstack([q, q + 0.01]), np.zeros((2, 6))) is None


@pytest.mark.skipif(not DATA.is_file(), reason="needs the problems of MotionBenchMaker (SOBO_MBM_UR5)")
def test_a_problem_is_solved() -> None:
    task = load_task("ur5", **{"robot.acceleration_limits": [run.ACCELERATION]})
    planner = Planner(task, checker=PlanChecker(task))
    problems = list(read_problems(DATA)["problems"]["table_under_pick"].values())
    record = run.solve(planner, task, problems[0], WorldsOptions(DATA), [])
    assert record["valid"]
    assert record["solved"], record["why"]
    assert record["source"] == "global"
    figures = summary([record, {"valid": False}])
    assert (figures["valid"], figures["solved"], figures["past_objects"]) == (1, 1, 1)


def plan(**changes: Any) -> Any:
    """One joint that goes from 0 to 1 in 2 s, at rest at both ends: at most 0.75 rad/s and 1.5 rad/s^2."""
    x = np.array([[0.0, 0.0], [1.0, 0.0]])
    return SimpleNamespace(**({"reached": True, "reason": "", "time": np.array([0.0, 2.0]), "X": x} | changes))


def test_what_counts_as_solved() -> None:
    free, touching = (SimpleNamespace(contact=lambda *_, t=t: t) for t in (None, 0.25))
    assert fault(plan(), free, 1, 4999.0) == ""
    assert fault(plan(), free, 1, 5001.0) == "late"
    assert fault(plan(), touching, 1, 1.0) == "contact at 0.250 s"
    assert fault(plan(reached=False, reason="too far"), free, 1, 1.0) == "too far"
    fast = plan(time=np.array([0.0, 0.45]))  # 3.33 rad/s
    assert fault(fast, free, 1, 1.0).startswith("speed 3.33")
    assert exceeded(plan(time=np.array([0.0, 0.475])), 1).startswith("speed") is False
    assert exceeded(plan(time=np.array([0.0, 0.6])), 1) == "acceleration 16.67"
    assert exceeded(plan(time=np.array([0.0, 0.704])), 1) == ""  # 12.1 rad/s^2: within the slack of a hundredth


def test_goals_are_turned_towards_the_start_within_limits() -> None:
    """Joints: nearer beyond a half turn; where limits forbid that; two turns away; with a goal outside all limits."""
    start, goal = np.array([3.0, 3.0, 0.0, 0.0]), np.array([-3.0, -3.0, 13.0, 4.0])
    lower, upper = np.array([-7.0, -3.14, -7.0, -1.0]), np.array([7.0, 3.14, 7.0, 1.0])
    turned = goal_near(start, goal, lower, upper)
    np.testing.assert_allclose(turned, [2 * np.pi - 3.0, -3.0, 13.0 - 4 * np.pi, 4.0])


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    """Two scenes of two problems each."""
    scenes = {scene: {str(number): {"number": number} for number in (1, 2)} for scene in ("box", "cage")}
    path = tmp_path / "problems.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"problems": scenes, "tool": {"spheres": SPHERES}}).encode()))
    return path


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The problems that were planned and the spheres given, in place of planning; the second one has a contact."""
    calls: list[tuple[int, int]] = []

    def solve(planner: Any, task: Any, problem: dict, options: WorldsOptions, spheres: list) -> dict[str, Any]:
        calls.append((problem["number"], len(spheres)))
        why = "contact at 1 s" if problem["number"] == 2 else ""
        return {"valid": True, "solved": not why, "why": why, "ms": 10.0 * problem["number"], "source": "global"}

    monkeypatch.setattr(run, "solve", solve)
    return calls


def test_a_report_is_written_by_scene_and_gone_on_with(problems: Path, planned: list, tmp_path: Path) -> None:
    path, options = tmp_path / "report.json", WorldsOptions(problems, scenes=("box",))
    report = bench_worlds(options, path, progress=False)
    assert planned == [(1, 0), (2, 0)] and json.loads(path.read_text())["scenes"] == report["scenes"]
    assert report["all"] | {"ms_p95": 0} == {
        "valid": 2, "solved": 1, "past_objects": 2, "ms_p50": 15.0, "ms_p95": 0, "ms_max": 20.0
    }  # fmt: skip
    whole = bench_worlds(WorldsOptions(problems), path, progress=False)
    assert len(planned) == 4 and set(whole["scenes"]) == {"box", "cage"}
    bench_worlds(WorldsOptions(problems), path, progress=False)
    assert len(planned) == 4
    printed = render(whole)
    assert "cage 2: contact at 1 s" in printed and "2 of 4" in printed
    for changed in ({"gripper": True}, {"goal": "pose"}, {"problems": 1}):
        with pytest.raises(DatasetError, match="this call asks for"):
            bench_worlds(dataclasses.replace(options, **changed), path, progress=False)
    path.write_text("[]")
    with pytest.raises(DatasetError, match="holds no report of this benchmark"):
        bench_worlds(options, path, progress=False)


def test_problems_spheres_and_scenes_are_those_asked_for(problems: Path, planned: list) -> None:
    bench_worlds(WorldsOptions(problems, problems=1, gripper=True), progress=False)
    assert planned == [(1, 1), (1, 1)]
    with pytest.raises(DatasetError, match=r"no scene 'cagge' in .*; known: box, cage"):
        bench_worlds(WorldsOptions(problems, scenes=("box", "cagge")), progress=False)
    assert len(planned) == 2


def test_options_that_cannot_work_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="problems must not be negative, got -1"):
        WorldsOptions(DATA, problems=-1)
    with pytest.raises(ConfigError, match="unknown goal 'pos'; known: joints, pose"):
        WorldsOptions(DATA, goal="pos")
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == "toppra" else True)
    with pytest.raises(NotMeasured, match="the peer needs toppra: pip install toppra"):
        WorldsOptions(DATA, peer=True)
    for content in (b"no gzip", gzip.compress(b"{"), gzip.compress(b"[]"), gzip.compress(b'{"problems": {}}')):
        path = tmp_path / "other.gz"
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"other\.gz"):
            read_problems(path)


def test_the_command_line(problems: Path, planned: list, tmp_path: Path, capsys, monkeypatch) -> None:
    """Two words are one sub-command; the status says whether all are solved."""
    assert join_command(["bench", "worlds", "--peer"]) == ["bench worlds", "--peer"]
    assert join_command(["bench", "ur5"]) == ["bench", "ur5"]
    assert join_command(["worlds", "bench"]) == ["worlds", "bench"]
    monkeypatch.setenv("SOBO_MBM_UR5", str(problems))
    assert main(["bench", "worlds", "--scenes", "box", "--json", str(tmp_path / "r.json")]) == 1
    assert main(["bench", "worlds", "--problems", "1"]) == 0
    assert "1 of 2" in capsys.readouterr().out
    monkeypatch.delenv("SOBO_MBM_UR5")
    assert main(["bench", "worlds"]) == 2
    assert "--data or SOBO_MBM_UR5 must name it" in capsys.readouterr().err


def test_a_plan_that_fails_is_recorded(task) -> None:
    """Its reason and its time; what touches at the start or goal is no problem at all."""

    def plan(*_: Any, **__: Any) -> Any:
        raise SoboError("no way")

    planner: Any = SimpleNamespace(plan=plan)
    q = [-2.0, -0.4, 0.6, -0.2, 0.0, 0.0]
    record = run.solve(planner, task, PROBLEM | {"start": q, "goals": [q]}, WorldsOptions(DATA), [])
    assert record["valid"] and not record["solved"] and record["why"] == "SoboError: no way" and record["ms"] >= 0
    inside = [0.0, -0.4, 0.6, -0.2, 0.0, 0.0]
    assert Check(str(task.robot.path), PROBLEM, []).touches(np.array(inside))
    for start, goal in ((inside, q), (q, inside)):
        found = run.solve(planner, task, PROBLEM | {"start": start, "goals": [goal]}, WorldsOptions(DATA), [])
        assert found == {"valid": False}
