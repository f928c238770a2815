"""Extremes of splines against the splines themselves, and what the checker says of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.interpolate import CubicHermiteSpline

from sobo_planner import _native
from sobo_planner.motion.motion import splined
from sobo_planner.planning import Planner
from sobo_planner.safety import Limit, PlanChecker
from sobo_planner.safety.curve import extremes
from sobo_planner.safety.points import sampled
from sobo_planner.tasks import load_task

LIMIT = 12.0
numbers = st.floats(-5.0, 5.0).map(lambda value: round(value, 3))


def arrays(shape: tuple[int, ...]):
    return npst.arrays(np.float64, shape, elements=numbers)


@pytest.fixture(scope="module")
def arm():
    return load_task("ur5", integrator="constant_acceleration", acceleration_limits=[LIMIT])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(0.01, 2.0), numbers, numbers), min_size=2, max_size=6))
def test_extremes_are_those_of_the_spline(knots: list[tuple[float, float, float]]) -> None:
    times = np.cumsum([step for step, _, _ in knots])
    p, v = (np.array([knot[i] for knot in knots]) for i in (1, 2))
    spline = CubicHermiteSpline(times, p, v)
    found = extremes(times, p[:, None], v[:, None])
    for k in range(len(times) - 1):
        fine = np.linspace(times[k], times[k + 1], 4001)[:-1] + 1e-12
        for order, sides in enumerate((found.position, found.velocity, found.acceleration)):
            values = spline(fine, order)
            lowest, highest = sides[0][k, 0], sides[1][k, 0]
            reach = 1e-3 * (1.0 + np.ptp(values))
            assert lowest <= values.min() + 1e-6 * (1.0 + abs(lowest)) and lowest >= values.min() - reach
            assert highest >= values.max() - 1e-6 * (1.0 + abs(highest)) and highest <= values.max() + reach


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(0.01, 2.0), numbers, numbers), min_size=2, max_size=6), st.floats(0.01, 1.0))
def test_states_and_samples_along_the_spline(knots: list[tuple[float, float, float]], step: float) -> None:
    times = np.cumsum([duration for duration, _, _ in knots]).round(9)
    p, v = (np.array([knot[i] for knot in knots]) for i in (1, 2))
    spline = CubicHermiteSpline(times, p, v)
    at = np.append(times, np.linspace(times[0], times[-1], 30))
    found = splined(times, np.column_stack([p, v]), at)
    np.testing.assert_allclose(found, np.column_stack([spline(at), spline(at, 1)]), rtol=0.0, atol=1e-9)
    beyond = splined(times, np.column_stack([p, v]), np.array([times[0] - 1.0, times[-1] + 1.0]))
    np.testing.assert_allclose(beyond, [[p[0], v[0]], [p[-1], v[-1]]], rtol=0.0, atol=1e-12)
    when, curve = sampled(times, p[:, None], v[:, None], step)
    np.testing.assert_allclose(curve[:, 0], spline(when), rtol=0.0, atol=1e-9)
    assert set(times) <= set(when) and (np.diff(when) > 0.0).all()
    assert len(when) > 300 or np.abs(np.diff(curve[:, 0])).max() <= step + 1e-9


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(0.1, 1.0), numbers, numbers), min_size=2, max_size=4), st.data())
def test_bounds_that_are_certainly_kept(knots: list[tuple[float, float, float]], data) -> None:
    """As the extremes say; each bound alone decides."""
    times = np.cumsum([step for step, _, _ in knots])
    p, v = (np.array([[knot[i]] for knot in knots]) for i in (1, 2))
    found, jumps = extremes(times, p, v), np.abs(np.diff(p, axis=0)) / np.diff(times)[:, None]
    U, K = data.draw(arrays((len(times) - 1, 1))), data.draw(arrays((len(times) - 1, 1, 2)))
    largest = {
        "upper": found.position[1].max(),
        "lower": -found.position[0].min(),
        "velocity": max(np.abs(found.velocity).max(), jumps.max()),
        "acceleration": np.abs(found.acceleration).max(),
        "torque": np.abs(U).max(),
        "gain": np.abs(K).max(),
    }
    bounds = {name: np.array([value + 1e-6]) for name, value in largest.items()}

    def kept(**other: np.ndarray) -> bool:
        both = bounds | other
        both["lower"] = -both["lower"]
        return _native.JointBounds(**both, tolerance=0.0, curves=True).kept(times, p, v, U, K)

    assert kept()
    name = data.draw(st.sampled_from(sorted(bounds)))
    assert not kept(**{name: bounds[name] - 2e-6 - 1e-9 * abs(bounds[name])})
    p[data.draw(st.integers(0, len(times) - 1))] = np.nan
    assert not kept()


def test_plans_keep_their_limits_between_the_points(arm) -> None:
    planner, rng = Planner(arm, None, PlanChecker(arm)), np.random.default_rng(3)
    for _ in range(5):
        instance = arm.sample(rng)
        plan = planner.plan(instance.x0, instance.target)
        found = extremes(plan.time, plan.X[:, :6], plan.X[:, 6:])
        assert max(np.abs(side).max() for side in found.acceleration) <= 1.01 * LIMIT
        assert max(np.abs(side).max() for side in found.velocity) <= arm.robot.velocity_limit[0] + 1e-3


def motion(q: list[float], v: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Time, X, U and K of an arm whose first joint has these positions and velocities, in knots of 0.2 s."""
    count = len(q)
    home = np.array([0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0])
    X = np.zeros((count, 12))
    X[:, :6] = home
    X[:, 0], X[:, 6] = q, v
    return 0.2 * np.arange(count), X, np.zeros((count - 1, 6)), np.zeros((count - 1, 6, 12))


