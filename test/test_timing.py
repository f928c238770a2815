"""How long ways take: closed forms of triangles and trapezoids, limits along straight ways, and what a pace may be."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sobo_planner.errors import PlanningError
from sobo_planner.tasks.arm.timing import SHORTEST_STEP, SLACK, SLACK_JOINTS, Pace, least_duration, timed

N = 3
lengths = st.lists(st.floats(-6.0, 6.0), min_size=N, max_size=N).map(np.array)
rates = st.lists(st.floats(0.2, 20.0), min_size=N, max_size=N).map(np.array)


def straight(*moves: float, points: int = 2) -> np.ndarray:
    """A straight way (points, n) from 1 by moves (n,)."""
    return 1.0 + np.linspace(0.0, 1.0, points)[:, None] * np.array(moves)


def limits(*values: float) -> np.ndarray:
    return np.array(values)


# ---------------------------------------------------------------- the least duration


@pytest.mark.parametrize(
    "length, speed, acceleration, expected",
    [
        (6.0, 2.0, 4.0, 3.5),  # 0.5 s to its speed, 2.5 s at it, 0.5 s to rest
        (1.0, 2.0, 4.0, 1.0),  # a triangle that just reaches the speed
        (0.25, 2.0, 4.0, 0.5),  # half the speed
        (6.0, 2.0, inf, 3.0),
        (0.0, 2.0, 4.0, 0.0),
        (0.0, 2.0, inf, 0.0),
        (5e-324, 3.0, 4.0, 0.0),
    ],
)
def test_one_joint_takes_a_trapezoid_or_a_triangle(length, speed, acceleration, expected) -> None:
    for way in (straight(length), straight(-length), straight(length, points=7)):
        found = least_duration(way, limits(speed), limits(acceleration))
        assert type(found) is float and found == pytest.approx(expected, rel=1e-12)


def test_a_way_back_and_forth_is_as_long_as_both_together() -> None:
    back = np.array([[0.0], [4.0], [2.0]])
    assert least_duration(back, limits(2.0), limits(4.0)) == pytest.approx(3.5)


def test_joints_share_their_time_law_where_one_bounds_the_speed_and_another_the_acceleration() -> None:
    """2 rad at 1 rad/s and 0.9 rad at 1 rad/s^2: the second joint's 0.45 rad/s take 0.45 s."""
    found = least_duration(straight(2.0, 0.9), limits(1.0, 10.0), limits(100.0, 1.0))
    assert found == pytest.approx(2.0 + 0.45)


def test_of_joints_with_equal_limits_the_one_that_goes_furthest_counts() -> None:
    alone = least_duration(straight(3.0), limits(2.0), limits(4.0))
    assert least_duration(straight(-1.0, 3.0, 0.0), np.full(3, 2.0), np.full(3, 4.0)) == pytest.approx(alone)


@pytest.mark.parametrize("speed, acceleration", [(2.0, 4.0), (2.0, 0.3)])
def test_the_duration_is_that_of_a_joint_which_speeds_up_as_much_as_it_may(speed: float, acceleration: float) -> None:
    """Independent: the way is walked from both ends at once, until they meet."""
    length, step, gone, v, time = 5.0, 1e-5, 0.0, 0.0, 0.0
    while gone < 0.5 * length:
        v = min(v + acceleration * step, speed)
        gone, time = gone + v * step, time + step
    assert least_duration(straight(length), limits(speed), limits(acceleration)) == pytest.approx(2 * time, abs=1e-4)


@given(lengths, rates, rates)
def test_no_time_law_along_a_straight_way_is_faster(moves, speed, acceleration) -> None:
    """A hundredth less time would take a joint beyond its limits, whatever the shares of speeding up."""
    way = straight(*moves)
    found = least_duration(way, speed, acceleration)
    if np.abs(moves).max() < 1e-3:
        return
    length, shorter = np.abs(moves), 0.99 * found
    for ramp in np.linspace(1e-3, 0.5, 100):  # of symmetric laws that speed up, keep their speed and slow down
        top = 1.0 / ((1.0 - ramp) * shorter)
        fits = (length * top <= speed).all() and (length * top / (ramp * shorter) <= acceleration).all()
        assert not fits


# ---------------------------------------------------------------- states along a way


@given(lengths, rates, rates, st.integers(20, 200))
def test_limits_hold_along_a_straight_way_at_its_least_duration(moves, speed, acceleration, steps) -> None:
    way = straight(*moves, points=5)
    duration = max(least_duration(way, speed, acceleration), 1e-3)
    X, dt = timed(way, speed, acceleration, steps, duration), duration / steps
    Q, V = X[:, :N], X[:, N:]
    assert X.shape == (steps + 1, 2 * N) and np.isfinite(X).all()
    np.testing.assert_allclose(Q[[0, -1]], way[[0, -1]], atol=1e-12)
    assert not V[0].any() and not V[-1].any()
    assert (np.abs(V) <= speed * (1 + 1e-9)).all() and (np.abs(np.diff(Q, axis=0)) <= speed * dt * (1 + 1e-9)).all()
    assert (np.abs(np.diff(Q, n=2, axis=0)) <= acceleration * dt**2 * (1 + 1e-6) + 1e-12).all()
    on_the_line = way[0] + ((Q - way[0]) @ moves / max(moves @ moves, 1e-300))[:, None] * moves
    np.testing.assert_allclose(Q, on_the_line, atol=1e-9)


