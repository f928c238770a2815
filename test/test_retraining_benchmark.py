"""The benchmark of retraining: which region it takes, and which goals it logs there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sobo_planner.tasks import load_task
from sobo_training.data.dataset import load
from sobo_training.data.instances import Stream, draw


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "retraining.py"
    spec = importlib.util.spec_from_file_location("retraining", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_region_is_that_with_the_most_iterations(script, rng):
    """Far and low targets, where the naive start needs even more."""
    targets = rng.uniform((0.1, 0.0, -0.5), (0.8, 0.01, 0.7), (900, 3))
    rows = []
    for target in targets:
        weak = target[0] > 0.69 and target[2] < -0.31
        warm, naive = (6.0, 20.0) if weak else (4.0, 8.0)
        rows.append({"target": list(target), "warm": {"iterations": warm}, "naive": {"iterations": naive}})
    region, figures = script.weakest(rows)
    assert region.holds(np.array([0.75, 0.0, -0.4])) and not region.holds(np.array([0.75, 0.0, 0.4]))
    assert not region.holds(np.array([0.2, 0.0, -0.4])) and region.holds(np.array([0.0, 0.75, -0.4]))
    assert len(figures) == 36 and sum(each["instances"] for each in figures) == 900
    assert sorted(each["warm"] > 5.0 for each in figures) == [False] * 35 + [True]


def test_goals_are_visited_one_after_the_other(script):
    task, region = load_task("ur5"), script.Region((0.0, 10.0), (-10.0, 10.0))
    visited = script.walk(task, region, 1, 2)
    assert len(visited) == 2
    first, second = visited
    assert np.linalg.norm(task.robot.tool_position(second.x0[:6]) - first.target) < 5e-3
    assert not second.x0[6:].any() and not np.array_equal(first.target, second.target)


def test_what_was_visited_is_kept_and_solved(script, tmp_path):
    task, region = load_task("ur5"), script.Region((0.0, 10.0), (-10.0, 10.0))
    visited = script.walked(tmp_path, task, region, 1, 1)
    again = script.walked(tmp_path, None, region, 1, 1)  # no task is needed to read it
    np.testing.assert_array_equal(again[0].x0, visited[0].x0)
    script.log(task, tmp_path / "goals", visited, 1, 1)
    data = load(tmp_path / "goals", task)
    np.testing.assert_array_equal(data.x0, [visited[0].x0])
    np.testing.assert_array_equal(data.target, [visited[0].target])


def test_goals_lie_in_the_region_and_depend_on_their_number_alone(script):
    task, region = load_task("ur5"), script.Region((0.3, 0.6), (-0.2, 0.4))
    view = script.within(task, region.holds)
    goals = [draw(view, Stream.COLLECT, 0, number)[0].target for number in range(20)]
    assert all(region.holds(goal) for goal in goals)
    np.testing.assert_array_equal(draw(view, Stream.COLLECT, 0, 7)[0].target, goals[7])
    assert not all(region.holds(draw(task, Stream.COLLECT, 0, number)[0].target) for number in range(20))
