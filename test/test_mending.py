"""Policies' ways among objects: led off what they touch, and to the goal."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.planning import mending
from sobo_planner.planning.mending import AT_GOAL, ENOUGH, is_free, led_off, mended
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.world import Part, Pose, Sphere, World, WorldObject

TURN = np.array([1.2, 0.0, 0.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def ends(task: ArmReach) -> tuple[np.ndarray, np.ndarray]:
    home = np.array(task.config.robot.home)
    return home - 0.5 * TURN, home + 0.5 * TURN


@pytest.fixture(scope="module")
def view(task: ArmReach, ends) -> ArmReach:
    """A ball where the tool is halfway between both ends."""
    middle = tuple(task.robot.tool_position(0.5 * (ends[0] + ends[1])).tolist())
    return task.with_world(World((WorldObject("ball", (Part(Sphere(0.05)),), Pose(middle)),)))


@pytest.fixture(scope="module")
def way(ends) -> np.ndarray:
    return np.linspace(*ends, 26)


def guess(way: np.ndarray) -> Guess:
    return Guess(np.hstack([way, np.zeros_like(way)]), np.zeros((len(way) - 1, 6)))


def instance(task: ArmReach, way: np.ndarray) -> Instance:
    return Instance(np.concatenate([way[0], np.zeros(6)]), task.robot.tool_position(way[-1]))


def test_a_way_through_an_object_is_led_past_it(view: ArmReach, way) -> None:
    assert not is_free(view, way)
    target = view.robot.tool_position(way[-1]) + [0.0, 0.0, 0.03]
    past = mended(view, way, target)
    assert is_free(view, past)
    assert np.array_equal(past[0], way[0]), "it begins where the arm is"
    assert np.linalg.norm(view.robot.tool_position(past[-1]) - target) < AT_GOAL
    distance = min(view.robot.nearest_object(q[None]).distance for q in past)
    assert distance >= ENOUGH - 1e-6
    assert np.abs(np.diff(past, axis=0)).max() < 3.0 * np.abs(np.diff(way, axis=0)).max(), "without jumps"
    assert is_free(view.with_world(World()), way), "alone it touches nothing"


def test_its_end_comes_off_an_object_while_the_tool_stays_at_the_goal(task: ArmReach, ends) -> None:
    """The elbow of the last configuration is in a ball."""
    q = ends[1]
    elbow = tuple(task.robot.native.joint_placement(q, 2)[:, 3].tolist())
    view = task.with_world(World((WorldObject("ball", (Part(Sphere(0.06)),), Pose(elbow)),)))
    assert view.robot.contact(q) is not None
    end = mended(view, np.linspace(ends[0], q, 26), task.robot.tool_position(q))[-1]
    assert view.robot.contact(end) is None
    np.testing.assert_allclose(task.robot.tool_position(end), task.robot.tool_position(q), atol=AT_GOAL)


def test_ways_that_are_free_and_end_at_the_goal_stay_as_they_are(view: ArmReach, way) -> None:
    above = way + np.outer(np.sin(np.linspace(0.0, np.pi, 26)), [0.0, -0.5, 0.0, 0.0, 0.0, 0.0])
    assert is_free(view, above)
    good, bad = guess(above), guess(way)
    assert led_off(view, instance(view, way), [bad, good], UNLIMITED) == [good]


def test_without_objects_nothing_is_mended(task: ArmReach, way, monkeypatch) -> None:
    monkeypatch.setattr(mending, "mended", None)
    far = instance(task, way + 0.3 * TURN)
    ways = [guess(way), guess(way + 0.1)]
    assert led_off(task, far, ways, UNLIMITED) == ways


@pytest.mark.parametrize(("helps", "expected"), [(True, [1.0, 2.0]), (False, [2.0])])
def test_mended_ways_come_before_free_ones_that_end_elsewhere(
    view: ArmReach, way, monkeypatch, helps: bool, expected: list[float]
) -> None:
    """Ways are told apart by their first number; 2 is free and far from the goal, 1 touches something."""
    touching, far = guess(way), guess(way)
    touching.X[0, 0], far.X[0, 0] = 1.0, 2.0
    monkeypatch.setattr(mending, "is_free", lambda task, Q: Q[0, 1] == 9.0 or Q[0, 0] == 2.0 and Q[0, 1] != 8.0)
    monkeypatch.setattr(
        mending, "mended", lambda task, Q, goal: np.hstack([Q[:, :1], 0 * Q[:, 1:] + (9.0 if helps else 8.0)])
    )
    goal = instance(view, way + TURN)
    found = led_off(view, goal, [touching, far], UNLIMITED)
    assert [each.X[0, 0] for each in found] == expected
    assert all((each.X[0, 1] == 9.0) == helps for each in found)
    spent = Budget(1e-9)
    assert [each.X[0, 0] for each in led_off(view, goal, [touching, far], spent)] == [2.0]
    assert led_off(view, goal, [touching], spent) == [touching]


def test_a_way_with_a_dent_is_pulled_straight_where_nothing_is_near(view: ArmReach, way) -> None:
    above = way + np.outer(np.sin(np.linspace(0.0, np.pi, 26)), [0.0, -0.5, 0.0, 0.0, 0.0, 0.0])
    dented = above.copy()
    dented[12, 2] += 0.2
    target = view.robot.tool_position(above[-1])
    assert np.abs(np.diff(mended(view, dented, target)[:, 2])).max() < 0.03 < np.abs(np.diff(dented[:, 2])).max()


def test_points_are_pushed_until_none_of_them_is_near(view: ArmReach, way, monkeypatch) -> None:
    """One point lacks room for eight rounds; the others have enough from the beginning."""
    asked = []

    def push(task: ArmReach, q: np.ndarray) -> tuple[np.ndarray, float]:
        asked.append(q)
        inner = len(way) - 2
        done, point = divmod(len(asked) - 1, inner)
        return np.zeros(6), 0.0 if point == 3 and done < 8 else ENOUGH

    monkeypatch.setattr(mending, "_push", push)
    monkeypatch.setattr(mending, "_end", lambda task, q, target: q)
    mended(view, way, np.zeros(3))
    assert len(asked) == 9 * (len(way) - 2)
