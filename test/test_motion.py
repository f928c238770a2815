"""Motions in time: interpolation, the points that leave for a controller, and what is followed when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sobo_planner.motion.motion import Motion, follow
from sobo_planner.motion.prediction import within_limits
from sobo_planner.motion.timeline import Followed, Timeline
from sobo_planner.planning.planner import Planner
from sobo_planner.safety import Trajectory
from sobo_planner.tasks import ArmReach

N = 6
JUMP = np.repeat([0.02, 0.2], N)  # [rad, rad/s]
JOIN = 0.4  # [s] in which a deviation fades
HISTORY = 0.5  # [s] for which it is known what was followed
BEGIN = 1_700_000_000.25  # ROS time is large

seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def motion(task: ArmReach, home: np.ndarray) -> Motion:
    """Of two seconds, with accelerations to spare for who is off it."""
    plan = Planner(task).plan(
        [*home, *np.zeros(N)], task.robot.tool_position(home + 0.5), duration=2.0, acceleration_scaling=0.5
    )
    return Motion(BEGIN, task.dt, plan.X, plan.U, plan.K)


def noise_motion(seed: int, T: int = 8, begin: float = 0.0) -> Motion:
    """Any numbers: what is true of a motion's times does not depend on what moves."""
    rng = np.random.default_rng(seed)
    return Motion(begin, 0.02, rng.normal(size=(T + 1, 2 * N)), rng.normal(size=(T, N)), rng.normal(size=(T, N, 2 * N)))


# ---------------------------------------------------------------- Motion


def bezier(points: np.ndarray, share: float) -> np.ndarray:
    """A point of the curve with these control points (K, m), by de Casteljau's construction."""
    while len(points) > 1:
        points = (1.0 - share) * points[:-1] + share * points[1:]
    out: np.ndarray = points[0]
    return out


@given(seeds, st.lists(st.floats(-0.3, 0.5), min_size=1, max_size=20), st.sampled_from([0.0, -3.0, BEGIN]))
def test_states_lie_on_the_splines_through_the_knots_and_are_at_rest_after_the_end(
    seed: int, offsets: list[float], begin: float
) -> None:
    motion, h = noise_motion(seed, begin=begin), 0.02
    times = begin + np.array(offsets)
    found = motion.states(times)
    np.testing.assert_array_equal(found, [motion.state(time) for time in times])
    for since, x in zip(times - begin, found, strict=True):  # what is left of them, next to a large beginning
        if since <= 0.0:
            np.testing.assert_allclose(x, motion.X[0], atol=1e-12)
        elif since > 0.16:
            np.testing.assert_allclose(x, [*motion.X[-1, :N], *np.zeros(N)], atol=1e-12)
        else:
            k = min(int(since / h), 7)
            (q0, q1), (v0, v1) = motion.X[k : k + 2, :N], motion.X[k : k + 2, N:]
            controls = np.array([q0, q0 + h * v0 / 3.0, q1 - h * v1 / 3.0, q1])
            share = since / h - k
            np.testing.assert_allclose(x[:N], bezier(controls, share), atol=1e-7)
            np.testing.assert_allclose(x[N:], bezier(3.0 * np.diff(controls, axis=0) / h, share), atol=1e-5)


def test_between_knots_a_planned_motion_has_constant_accelerations(task: ArmReach, motion: Motion) -> None:
    for t in (0, 30, 99):
        (q, v), half = np.split(motion.X[t], 2), 0.5 * task.dt
        a = (motion.X[t + 1, N:] - v) / task.dt
        middle = np.concatenate([q + half * v + 0.5 * half**2 * a, v + half * a])
        np.testing.assert_allclose(motion.state(motion.begin + task.dt * (t + 0.5)), middle, atol=1e-5)


@given(seeds)
def test_states_at_the_knots_are_the_knots(seed: int) -> None:
    motion = noise_motion(seed)
    np.testing.assert_allclose(motion.states(motion.time), motion.X, atol=1e-12)
    assert motion.end == pytest.approx(0.16)
    after = motion.state(motion.end + 1e-6)
    np.testing.assert_allclose(after, [*motion.X[-1, :N], *np.zeros(N)], atol=1e-12)
    np.testing.assert_allclose(motion.state(-1e9), motion.X[0], atol=1e-12)
    np.testing.assert_array_equal(motion.state(1e9), after)


@given(seeds, st.integers(0, 7), st.floats(0.001, 0.999), st.sampled_from([0.0, BEGIN]))
def test_the_stage_is_that_of_the_interval(seed: int, stage: int, share: float, begin: float) -> None:
    motion = noise_motion(seed, begin=begin)
    assert motion.stage(begin + 0.02 * (stage + share)) == stage
    assert motion.stage(begin + 0.02 * stage) == stage, "whatever rounding makes of it"
    assert motion.stage(begin + 0.02 * (stage + 1 - 1.5e-4)) == stage, "3 us before a knot are before it"
    assert motion.stage(begin - 5.0) == 0 and motion.stage(begin + 5.0) == 7


