"""How long motions along a way are to last, and their states: from rest and from joints that move."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.timing import SHORTEST_STEP, SLACK, SLACK_JOINTS, Pace, least_duration, timed

RATED, LIMIT = np.pi, 8.0  # of every joint of the arm as shipped


def moving(home: np.ndarray, *speeds: float) -> np.ndarray:
    """A state at home whose first joints move."""
    return np.concatenate([home, speeds, np.zeros(6 - len(speeds))])


def straight(home: np.ndarray, *moves: float, points: int = 11) -> np.ndarray:
    """A straight way from home."""
    end = np.concatenate([moves, np.zeros(6 - len(moves))])
    return home + np.linspace(0.0, 1.0, points)[:, None] * end


def test_a_way_takes_a_tenth_more_than_the_fastest_motion_along_it(task: ArmReach, home: np.ndarray) -> None:
    view, way = task.paced(Pace(None, 0.5, 0.25)), straight(home, 2.0, -1.0)
    fastest = 2.0 / (0.5 * RATED) + 0.5 * RATED / (0.25 * LIMIT)
    assert view.duration_of(way, moving(home)) == pytest.approx(SLACK * fastest)
    assert view.lasting(9.0).duration_of(way, moving(home)) == pytest.approx(SLACK * fastest)
    joints = task.with_goal_type("joints").paced(Pace(None, 0.5, 0.25))
    assert joints.duration_of(way, moving(home)) == pytest.approx(SLACK_JOINTS * fastest)


def test_the_time_that_moving_joints_take_to_stop_is_added(task: ArmReach, home: np.ndarray) -> None:
    """1 rad/s takes an eighth of a second at 8 rad/s^2, whichever way it goes; the slowest of the joints counts."""
    view, way = task.paced(Pace()), straight(home, 2.0)
    rest = view.duration_of(way, moving(home))
    for x in (moving(home, 1.0), moving(home, 0.5, -1.0)):
        assert view.duration_of(way, x) == pytest.approx(rest + SLACK * 0.125)


def test_no_motion_has_shorter_steps_than_a_controller(task: ArmReach, home: np.ndarray) -> None:
    view = task.paced(Pace())
    assert view.duration_of(straight(home), moving(home)) == pytest.approx(100 * SHORTEST_STEP)
    short = straight(home, 0.0835)  # about 0.2 s: both bounds are near each other
    assert least_duration(short, view.velocity_limit, view.acceleration_limit) * SLACK > 0.2
    assert view.duration_of(short, moving(home)) > 0.2


def test_where_durations_do_not_fit_a_motion_takes_the_tasks(task, unlimited, home) -> None:
    for view, duration in ((task, 2.0), (task.paced(Pace(5.0)), 5.0), (unlimited, 2.0), (task.lasting(0.1), 0.1)):
        assert view.duration_of(straight(home, 2.0), moving(home, 1.0)) == pytest.approx(duration)


@given(st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6), st.floats(0.1, 1.0), st.floats(0.1, 1.0))
def test_a_motion_along_a_way_keeps_its_limits_and_ends_there(task, home, moves, speed, acceleration) -> None:
    view = task.paced(Pace(None, speed, acceleration))
    home = np.clip(home, task.robot.position_lower + 2.0, task.robot.position_upper - 2.0)
    way, start = straight(home, *moves), moving(home)
    instance = Instance(start, np.zeros(3))
    view = view.lasting(view.duration_of(way, start))
    guess = view.along(way, instance)
    np.testing.assert_array_equal(guess.X[0], start)
    assert (np.abs(guess.U) <= task.torque_limit).all()
    assert np.abs(guess.X[:, 6:]).max() <= speed * RATED * (1 + 1e-9)
    assert np.abs(np.diff(guess.X[:, 6:], axis=0)).max() / view.dt <= acceleration * LIMIT * (1 + 1e-6)
    np.testing.assert_allclose(guess.X, view.simulate(start, guess.U), atol=1e-6)
    if speed * acceleration > 0.5:
        assert np.abs(guess.X[-1] - np.concatenate([way[-1], np.zeros(6)])).max() < 0.2


def exactly(view: ArmReach) -> ArmReach:
    """A view that follows what it is told to, whatever the dynamics."""
    view.track = lambda x, states, blend: (np.vstack([x, states]), np.full((len(states), 6), 1e9))  # type: ignore[method-assign]
    return view


def test_from_rest_the_states_are_those_of_the_time_law(task: ArmReach, home: np.ndarray) -> None:
    way, view = straight(home, 1.0, -0.5), exactly(task.paced(Pace(None, 0.5, 0.5)).lasting(1.5))
    guess = view.along(way, Instance(moving(home), np.zeros(3)))
    expected = timed(way, view.velocity_limit, view.acceleration_limit, 100, 1.5)
    np.testing.assert_allclose(guess.X, expected, atol=1e-12)
    np.testing.assert_array_equal(guess.U, np.tile(task.torque_limit, (100, 1)))
    exactly(view).track = lambda x, states, blend: (np.vstack([x, states]), np.full((len(states), 6), -1e9))  # type: ignore[method-assign]
    np.testing.assert_array_equal(
        view.along(way, Instance(moving(home), np.zeros(3))).U, np.tile(-task.torque_limit, (100, 1))
    )


@pytest.mark.parametrize("speed, duration, steps", [(0.84, 2.0, 12), (0.01, 2.0, 2), (-3.0, 0.3, 100)])
def test_the_speed_of_a_start_fades_while_its_joint_could_stop(task, home, speed, duration, steps) -> None:
    """In twice the time that stopping takes, 0.21 s for 0.84 rad/s, and two steps."""
    way, view = straight(home, 0.5, 0.5), exactly(task.paced(Pace()).lasting(duration))
    moved, rest = (view.along(way, Instance(moving(home, 0.0, v), np.zeros(3))).X for v in (speed, 0.0))
    more = moved - rest
    assert more[0, 7] == speed and not more[:, [0, 2, 3, 4, 5]].any()
    np.testing.assert_allclose(more[steps:, 1], 0.0, atol=1e-12)
    np.testing.assert_allclose(more[steps + 1 :], 0.0, atol=1e-12)
    assert abs(more[steps - 1, 1]) > 1e-9 and (np.sign(more[1:steps, 1]) == np.sign(speed)).all()
    # Positions and velocities belong together, and the joint begins with its own speed.
    np.testing.assert_allclose(np.diff(more[:, 1]), view.dt * more[1:, 7], atol=1e-12)
    if steps > 2:
        assert more[1, 7] == pytest.approx(speed, rel=0.1)


def test_without_limits_on_accelerations_the_speed_of_a_start_fades_by_the_end(unlimited, home) -> None:
    way, view = straight(home, 0.5), exactly(unlimited.lasting(1.0))
    moved, rest = (view.along(way, Instance(moving(home, v), np.zeros(3))).X for v in (1.5, 0.0))
    more = (moved - rest)[:, 0]
    assert (more[1:-1] > 1e-12).all() and abs(more[-1]) < 1e-12 and more.max() == pytest.approx(0.25, rel=0.2)


def test_from_a_moving_start_the_arm_ends_at_rest_at_the_end_of_its_way(task: ArmReach, home: np.ndarray) -> None:
    x = moving(home, -1.0, 0.5, 1.0)
    way, view = straight(home, 1.0, -0.5), task.paced(Pace(), x)
    view = view.lasting(view.duration_of(way, x))
    guess = view.along(way, Instance(x, np.zeros(3)))
    np.testing.assert_array_equal(guess.X[0], x)
    assert np.abs(np.diff(guess.X[:, 6:], axis=0)).max() / view.dt <= LIMIT * (1 + 1e-6)
    assert np.abs(guess.X[-1, :6] - way[-1]).max() < 0.05 and np.abs(guess.X[-1, 6:]).max() < 0.1
