"""The queue of attempts: its order, and what follows from a result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_planning import TOUCHING, guess, solution, sources

from sobo_planner.planning.attempts import (
    CAPPED,
    CLEARANCES,
    NEAR_MISS,
    SAME,
    Attempt,
    Cause,
    KnownMotions,
    Queue,
    Stage,
    alternative_attempts,
    first_attempts,
    follow_ups,
)
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.starters import GRAVITY, Proposal
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import Precision, Refinement

QUICK = Refinement(iterations=CAPPED)
FIRST = Attempt(Stage.FIRST, QUICK, "policy", guess(1.0))
REACHED = Verdict(miss=0.5)


def attempt(stage: Stage, source: str = "", cause: Cause = Cause.START) -> Attempt:
    return Attempt(stage, QUICK, source, guess(), cause)


def test_the_cheapest_proposal_is_refined_first_and_all_come_again_without_the_cap() -> None:
    dear, cheap = Proposal("interpolation", guess(1.0), 2.0), Proposal("policy", guess(2.0), 1.0)
    queue = Queue(first_attempts([dear, cheap]))
    order = [(each.stage, each.source, each.refinement) for each in queue.waiting]
    assert order == [
        (Stage.FIRST, "policy", Refinement(iterations=CAPPED)),
        (Stage.FIRST, "interpolation", Refinement(iterations=CAPPED)),
        (Stage.FULL, "policy", Refinement()),
        (Stage.FULL, "policy", Refinement(position_limits=True)),
        (Stage.FULL, "interpolation", Refinement()),
        (Stage.FULL, "interpolation", Refinement(position_limits=True)),
    ]
    assert queue.waiting[0].guess is cheap.guess and queue.waiting[1].guess is dear.guess


def test_proposals_of_equal_cost_keep_their_order() -> None:
    assert sources(first_attempts([Proposal("a", guess(), 1.0), Proposal("b", guess(), 1.0)]))[:2] == ["a", "b"]


@given(st.lists(st.tuples(st.sampled_from(Stage), st.sampled_from(Cause)), max_size=12))
def test_what_follows_at_once_comes_first_then_stage_by_stage_in_the_order_of_adding(entries) -> None:
    attempts = [attempt(stage, str(i), cause) for i, (stage, cause) in enumerate(entries)]
    queue = Queue(attempts)
    expected = sorted(attempts, key=lambda each: (each.cause is Cause.START, each.stage, int(each.source)))
    assert queue.waiting == expected
    popped = [queue.pop() for _ in attempts]
    assert popped == expected and queue.pop() is None and queue.waiting == []


def test_what_is_added_later_comes_after_its_equals() -> None:
    queue = Queue([attempt(Stage.LIMITS, "a")])
    queue.add([attempt(Stage.LIMITS, "b"), attempt(Stage.FIRST, "c")])
    assert sources(queue.waiting) == ["c", "a", "b"]


def test_stages_have_this_order() -> None:
    assert [stage.name for stage in Stage] == [
        "FIRST", "LIMITS", "ALTERNATIVE", "APART", "APART_LIMITS", "GOAL", "SAMPLED", "FULL",
    ]  # fmt: skip


# ---------------------------------------------------------------- alternatives


OTHERS = [Proposal(GRAVITY, guess(0.0)), Proposal("posture", guess(3.0)), Proposal("posture", guess(1.0))]


def rank(proposal: Proposal) -> tuple[bool, float]:
    value = float(proposal.guess.X[0, 0])
    return value == 1.0, value


def test_without_a_collision_alternatives_are_refined_as_they_were_proposed() -> None:
    found = alternative_attempts(OTHERS, False, rank)
    assert [each.guess for each in found] == [each.guess for each in OTHERS]
    assert {(each.stage, each.refinement) for each in found} == {(Stage.ALTERNATIVE, QUICK)}
    assert sources(found) == [GRAVITY, "posture", "posture"]


def test_after_a_collision_free_postures_come_first_and_links_are_kept_apart() -> None:
    found = alternative_attempts(OTHERS, True, rank)
    assert [each.guess for each in found] == [OTHERS[1].guess, OTHERS[2].guess]
    assert {(each.stage, each.refinement) for each in found} == {
        (Stage.APART, Refinement(clearance=CLEARANCES[0], iterations=CAPPED))
    }
    assert not any(each.among for each in found)


@pytest.mark.parametrize(
    ("clearance", "collided", "weight"),
    [(0.5 * CLEARANCES[0], False, 0.5), (0.5 * CLEARANCES[0], True, 1.0), (5.0 * CLEARANCES[0], True, 5.0)],
)
def test_among_objects_alternatives_are_refined_as_the_first_starts_are(
    clearance: float, collided: bool, weight: float
) -> None:
    found = alternative_attempts(OTHERS, collided, rank, clearance)
    assert all(each.among for each in found)
    assert {each.refinement for each in found} == {Refinement(clearance=weight * CLEARANCES[0], iterations=CAPPED)}


# ---------------------------------------------------------------- follow-ups


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


# ---------------------------------------------------------------- known motions


@given(st.floats(-3.0, 3.0), st.floats(0.0, 0.9), st.floats(1.1, 10.0))
def test_a_motion_is_new_until_one_near_it_was_found_by_the_same_refinement(at: float, near: float, far: float) -> None:
    known = KnownMotions()
    X, moved, away = solution(at).X, solution(at + near * SAME).X, solution(at + far * SAME).X
    moved[:, 1:] += 10.0  # velocities follow from positions
    assert known.add(QUICK, X) and not known.add(QUICK, moved) and not known.add(Refinement(), X)
    assert known.add(QUICK, away) and not known.add(QUICK, away)
    assert known.add(Refinement(clearance=1.0), X) and known.add(Refinement(position_limits=True), X)


def test_motions_a_degree_apart_are_one_and_two_degrees_apart_are_two() -> None:
    known = KnownMotions()
    assert known.add(QUICK, solution(0.0).X) and not known.add(QUICK, solution(0.018).X)
    assert known.add(QUICK, solution(0.035).X)


def test_a_motion_that_ends_three_times_too_far_off_is_no_near_miss() -> None:
    attempt = Attempt(Stage.FIRST, QUICK, "policy", guess())
    causes = [follow_ups(attempt, solution(2.0), Verdict(miss=miss))[0].cause for miss in (1.9, 2.1, 19.0)]
    assert causes == [Cause.NEAR_MISS, Cause.START, Cause.START]


def test_one_knot_makes_another_motion() -> None:
    known, X = KnownMotions(), solution(0.0).X
    other = X.copy()
    other[2, 0] += 2 * SAME
    assert known.add(QUICK, X) and known.add(QUICK, other)


def test_what_is_not_finite_is_always_new() -> None:
    known, X = KnownMotions(), np.full((3, 4), np.nan)
    assert known.add(QUICK, X) and known.add(QUICK, X)


def test_the_cap_gives_most_starts_time_and_few_much() -> None:
    assert CAPPED == 60 and len(CLEARANCES) == 2
