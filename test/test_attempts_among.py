"""Among objects: what follows from a result, and which starts a search asks for."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripted_planning import (
    INSTANCE,
    OTHERS,
    PROPOSALS,
    TOUCHING,
    Judge,
    Solvers,
    Starter,
    Task,
    guess,
    keep,
    solution,
)

from sobo_planner.errors import PlanningError
from sobo_planner.planning.attempts import (
    AMONG_CAPPED,
    AMONG_CLEARANCES,
    CAPPED,
    CLEARANCES,
    GRADUALLY,
    LEAST_GAIN,
    LEAST_GAIN_HALVED,
    Attempt,
    Cause,
    Stage,
    first_attempts,
    follow_ups,
)
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.search import Search
from sobo_planner.planning.starters import GLOBAL, GRAVITY, Proposal
from sobo_planner.solver import UNLIMITED, Precision, Refinement
from sobo_planner.tasks.arm.problem import AMONG_WEIGHT

WEIGHT = CLEARANCES[0]
QUICK = Refinement(iterations=CAPPED, clearance=WEIGHT)
FIRST = Attempt(Stage.FIRST, QUICK, "policy", guess(1.0), duration=2.0, longer=4, shorter=4, among=True)
FITS = Verdict(miss=0.5, fitting=0.1)


def test_links_are_kept_apart_from_the_beginning() -> None:
    for weight, among in ((WEIGHT, True), (0.5, True), (0.0, False)):
        made = first_attempts(PROPOSALS, weight)
        assert len(made) == 6 and {each.among for each in made} == {among}
        assert {each.refinement.clearance for each in made} == {weight}


def test_a_motion_that_touches_something_is_refined_with_more_weight_than_without_objects() -> None:
    tried, attempt = [], replace(FIRST, source=GLOBAL)
    while made := follow_ups(attempt, solution(2.0), Verdict(violation=TOUCHING)):
        (attempt,) = made
        assert attempt.cause is Cause.COLLISION and attempt.refinement.iterations == AMONG_CAPPED
        assert attempt.guess.X[0, 0] == 2.0
        tried.append(attempt.refinement.clearance)
    assert tuple(tried) == AMONG_CLEARANCES[1:] == (10 * WEIGHT, 100 * WEIGHT) and AMONG_CAPPED == 30
    (apart,) = follow_ups(replace(FIRST, among=False), solution(2.0), Verdict(violation=TOUCHING))
    assert (apart.refinement.iterations, apart.cause) == (CAPPED, Cause.COLLISION)


@pytest.mark.parametrize(
    ("stage", "source", "then", "cause"),
    [
        (Stage.FIRST, "policy", Stage.LIMITS, Cause.START),
        (Stage.FIRST, GLOBAL, Stage.FIRST, Cause.COLLISION),
        (Stage.LIMITS, "policy", Stage.LIMITS, Cause.COLLISION),
        (Stage.APART, "posture", Stage.APART, Cause.COLLISION),
    ],
)
def test_the_free_start_has_its_turn_before_others_are_refined_again(
    stage: Stage, source: str, then: Stage, cause: Cause
) -> None:
    attempt = replace(FIRST, stage=stage, source=source)
    (apart,) = follow_ups(attempt, solution(2.0), Verdict(violation=TOUCHING))
    assert (apart.stage, apart.cause, apart.source) == (then, cause, source)


def test_a_motion_is_made_shorter_by_a_quarter_at_a_time() -> None:
    tried, made = [], [FIRST]
    while made and len(tried) < 9:
        (attempt,) = made
        tried.append(attempt.duration)
        made = follow_ups(attempt, solution(2.0), FITS)
        assert all(each.refinement == replace(QUICK, iterations=AMONG_CAPPED) for each in made)
        assert all(each.worked is not None and each.worked[1] == attempt.duration for each in made)
    np.testing.assert_allclose(tried, [2.0 * 0.75**k for k in range(5)])
    assert GRADUALLY == 0.75


@pytest.mark.parametrize(("fitting", "duration"), [(1.4, 1.5), (1.6, 1.6), (1.93, 1.93), (1.95, None), (3.0, None)])
def test_it_is_not_made_shorter_than_its_way_should_take_nor_by_less_than_a_thirtieth(
    fitting: float, duration: float | None
) -> None:
    found = solution(2.0)
    found.X[:, 1:] = 5.0
    made = follow_ups(FIRST, found, Verdict(miss=0.99, fitting=fitting))
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
    (step,) = follow_ups(FIRST, solution(2.0), FITS)
    (half,) = follow_ups(step, found, verdict)
    assert half.duration == pytest.approx((2.0 * 1.5) ** 0.5) and half.shorter == 2
    assert half.guess.X[0, 0] == 2.0 and half.worked is not None and half.worked[1] == 2.0
    assert follow_ups(half, found, verdict) == []  # the next half would gain less than a fourteenth
    assert LEAST_GAIN_HALVED == 0.93


def test_what_was_asked_for_or_never_worked_is_not_made_shorter() -> None:
    assert follow_ups(replace(FIRST, duration=None), solution(2.0), FITS) == []
    assert follow_ups(replace(FIRST, shorter=0), solution(2.0), FITS) == []
    first = replace(FIRST, cause=Cause.TOO_LONG)
    assert follow_ups(first, solution(2.0), Verdict(violation=TOUCHING)) == []


@pytest.mark.parametrize(("fitting", "causes"), [(2.0, ["nearer", "longer"]), (2.1, ["longer"])])
def test_what_is_short_of_the_goal_in_enough_time_gets_more_weight_on_it_first(
    fitting: float, causes: list[str]
) -> None:
    made = follow_ups(FIRST, solution(2.0), Verdict(miss=3.0, fitting=fitting))
    assert ["longer" if each.duration > 2.0 else "nearer" for each in made] == causes
    if fitting <= 2.0:
        nearer = made[0]
        assert (nearer.refinement.precision, nearer.refinement.iterations) == (Precision.TERMINAL, CAPPED)
        assert nearer.refinement.clearance == FIRST.refinement.clearance and nearer.guess.X[0, 0] == 2.0
        assert follow_ups(nearer, solution(2.0), Verdict(miss=3.0, fitting=1.0)) == [], "once"
    assert len(follow_ups(replace(FIRST, among=False), solution(2.0), Verdict(miss=3.0, fitting=fitting))) == 1


# ---------------------------------------------------------------- in a search


def free(times: np.ndarray, Q: np.ndarray, V: np.ndarray) -> object | None:
    """Ways below 15 touch nothing."""
    return None if Q[0, 0] < 15.0 else "a touches b"


def among(proposals: list[Proposal], verdict: Verdict, weight: float = WEIGHT) -> tuple[list[float], list[int]]:
    """The starts that were solved, in turn, and how often each starter of ways past objects was asked."""
    task, solvers = Task(robot=SimpleNamespace(first_contact=free), least_clearance=weight), Solvers(keep)
    around = [Starter([Proposal(GLOBAL, guess(50.0 + i), 0.5)]) for i in range(2)]
    last = Starter([Proposal("sampling", guess(90.0), 0.0)])
    task.robot.first_collision = lambda Q: None
    searching = Search(task, [Starter(proposals)], Starter(OTHERS), solvers, Judge(lambda value: verdict), last, around)
    if verdict.reason:
        with pytest.raises(PlanningError):
            searching.run(INSTANCE, UNLIMITED)
    else:
        searching.run(INSTANCE, UNLIMITED)
    assert bool(last.budgets) == (weight == 0.0 and bool(verdict.reason)), "sampling knows no objects"
    return [start for _, start in solvers.asked], [len(each.budgets) for each in around]


def test_a_way_past_objects_is_asked_for_where_no_start_is_free() -> None:
    good, bad = Verdict(miss=0.5), Verdict(violation=TOUCHING)
    touching, free_one = [Proposal("policy", guess(20.0), 1.0)], [Proposal("interpolation", guess(10.0), 2.0)]
    starts, asked = among(touching, good)
    assert starts == [50.0] and asked == [1, 0]
    starts, asked = among(touching + free_one, good)
    assert starts == [20.0] and asked == [0, 0]
    starts, asked = among(touching, good, weight=0.0)
    assert starts == [20.0] and asked == [0, 0]
    assert among(touching, good, weight=0.5)[1] == [1, 0], "any weight means that there are objects"
    starts, asked = among(touching, bad)
    assert among(touching, bad, weight=0.5)[1] == [1, 1]
    assert 51.0 in starts and asked == [1, 1]
    assert among(touching, bad, weight=0.0)[1] == [0, 0]
    assert len(OTHERS) == 2, "what a starter proposed is its own"


def test_further_ways_are_asked_for_one_by_one_before_first_starts_are_tried_again() -> None:
    """The fourth way leads to a plan, the fifth is not asked for."""
    task, solvers = Task(robot=SimpleNamespace(first_contact=free), least_clearance=WEIGHT), Solvers(keep)
    task.robot.first_collision = lambda Q: None
    around = [Starter([Proposal(GLOBAL, guess(50.0 + 10.0 * i), 0.5)]) for i in range(5)]
    judge = Judge(lambda value: Verdict(miss=0.5) if 80.0 <= value < 90.0 else Verdict(violation=TOUCHING))
    start = Starter([Proposal("policy", guess(20.0), 1.0)])
    found = Search(task, [start], Starter(OTHERS), solvers, judge, None, around).run(INSTANCE, UNLIMITED)
    assert 80.0 <= found.solution.X[0, 0] < 90.0
    assert [len(each.budgets) for each in around] == [1, 1, 1, 1, 0]
    starts = [value for _, value in solvers.asked]
    assert starts.index(50.0) < starts.index(60.0) < starts.index(70.0) < starts.index(80.0)
    assert starts.count(20.0) == starts.count(50.0) == 1, "first starts are not tried again before"


def test_with_a_goal_of_the_joints_other_starts_come_once_after_all_ways_past_objects() -> None:
    task, solvers = Task(robot=SimpleNamespace(first_contact=free), least_clearance=WEIGHT), Solvers(keep)
    task.robot.first_collision, task.goal_type = lambda Q: None, "joints"
    around = [Starter([Proposal(GLOBAL, guess(50.0 + 10.0 * i), 0.5)]) for i in range(4)]
    start, others = Starter([Proposal("policy", guess(20.0), 1.0)]), Starter(OTHERS)
    judge = Judge(lambda value: Verdict("no"))
    with pytest.raises(PlanningError):
        Search(task, [start], others, solvers, judge, None, around).run(INSTANCE, UNLIMITED)
    starts = [value for _, value in solvers.asked]
    detours = [each.guess.X[0, 0] for each in OTHERS if each.source != GRAVITY]
    assert [len(each.budgets) for each in around] == [1, 1, 1, 1] and len(others.budgets) == 1
    assert starts.index(80.0) < min(starts.index(value) for value in detours)
    assert all(starts.count(value) == 1 for value in detours)
    task.goal_type, solvers.asked[:] = "position", []
    with pytest.raises(PlanningError):
        Search(task, [start], others, solvers, judge, None, around).run(INSTANCE, UNLIMITED)
    starts = [value for _, value in solvers.asked]
    assert max(starts.index(value) for value in detours) < starts.index(70.0)


@pytest.mark.parametrize(
    "goal_type, verdict, asked",
    [
        ("joints", Verdict(violation=TOUCHING), [1, 1, 1]),
        ("joints", Verdict("no"), [0, 0, 0]),
        ("position", Verdict(violation=TOUCHING), [0, 0, 0]),
    ],
)
def test_without_objects_ways_are_asked_for_where_links_touch_on_those_to_a_goal_of_the_joints(
    goal_type: str, verdict: Verdict, asked: list[int]
) -> None:
    task, solvers = Task(robot=SimpleNamespace(first_contact=free), least_clearance=0.0), Solvers(keep)
    task.robot.first_collision, task.goal_type = lambda Q: None, goal_type
    around = [Starter([Proposal(GLOBAL, guess(50.0 + 10.0 * i), 0.5)]) for i in range(3)]
    start = Starter([Proposal("interpolation", guess(20.0), 1.0)])
    with pytest.raises(PlanningError):
        judge = Judge(lambda value: verdict)
        Search(task, [start], Starter(OTHERS), solvers, judge, None, around).run(INSTANCE, UNLIMITED)
    assert [len(each.budgets) for each in around] == asked
    starts = [value for _, value in solvers.asked]
    ways = [value for value in (50.0, 60.0, 70.0) if value in starts]
    assert ways == ([50.0, 60.0, 70.0] if asked[0] else [])
    if asked[0]:
        first = [solvers.asked[starts.index(value)][0].clearance for value in ways]
        assert first == [AMONG_WEIGHT] * 3 and starts.index(50.0) < starts.index(60.0) < starts.index(70.0)
        assert starts.index(70.0) < min(starts.index(each.guess.X[0, 0]) for each in OTHERS if each.source != GRAVITY)


def test_the_way_of_a_policy_that_knows_the_world_comes_first_where_it_alone_is_free() -> None:
    good, bad = Verdict(miss=0.5), Verdict(violation=TOUCHING)
    ways = [Proposal("policy", guess(10.0), 3.0, in_cell=True), Proposal("interpolation", guess(20.0), 1.0)]
    starts, asked = among(ways, good)
    assert starts == [10.0] and asked == [0, 0]
    starts, asked = among(ways, bad)
    assert starts[:2] == [10.0, 50.0] and 20.0 in starts[2:5] and asked == [1, 1], "the others come at once after it"
    starts, asked = among([replace(ways[0], in_cell=False), ways[1]], good)
    assert starts == [20.0] and asked == [0, 0], "other policies' ways have no privilege"
    starts, asked = among([ways[0], Proposal("interpolation", guess(11.0), 1.0)], good)
    assert starts == [11.0] and asked == [0, 0], "where both are free the cheaper comes first"


@pytest.mark.parametrize(
    ("depth", "in_cell", "free_enough"), [(0.019, True, True), (0.021, True, False), (0.019, False, False)]
)
def test_such_a_way_may_graze_objects(depth: float, in_cell: bool, free_enough: bool) -> None:
    contact = SimpleNamespace(object=True, distance=-depth)
    robot = SimpleNamespace(first_contact=free, contact=lambda q: contact, first_collision=lambda Q: None)
    around = [Starter([Proposal(GLOBAL, guess(50.0), 0.5)])] * 2
    proposals = [Proposal("policy", guess(20.0), 3.0, way=np.full((2, 1), 20.0), in_cell=in_cell)]
    solvers, task = Solvers(keep), Task(robot=robot, least_clearance=WEIGHT)
    judge = Judge(lambda value: Verdict(miss=0.5))
    Search(task, [Starter(proposals)], Starter(OTHERS), solvers, judge, Starter([]), around).run(INSTANCE, UNLIMITED)
    assert (solvers.asked[0][1] == 20.0) == free_enough
    contact.object = False  # links that touch each other are not led out
    solvers = Solvers(keep)
    Search(task, [Starter(proposals)], Starter(OTHERS), solvers, judge, Starter([]), around).run(INSTANCE, UNLIMITED)
    assert solvers.asked[0][1] == 50.0


def test_a_policys_way_in_its_world_has_few_iterations() -> None:
    made = first_attempts(
        [Proposal("policy", guess(1.0), 1.0, in_cell=True), Proposal("policy", guess(2.0), 2.0)], WEIGHT
    )
    assert [each.refinement.iterations for each in made[:2]] == [AMONG_CAPPED, CAPPED]
    (alone, _, _) = first_attempts([Proposal("policy", guess(1.0), 1.0, in_cell=True)], 0.0)
    assert alone.refinement.iterations == CAPPED
