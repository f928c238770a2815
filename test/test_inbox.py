"""The inbox between callbacks and the planning thread: latest goal and state, nothing queued, nobody left waiting."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.support.status import Refused, Status

LONG = 60.0  # [s] after which a test fails instead of waiting on

goals = st.none() | st.integers(0, 9).map(lambda k: np.full(3, float(k)))


@given(st.lists(goals, max_size=8))
def test_the_latest_goal_is_served_after_a_stop_and_the_others_are_given_back(goals: list[np.ndarray | None]) -> None:
    """A stop is never replaced: neither by a goal, which may be refused, nor does the goal before it come through."""
    inbox = Inbox()
    for k, goal in enumerate(goals):
        assert inbox.put(goal) is (goals[k - 1] if k else None)
        assert inbox.interrupt.is_set() == any(each is None for each in goals[: k + 1])
    expected = [None] if any(goal is None for goal in goals) else []
    if goals and goals[-1] is not None:
        expected.append(goals[-1])
    for goal in expected:
        request = inbox.take(0.0)
        assert request is not None and request.goal is goal
    assert inbox.take(0.0) is None and not inbox.interrupt.is_set()


def test_a_request_wakes_the_planning_thread() -> None:
    inbox, taken = Inbox(), []
    thread = threading.Thread(target=lambda: taken.append(inbox.take(LONG)))
    thread.start()
    inbox.put(np.ones(3))
    thread.join(LONG)
    assert taken[0] is not None and taken[0].goal.tolist() == [1.0, 1.0, 1.0]


def test_a_request_to_stop_ends_a_wait_and_a_goal_does_not() -> None:
    inbox = Inbox()
    thread = threading.Thread(target=lambda: inbox.sleep(10 * LONG))
    thread.start()
    inbox.put(np.ones(3))
    thread.join(0.05)
    assert thread.is_alive()
    inbox.put(None)
    thread.join(LONG)
    assert not thread.is_alive()


def test_less_than_no_time_is_no_wait() -> None:
    inbox = Inbox()
    inbox.sleep(-10 * LONG)
    assert not inbox.interrupt.is_set()


@pytest.mark.parametrize("wait", [lambda inbox: inbox.take(), lambda inbox: inbox.sleep(10 * LONG)])
def test_closing_ends_every_wait_for_good(wait) -> None:
    inbox, ended = Inbox(), []
    threads = [threading.Thread(target=lambda: ended.append(wait(inbox)), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert not inbox.closed and not inbox.interrupt.is_set()
    assert inbox.close() is None and inbox.closed and inbox.interrupt.is_set(), "planning ends too"
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert ended == [None, None, None]
    inbox.put(np.zeros(3))
    assert inbox.take() is None, "nothing is taken any more"


def test_closing_gives_the_goal_back_that_waited() -> None:
    inbox, goal = Inbox(), np.zeros(3)
    inbox.put(goal)
    inbox.put(None)
    later = np.ones(3)
    inbox.put(later)
    assert inbox.close() is later
    stopping = Inbox()
    stopping.put(goal)
    stopping.put(None)
    assert stopping.close() is None


def test_the_latest_state_is_kept_until_it_is_dropped() -> None:
    inbox = Inbox()
    assert inbox.state is None
    for k in range(3):
        inbox.put_state(np.full(12, float(k)), 100.0 + k)
    state = inbox.state
    assert state is not None and state.x[0] == 2.0 and state.stamp == 102.0
    young = state.age
    assert 0.0 <= young <= state.age < LONG
    inbox.put_state(np.zeros(12), 90.0, time.monotonic() - 2.0 * LONG)
    state = inbox.state
    assert state is not None and state.stamp == 90.0 and 2.0 * LONG <= state.age < 3.0 * LONG, "of the measurement"
    inbox.no_state = Refused(Status.STALE_STATE, "of long ago")
    inbox.drop_state()
    assert inbox.state is None
    assert inbox.no_state.status is Status.NO_STATE and "no joint state has come in yet" in inbox.no_state.detail


def test_no_goal_is_lost_or_served_twice_among_threads() -> None:
    """Every goal put is taken, given back as replaced, or given back by closing: each once."""
    inbox, count, putters = Inbox(), 400, 4
    served: list[float] = []
    replaced: list[float] = []

    def put(first: int) -> None:
        for k in range(first, count, putters):
            goal = inbox.put(np.array([float(k)]))
            if goal is not None:
                replaced.append(goal[0])

    def take() -> None:
        while (request := inbox.take()) is not None:
            assert request.goal is not None
            served.append(request.goal[0])

    taker = threading.Thread(target=take)
    threads = [threading.Thread(target=put, args=(first,)) for first in range(putters)]
    for thread in (taker, *threads):
        thread.start()
    for thread in threads:
        thread.join(LONG)
    waiting = inbox.close()
    taker.join(LONG)
    left = [] if waiting is None else [waiting[0]]
    assert sorted([*served, *replaced, *left]) == [float(k) for k in range(count)]
