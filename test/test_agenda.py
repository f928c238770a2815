"""Which starters a search asks, and when."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scripted_planning import (
    INSTANCE,
    OTHERS,
    TOUCHING,
    Judge,
    Solvers,
    Starter,
    Task,
    guess,
    keep,
)

from sobo_planner.errors import PlanningError
from sobo_planner.planning.attempts import CLEARANCES
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.proposals import GLOBAL, GRAVITY, Proposal
from sobo_planner.planning.search import Search
from sobo_planner.solver import UNLIMITED
from sobo_planner.tasks.arm.problem import AMONG_WEIGHT

WEIGHT = CLEARANCES[0]


def free(times: np.ndarray, Q: np.ndarray, V: np.ndarray) -> object | None:
    """Ways below 15 touch nothing."""
    return None if Q[0, 0] < 15.0 else "a touches b"


def among(proposals: list[Proposal], verdict: Verdict, weight: float = WEIGHT) -> tuple[list[float], list[int]]:
    """The starts that were solved, in turn, and how often each starter of ways past objects was asked."""
    task, solvers = Task(robot=SimpleNamespace(first_contact=free), least_clearance=weight), Solvers(keep)
    around = [Starter([Proposal(GLOBAL, guess(50.0 + i), 0.5)]) for i in range(2)]
    last = Starter([Proposal("sampling", guess(90.0), 0.0)])
    task.robot.contact = lambda q: SimpleNamespace(object=True, distance=-1.0)
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
    assert starts == [10.0] and asked == [0, 0], "what is free comes first, though it costs more"
    starts, _ = among(touching + free_one, bad)
    assert starts[0] == 10.0 and starts.index(51.0) < starts.index(20.0)
    starts, asked = among(touching, good, weight=0.0)
    assert starts == [20.0] and asked == [0, 0]
    assert among(touching, good, weight=0.5)[1] == [1, 0], "any weight means that there are objects"
    starts, asked = among(touching, bad)
    assert among(touching, bad, weight=0.5)[1] == [1, 1]
    assert 51.0 in starts and asked == [1, 1]
    assert among(touching, bad, weight=0.0)[1] == [0, 0]
    assert len(OTHERS) == 2, "what a starter proposed is its own"


def test_the_second_way_comes_before_motions_that_touch_something_are_refined_again() -> None:
    task, solvers = Task(robot=SimpleNamespace(first_contact=free), least_clearance=WEIGHT), Solvers(keep)
    around = [Starter([Proposal(GLOBAL, guess(50.0 + 10.0 * i), 9.0)]) for i in range(3)]
    judge = Judge(lambda value: Verdict(miss=0.5) if 60.0 <= value < 70.0 else Verdict(violation=TOUCHING))
    start, others = Starter([Proposal("policy", guess(20.0), 1.0)]), Starter(OTHERS)
    found = Search(task, [start], others, solvers, judge, None, around).run(INSTANCE, UNLIMITED)
    assert found.source == GLOBAL and 60.0 <= found.solution.X[0, 0] < 70.0
    assert [value for _, value in solvers.asked] == [50.0, 60.0] and others.budgets == []
    assert [len(each.budgets) for each in around] == [1, 1, 0]


def test_what_touches_something_is_tried_once_all_else_has_led_nowhere() -> None:
    touching = [Proposal("policy", guess(20.0), 1.0), Proposal("interpolation", guess(21.0), 0.5)]
    starts, _ = among(touching, Verdict("no"))
    others = [each.guess.X[0, 0] for each in OTHERS]
    assert max(starts.index(value) for value in (50.0, 51.0, *others)) < starts.index(21.0) < starts.index(20.0)
    assert starts.count(50.0) == starts.count(20.0) == 3, "first starts come again, twice"
    assert starts.index(20.0) < starts.index(50.0, starts.index(21.0))
    in_cell = [Proposal("policy", guess(value), 1.0, in_cell=True) for value in (10.0, 22.0)]
    starts, _ = among([*in_cell, touching[1]], Verdict("no"))
    assert starts[0] == 10.0 and starts.index(51.0) < starts.index(21.0) < starts.index(22.0)
    task, solvers = Task(robot=SimpleNamespace(first_contact=free), least_clearance=WEIGHT), Solvers(keep)
    judge = Judge(lambda value: Verdict(miss=0.5))
    Search(task, [Starter(touching)], Starter(OTHERS), solvers, judge, None, [Starter([])]).run(INSTANCE, UNLIMITED)
    assert [value for _, value in solvers.asked] == [21.0], "at once where no way past objects is found"


@pytest.mark.parametrize(
    ("in_cell", "first"), [(True, [10.0, 50.0, 60.0, 70.0]), (False, [10.0]), (None, [50.0, 60.0, 70.0])]
)
def test_three_ways_come_before_other_starts_unless_one_without_a_world_was_free(
    in_cell: bool | None, first: list[float]
) -> None:
    task, solvers = Task(robot=SimpleNamespace(first_contact=free), least_clearance=WEIGHT), Solvers(keep)
    task.robot.first_collision = lambda Q: None
    around = [Starter([Proposal(GLOBAL, guess(50.0 + 10.0 * i), 9.0)]) for i in range(4)]
    value = 20.0 if in_cell is None else 10.0
    start = Starter([Proposal("policy", guess(value), 1.0, in_cell=bool(in_cell))])
    judge = Judge(lambda value: Verdict("no"))
    with pytest.raises(PlanningError):
        Search(task, [start], Starter(OTHERS), solvers, judge, None, around).run(INSTANCE, UNLIMITED)
    starts = [value for _, value in solvers.asked]
    others = [starts.index(each.guess.X[0, 0]) for each in OTHERS]
    assert starts[: min(others)] == first


def test_so_it_does_after_the_way_of_a_policy_that_knows_the_world() -> None:
    task, solvers = Task(robot=SimpleNamespace(first_contact=free), least_clearance=WEIGHT), Solvers(keep)
    around = [Starter([Proposal(GLOBAL, guess(50.0 + 10.0 * i), 9.0)]) for i in range(3)]
    judge = Judge(lambda value: Verdict(miss=0.5) if 60.0 <= value < 70.0 else Verdict(violation=TOUCHING))
    start = Starter([Proposal("policy", guess(10.0), 3.0, in_cell=True), Proposal("interpolation", guess(20.0), 1.0)])
    Search(task, [start], Starter(OTHERS), solvers, judge, None, around).run(INSTANCE, UNLIMITED)
    assert [value for _, value in solvers.asked] == [10.0, 50.0, 60.0]


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
    assert starts.count(50.0) == 1 and 20.0 not in starts, "what touches something and first starts come after it"


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
    assert starts.index(70.0) < min(starts.index(value) for value in detours)
    assert max(starts.index(value) for value in detours) < starts.index(80.0), "but before further ways"
    task.robot.first_collision, solvers.asked[:] = lambda Q: (0, "a", "b") if Q[0, 0] == detours[0] else None, []
    with pytest.raises(PlanningError):
        Search(task, [start], others, solvers, judge, None, around).run(INSTANCE, UNLIMITED)
    starts = [value for _, value in solvers.asked]
    assert starts.index(80.0) < starts.index(detours[0]), "but not if they touch something"


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
    assert starts[:3] == [10.0, 50.0, 51.0] and asked == [1, 1], "the others come at once after it"
    starts, asked = among([replace(ways[0], in_cell=False), ways[1]], good)
    assert starts == [10.0] and asked == [0, 0], "other policies' ways are refined where they are free"
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
