"""The queue of attempts, and those that planning begins with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_planning import PROPOSALS, guess, sources

from sobo_planner.planning.attempts import (
    AMONG_CAPPED,
    CAPPED,
    CLEARANCES,
    FIRST_LOOK,
    Attempt,
    Cause,
    Queue,
    Stage,
    alternative_attempts,
    first_attempts,
)
from sobo_planner.planning.proposals import GLOBAL, GRAVITY, Proposal
from sobo_planner.solver import Refinement

QUICK = Refinement(iterations=CAPPED)


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


def test_attempts_of_earlier_stages_are_told_from_later_ones_whatever_their_cause() -> None:
    queue = Queue([attempt(Stage.LIMITS), attempt(Stage.APART, cause=Cause.COLLISION)])
    assert [queue.holds_before(stage) for stage in Stage] == [False, False, True, True, True, True, True, True]
    assert not Queue().holds_before(Stage.FULL)


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


def test_the_cap_gives_most_starts_time_and_few_much() -> None:
    assert CAPPED == 60 and len(CLEARANCES) == 2


# ---------------------------------------------------------------- among objects


def test_links_are_kept_apart_from_the_beginning() -> None:
    for weight, among in ((CLEARANCES[0], True), (0.5, True), (0.0, False)):
        made = first_attempts(PROPOSALS, weight)
        assert len(made) == 6 and {each.among for each in made} == {among}
        assert {each.refinement.clearance for each in made} == {weight}


@pytest.mark.parametrize("collided", [False, True])
def test_a_way_past_objects_is_looked_at_early(collided: bool) -> None:
    way, start = Proposal(GLOBAL, guess(1.0), 1.0, duration=2.0), Proposal("interpolation", guess(2.0), 2.0)
    looks = {(GLOBAL, FIRST_LOOK, CAPPED - FIRST_LOOK), ("interpolation", CAPPED, 0)}
    made = first_attempts([way, start], CLEARANCES[0])
    assert {(each.source, each.refinement.iterations, each.rest) for each in made[:2]} == looks
    assert {(each.refinement.iterations, each.rest) for each in made[2:]} == {(None, 0)}
    assert all(each.among for each in made)
    others = alternative_attempts([way, start], collided, rank, CLEARANCES[0])
    assert {(each.source, each.refinement.iterations, each.rest) for each in others} == looks
    alone = [*first_attempts([way], 0.0), *alternative_attempts([way], collided, rank)]
    assert {each.rest for each in alone} == {0} and alone[0].refinement.iterations == CAPPED


def test_what_was_to_follow_at_once_is_dropped() -> None:
    queue = Queue([attempt(Stage.FULL, "later"), attempt(Stage.FIRST, "at once", Cause.TOO_SHORT)])
    queue.add([attempt(Stage.FIRST, "start"), attempt(Stage.FULL, "at once too", Cause.COLLISION)])
    queue.drop_follow_ups()
    queue.add([attempt(Stage.FULL, "next", Cause.TOO_LONG)])
    assert sources(queue.waiting) == ["next", "start", "later"]


def test_a_policys_way_in_its_world_has_few_iterations() -> None:
    made = first_attempts(
        [Proposal("policy", guess(1.0), 1.0, in_cell=True), Proposal("policy", guess(2.0), 2.0)], CLEARANCES[0]
    )
    assert [each.refinement.iterations for each in made[:2]] == [AMONG_CAPPED, CAPPED]
    (alone, _, _) = first_attempts([Proposal("policy", guess(1.0), 1.0, in_cell=True)], 0.0)
    assert alone.refinement.iterations == CAPPED
