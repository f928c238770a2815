"""The time that planning may take, and what ends it."""

from __future__ import annotations

import math

import pytest
from scripted_planning import Clock

from sobo_planner.errors import DeadlineError, PlanInterruptedError
from sobo_planner.solver import UNLIMITED, Budget, Interrupt, WorkEstimate


def test_time_passes() -> None:
    clock = Clock()
    clock.now = 5.0
    budget = Budget(2.0, clock=clock)
    assert budget.left() == 2.0 and budget.elapsed() == 0.0 and not budget.over()
    clock.now = 6.5
    assert budget.left() == 0.5 and budget.elapsed() == 1.5 and not budget.over()
    clock.now = 7.0
    assert budget.left() == 0.0 and budget.over()
    clock.now = 8.0
    assert budget.left() == -1.0 and budget.over()


def test_without_a_limit_it_is_never_over() -> None:
    assert UNLIMITED.left() == math.inf and not UNLIMITED.over()
    UNLIMITED.check("this")


def test_an_interrupt_ends_it() -> None:
    interrupt = Interrupt()
    budget = Budget(None, interrupt)
    assert not budget.over() and not budget.interrupted
    interrupt.set()
    assert budget.over() and budget.interrupted and budget.keeping(1.0).over()
    with pytest.raises(PlanInterruptedError):
        budget.check("the search")


def test_what_is_kept_back_is_over_earlier() -> None:
    clock = Clock()
    clock.now = 1.0
    budget = Budget(2.0, clock=clock)
    clock.now = 2.0
    kept = budget.keeping(0.75)
    assert kept.left() == 0.25 and kept.elapsed() == 1.0
    clock.now = 2.25
    assert kept.over() and not budget.over()


def test_a_check_names_what_did_not_finish_and_the_deadline() -> None:
    clock = Clock()
    budget = Budget(0.02, clock=clock)
    budget.check("the rollout")
    clock.now = 0.02
    with pytest.raises(
        DeadlineError, match=r"the rollout did not finish within the deadline of 0.02 s; allow more time"
    ):
        budget.check("the rollout")


def test_the_pace_is_that_of_the_slowest_work_for_a_while() -> None:
    pace = WorkEstimate()
    assert pace.seconds == 0.0
    pace.not_begun()
    assert pace.seconds == 0.0
    pace.measured(2.0)
    pace.measured(10.0)
    assert pace.seconds == 10.0
    pace.measured(1.0)
    assert pace.seconds == pytest.approx(8.0)
    pace.measured(9.0)
    assert pace.seconds == 9.0


def test_work_that_is_not_begun_brings_the_pace_back_to_the_shortest_so_far_and_no_further() -> None:
    pace = WorkEstimate()
    pace.measured(2.0)
    pace.measured(4.0)
    pace.measured(3.0)
    for expected in (2.56, 2.048, 2.0, 2.0):
        pace.not_begun()
        assert pace.seconds == pytest.approx(expected)
