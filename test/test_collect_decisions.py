"""Who solves and with what policy when solutions are collected, with a scripted solver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_collecting import LQR, ScriptedSolver, collector

from sobo_training.data import collect as module
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions
from sobo_training.data.dataset import shard_paths
from sobo_training.data.shards import read_shard


def test_collect_solves_with_the_tasks_solver_and_the_policys_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[Any] = []
    solver = ScriptedSolver()
    monkeypatch.setattr(module, "Solver", lambda task: made.append(task) or solver)
    monkeypatch.setattr(module, "_load_policy", lambda folder, task: made.append((folder, task)))
    monkeypatch.setattr(module, "resolved_config", lambda *arguments: {"arguments": str(arguments[1:])})
    options = CollectOptions(count=1, starts=1)
    summary = collect(LQR, tmp_path, options, "policy", progress=False)
    assert summary.collected == 1 and made == [("policy", LQR), LQR] and capsys.readouterr().err == ""
    assert read_shard(shard_paths(tmp_path)[0])[1].config == {"arguments": str((options, "policy"))}
    made.clear()
    assert collect(LQR, tmp_path / "more").collected == CollectOptions().count
    assert made == [LQR] and "50/50" in capsys.readouterr().err


def test_a_policy_is_loaded_for_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sobo_planner.policy.Policy.load", lambda *arguments: arguments)
    assert module._load_policy("folder", LQR) == ("folder", LQR)


def test_ray_solves_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sobo_training.data import ray_executor

    made: list[Any] = []

    class FakeRay:
        def __init__(self, *arguments: Any) -> None:
            made.append(arguments)

        def solve_shards(self, shards: list[list[int]], advance: Any) -> Any:
            return collector(ScriptedSolver()).solve_shards(shards, advance)

    monkeypatch.setattr(ray_executor, "RayCollector", FakeRay)
    monkeypatch.setattr(module, "Solver", lambda task: None)
    options = CollectOptions(count=2)
    assert collect(LQR, tmp_path, options, progress=False, executor="ray").collected == 2
    assert made == [(LQR, options, None)]
