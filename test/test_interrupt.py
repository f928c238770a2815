"""Solves and plans that another thread ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from sobo_planner.errors import PlanInterruptedError
from sobo_planner.planning.planner import Planner
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Instance, Interrupt, Solver, SolverOptions, SolverStatus
from sobo_planner.tasks import ArmReach

INSIDE = np.array([0.05, 0.05, 0.02])  # the base: no posture is free there, and it takes all starts to find out
GOAL = np.array([0.4, 0.3, 0.4])
# Never converged: the tolerance is below rounding.
ENDLESS = SolverOptions(tol=1e-300, early_stop=0.0, max_iterations=10**7, retry=True)

Result = TypeVar("Result")


@pytest.fixture
def start(task: ArmReach) -> np.ndarray:
    return np.concatenate([task.config.robot.home, np.zeros(6)])


@pytest.fixture
def instance(start: np.ndarray) -> Instance:
    return Instance(start, GOAL)


def interrupted(work: Callable[[Interrupt], Result], after: float) -> Result:
    """Does the work, interrupted from another thread after some time [s]."""
    interrupt = Interrupt()
    timer = threading.Timer(after, interrupt.set)
    timer.start()
    try:
        return work(interrupt)
    finally:
        timer.join()


def test_an_interrupt_is_set_until_it_is_cleared() -> None:
    interrupt = Interrupt()
    for _ in range(2):
        assert not interrupt.is_set()
        interrupt.set()
        interrupt.set()
        assert interrupt.is_set()
        interrupt.clear()


def test_a_solve_interrupted_beforehand_returns_its_first_iterate(task: ArmReach, instance: Instance) -> None:
    interrupt = Interrupt()
    interrupt.set()
    guess = task.interpolate(instance)
    solution = Solver(task).solve(instance, guess, interrupt=interrupt)
    assert solution.status is SolverStatus.TIME_LIMIT and solution.iterations == 1
    assert np.isfinite(solution.X).all() and np.isfinite(solution.K).all()


def test_an_interrupt_that_is_not_set_changes_nothing(task: ArmReach, instance: Instance) -> None:
    solver, guess = Solver(task), task.interpolate(instance)
    with_one, without = solver.solve(instance, guess, interrupt=Interrupt()), solver.solve(instance, guess)
    assert with_one.status is without.status is SolverStatus.CONVERGED
    np.testing.assert_array_equal(with_one.X, without.X)
    np.testing.assert_array_equal(with_one.K, without.K)


def test_a_solve_is_interrupted_from_another_thread(task: ArmReach, instance: Instance) -> None:
    """It is not retried either."""
    solver, guess = Solver(task, ENDLESS), task.interpolate(instance)
    solution = interrupted(lambda interrupt: solver.solve(instance, guess, interrupt=interrupt), 0.5)
    assert solution.status is SolverStatus.TIME_LIMIT and 1 < solution.iterations < ENDLESS.max_iterations


def test_planning_is_interrupted_and_the_planner_plans_on(task: ArmReach, start: np.ndarray) -> None:
    planner = Planner(task, checker=PlanChecker(task))
    before = planner.plan(start, GOAL)
    with pytest.raises(PlanInterruptedError, match="interrupted"):
        interrupted(lambda interrupt: planner.plan(start, INSIDE, interrupt=interrupt), 0.1)
    after = planner.plan(start, GOAL, interrupt=Interrupt())
    np.testing.assert_array_equal(after.X, before.X)
    np.testing.assert_array_equal(after.K, before.K)


def test_planning_interrupted_beforehand_gives_no_plan(task: ArmReach, start: np.ndarray) -> None:
    interrupt = Interrupt()
    interrupt.set()
    with pytest.raises(PlanInterruptedError):
        Planner(task).plan(start, GOAL, interrupt=interrupt)
