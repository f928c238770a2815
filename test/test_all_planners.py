"""The comparison of all planners: equal budgets, counted calls, figures, and cells that are computed once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sobo_planner.errors import SoboError
from sobo_planner.solver import Solver
from sobo_training.data.instances import Stream, draw

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "paper"


@pytest.fixture(scope="module", autouse=True)
def scripts():
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def test_methods_that_learn_from_the_solver_have_equal_budgets():
    from planner_learning import cell_of, job_of
    from planner_tasks import FROM_DATA, TASKS

    for planned in TASKS.values():
        budget = planned.budgets["laptop"]
        settings = job_of(planned, "PLAL+S", 0, "laptop").settings
        assert (settings.instances, settings.starts, settings.batch) == (budget.instances, budget.starts, budget.batch)
        assert 0 <= budget.updates - settings.steps * settings.gradient_steps < settings.steps
        assert settings.warm_steps < settings.steps and settings.label == "PLAL+S"
        for method in FROM_DATA:
            cell = cell_of(planned, method, 0, "laptop")
            assert (cell.trajectories, cell.starts) == (budget.instances, budget.starts)
            assert dict(cell.train).items() >= {"steps": budget.updates, "batch": budget.batch}.items()


def test_every_cell_has_a_place_of_its_own(tmp_path):
    from planner_cells import cells_of
    from planner_tasks import METHODS, TASKS

    cells = [cell for task in TASKS for cell in cells_of(task, METHODS, "laptop")]
    assert len({cell.place(tmp_path) for cell in cells}) == len(cells) == len(TASKS) * (1 + 9 * 3)
    one = cells_of("lqr", ("diff",), "laptop")[0]
    assert one.place(tmp_path) != cells_of("lqr", ("diff",), "full")[0].place(tmp_path)


def test_calls_of_the_data_count_every_start(tmp_path):
    from cells import Cell
    from planner_learning import make_data

    cell = Cell("pendulum", "diff", 2, 0, starts=2)
    made = make_data(cell, tmp_path)
    task, iterations, solved = cell.load_task(), 0, 0
    for number in range(10):
        instance, rng = draw(task, Stream.COLLECT, 100, number)
        solutions = [Solver(task).solve(instance, guess) for guess in task.starts(instance, 2, rng)]
        iterations += sum(each.iterations for each in solutions)
        solved += any(each.converged for each in solutions)
        if solved == 2:
            break
    assert made["calls"] == task.horizon * iterations > 0


def test_plans_of_the_solver_and_of_sampling(tmp_path):
    from planner_cells import PlannerCell, finished, run_cell

    cells = [PlannerCell("lqr", method, 0, "smoke") for method in ("solver", "starts", "mbd")]
    solver, starts, sampled = (run_cell(cell, tmp_path) for cell in cells)
    assert all(each["training"] == {"seconds": 0.0, "calls": 0} for each in (solver, starts, sampled))
    task = cells[0].load_task()
    for alone, several in zip(solver["plans"]["solver alone"], starts["plans"]["best of several starts"], strict=True):
        assert alone["valid"] and alone["calls"] == task.horizon * alone["iterations"]
        assert several["cost"] == pytest.approx(alone["cost"], rel=1e-3)  # convex
        assert several["iterations"] > alone["iterations"]
    for found, refined in zip(sampled["plans"]["MBD"], sampled["plans"]["MBD as start"], strict=True):
        assert found["iterations"] == 0 and found["cost"] > refined["cost"]
        assert refined["calls"] - found["calls"] == task.horizon * refined["iterations"]
        assert refined["cpu_ms"] > found["cpu_ms"] > 0.0
    assert [each["cell"]["method"] for each in finished("lqr", "smoke", tmp_path)] == ["solver", "starts", "mbd"]


def test_what_is_stored_is_not_computed_again_and_what_failed_is(tmp_path, monkeypatch):
    import planner_cells

    cell = planner_cells.PlannerCell("lqr", "mbd", 0, "smoke")

    def fails(*_):
        raise SoboError("no policy")

    with monkeypatch.context() as context:
        context.setattr(planner_cells, "learned", fails)
        assert planner_cells.run_cell(cell, tmp_path)["failed"] == "no policy"
    first = planner_cells.run_cell(cell, tmp_path)
    monkeypatch.setattr(planner_cells, "learned", fails)
    assert planner_cells.run_cell(cell, tmp_path) == first == json.loads(cell.place(tmp_path).read_text())


def test_proposals_beyond_their_limits_or_short_of_the_target_are_not_solved():
    from planner_cells import PlannerCell
    from planner_plans import Plan, judged

    from sobo_planner.solver import Guess

    task = PlannerCell("lqr", "solver", 0, "smoke").load_task()
    instance, _ = draw(task, Stream.EVALUATE, 0, 0)
    spent = Plan(None, False, False, 1.0, 50)
    solution = Solver(task).solve(instance, task.interpolate(instance))
    good = judged(task, instance, Guess(solution.X, solution.U), spent)
    assert good.solved and good.cost == pytest.approx(solution.cost)
    beyond = judged(task, instance, Guess(solution.X, solution.U + 2.0 * task.control_upper), spent)
    assert beyond.cost is not None and not beyond.valid and not beyond.solved
    still = np.zeros((task.horizon, task.nu))
    short = judged(task, instance, Guess(task.simulate(instance.x0, still), still), spent)
    assert short.valid and not short.solved
    assert judged(task, instance, None, spent) == spent


def made(method: str, seed: int, costs: list[float | None], solved: list[bool]) -> dict:
    plans = [
        {"cost": cost, "valid": cost is not None, "solved": good, "cpu_ms": 2.0, "calls": 1500, "iterations": 3}
        for cost, good in zip(costs, solved, strict=True)
    ]
    return {
        "cell": {"method": method, "seed": seed},
        "training": {"seconds": 7.0 * (method != "solver"), "calls": 2e6 * (method != "solver")},
        "plans": {"solver alone" if method == "solver" else method: plans},
    }


def test_figures_compare_with_the_best_that_anyone_found():
    from planner_tables import render, summary

    records = [
        made("solver", 0, [2.0, 4.0, None], [True, True, False]),
        made("diff", 0, [3.0, 2.0, 5.0], [False, True, True]),
        made("diff", 1, [None, None, 10.0], [False, False, True]),
        {"cell": {"method": "PPO", "seed": 2}, "failed": "no disk"},
    ]
    found = summary(records)
    assert found["best"] == pytest.approx((2.0 + 2.0 + 5.0) / 3)
    alone, policy = found["planners"]["solver alone"], found["planners"]["diff"]
    assert alone["over_best"] == [2.0] and alone["mean_over_best"] == [1.5]
    assert policy["over_best"] == [1.0, np.inf] and policy["solved"] == pytest.approx([2 / 3, 1 / 3])
    text = render({"LQR": found})
    assert "| solver alone | 2 (67 %) |" in text and "| diff | 1.000, - (50 %) |" in text
    assert "| diff | 7; 2 million |" in text and "| solver alone | 2; 1.5k |" in text
    assert text.count("solver alone") == 2  # it learns nothing
    assert "LQR: PPO, seed 2 failed: no disk" in text


def test_what_exceeds_a_limit_is_no_plan_however_cheap():
    from planner_tables import summary

    exceeding = made("diff", 0, [3.0, 0.1, 5.0], [False, True, True])
    exceeding["plans"]["diff"][1] |= {"valid": False, "solved": False}
    found = summary([made("solver", 0, [2.0, 4.0, 5.0], [True, True, True]), exceeding])
    assert found["best"] == pytest.approx((2.0 + 4.0 + 5.0) / 3)
    assert found["planners"]["diff"]["over_best"] == [1.5]
    assert found["planners"]["diff"]["solved"] == pytest.approx([1 / 3])
