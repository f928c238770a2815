"""Motions in time: interpolation, hand-overs, and the state expected at one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sobo_planner.motion.braking import Brakes
from sobo_planner.motion.motion import JOIN, Motion
from sobo_planner.motion.prediction import (
    POSITION_JUMP,
    PREDICTION_STEP,
    VELOCITY_JUMP,
    coasting_state,
    expected_state,
    within_limits,
)
from sobo_planner.motion.timeline import HISTORY, Followed, Timeline
from sobo_planner.planning.planner import Planner
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach

N = 6
JUMP = np.repeat([POSITION_JUMP, VELOCITY_JUMP], N)
BEGIN = 1_700_000_000.25  # ROS time is large

seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def motion(task: ArmReach, home: np.ndarray) -> Motion:
    plan = Planner(task).plan([*home, *np.zeros(N)], task.robot.tool_position(home + 0.5))
    return Motion(BEGIN, task.dt, plan.X, plan.U, plan.K)


def noise_motion(seed: int, T: int = 8, begin: float = 0.0) -> Motion:
    """Any numbers: what is true of a motion's times does not depend on what moves."""
    rng = np.random.default_rng(seed)
    return Motion(begin, 0.02, rng.normal(size=(T + 1, 2 * N)), rng.normal(size=(T, N)), rng.normal(size=(T, N, 2 * N)))


def limits(task: ArmReach) -> tuple[np.ndarray, np.ndarray]:
    robot = task.robot
    upper = np.concatenate([robot.position_upper, robot.velocity_limit])
    return np.concatenate([robot.position_lower, -robot.velocity_limit]), upper


# ---------------------------------------------------------------- Motion


@given(seeds, st.lists(st.floats(-0.3, 0.5), min_size=1, max_size=20), st.sampled_from([0.0, -3.0, BEGIN]))
def test_states_are_linear_between_knots_and_at_rest_after_the_end(
    seed: int, offsets: list[float], begin: float
) -> None:
    motion = noise_motion(seed, begin=begin)
    times = begin + np.array(offsets)
    since = times - begin  # what is left of them, next to a large beginning
    expected = np.column_stack([np.interp(since, 0.02 * np.arange(9), column) for column in motion.X.T])
    expected[times > begin + 0.16, N:] = 0.0
    found = motion.states(times)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_array_equal(found, [motion.state(time) for time in times])


@given(seeds)
def test_states_at_the_knots_are_the_knots(seed: int) -> None:
    motion = noise_motion(seed)
    np.testing.assert_allclose(motion.states(motion.time), motion.X, atol=1e-12)
    assert motion.end == pytest.approx(0.16)
    after = motion.state(motion.end + 1e-6)
    np.testing.assert_array_equal(after, [*motion.X[-1, :N], *np.zeros(N)])
    np.testing.assert_array_equal(motion.state(-1e9), motion.X[0])
    np.testing.assert_array_equal(motion.state(1e9), after)


@given(seeds, st.integers(0, 7), st.floats(0.001, 0.999), st.sampled_from([0.0, BEGIN]))
def test_the_stage_is_that_of_the_interval(seed: int, stage: int, share: float, begin: float) -> None:
    motion = noise_motion(seed, begin=begin)
    assert motion.stage(begin + 0.02 * (stage + share)) == stage
    assert motion.stage(begin + 0.02 * stage) == stage, "whatever rounding makes of it"
    assert motion.stage(begin - 5.0) == 0 and motion.stage(begin + 5.0) == 7


# ---------------------------------------------------------------- the rest of a motion as a start


@given(seeds, st.floats(0.0, 1.9), st.sampled_from([0.0, 0.1, 1.0]))
def test_the_rest_of_a_motion_begins_at_the_state_and_returns_to_it(
    task: ArmReach, motion: Motion, seed: int, since: float, off: float
) -> None:
    rng, begin = np.random.default_rng(seed), BEGIN + since
    x = within_limits(task, motion.state(begin) + off * rng.uniform(-1, 1, 2 * N) * JUMP)
    guess = motion.from_time(task, begin, x)
    assert guess.X.shape == (task.horizon + 1, 2 * N) and guess.U.shape == (task.horizon, N)
    np.testing.assert_array_equal(guess.X[0], x)
    replayed = np.array([task.robot.step(*pair, task.dt) for pair in zip(guess.X, guess.U, strict=False)])
    np.testing.assert_allclose(replayed, guess.X[1:], atol=1e-12)
    assert (np.abs(guess.U) <= task.torque_limit).all()
    joined = round(JOIN / task.dt) + 5
    desired = np.array([motion.state(begin + task.dt * k) for k in range(task.horizon + 1)])
    assert (np.abs(guess.X - desired)[joined:] <= 0.05 * JUMP).all()


# ---------------------------------------------------------------- Timeline


