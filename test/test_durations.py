"""Durations of motions: attempts in more time and in less, and what a search makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scripted_planning import BOXED, INSTANCE, TOUCHING, Judge, Solvers, Starter, Task, guess, run, search, solution

from sobo_planner.errors import PlanningError, PlanRefusedError
from sobo_planner.planning.attempts import (
    CAPPED,
    CLEARANCES,
    IMPROVING,
    LENGTHENINGS,
    SHORTENINGS,
    Attempt,
    Cause,
    Queue,
    Stage,
    alternative_attempts,
    first_attempts,
)
from sobo_planner.planning.follow_ups import LONGER, NEAR_MISS, TOO_LONG, follow_ups
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.known_motions import KnownMotions
from sobo_planner.planning.proposals import Proposal
from sobo_planner.planning.search import Search
from sobo_planner.solver import UNLIMITED, Budget, Precision, Refinement, Solution

QUICK, PRECISE = Refinement(iterations=CAPPED), Refinement(precision=Precision.TERMINAL)
FIRST = Attempt(Stage.FIRST, QUICK, "policy", guess(1.0))


TIMED = Attempt(Stage.LIMITS, QUICK, "policy", guess(1.0), duration=2.0, longer=4, shorter=4)


def going(value: float, speed: float) -> Solution:
    """A solution whose joint has one speed."""
    found = solution(value)
    found.X[:, 1:] = speed
    return found


def test_proposals_bring_their_durations_and_may_be_made_longer_unless_these_were_asked_for() -> None:
    fitted, asked = Proposal("a", guess(1.0), 1.0, duration=1.5), Proposal("b", guess(2.0), 2.0)
    rank = lambda each: (False, each.cost)  # noqa: E731
    made = first_attempts([fitted, asked]) + alternative_attempts([fitted, asked], False, rank)
    made += alternative_attempts([fitted, asked], True, rank)
    found = {(each.source, each.duration, each.longer, each.shorter) for each in made}
    assert found == {("a", 1.5, LENGTHENINGS, SHORTENINGS), ("b", None, 0, 0)} and LENGTHENINGS == SHORTENINGS == 4
    assert (FIRST.duration, FIRST.longer, FIRST.shorter, FIRST.cause) == (None, 0, 0, Cause.START)


@pytest.mark.parametrize("miss", [1.0, NEAR_MISS, 50.0])
def test_a_motion_that_ends_short_gets_a_quarter_more_time_at_once(miss: float) -> None:
    found = going(3.0, 5.0)
    (again,) = follow_ups(TIMED, found, Verdict(miss=miss, fitting=0.1))
    assert (again.cause, again.stage, again.refinement, again.source) == (
        Cause.TOO_SHORT,
        Stage.LIMITS,
        QUICK,
        "policy",
    )
    assert again.duration == 2.5 and again.longer == 3 and LONGER == 1.25
    np.testing.assert_array_equal(again.guess.X[:, 0], found.X[:, 0])
    np.testing.assert_allclose(again.guess.X[:, 1], [5.0, 4.0, 4.0, 4.0, 4.0])  # the start's speed is what it is
    assert again.guess.U is found.U and (found.X[:, 1] == 5.0).all()
    assert Queue([FIRST, again]).pop() is again


def test_a_motion_gets_more_time_four_times_then_more_precision() -> None:
    tried, made = [], TIMED
    while made.cause in (Cause.START, Cause.TOO_SHORT) and len(tried) < 9:
        tried.append(made.duration)
        (made,) = follow_ups(made, solution(2.0), Verdict(miss=1.5))
    np.testing.assert_allclose(tried, [2.0 * 1.25**k for k in range(5)])
    assert made.cause is Cause.NEAR_MISS and made.duration == tried[-1]
    assert made.refinement == PRECISE
    (far,) = follow_ups(replace(TIMED, longer=0), solution(2.0), Verdict(miss=9.0))
    assert (far.stage, far.cause, far.duration, far.longer) == (Stage.GOAL, Cause.START, 2.0, 0)


def test_a_motion_whose_duration_was_asked_for_is_not_made_longer() -> None:
    (near,) = follow_ups(FIRST, solution(2.0), Verdict(miss=1.5))
    assert (near.cause, near.duration) == (Cause.NEAR_MISS, None)


def test_a_precise_solve_that_ends_short_is_not_made_longer() -> None:
    precise = replace(TIMED, refinement=PRECISE)
    assert follow_ups(precise, solution(2.0), Verdict(miss=1.5)) == []


def test_a_motion_in_more_time_that_collides_is_refined_in_that_time() -> None:
    longer = replace(TIMED, cause=Cause.TOO_SHORT, duration=2.5, longer=3)
    (apart,) = follow_ups(longer, solution(2.0), Verdict(violation=TOUCHING))
    assert (apart.cause, apart.duration, apart.longer) == (Cause.COLLISION, 2.5, 3)
    within = replace(longer, stage=Stage.FIRST)
    (limited,) = follow_ups(within, solution(2.0), Verdict("leaves", leaves_limits=True))
    assert (limited.cause, limited.stage, limited.duration) == (Cause.START, Stage.LIMITS, 2.5)
    assert limited.guess is within.guess


def test_a_motion_whose_way_should_take_less_than_nine_tenths_of_its_time_is_made_shorter() -> None:
    found = going(3.0, 5.0)
    for fitting, shorter in ((1.0, True), (1.79, True), (1.8, False), (3.0, False), (np.inf, False)):
        made = follow_ups(TIMED, found, Verdict(miss=0.99, fitting=fitting))
        assert len(made) == shorter and TOO_LONG == 0.9
        for each in made:
            assert (each.cause, each.stage, each.refinement, each.longer) == (Cause.TOO_LONG, Stage.LIMITS, QUICK, 4)
            assert each.duration == fitting and each.guess.U is found.U
            np.testing.assert_allclose(each.guess.X[1:, 1], 5.0 * 2.0 / fitting)
            assert each.guess.X[0, 1] == 5.0


def test_only_what_converged_and_was_not_asked_for_is_made_shorter() -> None:
    verdict = Verdict(miss=0.5, fitting=0.1)
    assert follow_ups(TIMED, solution(3.0, converged=False), verdict) == []
    assert follow_ups(FIRST, solution(3.0), verdict) == []
    for reason in (Verdict("no", miss=0.5, fitting=0.1), Verdict(violation=BOXED, miss=0.5, fitting=0.1)):
        assert follow_ups(TIMED, solution(3.0), reason) == []


def test_what_was_made_shorter_is_made_shorter_again_four_times_at_most() -> None:
    tried, made = [], [TIMED]
    while made and len(tried) < 9:
        (attempt,) = made
        assert attempt.duration is not None
        tried.append(attempt.duration)
        made = follow_ups(attempt, solution(2.0), Verdict(miss=0.5, fitting=0.8 * attempt.duration))
    np.testing.assert_allclose(tried, [2.0 * 0.8**k for k in range(5)])
    shorter = replace(TIMED, cause=Cause.TOO_LONG)
    assert follow_ups(shorter, solution(2.0), Verdict(miss=0.5, fitting=1.8)) == []


def test_nothing_follows_from_an_improvement_that_is_no_plan() -> None:
    near, shorter = (replace(TIMED, cause=cause) for cause in (Cause.NEAR_MISS, Cause.TOO_LONG))
    for verdict in (Verdict(miss=1.0, fitting=0.1), Verdict(miss=1.5), Verdict(violation=TOUCHING)):
        assert follow_ups(shorter, solution(2.0), verdict) == []
    fits = Verdict(miss=0.5, fitting=0.1)
    assert follow_ups(near, solution(2.0), fits) == []
    assert follow_ups(shorter, solution(2.0, converged=False), fits) == []
    assert IMPROVING == (Cause.NEAR_MISS, Cause.TOO_LONG)


def test_motions_of_other_durations_are_not_known() -> None:
    known, X = KnownMotions(), solution(0.0).X
    assert known.add(QUICK, X, 2.0) and not known.add(QUICK, X, 2.0)
    assert known.add(QUICK, X, 2.5) and known.add(QUICK, X) and not known.add(QUICK, X)
    assert known.add(Refinement(clearance=1.0), X, 2.0) and not known.add(QUICK, X, 2.5)


# ---------------------------------------------------------------- in a search


STARTS = [Proposal("interpolation", guess(10.0), 2.0, duration=3.0), Proposal("policy", guess(20.0), 1.0, duration=2.0)]


def timed(verdicts: dict[float, Verdict], **options: object) -> tuple[object, list[tuple[float, float | None]]]:
    """What a search among two starts of 2 s and 3 s finds, and the starts and durations that were solved."""
    found, solvers = run(lambda at: verdicts.get(at, Verdict("no")), starters=[Starter(STARTS)], **options)
    return found, solved(solvers)


def solved(solvers: Solvers) -> list[tuple[float, float | None]]:
    return [(at, duration) for (_, at), duration in zip(solvers.asked, solvers.durations, strict=True)]


def test_each_attempt_is_solved_and_judged_at_its_own_pace() -> None:
    others = [Proposal("posture", guess(30.0)), Proposal("posture", guess(40.0), duration=7.0)]
    searching, solvers = search(lambda at: Verdict("no"), starters=[Starter(STARTS)], others=others)
    with pytest.raises(PlanningError):
        searching.run(INSTANCE, UNLIMITED)
    first = [(20.0, 2.0), (10.0, 3.0), (30.0, None), (40.0, 7.0)]
    assert solved(solvers) == [*first, (20.0, 2.0), (20.0, 2.0), (10.0, 3.0), (10.0, 3.0)]
    judged = searching._refiner._judge.durations  # type: ignore[attr-defined]
    assert judged == [2.0, 3.0, None, 7.0, 2.0, 3.0], "what is known is not judged again"


def test_a_plan_has_the_duration_of_the_attempt_that_found_it() -> None:
    found, asked = timed({21.0: Verdict(miss=0.5)})
    assert found.duration == 2.0 and asked == [(20.0, 2.0)]
    found, asked = timed({11.0: Verdict(miss=0.5)})
    assert found.duration == 3.0 and asked == [(20.0, 2.0), (10.0, 3.0)]
    assert run(lambda at: Verdict(miss=0.5))[0].duration is None


def test_more_time_comes_before_other_starts() -> None:
    found, asked = timed({21.0: Verdict(miss=5.0), 22.0: Verdict(miss=1.2), 23.0: Verdict(miss=0.5)})
    assert asked == [(20.0, 2.0), (21.0, 2.5), (22.0, 3.125)]
    assert found.duration == 3.125 and found.solution.X[-1, 0] == 23.0


def test_the_same_way_in_more_time_is_another_motion() -> None:
    """A solver that keeps its start converges to known positions, at another pace."""
    searching, solvers = search(
        lambda at: Verdict(miss=5.0),
        lambda refinement, start: solution(start),
        starters=[Starter([STARTS[1]])],
        others=[],
    )
    searching.run(INSTANCE, UNLIMITED)
    durations = [duration for (refinement, _), duration in zip(solvers.asked, solvers.durations, strict=True)
                 if refinement == QUICK]  # fmt: skip
    np.testing.assert_allclose(durations, [2.0 * 1.25**k for k in range(5)])


LONG = {21.0: Verdict(miss=0.6, fitting=1.0)}


def test_a_motion_that_takes_longer_than_its_way_should_is_made_shorter_and_ends_the_search() -> None:
    found, asked = timed(LONG | {22.0: Verdict(miss=0.9, fitting=0.9)})
    assert asked == [(20.0, 2.0), (21.0, 1.0)]
    assert found.duration == 1.0 and found.solution.X[-1, 0] == 22.0  # though it ends further from the goal


def test_a_motion_is_made_shorter_until_its_way_takes_all_of_its_time() -> None:
    again = LONG | {22.0: Verdict(miss=0.9, fitting=0.5)}
    found, asked = timed(again | {23.0: Verdict(miss=0.8, fitting=0.45)})
    assert asked == [(20.0, 2.0), (21.0, 1.0), (22.0, 0.5)]
    assert found.duration == 0.5 and found.solution.X[-1, 0] == 23.0
    found, asked = timed(again | {23.0: Verdict("no")})
    assert asked[2:] == [(22.0, 0.5)] and found.duration == 1.0, "the last that may be executed"


@pytest.mark.parametrize("shorter", [Verdict(miss=1.0), Verdict("no", miss=0.1), Verdict(violation=BOXED, miss=0.1)])
def test_what_was_made_shorter_and_does_not_reach_the_goal_leaves_the_motion_as_it_was(shorter: Verdict) -> None:
    found, asked = timed(LONG | {22.0: shorter})
    assert asked == [(20.0, 2.0), (21.0, 1.0)], "the search is over all the same"
    assert found.duration == 2.0 and found.solution.X[-1, 0] == 21.0


def test_what_was_made_shorter_has_to_converge() -> None:
    def answer(refinement: Refinement, start: float) -> Solution:
        return solution(start + 1.0, converged=start == 20.0)

    found, asked = timed(LONG | {22.0: Verdict(miss=0.1)}, answer=answer)
    assert asked == [(20.0, 2.0), (21.0, 1.0)] and found.duration == 2.0


def test_what_is_made_shorter_may_come_back_to_the_same_way() -> None:
    """It is not dropped as known, not even by another start that led there in that time."""

    def answer(refinement: Refinement, start: float) -> Solution:
        return solution({10.0: 50.0, 20.0: 21.0, 21.0: 50.0}[start])

    first = [replace(STARTS[0], cost=0.0, duration=1.0), STARTS[1]]
    verdicts = iter([Verdict("no"), Verdict(miss=0.5, fitting=1.0), Verdict(miss=0.5)])
    found, solvers = run(lambda at: next(verdicts), answer=answer, starters=[Starter(first)])
    assert solved(solvers) == [(10.0, 1.0), (20.0, 2.0), (21.0, 1.0)] and found.duration == 1.0


def test_without_time_to_make_it_shorter_a_motion_stands() -> None:
    now = [0.0]

    def answer(refinement: Refinement, start: float) -> Solution:
        now[0] += 1.0
        return solution(start + 1.0)

    searching, solvers = search(lambda at: LONG[at], answer, starters=[Starter(STARTS)])
    found = searching.run(INSTANCE, Budget(0.5, clock=lambda: now[0]))
    assert found.duration == 2.0 and solved(solvers) == [(20.0, 2.0)]


def test_postures_are_ranked_by_their_cost_at_their_own_pace() -> None:
    others = [Proposal("posture", guess(60.0), duration=1.0), Proposal("posture", guess(50.0), duration=2.0)]
    searching, solvers = search(lambda at: Verdict(violation=TOUCHING), starters=[Starter(STARTS)], others=others)
    with pytest.raises(PlanRefusedError):
        searching.run(INSTANCE, UNLIMITED)
    apart = Refinement(clearance=CLEARANCES[0], iterations=CAPPED)
    ranked = [at for refinement, at in solvers.asked if at in (50.0, 60.0) and refinement == apart]
    assert ranked == [60.0, 50.0]


def test_a_search_for_a_view_asks_all_its_parts_about_that() -> None:
    asked: list[object] = []

    class Asking(Starter):
        def propose(self, task, instance, budget):
            asked.append(task)
            return super().propose(task, instance, budget)

    solvers, judge = Solvers(lambda refinement, start: solution(start)), Judge(lambda at: Verdict("no"))
    first, others = Asking([Proposal("a", guess(1.0), 1.0)]), Asking([])
    searching, view = Search(Task(), [first], others, solvers, judge), Task(duration=5.0)  # type: ignore[arg-type]
    with pytest.raises(PlanningError):
        searching.of(view).run(INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert asked == [view, view] and set(solvers.durations) == set(judge.durations) == {5.0}
    with pytest.raises(PlanningError):
        searching.run(INSTANCE, UNLIMITED)
    assert asked[2:] == [Task(), Task()] and solvers.durations[-1] is judge.durations[-1] is None
