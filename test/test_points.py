"""The points by which a motion leaves: those of the motion, at rest in the end, and the splines through them."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sobo_planner.safety import BRAKE_ACCELERATION, REST_DECELERATION, Trajectory
from sobo_planner.safety.points import sampled

N, T, DT = 3, 5, 0.02
REST_SPEED = 5e-3 * DT  # [rad/s] at an end that counts as at rest: the last step stops it at 5 mrad/s^2


def motion(end: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, X and U of any motion whose fastest joint ends at `end` [rad/s]."""
    rng = np.random.default_rng(seed)
    X, U = rng.uniform(-1, 1, (T + 1, 2 * N)), rng.uniform(-1, 1, (T, N))
    X[-1, N:] = [0.4 * end, -end, 0.0]
    return DT * np.arange(T + 1), X, U


def cubic(points: Trajectory, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities of a controller's spline between the last two points, from its four coefficients."""
    h = 1e-9 * float(points.nanoseconds[-1] - points.nanoseconds[-2])
    (q0, q1), (v0, v1) = points.positions[-2:], points.velocities[-2:]
    conditions = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, h, h**2, h**3], [0, 1, 2 * h, 3 * h**2]])
    a = np.linalg.solve(conditions, np.array([q0, v0, q1, v1]))
    t = h * share[:, None]
    return a[0] + a[1] * t + a[2] * t**2 + a[3] * t**3, a[1] + 2 * a[2] * t + 3 * a[3] * t**2


@pytest.mark.parametrize("lead", [0.0, 0.015, 1.25])
def test_points_are_those_of_the_motion(lead: float) -> None:
    """Without a lead all but the first state; with one all of them, with the torques that act from there on."""
    time, X, U = motion(0.0)
    points, first = Trajectory.of(time, X, U, lead=lead), 0 if lead else 1
    np.testing.assert_array_equal(points.positions, X[first:, :N])
    np.testing.assert_array_equal(points.velocities, X[first:, N:])
    np.testing.assert_array_equal(points.effort, U[[*range(first, T), T - 1]])
    np.testing.assert_array_equal(points.nanoseconds, [round(1e9 * (lead + t)) for t in time[first:]])
    np.testing.assert_array_equal(points.start, X[0])
    assert points.begin == round(1e9 * lead)
    times, Q, V = points.knots()
    np.testing.assert_allclose(times, time + lead, atol=1e-9)
    np.testing.assert_array_equal(np.hstack([Q, V]), X)


def test_times_count_from_the_first_one() -> None:
    time, X, U = motion(1.0)
    later = Trajectory.of(time + 7.0, X, U, lead=0.5)
    np.testing.assert_array_equal(later.nanoseconds, Trajectory.of(time, X, U, lead=0.5).nanoseconds)


def test_a_start_before_the_first_point_is_a_knot_too() -> None:
    time, X, U = motion(0.0)
    points = Trajectory.of(time, X, U)
    times, Q, _ = replace(points, begin=5_000_000).knots()
    np.testing.assert_allclose(times, [0.005, *time[1:]])
    np.testing.assert_array_equal(Q, X[:, :N])


@pytest.mark.parametrize("end", [1.01 * REST_SPEED, 0.05, 0.5, 3.0, -3.0])
@pytest.mark.parametrize("lead", [0.0, 0.1])
def test_a_fast_end_is_braked_by_a_constant_deceleration(end: float, lead: float) -> None:
    time, X, U = motion(end)
    points = Trajectory.of(time, X, U, lead=lead)
    braking = 1e-9 * float(points.nanoseconds[-1] - points.nanoseconds[-2])
    assert braking == pytest.approx(max(DT, abs(end) / BRAKE_ACCELERATION), abs=1e-9)
    np.testing.assert_array_equal(points.velocities[-2], X[-1, N:])
    np.testing.assert_array_equal(points.positions[-2], X[-1, :N])
    np.testing.assert_array_equal(points.velocities[-1], np.zeros(N))
    np.testing.assert_array_equal(points.effort[-1], U[-1])
    share = np.linspace(0, 1, 11)
    q, v = cubic(points, share)
    np.testing.assert_allclose(v, (1.0 - share)[:, None] * X[-1, N:], atol=1e-6)
    np.testing.assert_allclose(q, X[-1, :N] + (share - 0.5 * share**2)[:, None] * braking * X[-1, N:], atol=1e-8)


def test_what_counts_as_rest_depends_on_the_length_of_the_last_step() -> None:
    time, X, U = motion(2.0 * REST_SPEED)
    assert len(Trajectory.of(time, X, U).positions) == T + 1
    assert len(Trajectory.of(3.0 * time, X, U).positions) == T
    time[-1] += 2.0 * DT
    assert len(Trajectory.of(time, X, U).positions) == T and REST_DECELERATION == 5e-3


@pytest.mark.parametrize("end", [0.0, REST_SPEED, -0.9 * REST_SPEED])
def test_a_slow_end_is_rounded_to_rest(end: float) -> None:
    time, X, U = motion(end)
    points = Trajectory.of(time, X, U)
    assert len(points.positions) == T
    np.testing.assert_array_equal(points.velocities[-1], np.zeros(N))
    assert X[-1, N] == 0.4 * end, "the motion itself is left alone"


