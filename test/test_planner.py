"""Planner: plans that may be executed, fallbacks, deadlines and refusals."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_checks import check_plan

from sobo_planner.errors import DeadlineError, PlanningError, PolicyError, TaskError
from sobo_planner.planning.planner import FEASIBLE, Planner, PlanStatus
from sobo_planner.solver import Instance, Solver
from sobo_planner.tasks.arm.timing import Pace

GOAL = np.array([0.4, 0.3, 0.4])


@pytest.fixture(scope="module")
def planner(task, policy):
    return Planner(task, policy)


@pytest.fixture(scope="module")
def home(task):
    return np.concatenate([task.config.robot.home, np.zeros(6)])


def test_plans_with_policy_reach_goals_from_anywhere(task, planner) -> None:
    rng = np.random.default_rng(21)
    for _ in range(8):
        instance = task.sample(rng)
        plan = planner.plan(instance.x0, instance.target)
        check_plan(task, plan, instance.x0)
        assert plan.reached and plan.status is PlanStatus.CONVERGED, instance
        assert plan.phases_ms["total"] >= plan.phases_ms["policy"] + plan.phases_ms["refine"]
        assert plan.phases_ms["policy"] > 0.0
    assert planner.policy_failures == 0


def test_position_limits_are_kept_where_the_optimum_would_leave_them(task) -> None:
    """With 8 s the cheapest motions to this target fold the elbow through its limit."""
    instance, view = task.sample(np.random.default_rng(0)), task.paced(Pace(8.0))
    free = Solver(view).solve(instance, view.interpolate(instance))
    assert np.abs(free.X[:, 2]).max() > task.robot.position_upper[2] + 0.05
    plan = Planner(task).plan(instance.x0, instance.target, duration=8.0)
    check_plan(task, plan, instance.x0)
    assert np.abs(plan.X[:, 2]).max() <= task.robot.position_upper[2] + FEASIBLE
    assert plan.reached


def test_equal_calls_give_equal_plans(task, policy, planner, home) -> None:
    a, b = planner.plan(home, GOAL), Planner(task, policy).plan(home, GOAL)
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.K, b.K)


def test_without_a_policy_interpolation_starts(task, home) -> None:
    plan = Planner(task).plan(home, GOAL)
    check_plan(task, plan, home)
    assert plan.source == "interpolation" and plan.reached and plan.phases_ms["policy"] == 0.0


class Garbage:
    """A policy gone wrong: its predictions are `value`, or it raises."""

    T_h, T_o, T_a = 32, 1, 31
    world = None  # that it knows

    def __init__(self, task, value: float) -> None:
        self.actions = task.actions("state")
        self.value = value

    def sample(self, x, target, rng, samples=1, t=0, controls=None):
        if not np.isfinite(self.value):
            raise PolicyError("the policy predicts values that are not finite")
        return np.full((len(np.atleast_2d(x)) * samples, 32, 12), self.value)


@pytest.mark.parametrize("value", [np.nan, 1e3, -7.0])
def test_a_policy_gone_wrong_does_not_harm(task, home, value) -> None:
    planner = Planner(task, Garbage(task, value))
    plan = planner.plan(home, GOAL)
    check_plan(task, plan, home)
    assert plan.source == "interpolation" and plan.reached
    assert planner.policy_failures == (0 if np.isfinite(value) else 1)


def test_deadline_is_kept_or_refused_with_a_reason(task, policy, planner, home) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineError, match=r"within the deadline of 0.0001 s; allow more time"):
        Planner(task).plan(np.concatenate([[2.0, -0.5, 0.3, 1.0, 1.0, 0.0], np.zeros(6)]), -GOAL, deadline=1e-4)
    assert time.monotonic() - began < 60.0
    assert planner.plan(home, GOAL, deadline=30.0).status is PlanStatus.CONVERGED
    with pytest.raises(PlanningError, match="deadline must be positive, got 0"):
        planner.plan(home, GOAL, deadline=0)


@settings(max_examples=25)
@given(index=st.integers(0, 14), value=st.sampled_from([np.nan, np.inf, -np.inf, 1e6, -50.0]))
def test_bad_states_and_goals_are_refused_and_the_planner_lives_on(task, planner, home, index, value) -> None:
    numbers = np.concatenate([home, GOAL])
    numbers[index] = value
    with pytest.raises(TaskError):
        planner.plan(numbers[:12], numbers[12:])
    assert planner.task.check(Instance(home, GOAL)) is None


def test_a_state_slightly_outside_a_limit_is_planned_from(task, planner, home) -> None:
    state = home.copy()
    state[5] = task.robot.position_upper[5] + 1e-8
    plan = planner.plan(state, GOAL)
    assert plan.reached


def test_planning_while_moving(task, planner, home) -> None:
    state = home.copy()
    state[6:] = [0.5, -0.3, 0.4, 0.2, 0.0, 1.0]
    plan = planner.plan(state, GOAL)
    check_plan(task, plan, state)
    assert plan.reached