@pytest.mark.parametrize(
    ("q", "v", "limit"),
    [
        ([0.0, 0.09, 0.36], [0.0, 0.9, 1.8], None),  # 4.5 rad/s^2, then the braking of an end that is fast
        ([0.0, 0.3, 0.6], [0.0, 3.0, 0.0], Limit.ACCELERATION),
        ([0.0, 0.0, 0.0], [0.6, -0.6, 0.6], None),
    ],
)
def test_what_a_controller_would_do_between_two_points(arm, q, v, limit) -> None:
    found = PlanChecker(arm).check(*motion(q, v))
    assert (found and found.limit) is limit


def test_speed_between_the_points() -> None:
    """Twice 0.5 rad in 0.2 s with 2 rad/s at the points: 2.75 rad/s halfway."""
    quick = load_task("ur5", integrator="constant_acceleration", acceleration_limits=[1000.0])
    points = motion([0.0, 0.5, 1.0], [2.0, 2.0, 2.0])
    quick.robot.velocity_limit = np.full(6, 2.76)
    assert PlanChecker(quick).check(*points) is None
    quick.robot.velocity_limit = np.full(6, 2.74)
    found = PlanChecker(quick).check(*points)
    assert found is not None and found.limit is Limit.VELOCITY and "2.7500 rad/s" in found.detail


def test_positions_and_boxes_count_between_the_points(arm) -> None:
    """0.03 rad further than both points, where the joint turns round."""
    points = motion([0.0, 0.0, 0.0], [0.6, -0.6, 0.0])
    box = np.full(6, 7.0)
    box[0] = 0.028
    found = PlanChecker(arm, joint_box=(-box, box)).check(*points)
    assert found is not None and found.limit is Limit.JOINT_BOX and "shoulder_pan_joint is 0.0300 rad" in found.detail
    box[0] = 0.031
    assert PlanChecker(arm, joint_box=(-box, box)).check(*points) is None
    arm.robot.position_upper[0], before = 0.028, arm.robot.position_upper[0]
    try:
        found = PlanChecker(arm).check(*points)
    finally:
        arm.robot.position_upper[0] = before
    assert found is not None and found.limit is Limit.POSITION


def test_tasks_without_these_limits_are_checked_at_the_points(unlimited) -> None:
    assert PlanChecker(unlimited).check(*motion([0.0, 0.0, 0.0], [0.6, -0.6, 0.0])) is None