def test_a_moving_end_stays_for_a_controller_that_takes_it() -> None:
    time, X, U = motion(2.0)
    points = Trajectory.of(time, X, U, moving_end=True)
    np.testing.assert_array_equal(np.hstack([points.positions, points.velocities]), X[1:])
    time, X, U = motion(0.5 * REST_SPEED)
    np.testing.assert_array_equal(Trajectory.of(time, X, U, moving_end=True).velocities[-1], X[-1, N:])


def test_accelerations_are_those_between_a_point_and_the_next() -> None:
    time, X, U = motion(0.0)
    found = Trajectory.of(time, X, U, lead=0.1).accelerations
    np.testing.assert_allclose(found[:-1], np.diff(X[:, N:], axis=0) / DT, rtol=1e-6)
    assert found.shape == (T + 1, N) and not found[-1].any()


def test_a_motion_of_one_step() -> None:
    time, X, U = motion(1.0)
    points = Trajectory.of(time[:2], X[[0, -1]], U[:1])
    np.testing.assert_array_equal(points.nanoseconds, [20_000_000, 220_000_000])


@pytest.mark.parametrize("name", ["start", "nanoseconds", "positions", "velocities", "effort"])
def test_nothing_changes_the_points_once_they_are_built(name: str) -> None:
    time, X, U = motion(1.0)
    points = Trajectory.of(time, X, U)
    before = getattr(points, name).copy()
    with pytest.raises(ValueError, match="read-only"):
        getattr(points, name)[0] = 7
    X += 1.0
    U += 1.0
    np.testing.assert_array_equal(getattr(points, name), before)


def test_the_checksum_is_that_of_all_numbers() -> None:
    time, X, U = motion(1.0)
    points = Trajectory.of(time, X, U)
    columns = (points.nanoseconds.astype("<i8"), points.positions.astype("<f8"), points.velocities.astype("<f8"))
    assert points.checksum == zlib.crc32(b"".join(np.ascontiguousarray(column).tobytes() for column in columns))
    X[3, 1] = np.nextafter(X[3, 1], 9.0)
    assert Trajectory.of(time, X, U).checksum != points.checksum
    assert Trajectory.of(time, X, U, lead=1e-9).checksum != points.checksum


# ---------------------------------------------------------------- between points


@given(st.integers(0, 1000), st.floats(0.01, 1.0), st.floats(0.1, 0.5))
def test_samples_are_on_the_splines_and_close_together(seed: int, h: float, step: float) -> None:
    rng = np.random.default_rng(seed)
    times = 7.0 + h * np.cumsum(rng.uniform(0.5, 1.0, 6))
    Q, V = rng.uniform(-1, 1, (6, N)), rng.uniform(-1, 1, (6, N))
    when, found = sampled(times, Q, V, step)
    assert (np.abs(np.diff(found, axis=0)) <= step + 1e-9).all()
    assert (np.diff(when) > 0.0).all()
    for k in range(6):
        at = int(np.argmin(np.abs(when - times[k])))
        np.testing.assert_allclose(found[at], Q[k], atol=1e-12)
    for t, q in zip(when, found, strict=True):
        k = min(int(np.searchsorted(times, t, side="right")) - 1, 4)
        d = times[k + 1] - times[k]
        a = np.linalg.solve(
            [[1, 0, 0, 0], [0, 1, 0, 0], [1, d, d**2, d**3], [0, 1, 2 * d, 3 * d**2]], [Q[k], V[k], Q[k + 1], V[k + 1]]
        )
        np.testing.assert_allclose(q, a.T @ (t - times[k]) ** np.arange(4), atol=1e-7)


def test_no_more_samples_than_knots_where_these_are_close() -> None:
    times, Q = 0.02 * np.arange(6), 0.02 * np.arange(6.0)[:, None] * np.ones((6, N))
    when, found = sampled(times, Q, np.ones((6, N)), 0.05)
    np.testing.assert_array_equal(when, times)
    np.testing.assert_array_equal(found, Q)


def test_samples_are_bounded_where_nothing_else_is() -> None:
    when, _ = sampled(np.array([0.0, 1.0]), np.array([[0.0], [1e9]]), np.zeros((2, 1)), 0.05)
    assert len(when) == 301


@pytest.mark.parametrize("before, after", [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 1.0), (-1.0, -1.0)])
def test_a_way_is_sampled_as_its_fastest_part_needs(before: float, after: float) -> None:
    """The fastest part is at one end."""
    Q, V = np.array([[0.0], [(before + after) / 3.0]]), np.array([[before], [after]])
    _, found = sampled(np.array([0.0, 1.0]), Q, V, 0.3)
    assert len(found) == 5 and np.abs(np.diff(found, axis=0)).max() <= 0.3


def test_every_knot_is_a_sample_also_where_nothing_moves() -> None:
    when, found = sampled(np.array([0.0, 1.0, 2.0]), np.array([[0.5], [0.5], [0.6]]), np.zeros((3, 1)), 0.5)
    assert when.tolist() == [0.0, 1.0, 2.0] and found.ravel().tolist() == [0.5, 0.5, 0.6]
