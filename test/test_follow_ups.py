"""What is to be tried because of a result, with and without objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scripted_planning import TOUCHING, guess, solution

from sobo_planner.planning.attempts import (
    AMONG_CAPPED,
    CAPPED,
    CLEARANCES,
    SHORTENED_CAPPED,
    Attempt,
    Cause,
    Stage,
)
from sobo_planner.planning.follow_ups import (
    AMONG_CLEARANCES,
    GRADUALLY,
    LEAST_GAIN,
    LEAST_GAIN_HALVED,
    NEAR_MISS,
    follow_ups,
)
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.proposals import GLOBAL
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import Precision, Refinement

QUICK = Refinement(iterations=CAPPED)
FIRST = Attempt(Stage.FIRST, QUICK, "policy", guess(1.0))
REACHED = Verdict(miss=0.5)


def test_nothing_follows_from_a_motion_that_reaches_the_goal_or_was_refused_for_good() -> None:
    found = solution(2.0)
    for verdict in (REACHED, Verdict("diverged"), Verdict(violation=Violation(Limit.TOOL_BOX, "outside"))):
        assert follow_ups(FIRST, found, verdict) == []


def test_a_motion_that_collides_is_refined_at_once_with_more_clearance() -> None:
    found, verdict = solution(2.0), Verdict(violation=TOUCHING)
    (once,) = follow_ups(FIRST, found, verdict)
    assert once.stage is Stage.FIRST and once.cause is Cause.COLLISION and once.source == "policy"
    assert once.refinement == Refinement(clearance=CLEARANCES[0], iterations=CAPPED)
    assert once.guess.X is found.X and once.guess.U is found.U
    (twice,) = follow_ups(once, found, verdict)
    assert twice.refinement == Refinement(clearance=CLEARANCES[1], iterations=CAPPED) and twice.cause is Cause.COLLISION
    assert follow_ups(twice, found, verdict) == []
    assert CLEARANCES[1] == 10 * CLEARANCES[0] > 0


@pytest.mark.parametrize("stage", Stage)
def test_a_start_whose_motion_leaves_the_limits_comes_again_with_these_as_constraints(stage: Stage) -> None:
    refinement = Refinement(clearance=5.0, iterations=None)
    begun = Attempt(stage, refinement, "posture", guess(1.0))
    found = follow_ups(begun, solution(2.0), Verdict("joint a leaves its limits", leaves_limits=True))
    later = {Stage.FIRST: Stage.LIMITS, Stage.APART: Stage.APART_LIMITS}.get(stage)
    if later is None:
        assert found == []
        return
    (again,) = found
    assert again.stage is later and again.guess is begun.guess and again.source == "posture"
    assert again.refinement == Refinement(position_limits=True, clearance=5.0, iterations=CAPPED)
    assert again.cause is Cause.START
    limited = Attempt(stage, again.refinement, "posture", guess(1.0))
    assert follow_ups(limited, solution(2.0), Verdict("leaves", leaves_limits=True)) == []


@pytest.mark.parametrize("stage", Stage)
def test_a_near_miss_is_improved_at_once_and_a_far_one_later(stage: Stage) -> None:
    begun, found = Attempt(stage, QUICK, "policy", guess(1.0)), solution(2.0)
    precise = Refinement(precision=Precision.TERMINAL)
    for miss in (1.0, NEAR_MISS):
        (near,) = follow_ups(begun, found, Verdict(miss=miss))
        assert (near.stage, near.cause, near.refinement) == (stage, Cause.NEAR_MISS, precise)
        assert near.guess.X is found.X and near.source == "policy"
    far = follow_ups(begun, found, Verdict(miss=NEAR_MISS + 1e-9))
    if stage >= Stage.GOAL:
        assert far == []
    else:
        assert [(each.stage, each.cause, each.refinement) for each in far] == [(Stage.GOAL, Cause.START, precise)]
    assert NEAR_MISS == 2.0


def test_more_precision_is_asked_for_once() -> None:
    precise = Attempt(Stage.GOAL, Refinement(precision=Precision.TERMINAL), "policy", guess())
    assert follow_ups(precise, solution(2.0), Verdict(miss=1.5)) == []


def test_nothing_follows_from_an_attempt_to_improve_a_motion_that_stands() -> None:
    improving = Attempt(Stage.FIRST, QUICK, "policy", guess(), Cause.NEAR_MISS)
    for verdict in (Verdict(miss=5.0), Verdict(violation=TOUCHING), Verdict("leaves", leaves_limits=True)):
        assert follow_ups(improving, solution(2.0), verdict) == []


def test_a_motion_that_ends_three_times_too_far_off_is_no_near_miss() -> None:
    attempt = Attempt(Stage.FIRST, QUICK, "policy", guess())
    causes = [follow_ups(attempt, solution(2.0), Verdict(miss=miss))[0].cause for miss in (1.9, 2.1, 19.0)]
    assert causes == [Cause.NEAR_MISS, Cause.START, Cause.START]


# ---------------------------------------------------------------- among objects


WEIGHT = CLEARANCES[0]
CLEAR = Refinement(iterations=CAPPED, clearance=WEIGHT)
AMONG = Attempt(Stage.FIRST, CLEAR, "policy", guess(1.0), duration=2.0, longer=4, shorter=4, among=True)
FITS = Verdict(miss=0.5, fitting=0.1)


def test_a_motion_that_touches_something_is_refined_with_more_weight_than_without_objects() -> None:
    tried, attempt = [], replace(AMONG, stage=Stage.LIMITS)
    while made := follow_ups(attempt, solution(2.0), Verdict(violation=TOUCHING)):
        (attempt,) = made
        assert attempt.cause is Cause.COLLISION and attempt.refinement.iterations == AMONG_CAPPED
        assert attempt.guess.X[0, 0] == 2.0
        tried.append(attempt.refinement.clearance)
    assert tuple(tried) == AMONG_CLEARANCES[1:] == (10 * WEIGHT, 100 * WEIGHT) and AMONG_CAPPED == 30
    (apart,) = follow_ups(replace(AMONG, among=False), solution(2.0), Verdict(violation=TOUCHING))
    assert (apart.refinement.iterations, apart.cause) == (CAPPED, Cause.COLLISION)


@pytest.mark.parametrize(
    ("stage", "source", "then", "cause"),
    [
        (Stage.FIRST, "policy", Stage.LIMITS, Cause.START),
        (Stage.FIRST, GLOBAL, Stage.LIMITS, Cause.START),
        (Stage.LIMITS, GLOBAL, Stage.LIMITS, Cause.COLLISION),
        (Stage.LIMITS, "policy", Stage.LIMITS, Cause.COLLISION),
        (Stage.APART, "posture", Stage.APART, Cause.COLLISION),
    ],
)
def test_other_starts_have_their_turn_before_a_motion_that_touches_something_is_refined_again(
    stage: Stage, source: str, then: Stage, cause: Cause
) -> None:
    attempt = replace(AMONG, stage=stage, source=source)
    (apart,) = follow_ups(attempt, solution(2.0), Verdict(violation=TOUCHING))
    assert (apart.stage, apart.cause, apart.source) == (then, cause, source)


def test_a_motion_is_made_shorter_by_a_quarter_at_a_time() -> None:
    tried, made = [], [AMONG]
    while made and len(tried) < 9:
        (attempt,) = made
        tried.append(attempt.duration)
        made = follow_ups(attempt, solution(2.0), FITS)
        assert all(each.refinement == replace(CLEAR, iterations=SHORTENED_CAPPED) for each in made)
        assert all(each.worked is not None and each.worked.duration == attempt.duration for each in made)
    np.testing.assert_allclose(tried, [2.0 * 0.75**k for k in range(5)])
    assert GRADUALLY == 0.75


@pytest.mark.parametrize(("fitting", "duration"), [(1.4, 1.5), (1.6, 1.6), (1.93, 1.93), (1.95, None), (3.0, None)])
def test_it_is_not_made_shorter_than_its_way_should_take_nor_by_less_than_a_thirtieth(
    fitting: float, duration: float | None
) -> None:
    found = solution(2.0)
    found.X[:, 1:] = 5.0
    made = follow_ups(AMONG, found, Verdict(miss=0.99, fitting=fitting))
    assert [each.duration for each in made] == ([] if duration is None else [duration]) and LEAST_GAIN == 0.97
    for each in made:
        assert (each.cause, each.shorter) == (Cause.TOO_LONG, 3)
        np.testing.assert_allclose(each.guess.X[1:, 1], 5.0 * 2.0 / fitting if fitting > 1.5 else 5.0 / 0.75)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (solution(3.0), Verdict(violation=TOUCHING)),
        (solution(3.0), Verdict(miss=1.0, fitting=0.1)),
        (solution(3.0, converged=False), FITS),
    ],
)
def test_a_step_that_failed_is_halved_from_the_motion_that_worked(found: Any, verdict: Verdict) -> None:
    (step,) = follow_ups(AMONG, solution(2.0), FITS)
    (half,) = follow_ups(step, found, verdict)
    assert half.duration == pytest.approx((2.0 * 1.5) ** 0.5) and half.shorter == 2
    assert half.guess.X[0, 0] == 2.0 and half.worked is not None and half.worked == step.worked
    assert follow_ups(half, found, verdict) == []  # the next half would gain less than a fourteenth
    assert LEAST_GAIN_HALVED == 0.93


LOOK = replace(AMONG, source=GLOBAL, refinement=replace(CLEAR, iterations=6), rest=54)
UNFINISHED = replace(LOOK, refinement=replace(CLEAR, iterations=54), rest=0, cause=Cause.UNFINISHED)


def test_a_motion_that_has_not_converged_is_made_shorter_where_it_is_fit_for_that() -> None:
    found = solution(2.0, converged=False)
    (shorter,) = follow_ups(LOOK, found, FITS)
    assert (shorter.cause, shorter.duration, shorter.rest, shorter.shorter) == (Cause.TOO_LONG, 1.5, 0, 3)
    assert shorter.worked is not None and (shorter.worked.duration, shorter.worked.rest) == (2.0, 54)
    assert shorter.refinement.iterations == SHORTENED_CAPPED == 25
    (converged,) = follow_ups(LOOK, solution(2.0), FITS)
    assert converged.worked is not None and converged.worked.rest == 0 and converged.duration == 1.5


@pytest.mark.parametrize(
    "verdict", [Verdict(violation=TOUCHING), Verdict(miss=1.0, fitting=0.1), Verdict(miss=0.5, fitting=1.95)]
)
def test_else_the_solver_goes_on_with_it(verdict: Verdict) -> None:
    found = solution(2.0, converged=False)
    (on,) = follow_ups(LOOK, found, verdict)
    assert replace(on, guess=UNFINISHED.guess) == UNFINISHED and on.guess.X is found.X and on.guess.U is found.U
    assert follow_ups(on, found, Verdict(miss=0.5, fitting=0.1)) == [], "it has had its iterations"
    (shorter,) = follow_ups(on, solution(3.0), FITS)
    assert shorter.cause is Cause.TOO_LONG and shorter.worked is not None and shorter.worked.rest == 0


def test_a_motion_that_was_not_made_shorter_in_the_end_is_to_converge() -> None:
    found, touching = solution(2.0, converged=False), Verdict(violation=TOUCHING)
    (step,) = follow_ups(LOOK, found, FITS)
    (half,) = follow_ups(step, solution(3.0), touching)
    assert half.worked == step.worked and half.cause is Cause.TOO_LONG
    (on,) = follow_ups(half, solution(4.0), touching)
    assert (on.cause, on.duration, on.shorter, on.worked) == (Cause.UNFINISHED, 2.0, 0, None)
    assert on.refinement == UNFINISHED.refinement and on.guess.X is found.X
    assert follow_ups(on, solution(2.5), FITS) == []
    (again,) = follow_ups(step, solution(3.0), FITS)
    assert again.worked is not None and again.worked.rest == 0, "a shorter one has converged"


def test_what_was_asked_for_or_never_worked_is_not_made_shorter() -> None:
    assert follow_ups(replace(AMONG, duration=None), solution(2.0), FITS) == []
    assert follow_ups(replace(AMONG, shorter=0), solution(2.0), FITS) == []
    first = replace(AMONG, cause=Cause.TOO_LONG)
    assert follow_ups(first, solution(2.0), Verdict(violation=TOUCHING)) == []


@pytest.mark.parametrize(("fitting", "causes"), [(2.0, ["nearer", "longer"]), (2.1, ["longer"])])
def test_what_is_short_of_the_goal_in_enough_time_gets_more_weight_on_it_first(
    fitting: float, causes: list[str]
) -> None:
    made = follow_ups(AMONG, solution(2.0), Verdict(miss=3.0, fitting=fitting))
    assert ["longer" if each.duration > 2.0 else "nearer" for each in made] == causes
    if fitting <= 2.0:
        nearer = made[0]
        assert (nearer.refinement.precision, nearer.refinement.iterations) == (Precision.TERMINAL, CAPPED)
        assert nearer.refinement.clearance == AMONG.refinement.clearance and nearer.guess.X[0, 0] == 2.0
        assert follow_ups(nearer, solution(2.0), Verdict(miss=3.0, fitting=1.0)) == [], "once"
    assert len(follow_ups(replace(AMONG, among=False), solution(2.0), Verdict(miss=3.0, fitting=fitting))) == 1
