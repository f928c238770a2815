"""Decisions of a cycle of the receding horizon, with a scripted solver, starts and checker; the arm is real."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scripted_receding import Setup, resting

from sobo_planner.receding import planner as planner_module
from sobo_planner.solver import SolverStatus
from sobo_planner.tasks import ArmReach

NEAR = 0.1  # [m] from the target where a motion that arrives ends


@pytest.fixture
def setup(task: ArmReach, home: np.ndarray) -> Setup:
    return Setup(home)


def test_the_solver_has_what_is_left_of_the_cycle(setup: Setup, monkeypatch) -> None:
    times = [70.0, 70.001, 70.0035, 70.004]
    monkeypatch.setattr(planner_module, "time", SimpleNamespace(monotonic=iter(times).__next__))
    cycle = setup.cycle()
    assert setup.solver.budgets == [pytest.approx(0.003)]
    assert cycle.phases_ms == pytest.approx({"start": 1.0, "refine": 2.5, "check": 0.5})


def test_an_optimal_start_ends_the_search_though_links_have_to_be_kept_apart(setup: Setup) -> None:
    """Where a motion to the target has collided, one that is only not refined yet does not."""
    setup.solver.clear, setup.solver.start_cost = True, 1.0
    for iterations, status in (
        (1, SolverStatus.CONVERGED),
        (0, SolverStatus.MAX_ITERATIONS),
        (0, SolverStatus.CONVERGED),
    ):
        setup.solver.solution = replace(setup.solver.solution, iterations=iterations, status=status)
        assert not setup.cycle(publish=True).refined
    setup.cycle(publish=True)
    assert setup.starts.tries == [0, 1, 2, None]


# ---------------------------------------------------------------- the search for a motion to a new target


def test_the_search_ends_with_a_motion_that_arrives(setup: Setup) -> None:
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    assert setup.starts.tries == [0, None]
    assert setup.solver.calls.count("new_target") == 1


def test_a_motion_that_ends_far_from_the_target_does_not_end_the_search(setup: Setup) -> None:
    away = setup.target + [0.0, 0.0, -1.01 * NEAR]
    assert setup.cycle(target=away, publish=True).tool_error > NEAR
    setup.cycle(target=away, publish=True)
    setup.cycle(target=away, publish=True)
    assert setup.starts.tries == [0, 1, 2]
    near = setup.target + [0.0, 0.0, -0.99 * NEAR]
    setup.cycle(target=near, publish=True)
    setup.cycle(target=near, publish=True)
    assert setup.starts.tries[-1] is None


def test_a_cycle_without_a_motion_does_not_end_the_search(setup: Setup) -> None:
    setup.refuse(1.0)
    setup.refuse(5.0)
    setup.cycle()
    setup.cycle()
    assert setup.starts.tries == [0, 1]


def test_a_motion_that_was_not_published_does_not_end_the_search(setup: Setup) -> None:
    setup.cycle()
    setup.cycle()
    assert setup.starts.tries == [0, 0]


def test_once_motions_have_collided_only_a_refined_one_ends_the_search(setup: Setup) -> None:
    setup.solver.clear, setup.solver.start_cost = True, 0.5
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    setup.solver.start_cost = 2.0
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    assert setup.starts.tries == [0, 1, 2, None]


def test_unfinished_work_goes_on_before_other_starts_are_sought(setup: Setup) -> None:
    away = setup.target + [0.0, 0.0, -2 * NEAR]
    setup.cycle(target=away, publish=True)
    setup.solver.unfinished = True
    setup.cycle(target=away, publish=True)
    assert setup.starts.tries == [0, None]


def test_another_target_is_a_new_search(setup: Setup) -> None:
    setup.cycle(publish=True)
    setup.cycle(target=setup.target + 0.01, publish=True)
    assert setup.starts.tries == [0, 0] and setup.solver.calls.count("new_target") == 2


@pytest.mark.parametrize("source", ["policy", "interpolation"])
def test_only_a_shifted_motion_continues_the_sequence(setup: Setup, source: str) -> None:
    setup.cycle(publish=True)
    setup.solver.calls.clear()
    setup.cycle(publish=True)
    assert "restart" not in setup.solver.calls
    setup.starts.source = source
    setup.cycle(publish=True)
    assert setup.solver.calls.count("restart") == 1


# ---------------------------------------------------------------- the motion that the next cycle goes on with


def test_the_next_cycle_shifts_the_draft_published_or_not(setup: Setup) -> None:
    first = setup.cycle(publish=True).motion
    second = setup.cycle().motion
    setup.cycle()
    assert setup.starts.before[1] is first and setup.starts.before[2] is second


def test_a_draft_stays_while_what_is_followed_stays(setup: Setup) -> None:
    """Also where a cycle brings none."""
    setup.followed.add(resting(setup.task, setup.x), 100.0)
    draft = setup.cycle().motion
    setup.cycle()
    setup.refuse(1.0)
    setup.refuse(5.0)
    assert setup.starts.before[1] is draft and setup.cycle().motion is None
    second = setup.starts.before[2]
    setup.cycle()
    assert setup.starts.before[3] is second is not draft


def test_a_motion_of_somebody_else_replaces_the_draft(setup: Setup) -> None:
    setup.cycle(publish=True)
    braking = resting(setup.task, setup.x, begin=99.0)
    setup.followed.add(braking, 100.0)
    setup.solver.calls.clear()
    setup.cycle()
    assert setup.starts.before[1] is braking and setup.starts.tries == [0, 0]
    assert setup.solver.calls == ["restart", "choose"]


def test_a_cycle_without_a_motion_leaves_the_draft(setup: Setup) -> None:
    first = setup.cycle(publish=True).motion
    setup.refuse(1.0)
    setup.refuse(5.0)
    assert setup.cycle().motion is None
    setup.cycle()
    assert setup.starts.before[2] is first


def test_the_refinement_is_chosen_in_each_cycle(setup: Setup) -> None:
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    assert setup.solver.calls.count("choose") == 2


def test_a_new_target_is_checked_and_one_that_is_followed_is_not(setup: Setup, monkeypatch) -> None:
    checked = []
    monkeypatch.setattr(type(setup.task), "check_goal", lambda self, instance, budget: checked.append(budget))
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    assert checked == [setup.planner.progress]
