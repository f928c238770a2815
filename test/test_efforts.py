"""First-order corrections between solves: which torque belongs to a state, and when none does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.motion import Motion, Timeline
from sobo_planner.ros.outputs.efforts import QOS, corrected_torque

N, T, DT, BEGIN = 3, 10, 0.1, 100.0
SPEED, LIMIT = np.full(N, 3.0), np.full(N, 50.0)
END_TORQUE = np.array([1.0, 2.0, 3.0])


@pytest.fixture
def motion() -> Motion:
    """All joints at a constant speed; torques count the steps, and every step has gains of its own."""
    speed = np.array([0.1, -0.2, 0.3])
    X = np.array([[*(DT * k * speed), *speed] for k in range(T + 1)])
    U = np.arange(T)[:, None] + np.array([0.0, 0.1, 0.2])
    K = -np.array([np.hstack([(100.0 + k) * np.eye(N), 10.0 * np.eye(N)]) for k in range(T)])
    return Motion(BEGIN, DT, X, U, K)


def torque(motion: Motion | Timeline, now: float, x: np.ndarray, measured: float) -> np.ndarray | None:
    timeline = motion if isinstance(motion, Timeline) else Timeline(motion)
    return corrected_torque(timeline, now, x, measured, END_TORQUE, SPEED, LIMIT)


def test_an_arm_on_its_motion_gets_the_feedforward(motion: Motion) -> None:
    at = BEGIN + 0.25
    np.testing.assert_allclose(torque(motion, at, motion.state(at), at), motion.U[2])


def test_deviations_are_multiplied_by_the_gains_of_now(motion: Motion) -> None:
    off = np.array([1e-3, -2e-3, 3e-3, 0.01, 0.02, -0.03])
    expected = motion.U[3] - 103.0 * off[:N] - 10.0 * off[N:]
    at = BEGIN + 0.35
    np.testing.assert_allclose(torque(motion, at, motion.state(at) + off, at), expected)


def test_the_age_of_a_state_is_no_deviation(motion: Motion) -> None:
    """At 0.3 rad/s an arm is 6 mrad on after 20 ms: as a deviation, that would be 0.6 Nm here."""
    measured, now = BEGIN + 0.29, BEGIN + 0.31
    np.testing.assert_allclose(torque(motion, now, motion.state(measured), measured), motion.U[3])


def test_across_a_hand_over_the_state_is_compared_with_what_was_followed_then(motion: Motion) -> None:
    later = replace(motion, begin=BEGIN + 0.5, X=motion.X + np.repeat([0.05, 0.0], N), U=motion.U + 20.0)
    timeline = Timeline(motion).then(later, BEGIN + 0.4)
    measured, now = BEGIN + 0.49, BEGIN + 0.51
    np.testing.assert_allclose(torque(timeline, now, motion.state(measured), measured), later.U[0])


def test_after_the_end_the_last_state_is_held(motion: Motion) -> None:
    x = np.concatenate([motion.X[-1, :N] + 1e-3, np.zeros(N)])
    at = motion.end + 3.0
    np.testing.assert_allclose(torque(motion, at, x, at), END_TORQUE - 0.1 * 1.09)


def test_torques_keep_to_their_limits_and_catching_up_to_the_speeds(motion: Motion) -> None:
    """A joint 0.2 rad behind is led to 0.98 of its speed: not with -0.2 * 103 Nm."""
    at = BEGIN + 0.35
    x = motion.state(at) - [0.3, 0, 0, 0, 0, 0]
    found = torque(motion, at, x, at)
    ratio = 103.0 / 10.0
    assert found[0] == pytest.approx(motion.U[3, 0] + 103.0 * (0.98 * SPEED[0] - 0.1) / ratio)
    x = motion.state(at) + [0, 0, 0, 9.0, 0, -9.0]
    np.testing.assert_allclose(torque(motion, at, x, at)[[0, 2]], [-LIMIT[0], LIMIT[2]])


def test_before_the_first_motion_begins_there_is_none(motion: Motion) -> None:
    assert torque(motion, BEGIN - 1e-3, motion.X[0], BEGIN - 1e-3) is None
    assert torque(motion, BEGIN, motion.X[0], BEGIN - 1e-3) is not None


def test_a_number_that_is_not_finite_makes_none(motion: Motion) -> None:
    assert torque(motion, BEGIN, np.array([np.nan, 0, 0, 0, 0, 0]), BEGIN) is None


def test_group_controllers_subscribe_reliably() -> None:
    from rclpy.qos import ReliabilityPolicy

    assert QOS.reliability is ReliabilityPolicy.RELIABLE