def test_a_trapezoid_point_by_point() -> None:
    """6 rad in 3.5 s: 0.5 s to 2 rad/s, 2.5 s at it, 0.5 s to rest; a point every 0.25 s."""
    X = timed(straight(6.0, points=4), limits(2.0), limits(4.0), 14, 3.5)
    expected = np.concatenate([[0.0, 0.125], np.linspace(0.5, 5.5, 11), [5.875, 6.0]])
    np.testing.assert_allclose(X[:, 0] - 1.0, expected, atol=1e-12)
    np.testing.assert_allclose(X[:, 1], [0.0, 1.0, 1.75, *[2.0] * 9, 1.75, 1.0, 0.0], atol=1e-12)


def test_a_triangle_point_by_point() -> None:
    X = timed(straight(-1.0), limits(9.0), limits(4.0), 4, 1.0)
    np.testing.assert_allclose(1.0 - X[:, 0], [0.0, 0.125, 0.5, 0.875, 1.0], atol=1e-12)
    np.testing.assert_allclose(X[:, 1], [0.0, -1.0, -1.5, -1.0, 0.0], atol=1e-12)


def test_without_limits_on_accelerations_the_speed_is_constant() -> None:
    with np.errstate(all="raise"):
        X = timed(straight(4.0), limits(2.0), limits(inf), 4, 2.0)
    np.testing.assert_allclose(X, [[1.0, 0.0], [2.0, 2.0], [3.0, 2.0], [4.0, 2.0], [5.0, 0.0]], atol=1e-12)


def test_a_longer_motion_is_slower_in_proportion_along_the_same_points() -> None:
    way, speed, acceleration = straight(3.0, -1.0), limits(2.0, 1.0), limits(4.0, 5.0)
    X, slower = (timed(way, speed, acceleration, 30, duration) for duration in (2.0, 6.0))
    np.testing.assert_allclose(slower[:, :2], X[:, :2], atol=1e-12)
    np.testing.assert_allclose(3.0 * slower[:, 2:], X[:, 2:], atol=1e-12)


def test_the_joint_that_is_slowest_in_a_part_of_a_way_sets_the_pace_there() -> None:
    """First joint: 2 rad at 2 rad/s; then the second: 1 rad at 1 rad/s. Each takes half of the time."""
    way = np.array([[0.0, 0.0], [2.0, 0.5], [2.0, 1.5]])
    X = timed(way, limits(2.0, 1.0), limits(inf, inf), 8, 2.0)
    np.testing.assert_allclose(X[[2, 4, 6], :2], [[1.0, 0.25], [2.0, 0.5], [2.0, 1.0]], atol=1e-12)


@pytest.mark.parametrize("points", [1, 2, 5])
def test_a_way_of_no_length_is_kept_at_rest(points: int) -> None:
    for acceleration in (4.0, inf):
        X = timed(np.full((points, 2), 0.3), limits(2.0, 2.0), np.full(2, acceleration), 10, 1.0)
        np.testing.assert_array_equal(X, np.tile([0.3, 0.3, 0.0, 0.0], (11, 1)))


def test_a_joint_that_stays_takes_no_part() -> None:
    X = timed(straight(1.0, 0.0), limits(2.0, 0.001), limits(4.0, 0.001), 10, 1.0)
    assert (X[:, 1] == 1.0).all() and not X[:, 3].any() and X[-1, 0] == pytest.approx(2.0)


# ---------------------------------------------------------------- what may be asked for


@pytest.mark.parametrize("name", ["velocity_scaling", "acceleration_scaling"])
def test_shares_lie_between_nothing_and_all(name: str) -> None:
    for share in (1e-9, 0.25, 1.0):
        assert getattr(Pace(**{name: share}), name) == share
    for share, told in ((0.0, "0"), (-0.5, "-0.5"), (1.0001, "1.0001"), (nan, "nan"), (inf, "inf"), (-inf, "-inf")):
        with pytest.raises(PlanningError) as refused:
            Pace(**{name: share})
        assert str(refused.value) == f"{name} must lie in (0, 1], got {told}"


def test_durations_are_positive_and_finite() -> None:
    assert Pace(1e-9).duration == 1e-9 and Pace().duration is None
    for duration, told in ((0.0, "0"), (-2.0, "-2"), (nan, "nan"), (inf, "inf")):
        with pytest.raises(PlanningError) as refused:
            Pace(duration)
        assert str(refused.value) == f"duration must be a positive number of seconds, got {told}"


def test_all_of_the_robot_is_used_unless_something_else_is_asked_for() -> None:
    assert Pace() == Pace(None, 1.0, 1.0) and Pace() != Pace(2.0)


def test_a_motion_takes_a_tenth_more_than_the_fastest_and_steps_of_two_milliseconds() -> None:
    assert (SLACK, SLACK_JOINTS, SHORTEST_STEP) == (1.1, 1.001, 0.002)
