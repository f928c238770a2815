"""The search for a plan, with scripted starters, solvers and judges: what is tried, and what is returned."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from scripted_planning import (
    BOXED,
    INSTANCE,
    PROPOSALS,
    TOUCHING,
    Judge,
    Solvers,
    Starter,
    Task,
    guess,
    keep,
    run,
    search,
    solution,
)

from sobo_planner.errors import PlanningError, PlanRefusedError
from sobo_planner.planning.attempts import CAPPED, CLEARANCES, FIRST_LOOK, SHORTENED_CAPPED, Attempt, Cause, Stage
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.proposals import GLOBAL, GRAVITY, Proposal
from sobo_planner.planning.record import Record
from sobo_planner.planning.search import Search
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import UNLIMITED, Precision, Refinement, Solution

QUICK, PRECISE = Refinement(iterations=CAPPED), Refinement(precision=Precision.TERMINAL)


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


def test_the_last_resort_is_asked_where_no_other_start_reaches_the_goal_and_before_these_again() -> None:
    last = Starter([Proposal("sampling", guess(50.0))])
    found, solvers = run(lambda at: Verdict(miss=0.5) if at > 50.0 else Verdict("no"), last=last)
    assert found.source == "sampling" and len(last.budgets) == 1
    assert solvers.asked == [(QUICK, 20.0), (QUICK, 10.0), (QUICK, 30.0), (QUICK, 40.0), (Refinement(), 50.0)]
    unneeded = Starter([])
    run(lambda at: Verdict(miss=0.5), last=unneeded)

    def never_converges(refinement: Refinement, start: float) -> Solution:
        return solution(start, converged=False)

    run(lambda at: Verdict(miss=0.5), answer=never_converges, last=unneeded)
    assert unneeded.budgets == []


def test_the_last_resort_keeps_links_apart_where_a_motion_has_collided() -> None:
    verdicts = {51.0: Verdict(miss=0.5)}
    found, solvers = run(
        lambda at: verdicts.get(at, Verdict(violation=TOUCHING)),
        others=[],
        last=Starter([Proposal("sampling", guess(50.0))]),
    )
    assert found.source == "sampling" and solvers.asked[-1] == (Refinement(clearance=CLEARANCES[0]), 50.0)


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


def test_of_collisions_in_a_row_the_first_and_the_last_are_told() -> None:
    details = {21.0: "first", 22.0: "second", 23.0: "third"}
    searching, _ = search(
        lambda at: Verdict(violation=Violation(Limit.SELF_COLLISION, details[at])) if at in details else Verdict("no"),
        starters=[Starter([PROPOSALS[1]])],
        others=[],
    )
    with pytest.raises(PlanRefusedError, match=r"\(policy: SELF_COLLISION: first; policy: SELF_COLLISION: third; "):
        searching.run(INSTANCE, UNLIMITED)


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


def test_that_a_motion_left_the_limits_is_told() -> None:
    verdicts = {21.0: Verdict("leaves", leaves_limits=True)}
    searching, _ = search(lambda at: verdicts.get(at, Verdict("no")))
    with pytest.raises(PlanningError, match=r"\(policy: leaves; interpolation: no; "):
        searching.run(INSTANCE, UNLIMITED)


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


def among(verdict: Any, answer: Any, source: str = "policy") -> tuple[Any, Solvers]:
    """What is found among objects from one start that is free and takes 2 s."""
    task = Task(robot=SimpleNamespace(first_contact=lambda times, Q, V: None), least_clearance=CLEARANCES[0])
    solvers, start = Solvers(answer), Starter([Proposal(source, guess(10.0), 1.0, duration=2.0)])
    searching = Search(task, [start], Starter([]), solvers, Judge(verdict), None, [Starter([])])
    return searching.run(INSTANCE, UNLIMITED), solvers


def test_a_motion_that_reaches_the_goal_is_not_tried_in_more_time() -> None:
    """Both more precision and more time were to follow from the one before."""
    verdicts = {11.0: Verdict(miss=3.0, fitting=1.9), 12.0: Verdict(miss=0.5, fitting=0.1), 13.0: Verdict("no")}
    found, solvers = among(lambda value: verdicts[min(value, 13.0)], keep)
    assert solvers.durations == [2.0, 2.0, 1.5, 3.0**0.5]
    assert found.duration == 2.0 and found.solution.X[-1, 0] == 12.0


@pytest.mark.parametrize("shorter_works", [True, False])
def test_a_way_past_objects_converges_only_if_it_is_not_made_shorter(shorter_works: bool) -> None:
    looked, fits = Verdict(miss=0.5, fitting=1.5), Verdict(miss=0.4, fitting=1.5)

    def answer(refinement: Refinement, start: float) -> Solution:
        return solution(start + 1.0, converged=refinement.iterations != FIRST_LOOK)

    steps = iter([looked, fits if shorter_works else Verdict("no"), Verdict("no"), fits])
    found, solvers = among(lambda value: next(steps), answer, GLOBAL)
    assert found.solution.converged and found.duration == (1.5 if shorter_works else 2.0)
    tried = [(refinement.iterations, start) for refinement, start in solvers.asked]
    assert tried[:2] == [(FIRST_LOOK, 10.0), (SHORTENED_CAPPED, 11.0)]
    assert tried[2:] == ([] if shorter_works else [(SHORTENED_CAPPED, 11.0), (CAPPED - FIRST_LOOK, 11.0)])


def test_what_is_wrong_with_a_motion_that_the_solver_goes_on_with_is_not_told() -> None:
    steps = iter([Verdict(violation=TOUCHING), Verdict(miss=0.5)])

    def answer(refinement: Refinement, start: float) -> Solution:
        return solution(start + 1.0, converged=refinement.iterations != FIRST_LOOK)

    found, solvers = among(lambda value: next(steps), answer, GLOBAL)
    assert found.solution.X[-1, 0] == 12.0 and len(solvers.asked) == 2
    record, attempt = Record(), Attempt(Stage.FIRST, QUICK, GLOBAL, guess(1.0), rest=54)
    bad = Verdict(violation=TOUCHING)
    assert not record.take(attempt, solution(1.0, converged=False), bad, {Cause.UNFINISHED})
    assert (record.refused, record.collided, record.reasons, record.best) == ("", False, [], None)
