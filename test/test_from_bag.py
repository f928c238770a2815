"""`sobo from-bag`: recorded plans, motions and goals become data that is trained on like any other."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

import logged_bags as logged

from sobo_planner.cli.main import main
from sobo_planner.solver import Guess, Solution, Solver
from sobo_planner.tasks import ArmReach
from sobo_training.data.dataset import load

MOVES = ([0.5, 0.2, -0.3, 0.2, 0.1, 0.0], [-0.5, 0.3, -0.3, 0.2, 0.1, 0.3])
PLANNED_AT = logged.BEGIN + 20 * logged.SECOND


@pytest.fixture(scope="module")
def stops(home: np.ndarray) -> list[np.ndarray]:
    """Where the arm of the recording rests."""
    return [home, *(home + np.array(move) for move in MOVES)]


@pytest.fixture(scope="module")
def states(task: ArmReach, stops: list[np.ndarray]) -> list[logged.Message]:
    """Joint states of two motions that take 1.5 and 3 s."""
    return logged.joint_states(task.robot.joint_names, logged.path(stops, [1.5, 3.0], 0.5, 250.0), 250.0)


@pytest.fixture(scope="module")
def solution(task: ArmReach) -> Solution:
    """A plan, at the task's own pace: what the solver does not improve any more."""
    instance, solver = task.sample(np.random.default_rng(1)), Solver(task)
    first = solver.solve(instance, task.interpolate(instance))
    return solver.solve(instance, Guess(first.X, first.U))


