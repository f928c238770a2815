"""The account of a plan: its time, and which motions its starts have led to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sobo_planner.planning.budget import SAME, Effort
from sobo_planner.planning.planner import FEASIBLE, PATIENCE, Planner, PlanStatus
from sobo_planner.planning.refinement import PATIENT, QUICK, Variant
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Guess, Instance, Interrupt, Solution, Solver, SolverStatus
from sobo_planner.tasks import ArmReach

states = arrays(np.float64, (5, 4), elements=st.floats(-3.0, 3.0))


@given(states, st.floats(0.0, 0.9), st.floats(1.1, 10.0), st.integers(0, 4), st.integers(0, 1))
def test_a_motion_is_new_until_one_near_it_was_seen(X: np.ndarray, near: float, far: float, t: int, i: int) -> None:
    effort = Effort(0.0, None)
    moved, away = X.copy(), X.copy()
    moved[t, i] += near * SAME
    moved[:, 2:] += 10.0  # velocities follow from positions
    away[t, i] += far * SAME
    assert effort.is_new(QUICK, X) and not effort.is_new(QUICK, moved) and not effort.is_new(PATIENT, X)
    assert effort.is_new(QUICK, away) and not effort.is_new(QUICK, away)
    assert effort.is_new(Variant(clear=1), X) and effort.is_new(replace(QUICK, limited=True), X)


def test_an_iterate_that_has_not_converged_does_not_stand_for_the_plan_it_becomes(
    task: ArmReach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short of convergence every quick start is refused; the first patient one, to the same motion, is the plan."""
    instance = task.sample(np.random.default_rng(3))
    solve, patient = Solver.solve, []

    def cut_short(self: Solver, instance: Instance, guess: Guess, *limits: object) -> Solution:
        solution = solve(self, instance, guess, *limits)
        if self.options.max_iterations > PATIENCE:
            patient.append(solution)
            return solution
        return replace(solution, status=SolverStatus.MAX_ITERATIONS, primal_residual=2 * FEASIBLE)

    monkeypatch.setattr(Solver, "solve", cut_short)
    plan = Planner(task).plan(instance.x0, instance.target)
    assert plan.reached and plan.status is PlanStatus.CONVERGED
    assert len(patient) == 1 and patient[0].X is plan.X


def test_what_is_not_finite_is_always_new() -> None:
    effort, X = Effort(0.0, None), np.full((3, 4), np.nan)
    assert effort.is_new(QUICK, X) and effort.is_new(QUICK, X)


def test_an_effort_is_over_when_its_time_is_up_or_it_was_interrupted() -> None:
    assert Effort(0.0, 1e-3).over() and not Effort(0.0, None).over()
    interrupt = Interrupt()
    effort = Effort(0.0, None, interrupt)
    assert not effort.over() and not effort.interrupted
    interrupt.set()
    assert effort.over() and effort.interrupted


def test_what_came_of_a_motion_is_not_worked_out_twice(
    task: ArmReach, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both starts lead to one motion that collides, and the motion clear of that ends short."""
    rng = np.random.default_rng(7)
    instance = [task.sample(rng) for _ in range(81)][-1]
    begun: list[tuple[Solver, np.ndarray]] = []
    solve = Solver.solve

    def counted(self: Solver, instance: Instance, guess: Guess, *limits: object) -> Solution:
        begun.append((self, guess.X[1:, : task.nu]))
        return solve(self, instance, guess, *limits)

    monkeypatch.setattr(Solver, "solve", counted)
    plan = Planner(task, policy, checker=PlanChecker(task)).plan(instance.x0, instance.target)
    assert plan.reached and len(begun) > 4
    for k, (solver, q) in enumerate(begun):
        assert not any(solver is other and np.abs(q - before).max() <= SAME for other, before in begun[:k])
