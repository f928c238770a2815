"""The state expected at a hand-over, and how far it may be from the desired one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sobo_planner.motion.braking import Brakes
from sobo_planner.motion.motion import Motion
from sobo_planner.motion.prediction import PREDICTION_STEP, coasting_state, expected_state, within_limits
from sobo_planner.motion.timeline import Timeline
from sobo_planner.planning.planner import Planner
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach

N = 6
POSITION_JUMP, VELOCITY_JUMP = 0.02, 0.2  # [rad, rad/s]: the largest steps of the desired state at a hand-over
JUMP = np.repeat([POSITION_JUMP, VELOCITY_JUMP], N)
BEGIN = 1_700_000_000.25  # ROS time is large

seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def motion(task: ArmReach, home: np.ndarray) -> Motion:
    plan = Planner(task).plan([*home, *np.zeros(N)], task.robot.tool_position(home + 0.5), duration=2.0)
    return Motion(BEGIN, task.dt, plan.X, plan.U, plan.K)


def limits(task: ArmReach) -> tuple[np.ndarray, np.ndarray]:
    robot = task.robot
    upper = np.concatenate([robot.position_upper, robot.velocity_limit])
    return np.concatenate([robot.position_lower, -robot.velocity_limit]), upper


def simulated(task: ArmReach, motions: list[Motion], x: np.ndarray, begin: float, end: float) -> np.ndarray:
    """The arm under its controller in steps of 0.1 ms, written out."""
    for time in np.linspace(begin, end, round((end - begin) / 1e-4), endpoint=False):
        motion = [motion for motion in motions if motion.begin <= time + 1e-9][-1]
        since = time - motion.begin
        stage = min(int(since / motion.dt + 1e-6), len(motion.U) - 1)
        desired = motion.state(time)
        u = np.clip(motion.U[stage] + motion.K[stage] @ (x - desired), -task.torque_limit, task.torque_limit)
        q, v = np.split(x, 2)
        v = v + 1e-4 * task.robot.forward_dynamics(q, v, u - task.robot.friction_torque(v))
        x = np.concatenate([q + 1e-4 * v, v])
    return x


@given(seeds, st.floats(0.0, 1.5), st.sampled_from([0.0, PREDICTION_STEP, 0.02, 0.033, 0.1]))
def test_expected_is_what_a_simulation_says(
    task: ArmReach, motion: Motion, seed: int, since: float, lead: float
) -> None:
    off = np.random.default_rng(seed).uniform(-0.25, 0.25, 2 * N) * JUMP
    measured, x = BEGIN + since, motion.state(BEGIN + since) + off
    found = expected_state(task, Timeline(motion), x, measured, measured + lead)
    expected = simulated(task, [motion], x, measured, measured + lead)
    # The prediction's steps are twenty times as long, and its friction is that of the speed that is desired.
    assert (np.abs(found - expected) <= 0.2 * JUMP).all()
    if lead == 0.0:
        np.testing.assert_allclose(found, x, atol=1e-12)


def test_expected_across_a_hand_over(task: ArmReach, motion: Motion) -> None:
    """Under the first motion until the second begins, then under that: here it brakes."""
    middle = BEGIN + 0.73
    stop = Brakes(task, PlanChecker(task)).motion(motion.state(middle), middle)
    timeline = Timeline(motion).then(stop, middle - 0.05)
    measured, handover = middle - 0.02, middle + 0.06
    x = motion.state(measured) + 0.2 * JUMP
    expected = simulated(task, [motion, stop], x, measured, handover)
    assert (np.abs(expected - simulated(task, [motion], x, measured, handover)) > JUMP).any()
    assert (np.abs(expected_state(task, timeline, x, measured, handover) - expected) <= 0.2 * JUMP).all()


def test_expected_torques_are_clipped_as_the_controllers_are(task: ArmReach, motion: Motion) -> None:
    """A feedforward far beyond the limit: without the limit the arm would be faster than the bound on the jump."""
    U = motion.U.copy()
    U[:, 0] += 20.0 * task.torque_limit[0]
    pushed, x = replace(motion, U=U), motion.state(BEGIN + 0.5)
    measured, handover = BEGIN + 0.5, BEGIN + 0.5 + 0.5 * PREDICTION_STEP
    found = expected_state(task, Timeline(pushed), x, measured, handover)
    expected = simulated(task, [pushed], x, measured, handover)
    assert abs(expected[N] - motion.state(handover)[N]) < 0.9 * VELOCITY_JUMP, "the bound does not act"
    np.testing.assert_allclose(found, expected, atol=0.01)


@given(st.floats(-1.0, 1.0), st.floats(-0.1, 0.5))
def test_an_arm_that_coasts_goes_on_within_its_limits(
    task: ArmReach, home: np.ndarray, speed: float, seconds: float
) -> None:
    x = np.concatenate([home, np.full(N, speed)])
    found = coasting_state(task, x, seconds)
    np.testing.assert_allclose(found, [*(home + max(seconds, 0.0) * speed), *x[N:]], atol=1e-12)
    far = coasting_state(task, x, 1e6)
    assert (far[:N] >= task.robot.position_lower).all() and (far[:N] <= task.robot.position_upper).all()


wild = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-10.0, 10.0)


@given(
    st.lists(wild, min_size=2 * N, max_size=2 * N),
    st.floats(-1.0, 3.0),
    st.sampled_from([0.0, 1e-4, 0.02, 0.2]),
    st.sampled_from([1.0, 1e3, 1e300]),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_measurement_takes_the_hand_over_far_from_the_desired_state(
    task: ArmReach, motion: Motion, x: list[float], since: float, lead: float, factor: float
) -> None:
    """Nor do gains that are absurd."""
    unfit = Motion(motion.begin, motion.dt, motion.X, motion.U, factor * motion.K)
    measured = BEGIN + since
    found = expected_state(task, Timeline(unfit), np.array(x), measured, measured + lead)
    deviation = np.abs(found - motion.state(measured + lead))
    assert (deviation <= JUMP + 1e-12).all()
    lower, upper = limits(task)
    assert (found >= lower - 1e-12).all() and (found <= upper + 1e-12).all()


@pytest.mark.parametrize("lead", [0.0, 0.02])
def test_a_measurement_that_is_not_finite_is_not_believed(task: ArmReach, motion: Motion, lead: float) -> None:
    """Not even its other joints."""
    x = motion.state(BEGIN + 0.5) + 0.5 * JUMP
    for bad in (np.nan, np.inf, -np.inf):
        x[3] = bad
        found = expected_state(task, Timeline(motion), x, BEGIN + 0.5, BEGIN + 0.5 + lead)
        np.testing.assert_array_equal(found, motion.state(BEGIN + 0.5 + lead))


def test_a_state_that_is_newer_than_the_hand_over_counts_as_it_is(task: ArmReach, motion: Motion) -> None:
    """Nothing is known of the way back."""
    x = motion.state(BEGIN + 0.5) + 0.5 * JUMP
    found = expected_state(task, Timeline(motion), x, BEGIN + 0.5 + 0.5 * PREDICTION_STEP, BEGIN + 0.5)
    np.testing.assert_allclose(found, x, atol=1e-12)


@given(st.lists(st.floats(-50.0, 50.0), min_size=2 * N, max_size=2 * N))
def test_within_limits_moves_only_what_is_outside(task: ArmReach, x: list[float]) -> None:
    lower, upper = limits(task)
    found = within_limits(task, np.array(x))
    for value, low, high, given_value in zip(found, lower, upper, x, strict=True):
        assert value == (low if given_value < low else high if given_value > high else given_value)