@pytest.fixture(scope="module")
def own(
    task: ArmReach, states: list[logged.Message], solution: Solution, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A recording of the node: the two motions, and a plan."""
    target = task.robot.tool_position(solution.X[-1, : task.nu])
    plan = logged.plan(task, solution, target, task.dt, PLANNED_AT)
    folder = tmp_path_factory.mktemp("own") / "bag"
    logged.write(folder, [logged.recording(task), *states, *plan])
    return folder


def run(*arguments: Any, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Status and report of a call."""
    status = main(["from-bag", "--task", "ur5", "--starts", "1", "--json", *map(str, arguments)])
    text = capsys.readouterr().out
    return status, json.loads(text) if text else {}


def accounted(report: dict[str, Any]) -> bool:
    """Whether each message of each bag has exactly one use."""
    topics = [topic for bag in report["bags"] for topic in bag["topics"].values()]
    return all(sum(topic["uses"].values()) == topic["messages"] for topic in topics)


@pytest.fixture(scope="module")
def data(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of the recording."""
    out = tmp_path_factory.mktemp("data") / "data"
    assert main(["from-bag", str(own), "--task", "ur5", "--starts", "2", "--out", str(out)]) == 0
    return out


def test_recording_becomes_a_dataset(data: Path, task: ArmReach, solution: Solution, stops: list[np.ndarray]) -> None:
    dataset, n = load(data, task), task.nu
    report = json.loads((data / "bags.json").read_text())
    assert report["kinds"]["plan"]["outcomes"] == {"the recorded plan still is optimal, with its gains": 1}
    assert report["kinds"]["motion"]["instances"] == len(dataset) - 1 == 2
    assert accounted(report)
    # the plan as it was recorded, with its gains
    recorded = task.cost(solution.X, solution.U, dataset.target[0])
    assert np.allclose(dataset.x0[0], solution.X[0]) and dataset.cost[0] == pytest.approx(recorded, rel=1e-3)
    assert np.abs(dataset.K[0] - solution.K).max() < 0.1 * np.abs(solution.K).max()
    # the motions from where the arm rested to where the tool came to rest
    for row, (start, end) in enumerate(zip(stops, stops[1:], strict=False), start=1):
        assert np.allclose(dataset.x0[row], [*start, *np.zeros(n)], atol=2e-3)
        assert np.allclose(dataset.target[row], task.robot.tool_position(end), atol=2e-3)
        assert task.final_error(dataset.X[row], dataset.target[row]) < task.success_distance


def test_same_call_again_resumes(own: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in data.glob("*.safetensors")}
    status = main(["from-bag", str(own), "--task", "ur5", "--starts", "2", "--out", str(data), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert status == 0 and report["dataset"]["resumed"] == 3
    assert before == {path.name: path.read_bytes() for path in data.glob("*.safetensors")}


def test_data_is_trained_on(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs torch: the extra `train`")
    steps = ("--steps", "1", "--batch", "2", "--method", "mlp")
    assert main(["train", "ur5", "--data", str(data), "--out", str(tmp_path / "run"), *steps]) == 0


# ---------------------------------------------------------------- plans


def planned(
    task: ArmReach, solution: Solution, step: float, report: dict[str, Any] | None = None
) -> list[logged.Message]:
    """A recording of one plan."""
    target = task.robot.tool_position(solution.X[-1, : task.nu])
    return [logged.recording(task), *logged.plan(task, solution, target, step, PLANNED_AT, report)]


def test_faster_plan_is_solved_again(
    task: ArmReach, solution: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plans last as long as they have to; policies are made for the task's own duration."""
    quick = replace(solution, X=np.hstack([solution.X[:, : task.nu], 2.0 * solution.X[:, task.nu :]]))
    logged.write(tmp_path / "bag", planned(task, quick, 0.5 * task.dt))
    status, report = run(tmp_path / "bag", "--out", tmp_path / "data", capsys=capsys)
    assert status == 0 and report["instances"][0]["stretch"] == pytest.approx(0.5)
    assert "the recorded plan still is optimal, with its gains" not in report["kinds"]["plan"]["outcomes"]
    dataset = load(tmp_path / "data", task)
    assert np.allclose(dataset.x0[0], solution.X[0]) and dataset.cost[0] <= 1.01 * solution.cost


@pytest.mark.parametrize(
    "spoil, cause",
    [
        ({"status": "refined"}, "a cycle of a receding horizon: the motion is taken from the joint states"),
        ({"status": "braking"}, "status braking"),
        ({"checksums": {"joint_trajectory": 1}}, "its trajectory is damaged"),
        ({"start": [0.0] * 12}, "its parts contradict each other"),
        ({"stamp": {"sec": 1, "nanosec": 2}}, "its trajectory is missing"),
        ({"dt": None}, "the report lacks a part"),
        ({"dt": 0.5}, "its parts contradict each other"),
    ],
)
def test_plan_that_gives_none_is_named(
    spoil: dict[str, Any],
    cause: str,
    task: ArmReach,
    solution: Solution,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    logged.write(tmp_path / "bag", planned(task, solution, task.dt, spoil))
    status, report = run(tmp_path / "bag", "--out", tmp_path / "data", capsys=capsys)
    assert status == 1 and report["kinds"]["plan"]["not_used"] == {cause: 1} and report["dataset"] is None
    assert not (tmp_path / "data").exists() and accounted(report)


def test_motion_of_a_plan_counts_as_the_plan(
    task: ArmReach, solution: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = np.repeat(solution.X[[0, -1], : task.nu], 40, axis=0)
    positions = np.vstack([rest[:40], solution.X[:, : task.nu], rest[40:]])
    states = logged.joint_states(task.robot.joint_names, positions, 1.0 / task.dt, PLANNED_AT - 39 * 20_000_000)
    logged.write(tmp_path / "bag", [*planned(task, solution, task.dt), *states])
    _, report = run(tmp_path / "bag", "--out", tmp_path / "data", capsys=capsys)
    assert report["kinds"]["plan"]["instances"] == 1 == report["dataset"]["collected"]
    assert report["kinds"]["motion"]["not_used"] == {"its plan was recorded, which counts instead": 1}


def test_recording_of_others_without_arrays(
    task: ArmReach, solution: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ros2 bag record` of some of the topics: the trajectory and the report make a plan, without controls."""
    kept = [each for each in planned(task, solution, task.dt) if each[0] in ("/joint_trajectory", "/plan_report")]
    logged.write(tmp_path / "bag", kept)
    status, report = run(tmp_path / "bag", "--out", tmp_path / "data", capsys=capsys)
    assert status == 0 and report["kinds"]["plan"]["instances"] == 1
    assert report["kinds"]["trajectory"]["not_used"] == {"its plan was recorded, which counts instead": 1}
    assert load(tmp_path / "data", task).cost[0] <= 1.01 * solution.cost


@pytest.mark.parametrize("gains, torques, payload", [(0.5, 1.0, 0.0), (1.0, 1.5, 0.0), (1.0, 1.0, 2.0)])
def test_plan_of_another_task_is_solved_again(
    gains: float,
    torques: float,
    payload: float,
    task: ArmReach,
    solution: Solution,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Gains, or torques, that are not those of the present task, or something at the tool."""
    other = replace(solution, K=gains * solution.K, U=torques * solution.U)
    target = task.robot.tool_position(solution.X[-1, : task.nu])
    plan = logged.plan(task, other, target, task.dt, PLANNED_AT, payload=payload)
    logged.write(tmp_path / "bag", [logged.recording(task, "another"), *plan])
    status, report = run(tmp_path / "bag", "--out", tmp_path / "data", capsys=capsys)
    assert status == 0 and "recorded with another task" in report["bags"][0]["notes"][0]
    assert report["kinds"]["plan"]["outcomes"].keys() <= {
        "solved from the recorded motion",
        "solved from another start, which is cheaper",
    }
    assert load(tmp_path / "data", task).cost[0] <= 1.01 * solution.cost


def test_filters_of_plans(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, report = run(own, "--status", "feasible", "--tool-error", "1e-9", "--out", tmp_path / "data", capsys=capsys)
    assert report["kinds"]["plan"]["not_used"] == {"status converged": 1}
    # no solution ends as near as that
    assert status == 1 and report["kinds"]["motion"]["outcomes"] == {
        "not solved: ends more than 1e-09 m from the goal": 2
    }


def test_refused_goal_is_solved_from_where_the_arm_was(
    task: ArmReach,
    states: list[logged.Message],
    stops: list[np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    time = states[-1][2]
    place = task.robot.placement("base_link").inverse().goal(task.robot.tool_position(stops[0]))
    refusal = logged.string({"status": "refused", "reason": "DEADLINE_MISSED", "detail": "", "goal": place.tolist()})
    goal = [logged.pose_goal(place, time), ("/plan_report", "std_msgs/msg/String", time, refusal)]
    logged.write(tmp_path / "bag", [logged.recording(task), *states, *goal])
    status, report = run(tmp_path / "bag", "--from", "5.9", "--out", tmp_path / "data", capsys=capsys)
    assert status == 0 and report["bags"][0]["refused_goals"] == {"DEADLINE_MISSED": 1}
    assert report["kinds"]["goal"]["outcomes"] == {"solved from the task's own starts": 1}
    assert np.allclose(load(tmp_path / "data", task).x0[0, : task.nu], stops[-1], atol=1e-6)


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ([], "name at least one bag"),
        (["BAG", "--joints", "a", "b"], "--joints needs one name for each of the 6 joints, got 2"),
        (["BAG", "--region", "-0.5", "0", "0", "-1", "1", "1"], "--region needs lower bounds below upper ones"),
    ],
)
def test_wrong_options(arguments: list[str], reason: str, own: Path, tmp_path: Path, capsys: Any) -> None:
    out = ("--out", str(tmp_path / "data"))
    given = [str(own) if word == "BAG" else word for word in arguments]
    assert main(["from-bag", *given, "--task", "ur5", *out]) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / "data").exists()


def test_without_rosbags(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "rosbags.typesys", None)
    assert main(["from-bag", str(own), "--task", "ur5", "--out", str(tmp_path / "data")]) == 2
    assert 'pip install "sobo_planner[bags]"' in capsys.readouterr().err and not (tmp_path / "data").exists()


def test_data_of_other_bags_is_refused(
    data: Path, task: ArmReach, solution: Solution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in data.iterdir())
    logged.write(tmp_path / "bag", planned(task, solution, task.dt))
    assert main(["from-bag", str(tmp_path / "bag"), "--task", "ur5", "--starts", "2", "--out", str(data)]) == 2
    assert "was collected with other arguments: bags.candidates" in capsys.readouterr().err
    assert sorted(path.name for path in data.iterdir()) == before


def test_fuzzed_bags() -> None:
    """The benchmark raises for a crash, half a dataset, or a message that is not accounted for."""
    script = Path(__file__).parents[1] / "benchmarks" / "bags.py"
    command = [sys.executable, str(script), "--fuzz", "20", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert sum(results.values()) == 20 and results.keys() <= {"data", "data, damage named", "a reason"}
    assert min(results["data, damage named"], results["a reason"]) > 0
