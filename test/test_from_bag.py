"""`sobo from-bag`: recorded plans, motions and goals become data that is trained on like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import logged_bags as logged
import numpy as np
import pytest

from sobo_planner.cli.main import main
from sobo_planner.solver import Solution, Solver
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
    """A plan, at the task's own pace."""
    instance = task.sample(np.random.default_rng(1))
    return Solver(task).solve(instance, task.interpolate(instance))


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
    assert report["kinds"]["plan"]["outcomes"] == {"the recorded plan is still optimal": 1}
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
    steps = ("--steps", "1", "--batch", "2", "--method", "mlp")
    assert main(["train", "ur5", "--data", str(data), "--out", str(tmp_path / "run"), *steps]) == 0
