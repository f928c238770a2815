"""Counts and tables of plans on the plant."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from sobo_planner.plant import Conditions, Interface
from sobo_planner.tasks import load_task
from sobo_planner.tasks.arm.timing import Pace
from sobo_training.bench import BenchOptions, NotMeasured, plant


@pytest.fixture(scope="module")
def task():
    return load_task("ur5")


def execution(final, settled, speed=0.5, torque=0.4):
    return SimpleNamespace(
        final_error=final, settled_error=settled, tracking_error=0.02, speed_share=speed, torque_share=torque
    )


def plans(task, *shares):
    return [SimpleNamespace(tool_error=1e-4, U=np.outer(np.ones(3), share * task.torque_limit)) for share in shares]


def test_an_arm_is_at_its_goal_at_the_end_and_a_second_later(task) -> None:
    found = [execution(0.004, 0.004), execution(0.008, 0.002), execution(0.002, 0.008), execution(0.011, 0.0)]
    made = plans(task, 0.1, 0.2, -0.7, 0.3)
    for interface, reached in ((Interface.EFFORT, 3), (Interface.POSITION, 1)):
        out = plant.figures(plant.Row("", task, interface=interface), made, found)
        assert (out["reached"], out["near"]) == (reached, plant.NEAR[interface])
        assert out["final_error"] == {"median": pytest.approx(0.006), "max": 0.011}
        assert out["settled_error"]["max"] == 0.008 and out["tracking_error"]["median"] == 0.02
        assert out["plan_torque_share"]["max"] == pytest.approx(0.7)
        assert out["plan_error"] == {"median": 1e-4, "max": 1e-4}


def test_speeds_have_a_tolerance_of_a_hundredth(task) -> None:
    found = [execution(0, 0, speed) for speed in (0.9, 1.009, 1.011)]
    out = plant.figures(plant.Row("", task), plans(task, 0, 0, 0), found)
    assert out["within_speed"] == 2 and out["speed_share"]["max"] == 1.011


def test_rows_share_plans_and_goals_without_a_plan_count(task, monkeypatch) -> None:
    pytest.importorskip("mujoco", reason="needs the extra `sim`")
    made = []

    class Planner(plant.Planner):
        def plan(self, state, goal, **pace):
            made.append(pace)
            if len(made) % 2:
                raise plant.SoboError("no way")
            return super().plan(state, goal, **pace)

    monkeypatch.setattr(plant, "Planner", Planner)
    played = plant.Plans(2, 0, lambda numbers, _: numbers)
    first = played.play(plant.Row("a", task))
    second = played.play(plant.Row("b", task, Conditions(mass_error=0.1)))
    assert len(made) == 2 and first["goals"] == second["goals"] == 2
    assert first["reasons"] == {0: "no way"} and first["reached"] == second["reached"] == 1
    assert second["final_error"]["max"] != first["final_error"]["max"]
    played.play(plant.Row("c", task, pace=Pace(velocity_scaling=0.5)))
    assert [each["velocity_scaling"] for each in made] == [1.0, 1.0, 0.5, 0.5]


def test_nothing_to_play(task) -> None:
    out = plant.figures(plant.Row("", task), [], [])
    assert out["reached"] == 0 and out["final_error"] == {"median": None, "max": None}
    assert plant.table({"none": {**out, "goals": 3}}).splitlines()[1].split() == ["none", "0", "3", *["-"] * 8]


def test_section(task) -> None:
    pytest.importorskip("mujoco", reason="needs the extra `sim`")
    report = plant.measure(task, BenchOptions(rounds=1, instances=2))
    assert len(report) == 4 and all(row["goals"] == row["reached"] == 2 for row in report.values())
    as_planned, heavier, hard, _ = report.values()
    errors = [row["tracking_error"]["max"] for row in (as_planned, heavier, hard)]
    assert errors == sorted(errors)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    text = plant.table(report).splitlines()
    assert len(text) == 5 and text[1].split()[-10:-8] == ["2", "2"]
    assert f"{1e3 * errors[0]:.1f}" in text[1]


def test_section_without_mujoco(task, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(NotMeasured, match="sobo_planner.sim"):
        plant.measure(task, BenchOptions(rounds=1, instances=1))
