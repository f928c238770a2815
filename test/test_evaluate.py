"""From collection to report through the command line, with a policy trained for a few steps."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from sobo_planner.cli import main
from sobo_planner.errors import ConfigError
from sobo_planner.tasks import load_task
from sobo_training.data.instances import Stream, draw
from sobo_training.evaluation.attempts import Attempt, Row
from sobo_training.evaluation.options import EvaluateOptions
from sobo_training.evaluation.report import best_of_starts, choose_cold_start, compare, render
from sobo_training.evaluation.statistics import paired_ratio, summarise, table

VARIANT = ["--set", "r_init=0", "r_tgt=0"]
STATISTICS = {"mean", "median", "p90", "p99", "failures"}
INSTANCES = 3


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    data, run, policy = (str(folder / name) for name in ("data", "run", "policy"))
    assert main(["collect", "ur5", "-n", "3", "--starts", "1", "--out", data, *VARIANT]) == 0
    arguments = ["--steps", "30", "--batch", "16", "--limit", "2", "--verdict", "2"]
    assert main(["train", "ur5", "--data", data, "--out", run, *arguments, *VARIANT]) == 0
    assert json.loads((folder / "run" / "run.json").read_text())["solutions"] == 2
    assert main(["export", "--run", run, "--out", policy, "--verdict", "0"]) == 0
    return folder / "policy"


@pytest.fixture(scope="module")
def report(artifact, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "new" / "report.json"
    arguments = ["--policy", str(artifact), "--instances", str(INSTANCES), "--seed", "3", "--starts", "3"]
    assert main(["evaluate", "ur5", *arguments, "--json", str(path), *VARIANT]) == 0
    return json.loads(path.read_text())


def test_keys(report, artifact):
    for group, names in {
        "cost": {"solver", "policy", "refined"},
        "iterations": {"cold", "warm"},
        "time_ms": {"cold", "policy", "refine", "warm_total", "cold_start"},
    }.items():
        assert set(report[group]) == names
        for name in names:
            assert set(report[group][name]) == STATISTICS
    assert set(report["success"]) == {"solver", "policy", "refined"}
    assert report["task"] == "ur5" and report["instances"] == INSTANCES and report["seed"] == 3
    assert report["policy"] == str(artifact)
    assert report["cold_start"] in ("interpolation", "gravity")
    assert report["action_horizon"] >= 1


def test_figures_follow_from_the_rows(report):
    rows, cold = report["rows"], report["cold_start"]
    assert [row["index"] for row in rows] == list(range(INSTANCES))
    costs = [row[cold]["cost"] for row in rows if row[cold]["status"] == "converged"]
    assert report["cost"]["solver"]["mean"] == pytest.approx(np.mean(costs))
    assert report["cost"]["solver"]["failures"] == INSTANCES - len(costs)
    assert report["iterations"]["warm"]["mean"] == np.mean([row["refined"]["iterations"] for row in rows])
    assert report["best_of_starts"]["starts"] == 3
    for row in rows:
        assert row["best_of_starts"] <= row["interpolation"]["cost"] * 1.5
        assert row["policy"]["time_ms"] > 0 and row["refined"]["time_ms"] > 0


def test_instances_are_held_out_and_repeatable(report):
    task = load_task("ur5", r_init=0, r_tgt=0)
    for row in report["rows"]:
        instance, _ = draw(task, Stream.EVALUATE, 3, row["index"])
        np.testing.assert_array_equal(instance.x0, row["x0"])
        collected, _ = draw(task, Stream.COLLECT, 3, row["index"])
        assert not np.allclose(collected.x0, row["x0"], atol=1e-9)


def test_the_table_shows_every_group(report):
    text = render(report)
    for label in (
        "cost solver",
        "cost policy",
        "cost refined",
        "iterations cold",
        "iterations warm",
        "cold start:",
    ):
        assert label in text
    assert "final error under 0.01 m" in text


def test_a_run_without_training_is_not_exported(tmp_path, capsys):
    assert main(["export", "--run", str(tmp_path), "--out", str(tmp_path / "policy")]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def attempt(cost: float, iterations: int, status: str = "converged") -> Attempt:
    return Attempt(status, cost, iterations, 2.0 * iterations, 1.0, 0.005)


def row(interpolation: Attempt, gravity: Attempt, refined: Attempt, best: float | None = 1.0) -> Row:
    policy = Attempt("valid", 3.0, 0, 4.0, 0.0, 0.02)
    return Row(0, [0.0], [0.0], interpolation, gravity, policy, refined, refined, "policy", best, 0)


def test_a_failed_solve_is_no_advantage_for_a_naive_start():
    good, early_failure = attempt(1.0, 20), attempt(1.0, 2, "failed")
    rows = [row(good, early_failure, good), row(good, attempt(1.0, 30), good)]
    assert choose_cold_start(rows) == "interpolation"


def test_ratios_are_taken_where_both_sides_converged():
    rows = [
        row(attempt(2.0, 40), attempt(2.0, 50), attempt(1.0, 10)),
        row(attempt(2.0, 40, "failed"), attempt(2.0, 50), attempt(9.0, 10)),
        row(attempt(2.0, 40), attempt(2.0, 50), attempt(9.0, 1, "max_iterations")),
    ]
    ratios = compare(rows, "interpolation")
    assert ratios["cost_refined_over_solver"]["mean"] == 0.5
    assert ratios["cost_refined_over_solver"]["count"] == 1
    assert ratios["iterations_warm_over_cold"]["ratio_of_means"] == 0.25
    assert ratios["time_warm_total_over_cold"]["mean"] == pytest.approx((4.0 + 20.0) / 80.0)
    best = best_of_starts(rows, 6, "interpolation")
    assert best is not None and best["refined_over_best"]["failures"] == 1
    assert best["planner_over_best"]["failures"] == 1
    unplanned = best_of_starts([dataclasses.replace(each, planner=None) for each in rows], 6, "interpolation")
    assert unplanned == {name: value for name, value in best.items() if name != "planner_over_best"}
    assert best_of_starts(rows, 0, "interpolation") is None


def test_success_needs_a_good_trajectory_that_ends_at_the_target():
    assert attempt(1.0, 3).success(0.01)
    assert not attempt(1.0, 3, "max_iterations").success(0.01)
    assert not Attempt("converged", 1.0, 3, 1.0, 0.0, 0.02).success(0.01)
    assert not Attempt("failed").success(0.01)


def test_statistics_leave_unknown_values_out():
    values = [1.0, 2.0, 3.0, None, float("nan"), float("inf")]
    assert summarise(values)["mean"] == 2.0
    assert summarise(values)["failures"] == 3
    assert summarise([None]) == dict.fromkeys(("mean", "median", "p90", "p99")) | {"failures": 1}
    assert paired_ratio([1.0, None], [2.0, 2.0])["mean"] == 0.5
    assert paired_ratio([None], [1.0])["ratio_of_means"] is None


def test_tables_are_aligned():
    lines = table([("a", summarise([1.0])), ("longer label", summarise([None]))]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "-" in lines[2]


@pytest.mark.parametrize("wrong", [{"instances": 0}, {"seed": -1}, {"starts": -1}, {"action_horizon": 0}])
def test_options_are_checked(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ConfigError, match=f"{name} must be at least .*, got {value}"):
        EvaluateOptions(**wrong)