@given(seeds, st.integers(0, 12), st.floats(0.001, 0.999))
def test_a_motion_moved_on_has_as_many_steps_and_rests_after_its_end(seed: int, steps: int, share: float) -> None:
    motion, begin = noise_motion(seed, begin=3.0), 3.0 + 0.02 * (steps + share)
    guess, gains = motion.shifted(begin), motion.gains_from(begin)
    assert guess.X.shape == motion.X.shape
    for k, x in enumerate(guess.X):
        np.testing.assert_allclose(x, motion.state(begin + 0.02 * k), atol=1e-9)
    stages = np.minimum(np.arange(steps, steps + 8), 7)
    np.testing.assert_array_equal(guess.U, motion.U[stages])
    np.testing.assert_array_equal(gains, motion.K[stages])


@pytest.mark.parametrize("moving_end", [None, False, True])
def test_the_points_of_a_motion_brake_at_its_end_unless_it_may_move_there(moving_end: bool | None) -> None:
    motion = noise_motion(1, begin=3.0)
    points = motion.trajectory(0.1) if moving_end is None else motion.trajectory(0.1, moving_end)
    expected = Trajectory.of(motion.time, motion.X, motion.U, lead=0.1, moving_end=bool(moving_end))
    assert points.checksum == expected.checksum and points.nanoseconds[0] == 100_000_000
    np.testing.assert_array_equal(points.effort, expected.effort)
    assert (points.velocities[-1] != 0.0).any() == bool(moving_end)


# ---------------------------------------------------------------- the rest of a motion as a start


def test_what_is_followed_is_no_faster_than_99_percent_of_the_rated_speed(task: ArmReach, home: np.ndarray) -> None:
    v = 1.2 * task.robot.velocity_limit * (np.arange(N) == 5)
    steps = task.dt * np.arange(1, 41)[:, None]
    guess = follow(task, np.array([*home, *np.zeros(N)]), np.hstack([home + steps * v, np.tile(v, (40, 1))]))
    assert guess.X[:, N + 5].max() == pytest.approx(0.99 * task.robot.velocity_limit[5], abs=2e-3)


@given(seeds, st.floats(0.0, 1.9), st.sampled_from([0.0, 0.1, 1.0]))
def test_the_rest_of_a_motion_begins_at_the_state_and_returns_to_it(
    task: ArmReach, motion: Motion, seed: int, since: float, off: float
) -> None:
    rng, begin = np.random.default_rng(seed), BEGIN + since
    x = within_limits(task, motion.state(begin) + off * rng.uniform(-1, 1, 2 * N) * JUMP)
    guess = motion.from_time(task, begin, x)
    assert guess.X.shape == (task.horizon + 1, 2 * N) and guess.U.shape == (task.horizon, N)
    np.testing.assert_array_equal(guess.X[0], x)
    replayed = np.array(
        [task.robot.step(*pair, task.dt, task.integrator) for pair in zip(guess.X, guess.U, strict=False)]
    )
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


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=40), st.floats(0.0, 0.2), st.floats(0.0, HISTORY))
def test_what_is_kept_is_bounded_and_enough_for_measurements(gaps: list[float], lead: float, age: float) -> None:
    timeline, motions, now = Timeline(noise_motion(0)), [noise_motion(0)], 0.0
    for k, gap in enumerate(gaps):
        now += gap
        motions.append(noise_motion(k, begin=now + lead))
        timeline = timeline.then(motions[-1], now)
        followed = [motion for motion in motions if motion.begin <= now - age] or motions[:1]
        np.testing.assert_array_equal(timeline.state(now - age), followed[-1].state(now - age))
        assert [each.begin for each in timeline._motions[1:]] == [
            each.begin for each in motions[1:] if each.begin >= now - HISTORY
        ], "and one before them"


def test_a_motion_takes_the_place_of_those_that_would_begin_later() -> None:
    first, early = noise_motion(1), noise_motion(3, begin=0.3)
    late, later = noise_motion(2, begin=0.5), noise_motion(4, begin=0.6)
    before = Timeline(first).then(late, 0.0)
    after = before.then(later, 0.0).then(early, 0.0)
    assert after.at(0.6) is early and after.at(0.2) is first
    times = np.array([0.4, 0.55, 0.7])
    np.testing.assert_array_equal(after.commands(times)[0], early.states(times))
    assert before.at(0.6) is late, "a timeline never changes"


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
