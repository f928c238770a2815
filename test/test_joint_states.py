"""Joint states: dated by stamps, merged joint by joint. Time is the test's."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.inputs.joint_states import RECENT, JointStates, Sample
from sobo_planner.ros.inputs.velocities import VelocityEstimator
from sobo_planner.ros.support.status import Refused, Status

NAMES = ["a", "b", "c"]
LIMIT = np.array([2.0, 3.0, 4.0])
ROS, MONOTONIC = 1_700_000_000.0, 500.0
OLDEST, AHEAD = 0.5, 0.2
NAN, INF = math.nan, math.inf


class Arm:
    """States on a clock that the test moves."""

    def __init__(self) -> None:
        self.states = JointStates(NAMES, LIMIT)
        self.now = 0.0

    def add(
        self, joints: list[int], q: list[float], v: list[float], at: float | None, now: float | None = None
    ) -> StampedState | None:
        """A sample stamped `at` (None: without a stamp) that arrives at `now`, by default then."""
        self.now = (self.now if at is None else at) if now is None else now
        stamp = None if at is None else ROS + at
        sample = Sample(np.array(joints), np.array(q, float), np.array(v, float), stamp)
        return self.states.add(sample, ROS + self.now, MONOTONIC + self.now, OLDEST, AHEAD)

    def whole(self, q: float, at: float | None, now: float | None = None) -> StampedState:
        state = self.add([0, 1, 2], [q, q, q], [0.0, 0.0, 0.0], at, now)
        assert state is not None
        return state


def close(value: float, expected: float) -> bool:
    return abs(value - expected) < 1e-5  # a double holds ROS time to 0.2 us


def test_the_age_is_that_of_the_measurement() -> None:
    state = Arm().whole(1.0, 10.0, now=10.3)
    np.testing.assert_array_equal(state.x, [1, 1, 1, 0, 0, 0])
    assert close(state.stamp, ROS + 10.0) and close(state.measured, MONOTONIC + 10.0)


@pytest.mark.parametrize("now", [10.0, 12.5])
def test_without_a_stamp_the_arrival_counts(now: float) -> None:
    state = Arm().whole(1.0, None, now)
    assert close(state.stamp, ROS + now) and close(state.measured, MONOTONIC + now)


def test_a_stamp_that_is_a_little_ahead_is_taken_for_the_arrival() -> None:
    arm = Arm()
    state = arm.whole(1.0, 10.0 + 0.9 * AHEAD, now=10.0)
    assert close(state.stamp, ROS + 10.0) and close(state.measured, MONOTONIC + 10.0)
    # but its order among others is that of its stamp
    assert arm.whole(2.0, 10.0 + 0.8 * AHEAD, now=10.01).x[0] == 1.0
    assert arm.states.out_of_order == 1


@pytest.mark.parametrize(
    ("stamp", "says"),
    [
        (10.0 - 1.1 * OLDEST, "is 0.55 s behind ROS time, allowed are 0.5 s (state_timeout)"),
        (-3590.0, "is 3600.00 s behind ROS time"),
        (10.0 + 1.1 * AHEAD, "is 0.22 s ahead of ROS time, allowed are 0.2 s (stamp_ahead)"),
        (3610.0, "is 3600.00 s ahead of ROS time"),
    ],
)
def test_a_stamp_from_long_ago_or_from_the_future_is_refused(stamp: float, says: str) -> None:
    arm = Arm()
    first = arm.whole(1.0, 9.9)
    with pytest.raises(Refused) as refused:
        arm.whole(2.0, stamp, now=10.0)
    assert refused.value.status is Status.STALE_STATE and says in refused.value.detail
    assert "use_sim_time" in refused.value.detail
    assert arm.states.out_of_order == 0
    assert arm.add([0], [1.0], [0.0], 9.8, now=10.0) is first, "what was there stays"


@pytest.mark.parametrize("share", [0.9, -0.9])
def test_stamps_within_the_bounds_are_taken(share: float) -> None:
    assert Arm().whole(1.0, 10.0 - share * (OLDEST if share > 0 else AHEAD), now=10.0).x[0] == 1.0


def test_a_state_out_of_order_is_dropped_and_counted() -> None:
    arm = Arm()
    newest = arm.whole(1.0, 10.0)
    assert arm.whole(2.0, 9.99, now=10.001) is newest
    assert arm.states.out_of_order == 1
    assert arm.whole(3.0, 10.01).x[0] == 3.0
    assert arm.states.out_of_order == 1


def test_a_state_with_the_same_stamp_replaces_it() -> None:
    """A duplicate does no harm; on a clock that stands still states go on, and each is as old as its arrival."""
    arm = Arm()
    arm.whole(1.0, 10.0)
    state = arm.states.add(
        Sample(np.arange(3), np.full(3, 2.0), np.zeros(3), ROS + 10.0), ROS + 10.0, MONOTONIC + 99.0, OLDEST, AHEAD
    )
    assert state is not None and state.x[0] == 2.0 and state.measured == MONOTONIC + 99.0
    assert arm.states.out_of_order == 0
    late = arm.whole(2.0, 10.0, now=10.2)
    assert close(late.measured, MONOTONIC + 10.0), "a copy that comes late is as old as the original"


def test_the_arm_in_parts() -> None:
    arm = Arm()
    assert arm.states.missing == NAMES
    assert arm.add([2], [3.0], [1.0], 10.0) is None
    assert arm.states.missing == ["a", "b"]
    state = arm.add([0, 1], [1.0, 2.0], [-1.0, 0.5], 10.02)
    assert state is not None and arm.states.missing == []
    # That of joint c, which is the oldest; the others are moved back to its time.
    np.testing.assert_allclose(state.x, [1.02, 1.99, 3.0, -1.0, 0.5, 1.0], atol=1e-6)
    assert close(state.stamp, ROS + 10.0) and close(state.measured, MONOTONIC + 10.0)
    joint, age = arm.states.oldest_joint(MONOTONIC + 10.5)
    assert joint == "c" and close(age, 0.5)


def test_absurd_numbers_stay_finite() -> None:
    arm = Arm()
    arm.add([0], [1e308], [NAN], 10.0)
    arm.add([0], [-1e308], [NAN], 10.01)
    arm.add([1], [1e308], [-1e308], 10.01)
    state = arm.add([2], [0.0], [1e308], 10.2)
    assert state is not None and np.isfinite(state.x).all()
    np.testing.assert_allclose(state.x, [-1e308, 1e308, 0.0 - 0.19 * LIMIT[2], -LIMIT[0], -1e308, 1e308], atol=1e-5)


def test_a_joint_that_was_never_seen_is_the_oldest() -> None:
    arm = Arm()
    arm.add([0, 2], [1.0, 2.0], [0.0, 0.0], 10.0)
    assert arm.states.oldest_joint(MONOTONIC) == ("b", INF)


def test_parts_with_equal_stamps_are_neither_late_nor_mixed_with_the_next() -> None:
    arm = Arm()
    for k in range(5):
        t = 10.0 + 0.01 * k
        arm.add([0], [k], [0.0], t)
        state = arm.add([1, 2], [k, k], [0.0, 0.0], t)
        assert state is not None and close(state.stamp, ROS + t)
        np.testing.assert_array_equal(state.x[:3], [k, k, k])
    assert arm.states.out_of_order == 0


def test_the_state_is_taken_when_the_samples_are_closest_together() -> None:
    """A fast group of joints does not drag an old sample of the slow one along."""
    arm = Arm()
    arm.add([0, 1], [0.0, 0.0], [0.0, 0.0], 10.0)
    state = arm.add([2], [0.0], [0.0], 10.0)
    for k in range(1, 10):
        assert arm.add([0, 1], [k, k], [0.0, 0.0], 10.0 + 0.01 * k) is state
    later = arm.add([2], [9.0], [0.0], 10.1)
    assert later is not None and close(later.stamp, ROS + 10.09)
    np.testing.assert_array_equal(later.x[:3], [9, 9, 9])


def test_a_part_out_of_order_leaves_the_other_joints_of_its_message() -> None:
    arm = Arm()
    arm.whole(0.0, 10.0)
    arm.add([0], [1.0], [0.0], 10.02)
    state = arm.whole(5.0, 10.01, now=10.03)  # older than that of joint a, newer than those of b and c
    np.testing.assert_array_equal(state.x[:3], [1, 5, 5])
    assert arm.states.out_of_order == 1


def test_a_part_that_stops_ages_the_state_and_comes_back() -> None:
    arm = Arm()
    first = arm.whole(0.0, 10.0)
    for k in range(1, 20):
        state = arm.add([0, 1], [k, k], [0.0, 0.0], 10.0 + 0.1 * k)
        assert state is first and close(state.measured, MONOTONIC + 10.0)
    again = arm.add([2], [7.0], [0.0], 11.9)
    assert again is not None and again is not first
    np.testing.assert_array_equal(again.x[:3], [19, 19, 7])


def test_after_a_clock_that_was_set_back_all_is_new() -> None:
    arm = Arm()
    arm.whole(0.0, 10.0)
    assert arm.add([0, 1], [1.0, 1.0], [0.0, 0.0], 3.0) is None, "joint c is not known on this clock"
    assert arm.states.missing == ["c"] and arm.states.out_of_order == 0
    state = arm.add([2], [1.0], [0.0], 3.01)
    assert state is not None
    np.testing.assert_allclose(state.x, [1, 1, 1, 0, 0, 0])


def test_a_clock_that_was_set_back_a_little_locks_out_no_longer_than_the_bound() -> None:
    arm = Arm()
    arm.whole(0.0, 10.0)
    assert arm.whole(1.0, 10.0 - 0.5 * AHEAD).x[0] == 0.0
    assert arm.whole(2.0, 10.001).x[0] == 2.0
    assert arm.states.out_of_order == 1


def test_a_clock_that_was_set_back_a_little_brings_no_state_of_parts_further_apart() -> None:
    arm = Arm()
    first = arm.whole(0.0, 10.1, now=10.0)
    assert arm.add([0], [5.0], [0.0], 10.1, now=9.95) is first
    assert arm.add([1, 2], [5.0, 5.0], [0.0, 0.0], 10.1, now=9.95) is not first


def test_after_a_clock_that_was_set_forward_parts_from_before_do_not_count() -> None:
    arm = Arm()
    first = arm.whole(0.0, 10.0)
    assert arm.add([0, 1], [1.0, 1.0], [2.0, 2.0], 3610.0) is first, "it is known by its age"
    state = arm.add([2], [1.0], [0.0], 3610.01)
    assert state is not None and close(state.stamp, ROS + 3610.0)
    np.testing.assert_allclose(state.x, [1, 1, 1, 2, 2, 0])


def test_a_driver_that_starts_again_with_earlier_stamps_is_taken_once_they_are_newer() -> None:
    """Within the bounds, that takes less than `oldest` and `ahead` together."""
    arm = Arm()
    arm.whole(0.0, 10.0 + 0.99 * AHEAD, now=10.0)
    back = [k for k in range(200) if arm.whole(1.0, 9.55 + 0.01 * k, now=10.01 + 0.01 * k).x[0] == 1.0]
    assert 0.01 * back[0] <= OLDEST + AHEAD


def test_forgetting() -> None:
    arm = Arm()
    arm.whole(0.0, 10.0)
    arm.states.forget()
    assert arm.states.missing == NAMES
    assert arm.add([0, 1], [1.0, 1.0], [NAN, NAN], 9.9, now=10.01) is None
    state = arm.add([2], [1.0], [NAN], 9.9, now=10.01)
    assert state is not None
    np.testing.assert_array_equal(state.x, [1, 1, 1, 0, 0, 0])  # no difference to what was before
    assert arm.states.out_of_order == 0


def test_velocities_are_estimated_where_none_was_measured() -> None:
    arm = Arm()
    for k in range(50):
        t = 0.004 * k
        state = arm.add([0, 1, 2], [1.0 * t, -2.0 * t, 0.0], [7.0, NAN, NAN], 10.0 + t)
    assert state is not None
    np.testing.assert_allclose(state.x[3:], [7.0, -2.0, 0.0], atol=1e-4)


@pytest.mark.parametrize("measured, off", [(0, 0.0), (RECENT - 1, 0.0), (RECENT + 30, 0.03)])
def test_an_estimate_knows_the_positions_that_came_with_velocities(measured: int, off: float) -> None:
    """As far back as an estimate may look."""
    arm, estimator = JointStates(NAMES, LIMIT), VelocityEstimator(LIMIT)
    for i in range(measured + 40):
        stamp, q = ROS + 0.001 * i, np.sin([0.001 * i, 0.002 * i, 1.0])
        v = np.zeros(3) if i < measured else np.array([NAN, 0.5, NAN])
        state = arm.add(Sample(np.arange(3), q, v, stamp), stamp, MONOTONIC, OLDEST, AHEAD)
        estimate = estimator.update(np.arange(3), stamp, q)
        assert state is not None
        if i >= measured:
            np.testing.assert_allclose(state.x[3:], [estimate[0], 0.5, estimate[2]], atol=off)
    assert estimate[0] > 0.5, "it moves"


@given(st.data())
def test_whatever_the_order_the_state_is_where_the_arm_was(data: st.DataObject) -> None:
    """Joints that move at constant speed: each state is exact at its stamp, whatever comes in between."""
    speed = np.array([0.5, -1.0, 2.0])
    arm, now, stamps, measured = Arm(), 10.0, [], []
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.floats(0.0, 0.02))
        joints = data.draw(st.lists(st.integers(0, 2), min_size=1, unique=True).map(sorted))
        delay = data.draw(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.1, 3600.0, -3600.0]))
        at = now - delay
        try:
            state = arm.add(joints, list(speed[joints] * at), list(speed[joints]), at, now)
        except Refused as refusal:
            assert refusal.status is Status.STALE_STATE and abs(delay) == 3600.0
            continue
        if state is not None:
            np.testing.assert_allclose(state.x[:3], speed * (state.stamp - ROS), atol=1e-4)
            np.testing.assert_array_equal(state.x[3:], speed)
            assert close(state.stamp - ROS, state.measured - MONOTONIC) and state.stamp <= ROS + now
            stamps.append(state.stamp)
            measured.append(state.measured)
    assert all(a <= b for a, b in pairwise(stamps)) and all(a <= b + 1e-6 for a, b in pairwise(measured))


def test_one_joint_tells_that_the_clock_was_set_back() -> None:
    arm = Arm()
    arm.add([0], [0.0], [0.0], 10.0)
    np.testing.assert_array_equal(arm.whole(1.0, 3.0).x[:3], [1, 1, 1])
    assert arm.states.out_of_order == 0


def test_positions_from_before_make_no_velocity_after_forgetting() -> None:
    arm = Arm()
    arm.add([0, 1, 2], [0.0] * 3, [NAN] * 3, 10.0)
    arm.states.forget()
    state = arm.add([0, 1, 2], [0.01] * 3, [NAN] * 3, 10.01)
    assert state is not None
    np.testing.assert_array_equal(state.x[3:], [0, 0, 0])
