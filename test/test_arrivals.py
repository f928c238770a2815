"""Joint states wait in the middleware, and are taken where somebody wants to know the state."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState

from sobo_planner.ros.inputs import arrivals as module
from sobo_planner.ros.inputs.arrivals import Arrivals
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.inputs.intake import StateIntake
from sobo_planner.ros.inputs.state_topic import DEPTH, LONGEST_WAIT, StateTopic, _waited
from sobo_planner.ros.support import domain
from sobo_planner.ros.support.state_cdr import StateDecoder
from sobo_planner.ros.support.status import Refused, Status

NOW = 100.0


def message(stamp: float, q: float) -> bytes:
    out = JointState(name=["a"], position=[q], velocity=[0.0])
    out.header.stamp = Time(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0)))
    return bytes(serialize_message(out))


class Bench:
    """What comes in is what a test puts into `waits`."""

    def __init__(self) -> None:
        self.waits: list[tuple[bytes, float]] = []
        self.recorded: list[tuple[bytes, float]] = []
        self.refused: list[Refused] = []
        values = {"state_timeout": 0.5, "stamp_ahead": 0.2}
        self.arrivals = Arrivals(self, lambda: NOW, values, self.record, self.refused.append)
        self.inbox = Inbox(self.arrivals)
        self.intake = StateIntake(["a"], np.ones(1), "")

    def record(self, messages: Sequence[tuple[bytes, float]]) -> None:
        self.recorded.extend(messages)

    def waiting(self) -> list[tuple[bytes, float]]:
        taken, self.waits = self.waits, []
        return taken


def test_states_reach_the_inbox_from_when_it_is_open_until_it_is_closed() -> None:
    bench = Bench()
    bench.waits = [(message(NOW - 0.03, 1.0), 0.02)]
    bench.arrivals.take()
    assert bench.inbox.state is None and len(bench.recorded) == 1
    bench.waits = [(message(NOW - 0.02, 2.0), 0.01)]
    bench.arrivals.open(bench.intake, bench.inbox)
    assert bench.inbox.look() is None and len(bench.recorded) == 2, "it came in before"
    bench.waits = [(message(NOW - 0.01, 3.0), 0.01)]
    state = bench.inbox.look()
    assert state is not None and state.x[0] == 3.0
    bench.waits = [(message(NOW - 0.005, 4.0), 0.0)]
    bench.arrivals.close()
    assert bench.inbox.state is not None and bench.inbox.state.x[0] == 4.0
    bench.waits = [(message(NOW, 5.0), 0.0)]
    assert bench.inbox.look().x[0] == 4.0 and len(bench.recorded) == 5
    assert not bench.refused


def test_a_message_that_cannot_be_read_does_not_keep_the_others_out() -> None:
    """It is not recorded; the others are, without the room that rclpy leaves behind their end."""
    bench, good, bad = Bench(), message(NOW, 1.0), b"\x00\x01\x00\x00abc"
    bench.waits = [(bad, 0.0)]
    bench.arrivals.open(bench.intake, bench.inbox)
    assert not bench.refused and not bench.recorded, "nobody serves yet"
    bench.waits = [(bad, 0.1), (good + bytes(8), 0.05)]
    assert bench.inbox.look() is not None
    assert [each.status for each in bench.refused] == [Status.BAD_STATE]
    assert "cannot be read" in bench.refused[0].detail
    assert bench.recorded == [(StateDecoder().read(good).data, 0.05)]


def test_who_takes_the_rest_leaves_what_others_take(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, now = Bench(), 7.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    bench.arrivals.open(bench.intake, bench.inbox)
    for waits, passed, taken in ((1, 0.0, 0), (0, 0.04, 0), (0, 0.02, 1), (1, 0.04, 0), (0, 0.02, 1)):
        bench.waits += [(message(NOW - 0.01, 1.0), 0.0)] * waits
        bench.recorded.clear()
        now += passed
        bench.arrivals.take_rest(0.05)
        assert len(bench.recorded) == taken
    bench.waits = [(message(NOW, 2.0), 0.0)]
    assert bench.inbox.look().x[0] == 2.0, "whoever wants to know the state has the newest"


def test_what_is_dropped_is_recorded_only() -> None:
    bench = Bench()
    bench.arrivals.open(bench.intake, bench.inbox)
    bench.waits = [(message(NOW, 1.0), 0.0)]
    bench.inbox.drop_measured()
    assert bench.inbox.look() is None and len(bench.recorded) == 1


@pytest.mark.parametrize(
    ("stamp", "waited", "status"),
    [(NOW - 0.7, 0.3, None), (NOW - 0.7, 0.1, Status.STALE_STATE), (NOW + 0.1, 0.0, None), (NOW + 0.1, 0.2, "ahead")],
)
def test_age_is_that_at_which_a_state_came_in(stamp: float, waited: float, status: Any) -> None:
    """The time that it waited here says nothing about the driver."""
    bench = Bench()
    bench.arrivals.open(bench.intake, bench.inbox)
    bench.waits = [(message(stamp, 1.0), waited)]
    bench.arrivals.take()
    assert [each.status for each in bench.refused] == ([] if status is None else [Status.STALE_STATE])
    assert (bench.inbox.state is None) == (status is not None)


def test_how_long_a_message_waited() -> None:
    now = time.time_ns()
    assert _waited({"received_timestamp": now - 300_000_000}) == pytest.approx(0.3, abs=0.1)
    for unknown in ({}, {"received_timestamp": 0}, {"received_timestamp": None}):
        assert _waited(unknown) == 0.0
    assert _waited({"received_timestamp": now + 10**9}) == 0.0, "the clock was set back"
    assert _waited({"received_timestamp": now - round(1e9 * (LONGEST_WAIT + 1.0))}) == 0.0, "it was set forward"


@pytest.fixture
def node() -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    made = Node("waits", context=context)
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)


def test_messages_wait_in_their_order_and_the_executor_leaves_them(node: Node) -> None:
    topic, count = StateTopic(node), 30
    publisher = node.create_publisher(JointState, "joint_states", QoSProfile(depth=DEPTH))
    end = time.monotonic() + 20.0
    while publisher.get_subscription_count() == 0 and time.monotonic() < end:
        time.sleep(0.01)
    for i in range(count):
        publisher.publish(JointState(name=[str(i)]))
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    time.sleep(0.1)
    began = time.monotonic()
    executor.spin_once(timeout_sec=0.3)
    assert time.monotonic() - began > 0.25, "a message woke the executor"
    found: list[tuple[bytes, float]] = []
    while len(found) < count and time.monotonic() < end:
        found += topic.waiting()
    assert [deserialize_message(data, JointState).name for data, _ in found] == [[str(i)] for i in range(count)]
    assert found[0][1] > 0.0 and not list(topic.waiting())
    executor.remove_node(node)
    node.destroy_node()
    assert not list(topic.waiting()), "a node that is gone has none"
