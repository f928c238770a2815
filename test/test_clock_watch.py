"""Jumps of ROS time: found with their size, and not seen where there are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.ros.serve.clock_watch import BACKWARD, CATCH_UP, FASTEST, FORWARD, ClockWatch

waits = st.lists(st.floats(0.0, 0.2), min_size=1, max_size=30)
EPOCH = 1_700_000_000.0


@given(waits, st.floats(0.0, 5.0), st.sampled_from([0.0, EPOCH]))
def test_a_clock_that_runs_fast_slow_or_not_at_all_does_not_jump(waits: list[float], rate: float, ros: float) -> None:
    """Simulations do all of these."""
    watch, monotonic = ClockWatch(), 17.0
    assert watch.jump(ros, monotonic) == 0.0
    for wait in waits:
        monotonic, ros = monotonic + wait, ros + rate * wait
        assert watch.jump(ros, monotonic) == 0.0


@given(st.lists(st.floats(0.0, 3600.0), min_size=1, max_size=30), st.floats(0.0, 1.0))
def test_however_rarely_one_looks(waits: list[float], rate: float) -> None:
    watch, monotonic, ros = ClockWatch(), 0.0, EPOCH
    watch.jump(ros, monotonic)
    for wait in waits:
        monotonic, ros = monotonic + wait, ros + rate * wait
        assert watch.jump(ros, monotonic) == 0.0


@given(st.floats(0.0, 3600.0), st.floats(1.0, 5.0))
def test_a_fast_simulation_that_is_looked_at_rarely(wait: float, rate: float) -> None:
    """Between two goals of a simulation at twice real time lie many seconds that it gained."""
    watch = ClockWatch()
    watch.jump(0.0, 0.0)
    assert watch.jump(rate * wait, wait) == 0.0


@given(waits, st.floats(0.0, 0.1), st.floats(1.1 * FORWARD, 1e9) | st.floats(-1e9, -3.0 * BACKWARD - 0.1))
def test_a_jump_is_found_once_with_its_size(waits: list[float], wait: float, size: float) -> None:
    watch, time = ClockWatch(), 0.0
    watch.jump(EPOCH, 0.0)
    for each in waits:
        time += each
        assert watch.jump(EPOCH + time, time) == 0.0
    time += wait
    assert watch.jump(EPOCH + time + size, time) == pytest.approx(size, abs=wait + 1e-5)
    assert watch.jump(EPOCH + time + size + 0.01, time + 0.01) == 0.0


def test_simulated_time_that_begins_is_no_jump() -> None:
    watch = ClockWatch()
    for ros, monotonic in ((0.0, 1.0), (0.0, 2.0), (EPOCH, 2.1), (EPOCH + 0.1, 2.2)):
        assert watch.jump(ros, monotonic) == 0.0
    assert watch.jump(0.0, 2.3) == pytest.approx(-EPOCH), "but one that is reset to 0 is"


@given(st.floats(-0.9 * BACKWARD, 0.9 * FORWARD))
def test_corrections_of_a_synchronised_clock_are_no_jumps(size: float) -> None:
    watch = ClockWatch()
    watch.jump(EPOCH, 0.0)
    assert watch.jump(EPOCH + size, 0.0) == 0.0


@given(st.floats(0.0, 0.9 * CATCH_UP), waits, st.sampled_from([0.0, EPOCH]))
def test_a_clock_whose_messages_were_held_up_catches_up(stalled: float, waits: list[float], ros: float) -> None:
    """On a busy computer nothing comes for seconds, then all of it."""
    watch, monotonic = ClockWatch(), 17.0
    watch.jump(ros, monotonic)
    for share in (0.3, 0.6, 1.0):
        assert watch.jump(ros, monotonic + share * stalled) == 0.0
    ros, monotonic = ros + stalled, monotonic + stalled
    assert watch.jump(ros, monotonic) == 0.0
    for wait in waits:
        ros, monotonic = ros + wait, monotonic + wait
        assert watch.jump(ros, monotonic) == 0.0


def test_what_it_gains_beyond_catching_up_is_a_jump() -> None:
    watch = ClockWatch()
    for monotonic in (0.0, 0.5, 1.0, 1.5, 2.0):  # 2 s behind then
        watch.jump(EPOCH, monotonic)
    assert watch.jump(EPOCH + 2.0 + 1.1 * FORWARD, 2.0) == pytest.approx(2.0 + 1.1 * FORWARD)


def test_a_simulation_that_was_paused_for_long_goes_on_where_it_was() -> None:
    """What it did not run for is never caught up: from a few seconds on that is a jump."""
    watch, monotonic = ClockWatch(), 0.0
    watch.jump(EPOCH, 0.0)
    while monotonic < 3.0 * CATCH_UP:
        monotonic += 0.1
        assert watch.jump(EPOCH, monotonic) == 0.0
    assert watch.jump(EPOCH + 0.1, monotonic + 0.1) == 0.0
    found = watch.jump(EPOCH + 0.2 + 2.0 * CATCH_UP, monotonic + 0.2)
    assert found == pytest.approx(2.0 * CATCH_UP, abs=0.01)


def test_the_largest_lead_of_the_last_seconds_is_what_may_be_caught_up_with() -> None:
    """Also once the largest of all is too long ago, and a small one came between."""
    watch = ClockWatch()
    for ahead, monotonic in ((10.0, 0.0), (0.0, 1.0), (8.0, 4.9), (8.0, 5.5)):
        watch.jump(EPOCH + ahead + monotonic, monotonic)
    assert watch.jump(EPOCH + 8.5 + 5.6, 5.6) == 0.0


def test_the_bounds() -> None:
    """Of what documents and other tests are about."""
    assert (FORWARD, FASTEST, BACKWARD, CATCH_UP) == (1.0, 10.0, 0.05, 5.0)


def test_after_a_jump_back_nothing_is_caught_up() -> None:
    watch = ClockWatch()
    watch.jump(EPOCH, 0.0)
    assert watch.jump(EPOCH - 100.0, 0.1) == pytest.approx(-100.0)
    assert watch.jump(EPOCH - 100.0 + 1.1 * FORWARD, 0.1) == pytest.approx(1.1 * FORWARD)


def looks(*pairs: tuple[float, float]) -> list[float]:
    """What a watch says to looks at (ROS time after the epoch, monotonic time) [s]."""
    watch = ClockWatch()
    return [watch.jump(EPOCH + ros, monotonic) for ros, monotonic in pairs]


@pytest.mark.parametrize(
    "ros, monotonic, jump",
    [
        (0.9, 0.0, 0.0),
        (1.1, 0.0, 1.1),
        (-0.04, 0.0, 0.0),
        (-0.06, 0.0, -0.06),
        (0.9 + 0.1, 0.1, 0.0),
        (10.0, 1.0, 0.0),  # up to eleven times as fast as real time
        (12.0, 1.0, 11.0),
    ],
)
def test_what_counts_as_a_jump(ros: float, monotonic: float, jump: float) -> None:
    assert looks((0.0, 0.0), (ros, monotonic))[1] == pytest.approx(jump, abs=1e-5)


def test_how_long_it_may_catch_up() -> None:
    """Four seconds are caught up, of six only those that the watch still remembers."""
    assert looks((0.0, 0.0), (0.0, 2.0), (0.0, 4.0), (4.0, 4.0))[-1] == 0.0
    assert looks((0.0, 0.0), (0.0, 2.0), (0.0, 4.0), (0.0, 6.0), (6.0, 6.0))[-1] == pytest.approx(6.0)


def test_it_catches_up_with_the_furthest_that_it_was() -> None:
    """Not with the last look, nor with the first of the last seconds: 0.9 s ahead at 1 s, then 3 s without time."""
    ros = 0.9
    ahead = ((0.0, 0.0), (1.0 + ros, 1.0), (1.0 + ros, 4.0))
    assert looks(*ahead, (4.0 + ros + 0.9, 4.0))[-1] == 0.0
    assert looks(*ahead, (4.0 + ros + 1.1, 4.0))[-1] == pytest.approx(4.1)


def test_time_that_has_not_begun_does_not_jump_when_it_does() -> None:
    watch = ClockWatch()
    assert [watch.jump(ros, monotonic) for ros, monotonic in ((0.0, 0.0), (0.0, 1.0), (1000.0, 1.1))] == [0.0, 0.0, 0.0]
    assert watch.jump(1000.2, 1.3) == 0.0 and watch.jump(1003.0, 1.4) == pytest.approx(2.7)


def test_what_was_caught_up_with_is_not_caught_up_with_again() -> None:
    """A clock that lagged by 3 s for a moment, and by 1 s afterwards: the 3 s are no measure of it any more."""
    watch = ClockWatch()
    for ros, monotonic in ((0.0, 0.0), (1.0, 4.0), (3.5, 4.5), (4.4, 5.4), (5.0, 5.5)):
        assert watch.jump(EPOCH + ros, monotonic) == 0.0
