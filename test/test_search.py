"""The search for a plan, with scripted starters, solvers and judges: what is tried, what is returned, when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from scripted_planning import INSTANCE, TOUCHING, Clock, Judge, Solvers, Starter, Task, guess, solution

from sobo_planner.errors import DeadlineError, PlanInterruptedError, PlanningError, PlanRefusedError
from sobo_planner.planning.attempts import CAPPED, CLEARANCES
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.search import Found, Search
from sobo_planner.planning.starters import GRAVITY, Proposal
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import UNLIMITED, Budget, Interrupt, Precision, Refinement, Solution

QUICK, PRECISE = Refinement(iterations=CAPPED), Refinement(precision=Precision.TERMINAL)
BOXED = Violation(Limit.TOOL_BOX, "tool x is outside")
PROPOSALS = [Proposal("interpolation", guess(10.0), 2.0), Proposal("policy", guess(20.0), 1.0)]
OTHERS = [Proposal(GRAVITY, guess(30.0)), Proposal("posture", guess(40.0))]


def keep(refinement: Refinement, start: float) -> Solution:
    """A solver that returns its start, moved a little, so that no two motions are the same."""
    return solution(start + 1.0)


def search(
    verdict: Callable[[float], Verdict],
    answer: Callable[[Refinement, float], Solution] = keep,
    *,
    starters: list[Any] | None = None,
    others: list[Proposal] | None = None,
    shortest: float = 0.0,
) -> tuple[Search, Solvers]:
    solvers = Solvers(answer, shortest)
    first = [Starter(PROPOSALS)] if starters is None else starters
    alternatives = Starter(OTHERS if others is None else others)
    return Search(Task(), first, alternatives, solvers, Judge(verdict)), solvers


def run(verdict: Callable[[float], Verdict], **options: Any) -> tuple[Found, Solvers]:
    searching, solvers = search(verdict, **options)
    return searching.run(INSTANCE, UNLIMITED), solvers


def test_the_first_motion_that_converges_at_the_goal_is_the_plan() -> None:
    found, solvers = run(lambda at: Verdict(miss=0.5))
    assert found.source == "policy" and found.solution.X[-1, 0] == 21.0
    assert solvers.asked == [(QUICK, 20.0)] and found.account.iterations == 3


def test_without_a_good_motion_everything_is_tried_in_this_order() -> None:
    searching, solvers = search(lambda at: Verdict("no"))
    with pytest.raises(PlanningError, match=r"policy: no; interpolation: no; gravity: no; posture: no"):
        searching.run(INSTANCE, UNLIMITED)
    limited = Refinement(position_limits=True)
    first = [(QUICK, 20.0), (QUICK, 10.0), (QUICK, 30.0), (QUICK, 40.0)]
    assert solvers.asked == [*first, (Refinement(), 20.0), (limited, 20.0), (Refinement(), 10.0), (limited, 10.0)]


def test_a_motion_that_reaches_the_goal_beats_one_that_converged_elsewhere() -> None:
    """Reaching counts more than converging, and converging more than ending closer."""

    def answer(refinement: Refinement, start: float) -> Solution:
        return solution(start, converged=start == 20.0)

    def verdict(at: float) -> Verdict:
        return {20.0: Verdict(miss=3.0), 10.0: Verdict(miss=0.9)}.get(at, Verdict("no"))

    found, _ = run(verdict, answer=answer)
    assert found.source == "interpolation" and not found.solution.converged


def test_of_motions_that_reach_the_goal_one_that_converged_is_the_plan() -> None:
    def answer(refinement: Refinement, start: float) -> Solution:
        return solution(start, converged=start == 10.0)

    found, solvers = run(lambda at: Verdict(miss={20.0: 0.1, 10.0: 0.9}[at]), answer=answer)
    assert found.source == "interpolation" and solvers.asked == [(QUICK, 20.0), (QUICK, 10.0)]


def test_failing_all_else_the_motion_that_ends_closest_is_the_plan() -> None:
    verdicts = {21.0: Verdict(miss=4.0), 11.0: Verdict(miss=9.0), 31.0: Verdict(miss=7.0), 41.0: Verdict(miss=8.0)}
    found, solvers = run(lambda at: verdicts.get(at, Verdict("no")))
    assert found.solution.X[-1, 0] == 21.0 and found.source == "policy"
    goal = [(refinement, at) for refinement, at in solvers.asked if refinement.precision is Precision.TERMINAL]
    assert goal == [(PRECISE, 21.0), (PRECISE, 11.0), (PRECISE, 31.0), (PRECISE, 41.0)]  # after all other starts


@pytest.mark.parametrize("miss", [1.0, 1.5])
def test_a_near_miss_is_improved_before_other_starts(miss: float) -> None:
    verdicts = {21.0: Verdict(miss=miss), 22.0: Verdict(miss=0.2)}
    found, solvers = run(lambda at: verdicts[at])
    assert found.solution.X[-1, 0] == 22.0 and solvers.asked == [(QUICK, 20.0), (PRECISE, 21.0)]


def test_a_near_miss_stands_where_improving_it_is_refused_or_fails() -> None:
    """The refusal of an improvement is no reason to refuse the motion that was to be improved."""
    for failed in (Verdict(violation=BOXED), Verdict(violation=TOUCHING), Verdict("diverged")):
        verdicts = {21.0: Verdict(miss=1.5), 22.0: failed}
        for converged in (True, False):

            def answer(refinement: Refinement, start: float, converged: bool = converged) -> Solution:
                return solution(start + 1.0, converged=converged or refinement == PRECISE)

            found, _ = run(lambda at, verdicts=verdicts: verdicts.get(at, Verdict("no")), answer=answer)
            assert found.solution.X[-1, 0] == 21.0


def test_a_motion_that_misses_the_goal_does_not_stand_in_for_one_that_was_refused() -> None:
    verdicts = {21.0: Verdict(violation=BOXED), 11.0: Verdict(miss=5.0)}
    searching, _ = search(lambda at: verdicts.get(at, Verdict("no")))
    refused = r"\(policy: TOOL_BOX: tool x is outside; .*interpolation: ends 11.000 m"
    with pytest.raises(PlanRefusedError, match=refused):
        searching.run(INSTANCE, UNLIMITED)


def test_a_motion_that_reaches_the_goal_is_the_plan_though_another_was_refused() -> None:
    verdicts = {21.0: Verdict(violation=BOXED), 11.0: Verdict(miss=0.5)}
    found, _ = run(lambda at: verdicts[at])
    assert found.source == "interpolation"


def test_a_collision_is_cleared_at_once_then_with_ten_times_the_weight() -> None:
    verdicts = {21.0: Verdict(violation=TOUCHING), 22.0: Verdict(violation=TOUCHING), 23.0: Verdict(miss=0.5)}
    found, solvers = run(lambda at: verdicts[at])
    apart = [Refinement(clearance=weight, iterations=CAPPED) for weight in CLEARANCES]
    assert solvers.asked == [(QUICK, 20.0), (apart[0], 21.0), (apart[1], 22.0)]
    assert found.source == "policy" and found.account.iterations == 9


def test_once_a_motion_has_collided_other_postures_are_tried_apart_and_gravity_is_not() -> None:
    searching, solvers = search(lambda at: Verdict(violation=TOUCHING))
    with pytest.raises(PlanRefusedError, match="SELF_COLLISION"):
        searching.run(INSTANCE, UNLIMITED)
    starts = {at for _, at in solvers.asked}
    assert 40.0 in starts and 30.0 not in starts
    assert (Refinement(clearance=CLEARANCES[0], iterations=CAPPED), 40.0) in solvers.asked


def test_postures_that_do_not_collide_themselves_come_first() -> None:
    others = [Proposal("posture", guess(value)) for value in (-40.0, 60.0, 50.0)]
    searching, solvers = search(lambda at: Verdict(violation=TOUCHING), others=others)
    with pytest.raises(PlanRefusedError):
        searching.run(INSTANCE, UNLIMITED)
    starts = [at for _, at in solvers.asked if at in (-40.0, 50.0, 60.0)]
    assert starts == [50.0, 60.0, -40.0]  # free ones by cost, then the one that collides


def test_a_start_whose_motion_left_the_limits_is_refined_within_them_before_alternatives() -> None:
    def answer(refinement: Refinement, start: float) -> Solution:
        return solution(start + (0.5 if refinement.position_limits else 1.0))

    verdicts = {21.0: Verdict("leaves", leaves_limits=True), 11.0: Verdict("no"), 20.5: Verdict(miss=0.5)}
    found, solvers = run(lambda at: verdicts[at], answer=answer)
    within = Refinement(position_limits=True, iterations=CAPPED)
    assert solvers.asked == [(QUICK, 20.0), (QUICK, 10.0), (within, 20.0)] and found.source == "policy"


def test_a_start_that_converges_to_a_known_motion_is_dropped() -> None:
    searching, solvers = search(lambda at: Verdict("no"), lambda refinement, start: solution(5.0))
    with pytest.raises(PlanningError, match="interpolation: the same motion as from another start"):
        searching.run(INSTANCE, UNLIMITED)


def test_an_iterate_that_has_not_converged_does_not_stand_for_the_motion_it_becomes() -> None:
    """The capped solves end early at one motion; the full ones converge to it."""

    def answer(refinement: Refinement, start: float) -> Solution:
        return solution(5.0, converged=refinement.iterations is None)

    tries: list[float] = []

    def verdict(at: float) -> Verdict:
        tries.append(at)
        return Verdict("not converged") if len(tries) <= 4 else Verdict(miss=0.5)

    found, solvers = run(verdict, answer=answer)
    assert solvers.asked[-1] == (Refinement(), 20.0) and found.solution.converged


def test_starters_are_asked_in_turn_and_their_time_is_accounted_for() -> None:
    starters = [Starter([PROPOSALS[0]], "start"), Starter([PROPOSALS[1]], "policy")]
    found, _ = run(lambda at: Verdict(miss=0.5), starters=starters)
    assert found.source == "policy" and set(found.account.seconds) == {"policy", "start", "refine"}
    assert all(len(starter.budgets) == 1 for starter in starters)


def test_each_phase_has_the_time_that_it_took() -> None:
    def wait() -> None:
        time.sleep(0.01)

    def answer(refinement: Refinement, start: float) -> Solution:
        time.sleep(0.02)
        return solution(start)

    starters = [Starter([PROPOSALS[0]], "start", effect=wait), Starter([PROPOSALS[1]], "policy", effect=wait)]
    found, _ = run(lambda at: Verdict(miss=0.5), answer=answer, starters=starters)
    seconds = found.account.seconds
    assert seconds["start"] >= 0.01 and seconds["policy"] >= 0.01 and seconds["refine"] >= 0.02


def test_without_any_start_there_is_no_plan() -> None:
    searching, solvers = search(lambda at: Verdict(miss=0.5), starters=[Starter([])], others=[])
    with pytest.raises(PlanningError, match="no start was found"):
        searching.run(INSTANCE, UNLIMITED)
    assert solvers.asked == []


def test_alternatives_are_tried_where_the_starters_have_nothing_to_propose() -> None:
    found, _ = run(lambda at: Verdict(miss=0.5), starters=[Starter([])])
    assert found.source == GRAVITY


# ---------------------------------------------------------------- deadlines and interrupts


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


def test_a_solve_always_has_some_time() -> None:
    """None would be no limit."""
    clock = Clock()

    def answer(refinement: Refinement, start: float) -> Solution:
        clock.now += 0.0999999
        return solution(start, converged=False)

    searching, solvers = search(lambda at: Verdict(miss=0.5), answer)
    searching.run(INSTANCE, Budget(0.1, clock=clock))
    assert solvers.limits[-1] is not None and solvers.limits[-1] > 0.0


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
