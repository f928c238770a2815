"""The search for a plan, with scripted parts, where time is limited or another thread interrupts."""

from __future__ import annotations

import time

import pytest
from scripted_planning import BOXED, INSTANCE, PROPOSALS, Clock, Starter, guess, run, search, solution

from sobo_planner.errors import DeadlineError, PlanInterruptedError, PlanRefusedError
from sobo_planner.planning.judge import Verdict
from sobo_planner.solver import UNLIMITED, Budget, Interrupt, Refinement, Solution


def late() -> None:
    raise DeadlineError("late")


def test_a_starter_that_runs_out_of_time_proposes_nothing() -> None:
    starters = [Starter([PROPOSALS[0]]), Starter([], effect=late)]
    found, _ = run(lambda at: Verdict(miss=0.5), starters=starters)
    assert found.source == "interpolation"


def test_no_attempt_begins_that_would_end_after_the_deadline() -> None:
    clock = Clock()
    searching, solvers = search(lambda at: Verdict(miss=0.5), shortest=0.02)
    searching.measure(INSTANCE, guess(5.0))
    assert solvers.asked == [(Refinement(iterations=1), 5.0)] and solvers.limits == [None]
    with pytest.raises(DeadlineError, match="no plan was found within the deadline of 0.019 s; allow more time"):
        searching.run(INSTANCE, Budget(0.019, clock=clock))
    assert len(solvers.asked) == 1
    assert searching.run(INSTANCE, Budget(0.03, clock=clock)).source == "policy"


def test_an_attempt_that_was_slow_once_is_made_again_after_some_refusals() -> None:
    clock = Clock()
    searching, solvers = search(lambda at: Verdict(miss=0.5), shortest=0.01)
    searching.measure(INSTANCE, guess(5.0))
    solvers.shortest = 0.04
    searching.measure(INSTANCE, guess(5.0))
    solvers.shortest = 0.01
    refusals = 0
    while refusals < 20:
        try:
            searching.run(INSTANCE, Budget(0.02, clock=clock))
            break
        except DeadlineError:
            refusals += 1
    assert refusals == 4  # 0.04 * 0.8 ** 4 < 0.02 <= 0.04 * 0.8 ** 3
    for _ in range(20):
        with pytest.raises(DeadlineError):
            searching.run(INSTANCE, Budget(0.009, clock=clock))


def test_starters_leave_the_time_that_the_shortest_attempt_takes() -> None:
    clock, starter = Clock(), Starter(PROPOSALS)
    searching, _ = search(lambda at: Verdict(miss=0.5), starters=[starter], shortest=0.02)
    searching.measure(INSTANCE, guess(5.0))
    searching.run(INSTANCE, Budget(0.1, clock=clock))
    assert starter.budgets[0].left() == pytest.approx(0.08, abs=1e-3)


def busy(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        continue


def test_judging_takes_time_too_which_neither_starters_nor_the_solver_are_given() -> None:
    def verdict(at: float) -> Verdict:
        busy(0.01)
        return Verdict(miss=0.5)

    clock, starter = Clock(), Starter(PROPOSALS)
    searching, solvers = search(verdict, starters=[starter], shortest=0.02)
    searching.measure(INSTANCE, guess(5.0))
    searching.run(INSTANCE, Budget(0.5, clock=clock))
    assert starter.budgets[0].left() <= 0.5 - 0.02 - 0.01
    assert solvers.limits[-1] is not None and solvers.limits[-1] <= 0.5 - 0.01
    for limit, answers in ((0.025, False), (0.5, True)):
        if answers:
            assert searching.run(INSTANCE, Budget(limit, clock=clock)).source == "policy"
        else:
            with pytest.raises(DeadlineError):
                searching.run(INSTANCE, Budget(limit, clock=clock))


def test_a_solve_always_has_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """None would be no limit."""
    monkeypatch.setattr(time, "thread_time", lambda: 0.0)  # judging takes none
    clock = Clock()

    def answer(refinement: Refinement, start: float) -> Solution:
        clock.now += 0.0999999
        return solution(start, converged=False)

    searching, solvers = search(lambda at: Verdict(miss=0.5), answer)
    searching.run(INSTANCE, Budget(0.1, clock=clock))
    assert solvers.limits[-1] == 1e-4


def test_a_solve_is_given_the_time_that_is_left() -> None:
    clock = Clock()
    searching, solvers = search(lambda at: Verdict(miss=0.5))
    searching.run(INSTANCE, Budget(0.1, clock=clock))
    assert solvers.limits == [pytest.approx(0.1, abs=1e-3)]
    searching.run(INSTANCE, UNLIMITED)
    assert solvers.limits[-1] is None


def test_the_best_so_far_is_the_plan_when_the_time_is_over() -> None:
    clock = Clock()

    def answer(refinement: Refinement, start: float) -> Solution:
        clock.now += 0.06
        return solution(start, converged=False)

    searching, solvers = search(lambda at: Verdict(miss=0.5), answer)
    found = searching.run(INSTANCE, Budget(0.1, clock=clock))
    assert len(solvers.asked) == 2 and not found.solution.converged


def test_what_was_tried_before_the_deadline_is_told() -> None:
    clock = Clock()

    def answer(refinement: Refinement, start: float) -> Solution:
        clock.now += 1.0
        return solution(start)

    searching, _ = search(lambda at: Verdict("diverged"), answer)
    with pytest.raises(DeadlineError, match=r"deadline of 0.5 s \(policy: diverged\)"):
        searching.run(INSTANCE, Budget(0.5, clock=clock))


def test_a_refusal_counts_more_than_the_deadline() -> None:
    clock = Clock()

    def answer(refinement: Refinement, start: float) -> Solution:
        clock.now += 1.0
        return solution(start)

    searching, _ = search(lambda at: Verdict(violation=BOXED), answer)
    with pytest.raises(PlanRefusedError, match="TOOL_BOX"):
        searching.run(INSTANCE, Budget(0.5, clock=clock))


def test_an_interrupt_ends_the_search_without_a_plan() -> None:
    interrupt = Interrupt()

    def answer(refinement: Refinement, start: float) -> Solution:
        interrupt.set()
        return solution(start, converged=False)

    searching, solvers = search(lambda at: Verdict(miss=0.5), answer)
    with pytest.raises(PlanInterruptedError):
        searching.run(INSTANCE, Budget(None, interrupt))
    assert len(solvers.asked) == 1