@given(st.lists(st.floats(0.001, 0.3), min_size=1, max_size=12), st.lists(st.floats(-1.0, 5.0), min_size=1))
def test_each_motion_is_followed_from_its_beginning_on(gaps: list[float], times: list[float]) -> None:
    begins = np.cumsum(gaps)
    motions = [noise_motion(k, begin=float(begin)) for k, begin in enumerate(begins)]
    timeline = Timeline(motions[0])
    for motion in motions[1:]:
        timeline = timeline.then(motion, now=-10.0)  # nothing is old
    assert timeline.last is motions[-1] and timeline.end == motions[-1].end
    for time in [*times, *map(float, begins)]:
        begun = [motion for motion in motions if motion.begin <= time]
        followed = begun[-1] if begun else motions[0]
        assert timeline.at(time) is followed
        np.testing.assert_array_equal(timeline.state(time), followed.state(time))


@given(st.lists(st.floats(0.01, 0.4), min_size=1, max_size=40), st.floats(0.0, 0.2), st.floats(0.0, HISTORY))
def test_what_is_kept_is_bounded_and_enough_for_measurements(gaps: list[float], lead: float, age: float) -> None:
    timeline, motions, now = Timeline(noise_motion(0)), [noise_motion(0)], 0.0
    for k, gap in enumerate(gaps):
        now += gap
        motions.append(noise_motion(k, begin=now + lead))
        timeline = timeline.then(motions[-1], now)
        followed = [motion for motion in motions if motion.begin <= now - age] or motions[:1]
        np.testing.assert_array_equal(timeline.state(now - age), followed[-1].state(now - age))
        assert len(timeline._motions) <= 3 + (HISTORY + lead) / 0.01


def test_a_motion_takes_the_place_of_those_that_would_begin_later() -> None:
    first, late, early = noise_motion(1), noise_motion(2, begin=0.5), noise_motion(3, begin=0.3)
    before = Timeline(first).then(late, 0.0)
    after = before.then(early, 0.0)
    assert after.at(0.6) is early and after.at(0.2) is first
    assert before.at(0.6) is late, "a timeline never changes"


# ---------------------------------------------------------------- the state at a hand-over


def simulated(task: ArmReach, motions: list[Motion], x: np.ndarray, begin: float, end: float) -> np.ndarray:
    """The arm under its controller in steps of 0.1 ms, written out."""
    for time in np.linspace(begin, end, round((end - begin) / 1e-4), endpoint=False):
        motion = [motion for motion in motions if motion.begin <= time + 1e-9][-1]
        since = time - motion.begin
        stage = min(int(since / motion.dt + 1e-6), len(motion.U) - 1)
        desired = np.array([np.interp(since, motion.time, column) for column in motion.X.T])
        u = np.clip(motion.U[stage] + motion.K[stage] @ (x - desired), -task.torque_limit, task.torque_limit)
        q, v = np.split(x, 2)
        v = v + 1e-4 * task.robot.forward_dynamics(q, v, u)
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
    assert (np.abs(found - expected) <= 0.1 * JUMP).all(), "the prediction's steps are twenty times as long"
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
    assert (np.abs(expected_state(task, timeline, x, measured, handover) - expected) <= 0.1 * JUMP).all()


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


# ---------------------------------------------------------------- what is followed


def test_what_is_followed_is_recorded_once() -> None:
    followed, first, second = Followed(), noise_motion(1, begin=1.0), noise_motion(2, begin=1.05)
    assert followed.timeline is None
    followed.shift(3.0)
    assert followed.timeline is None
    followed.add(first, 0.98)
    before = followed.timeline
    assert before is not None and before.last is first
    followed.add(second, 1.04)
    timeline = followed.timeline
    assert timeline is not None and timeline.at(1.02) is first and timeline.at(1.06) is second
    assert before.last is first, "what was looked at does not change"
    followed.forget()
    assert followed.timeline is None


@given(st.floats(-500.0, 500.0), st.floats(0.9, 1.4))
def test_a_clock_that_is_set_takes_what_is_followed_along(by: float, time: float) -> None:
    followed, begins = Followed(), (1.0, 1.05, 1.1)
    assume(min(abs(time - begin) for begin in begins) > 1e-6)  # rounding
    for k, begin in enumerate(begins):
        followed.add(noise_motion(k, begin=begin), begin)
    before = followed.timeline
    followed.shift(by)
    assert before is not None and followed.timeline is not None
    np.testing.assert_array_equal(followed.timeline.at(time + by).X, before.at(time).X)
    np.testing.assert_allclose(followed.timeline.state(time + by), before.state(time), atol=1e-6)
    assert followed.timeline.end == pytest.approx(before.end + by)


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


def test_a_measurement_that_is_not_finite_is_not_believed(task: ArmReach, motion: Motion) -> None:
    x = motion.state(BEGIN + 0.5)
    for bad in (np.nan, np.inf, -np.inf):
        x[3] = bad
        found = expected_state(task, Timeline(motion), x, BEGIN + 0.5, BEGIN + 0.52)
        np.testing.assert_array_equal(found, motion.state(BEGIN + 0.52))


@given(st.lists(st.floats(-50.0, 50.0), min_size=2 * N, max_size=2 * N))
def test_within_limits_moves_only_what_is_outside(task: ArmReach, x: list[float]) -> None:
    lower, upper = limits(task)
    found = within_limits(task, np.array(x))
    for value, low, high, given_value in zip(found, lower, upper, x, strict=True):
        assert value == (low if given_value < low else high if given_value > high else given_value)
