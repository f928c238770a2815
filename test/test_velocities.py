"""Velocities of joints whose sender measures none. Time is the test's."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.ros.inputs.velocities import SHORTEST, WINDOW, VelocityEstimator

LIMIT = np.array([2.0, 3.0, 4.0])
ONE = np.array([1])


def estimates(times: list[float], speed: float) -> list[float]:
    estimator = VelocityEstimator(LIMIT)
    return [float(estimator.update(ONE, t, np.array([speed * t]))[0]) for t in times]


@pytest.mark.parametrize("period", [0.001, 0.002, 0.01, 0.033, 0.1])
def test_the_estimate_is_the_slope(period: float) -> None:
    found = np.array(estimates([5.0 + period * k for k in range(100)], 1.5))
    elapsed = np.arange(100) * period
    np.testing.assert_array_equal(found[elapsed < SHORTEST - 1e-6], 0.0)
    np.testing.assert_allclose(found[elapsed > SHORTEST + 1e-6], 1.5, atol=1e-9)


def test_the_difference_is_taken_over_a_window() -> None:
    """A step in position fades from the estimate after twice the window, and is spread over the window."""
    estimator, step = VelocityEstimator(np.array([1e9])), 0.01
    times = 0.001 * np.arange(300)
    found = np.array([estimator.update(np.array([0]), t, np.array([step * (t >= 0.1)]))[0] for t in times])
    assert np.abs(found).max() <= step / WINDOW * 1.001
    assert found[int(1000 * (0.1 + 2 * WINDOW)) + 2 :].max() == 0.0
    assert found[101] > 0.0


def test_the_estimate_keeps_to_the_speed_limit() -> None:
    assert estimates([1.0, 1.01, 1.02], 100.0)[-1] == LIMIT[1]
    assert estimates([1.0, 1.01, 1.02], -100.0)[-1] == -LIMIT[1]


def test_rest_after_a_gap_and_without_an_earlier_sample() -> None:
    """A gap is half a second."""
    times = [1.0, 1.01, 1.01 + 0.505, 1.02 + 0.505]
    np.testing.assert_allclose(estimates(times, 1.0), [0.0, 1.0, 0.0, 1.0], atol=1e-9)
    assert estimates([1.0, 1.0 + 0.495], 1.0)[-1] == pytest.approx(1.0)


def test_a_sample_with_the_same_stamp_divides_by_nothing() -> None:
    assert estimates([1.0, 1.0, 1.0], 1.0) == [0.0, 0.0, 0.0]


def test_joints_are_estimated_on_their_own() -> None:
    estimator = VelocityEstimator(LIMIT)
    estimator.update(np.array([0, 1]), 1.0, np.array([0.0, 0.0]))
    estimator.update(np.array([1]), 1.01, np.array([0.02]))
    np.testing.assert_allclose(estimator.update(np.array([0, 1, 2]), 1.02, np.array([0.02, 0.04, 9.0])), [1, 2, 0])
    estimator.forget()
    np.testing.assert_array_equal(estimator.update(np.array([0, 1]), 1.03, np.array([5.0, 5.0])), [0, 0])


def test_a_joint_that_turns_without_end_does_not_jump_by_a_turn() -> None:
    """Its driver may report it within [-pi, pi]; the same positions of a joint with limits are a jump."""
    turning = VelocityEstimator(np.full(2, 100.0), np.array([True, False]))
    for k, t in enumerate(np.arange(1.0, 2.0, 0.01)):
        angle = (3.0 + 0.02 * k + np.pi) % (2 * np.pi) - np.pi
        v = turning.update(np.array([0, 1]), float(t), np.array([angle, angle]))
        assert v[0] == pytest.approx(2.0 if k else 0.0, abs=1e-9)
    assert k > 50


def test_the_window_is_as_documented() -> None:
    """20 to 40 ms: a step in position is seen for that long."""
    estimator = VelocityEstimator(np.array([1e9]))
    found = [float(estimator.update(np.array([0]), 0.001 * k, np.array([float(k >= 100)]))[0]) for k in range(200)]
    seen = [k for k, v in enumerate(found) if v > 0.0]
    assert 20 <= len(seen) <= 41 and seen[0] == 100
