"""An arm that replans leaves what it touches, once that stands still, and goes on to its goal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from closed_loop import LEAD, PERIOD, Loop, N, receding
from test_leaving import self_contact, touched_by_a_ball

from sobo_planner.errors import StartError
from sobo_planner.motion import Motion, Timeline
from sobo_planner.planning.leaving import RESTING
from sobo_planner.receding import LEAVING, RecedingPlanner
from sobo_planner.receding.leaving import SETTLED, STILL, Leaver
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach
from sobo_planner.world import Pose, World

UP = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def world(task: ArmReach, home: np.ndarray) -> World:
    """A ball that the arm touches at home, 1 cm deep."""
    return touched_by_a_ball(task, home, "wrist_1_link", UP, 0.01)


def at_rest(q: np.ndarray) -> np.ndarray:
    return np.concatenate([q, np.zeros(N)])


def resting(task: ArmReach, x: np.ndarray, begin: float = 0.0) -> Motion:
    return Motion(begin, task.dt, np.tile(x, (3, 1)), np.zeros((2, N)), np.zeros((2, N, 2 * N)))


def test_it_waits_leaves_and_arrives(task: ArmReach, home: np.ndarray, world: World) -> None:
    planner = receding(task)
    planner.set_world(world)
    loop = Loop(task, planner, at_rest(home))
    goal = task.robot.tool_position(home + [0.5, 0.3, -0.3, 0.0, 0.0, 0.0])
    waiting = loop.run(goal, round(SETTLED / PERIOD))
    assert all(cycle.motion is None and cycle.source == LEAVING for cycle in waiting)
    assert all("touches ball, 10.0 mm deep; that is left once" in cycle.objection for cycle in waiting)
    first = next(cycle for cycle in loop.run(goal, 2) if cycle.motion is not None)
    assert first.motion is not None and first.left is not None and first.left.second == "ball"
    assert first.left.distance == pytest.approx(-0.01, abs=1e-4) and len(first.motion.U) == first.left.steps
    under_way = loop.run(goal, 5)
    assert all((cycle.motion, cycle.source, cycle.objection) == (None, LEAVING, "") for cycle in under_way)
    rest = loop.run(goal, 200)
    assert loop.tool_distance(goal) < 0.01 and rest[-1].source == "shifted"
    Q = np.array([motion.X[0, :N] for motion in loop.motions])
    robot = planner.task.robot
    gaps = np.array([robot.nearest_object(q[None, :]).distance for q in Q])
    assert (np.diff(np.minimum(gaps, 0.0)) >= -5e-4).all() and gaps[-1] > 0.0


def test_what_comes_from_a_file_is_left_at_once(task: ArmReach, home: np.ndarray, world: World) -> None:
    there = task.with_world(world)
    planner = receding(there, checker=PlanChecker(there))
    loop = Loop(there, planner, at_rest(home))
    [cycle] = loop.run(task.robot.tool_position(home + 0.3), 1)
    assert cycle.motion is not None and cycle.source == LEAVING


def test_links_that_touch_each_other_are_taken_apart(task: ArmReach) -> None:
    q = self_contact(task)
    planner = receding(task)
    planner.set_world(World())
    [cycle] = Loop(task, planner, at_rest(q)).run(task.robot.tool_position(q) + [0.0, 0.0, 0.05], 1)
    assert cycle.left is not None and cycle.left.second.endswith("_link")


@pytest.fixture
def leaver(task: ArmReach) -> Leaver:
    leaver = Leaver()
    leaver.objects_move = True
    return leaver


def moved(world: World, by: float) -> World:
    [each] = world.objects
    x, y, z = each.pose.position
    return World((replace(each, pose=Pose((x, y, z + by))),))


@pytest.mark.parametrize(("by", "begins_anew"), [(0.9 * STILL, False), (1.1 * STILL, True), (-1.1 * STILL, True)])
def test_an_object_that_moves_is_not_left_yet(
    task: ArmReach, home: np.ndarray, world: World, leaver: Leaver, by: float, begins_anew: bool
) -> None:
    timeline, x = Timeline(resting(task, at_rest(home))), at_rest(home)

    def ask(world: World, handover: float) -> object:
        view = task.with_world(world)
        return leaver.motion(view, PlanChecker(task).of(view), timeline, x, handover)

    assert "left once" in str(ask(world, 1.0))
    assert "left once" in str(ask(moved(world, by), 1.0 + 0.99 * SETTLED))
    found = ask(moved(world, by), 1.0 + SETTLED)
    assert isinstance(found, str) == begins_anew
    if not begins_anew:  # and one that touches nothing meanwhile waits anew
        leaver.free()
        assert "left once" in str(ask(world, 1.0 + SETTLED))


def test_an_arm_in_motion_is_refused_and_waits_anew(
    task: ArmReach, home: np.ndarray, world: World, leaver: Leaver
) -> None:
    view, x = task.with_world(world), at_rest(home)
    parts = view, PlanChecker(task).of(view), Timeline(resting(task, x))
    leaver.motion(*parts, x, 1.0)
    moving = x + 1.1 * RESTING * (np.arange(2 * N) == N)
    with pytest.raises(StartError, match="once it rests"):
        leaver.motion(*parts, moving, 1.2)
    assert "left once" in str(leaver.motion(*parts, x, 1.0 + SETTLED))


def test_a_motion_that_the_checker_refuses_is_none(task: ArmReach, home: np.ndarray, world: World) -> None:
    view, x = task.with_world(world), at_rest(home)
    checker = PlanChecker(task, joint_box=(home - 1e-4, home + 1e-4)).of(view)
    with pytest.raises(StartError, match="the way out of a contact is refused: .*_joint is .* rad"):
        Leaver().motion(view, checker, Timeline(resting(task, x)), x, 1.0)


def test_one_is_found_anew_once_the_last_has_ended(task: ArmReach, home: np.ndarray, world: World) -> None:
    view, x, leaver = task.with_world(world), at_rest(home), Leaver()
    checker, handover = PlanChecker(task).of(view), LEAD * PERIOD
    found = leaver.motion(view, checker, Timeline(resting(task, x)), x, handover)
    assert not isinstance(found, str)
    timeline = Timeline(found[0])
    assert leaver.motion(view, checker, timeline, x, timeline.end - 1e-3) == ""
    assert not isinstance(leaver.motion(view, checker, timeline, x, timeline.end), str)


def test_free_cycles_are_as_ever(task: ArmReach, home: np.ndarray) -> None:
    planner: RecedingPlanner = receding(task)
    [cycle] = Loop(task, planner, at_rest(home)).run(task.robot.tool_position(home + 0.2), 1)
    assert cycle.motion is not None and cycle.left is None
