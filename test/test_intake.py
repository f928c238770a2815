"""From a joint state's message to the inbox: the latest state, or why there is none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.inputs.intake import StateIntake
from sobo_planner.ros.support.state_cdr import StateDecoder, Values
from sobo_planner.ros.support.status import Refused, Status

NAMES = ["a", "b"]
GRIPPER = JointState(name=["gripper"], position=[0.1])
DECODER = StateDecoder()


class Bench:
    """An intake at ROS time 100 s, monotonic time 7 s, unless told otherwise."""

    def __init__(self, prefix: str = "") -> None:
        self.intake, self.inbox = StateIntake(NAMES, np.ones(2), prefix), Inbox()

    def take(self, message: JointState, ros: float = 100.0, oldest: float = 0.5, ahead: float = 0.2) -> None:
        self.intake.take(message, self.inbox, ros, ros - 93.0, oldest, ahead)

    def refusal(self, message: JointState, **options: float) -> Refused:
        with pytest.raises(Refused) as refused:
            self.take(message, **options)
        return refused.value


def state(stamp: int = 0, names: list[str] | None = None, q: float = 1.0, v: float = 0.5) -> JointState:
    names = NAMES if names is None else names
    out = JointState(name=names, position=[q] * len(names), velocity=[v] * len(names))
    out.header.stamp = Time(sec=stamp)
    return out


def test_a_state_is_left_in_the_inbox_with_the_times_of_its_measurement() -> None:
    bench = Bench()
    bench.take(state(100), ros=100.25)
    found = bench.inbox.state
    assert found is not None
    np.testing.assert_array_equal(found.x, [1.0, 1.0, 0.5, 0.5])
    assert found.stamp == 100.0 and found.measured == pytest.approx(7.0)


def test_the_bounds_of_the_stamp_are_the_callers() -> None:
    bench = Bench()
    assert "allowed are 0.5 s" in bench.refusal(state(99)).detail
    bench.take(state(99), oldest=1.5)
    assert "allowed are 0.2 s" in bench.refusal(state(101)).detail
    bench.take(state(101), ahead=1.5)
    assert bench.inbox.state is not None


def test_why_there_is_no_state() -> None:
    """A goal that comes then is told."""
    bench = Bench("left_")
    assert bench.inbox.no_state.status is Status.NO_STATE
    bench.take(state())
    assert "the last joint state names ['a', 'b']; check `tf_prefix`" in bench.inbox.no_state.detail
    assert "no joint of ['left_a', 'left_b']" in bench.inbox.no_state.detail
    bench.take(state(names=["left_a"]))
    assert bench.inbox.no_state.status is Status.NO_STATE
    assert "named ['left_b'] yet" in bench.inbox.no_state.detail
    bench.take(GRIPPER)
    assert "named ['left_b'] yet" in bench.inbox.no_state.detail, "that of the gripper says nothing new"
    bad = bench.refusal(state(names=["left_b"], q=math.nan))
    assert bad.status is Status.BAD_STATE
    assert bench.inbox.no_state.status is Status.NO_STATE and str(bad) in bench.inbox.no_state.detail
    stale = bench.refusal(state(4000, names=["left_b"]))
    assert stale.status is Status.STALE_STATE and bench.inbox.no_state is stale
    assert bench.inbox.state is None


def test_a_refused_message_and_one_of_others_leave_the_state() -> None:
    bench = Bench()
    bench.take(state())
    before = bench.inbox.state
    bench.refusal(state(q=math.inf))
    bench.refusal(state(4000))
    bench.take(GRIPPER)
    assert bench.inbox.state is before


def test_after_forgetting_and_after_a_clock_set_back_there_is_no_state_until_all_joints_are_known_again() -> None:
    bench = Bench()
    bench.take(state())
    bench.take(state(names=["a"]), ros=50.0)
    assert bench.inbox.state is None and "['b']" in bench.inbox.no_state.detail
    bench.take(state(names=["b"]), ros=50.0)
    assert bench.inbox.state is not None
    bench.intake.forget()
    bench.take(state(names=["b"]), ros=50.0)
    assert bench.inbox.state is None and "['a']" in bench.inbox.no_state.detail


def test_counters() -> None:
    bench = Bench()
    assert bench.intake.counters(7.0) == {
        "states_without_velocity": "0",
        "states_out_of_order": "0",
        "states_without_our_joints": "0",
        "oldest_joint": "a: never seen",
    }
    bench.take(state(names=["a"], v=math.nan))
    bench.take(state(names=["b"], v=math.nan), ros=100.25)
    bench.take(state(names=["b"]), ros=100.5)
    bench.take(state(100, names=["b"]), ros=100.5)
    for _ in range(4):
        bench.take(GRIPPER)
    assert bench.intake.counters(7.75) == {
        "states_without_velocity": "2",
        "states_out_of_order": "1",
        "states_without_our_joints": "4",
        "oldest_joint": "a: 0.750 s",
    }


def came(*messages: JointState) -> list[tuple[Values, float]]:
    """Messages that waited for 10, 8, ... ms."""
    return [(DECODER.read(serialize_message(each)), 0.01 - 0.002 * i) for i, each in enumerate(messages)]


def at(seconds: float, **fields: Any) -> JointState:
    message = state(**fields)
    message.header.stamp = Time(sec=int(seconds), nanosec=round(1e9 * (seconds % 1.0)))
    return message


def both_ways(messages: list[JointState]) -> tuple[Bench, Bench, list[str], list[str]]:
    """The messages taken at once, and one after the other; and what was refused of them."""
    at_once, singly, refused, raised = Bench(), Bench(), [], []
    arrived = came(*messages)
    at_once.intake.take_all(
        arrived, at_once.inbox, 100.25, 7.25, 0.5, 0.2, lambda refusal: refused.append(str(refusal))
    )
    for message, (_, waited) in zip(messages, arrived, strict=True):
        try:
            singly.take(message, ros=100.25 - waited)
        except Refused as refusal:
            raised.append(str(refusal))
    return at_once, singly, refused, raised


@pytest.mark.parametrize(
    "messages",
    [
        [at(100.00, q=1.0), at(100.01, q=1.1), at(100.02, q=1.2)],
        [at(100.00), at(100.01, v=math.nan), at(100.02, v=math.nan, q=1.4), at(100.03, v=math.nan, q=1.5)],
        [at(100.00, names=["a"]), at(100.01, names=["a"]), at(100.01, names=["b"]), at(100.02, names=["a"])],
        [at(100.02, q=2.0), at(100.00, q=1.0), at(100.01, q=1.5)],
        [at(100.00), at(100.01, q=math.inf), GRIPPER, GRIPPER, at(99.0), at(101.0)],
        [at(0.0, q=1.0), at(0.0, q=2.0), JointState(name=NAMES, position=[1.0])],
        [at(100.00, names=["a", "a"]), at(100.01, names=["a", "a"])],
    ],
    ids=["usual", "no velocity", "two senders", "out of order", "bad ones", "no stamps", "twice"],
)
def test_messages_that_waited_are_taken_as_if_each_had_come_alone(messages: list[JointState]) -> None:
    at_once, singly, refused, raised = both_ways(messages)
    assert [text for i, text in enumerate(raised) if text not in raised[:i]] == [
        text for i, text in enumerate(refused) if text not in refused[:i]
    ]
    found, expected = at_once.inbox.state, singly.inbox.state
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        np.testing.assert_allclose(found.x, expected.x, rtol=0.0, atol=1e-12)
        assert (found.stamp, found.measured) == pytest.approx((expected.stamp, expected.measured), abs=1e-9)
    assert at_once.intake.counters(8.0) == singly.intake.counters(8.0)


def test_of_messages_that_tell_the_same_only_the_last_is_taken_in() -> None:
    bench, read = Bench(), []
    sample = bench.intake._reader.sample
    bench.intake._reader.sample = lambda values: read.append(values.sec) or sample(values)  # type: ignore[method-assign]
    for start in (100, 103):
        messages = [state(start + i, q=float(i)) for i in range(3)]
        bench.intake.take_all(came(*messages), bench.inbox, 105.0, 12.0, 10.0, 0.2, pytest.fail)
    assert read == [100, 102, 105], "of the first one it was not known whether its names are ours"
