"""The benchmark of plans among obstacles: its independent check, and a problem of it where the data is at hand."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sobo_planner.planning import Planner
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import load_task

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
worlds: Any = importlib.import_module("worlds")
Check, world_of = worlds.Check, worlds.world_of

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
    task = load_task("ur5", **{"robot.acceleration_limits": [worlds.ACCELERATION]})
    planner = Planner(task, checker=PlanChecker(task))
    problems = list(worlds.read_problems(DATA)["problems"]["table_under_pick"].values())
    record = worlds.solve(planner, task, problems[0], argparse.Namespace(goal="joints", peer=False), [])
    assert record["valid"]
    assert record["solved"], record["why"]
    assert record["source"] == "global"
    figures = worlds.summary([record, {"valid": False}])
    assert (figures["valid"], figures["solved"]) == (1, 1)
