"""The experiments at their smallest scale: they run from the command line and write what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "paper"
SHARED = (
    "cells",
    "consensus_runs",
    "experiment",
    "goal_derivative",
    "loops",
    "originals",
    "panels",
    "planner_cells",
    "planner_learning",
    "planner_plans",
    "planner_tables",
    "planner_tasks",
    "plotting",
    "records",
    "rollouts",
)
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)


def test_stored_cells_are_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from cells import Cell
    from experiment import run_cells

    cell = Cell("lqr", "mlp", 2, 0, train=(("steps", 2),), instances=2)
    first = run_cells([cell], tmp_path, 1)
    stored = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    assert run_cells([cell], tmp_path, 1) == json.loads(json.dumps(first))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == stored


def test_cells_share_a_name_where_all_settings_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from cells import Cell

    def name(**changes: object) -> str:
        cell = Cell("ur5", "sob_diff", 2, 0, **changes)  # type: ignore[arg-type]
        return cell.name(cell.load_task())

    assert name() == name(train=(("mode", "jvp"),))  # the task file says the same
    others = [name(train=(("mode", "vjp"),)), name(overrides=(("r_tgt", 0),)), name(samples=(2,)), name(goal=True)]
    assert len({name(), *others}) == 5


def test_gradient_steps_are_those_of_the_papers_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """10^4 epochs over 20 (100 - 32) / 32 = 42.5 chunks in batches of 128."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from paper_budget import steps

    assert [steps(n, 100, 32, 128, 10_000) for n in (20, 100)] == [3320, 16602]
    assert steps(2, 100, 32, 128, 0) == 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_smoke(script: str, tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / f"{script}.py"), "--scale", "smoke", "--out", str(tmp_path), "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / "smoke" / f"{script}.json").read_text())
    assert results["scale"] == "smoke" and results["machine"]["libaligator"]
    assert (tmp_path / "smoke" / f"{script}.png").stat().st_size > 10_000
