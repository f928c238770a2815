"""The planner node in this process: transitions that fail, and a planning thread that hangs or dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from scripted_serving import wait
from sensor_msgs.msg import JointState

from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.planner_node import PlannerNode
from sobo_planner.ros.serve.session import Session
from sobo_planner.ros.support import domain
from sobo_planner.tasks import ArmReach

SUCCESS, ERROR = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.ERROR


class Inside:
    """A node whose callbacks the test calls, or an executor in a thread."""

    def __init__(self, node: PlannerNode, task: ArmReach, home: np.ndarray) -> None:
        self.node, self.task, self.home = node, task, home
        self.published: list[dict[str, Any]] = []

    def measure(self, speed: float = 0.0) -> None:
        q, v = self.home.copy(), np.zeros(6)
        v[0] = speed
        message = JointState(name=self.task.robot.joint_names, position=q.tolist(), velocity=v.tolist())
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.node._arrivals._topic.waiting = lambda: iter([(serialize_message(message), 0.0)])  # type: ignore[method-assign]
        self.node._arrivals.take()

    def activate(self, mode: str = "plan_once") -> None:
        assert self.node.trigger_configure() == SUCCESS and self.node.trigger_activate() == SUCCESS
        assert self.node._session is not None
        outputs, publish = self.node._session.outputs, self.node._session.outputs.publish

        def record(*arguments: Any) -> Any:
            report = publish(*arguments)
            if report is not None:
                self.published.append(report)
            return report

        outputs.publish = record  # type: ignore[method-assign]

    def put(self, goal: np.ndarray) -> None:
        assert self.node._serving is not None
        self.node._serving.inbox.put(goal)

    def hang(self) -> threading.Event:
        """Makes the planner, which is idle by then, hang until the event is set, whatever its deadline."""
        end = threading.Event()
        self.node._values["deadline"] = 0.1
        assert self.node._session is not None and self.node._session._planner is not None
        assert self.node._serving is not None
        server = self.node._serving.server
        wait(lambda: server.serving is None)
        self.node._session._planner.plan = lambda *_, **__: end.wait(30.0)  # type: ignore[assignment, method-assign]
        return end

    def diagnosed(self) -> str:
        return self.node_health()[0]

    def node_health(self) -> tuple[str, str]:
        message = self.messages[-1].status[0]
        return message.values[0].value, message.message


@pytest.fixture
def inside(task: ArmReach, home: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    overrides = {"policy": "none", "autostart": False, "deadline": 30.0, "state_timeout": 30.0}
    overrides["velocity_scaling"] = 0.05  # motions last two seconds
    parameters = [Parameter(name, value=value) for name, value in overrides.items()]
    node = PlannerNode(context=context, parameter_overrides=parameters)
    inside = Inside(node, task, home)
    inside.messages = []  # type: ignore[attr-defined]
    monkeypatch.setattr(node._diagnostics, "publish", inside.messages.append)  # type: ignore[attr-defined]
    try:
        yield inside
    finally:
        node.destroy_node()
        context.try_shutdown()


def goal(inside: Inside) -> np.ndarray:
    return inside.task.robot.tool_position(inside.home + 0.3)


def topics(inside: Inside) -> list[str]:
    """What the node publishes, without what every node does."""
    return sorted(publisher.topic_name for publisher in inside.node.publishers)


def subscribed(inside: Inside) -> int:
    return len(list(inside.node.subscriptions))


# ---------------------------------------------------------------- transitions


def test_the_arm_is_served_inside(inside: Inside) -> None:
    inside.activate()
    inside.measure()
    inside.put(goal(inside))
    wait(lambda: inside.published)
    assert inside.published[0]["status"] in ("converged", "feasible", "short")


@pytest.mark.parametrize("broken", ["configure", "activate", "deactivate", "cleanup"])
def test_a_transition_that_throws_leaves_a_node_that_is_as_new(
    inside: Inside, broken: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without publishers or subscriptions left over; it can be configured and serves again."""
    before = topics(inside), subscribed(inside)

    def throw(*_: object, **__: object) -> Any:
        raise ZeroDivisionError("a defect")

    log = inside.node.get_logger().info
    if broken == "configure":  # after everything was made
        monkeypatch.setattr(
            inside.node.get_logger(), "info", lambda text: throw() if "configured" in text else log(text)
        )
    elif broken == "activate":
        monkeypatch.setattr(Session, "server", throw)
    elif broken == "deactivate":
        monkeypatch.setattr(Session, "close", throw)
    else:
        monkeypatch.setattr(Session, "drop", throw)
    transitions = ["configure", "activate", "deactivate", "cleanup"]
    for name in transitions[: transitions.index(broken) + 1]:
        getattr(inside.node, f"trigger_{name}")()
    monkeypatch.undo()
    assert inside.node._session is None and inside.node._serving is None
    text = capfd.readouterr().err
    assert f"on_{broken} failed" in text and "ZeroDivisionError: a defect" in text
    if broken != "cleanup":  # there, taking the publishers back is what failed
        assert (topics(inside), subscribed(inside)) == before
    inside.activate()
    inside.measure()
    inside.put(goal(inside))
    wait(lambda: inside.published)


def test_what_was_made_to_configure_goes_with_cleanup(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishers, and the listeners to transforms; again and again."""
    ended = []

    class Listener:
        def unregister(self) -> None:
            ended.append(self)

    def listening(*arguments: Any) -> GoalFrames:
        frames = GoalFrames("base_link")
        frames._listener = Listener()
        return frames

    monkeypatch.setattr(GoalFrames, "listening", listening)
    before = topics(inside), subscribed(inside)
    for k in range(3):
        assert inside.node.trigger_configure() == SUCCESS
        assert topics(inside) != before[0]
        assert inside.node.trigger_cleanup() == SUCCESS
        assert (topics(inside), subscribed(inside)) == before and len(ended) == k + 1


# ---------------------------------------------------------------- the planning thread


def test_a_defect_is_logged_with_its_traceback_and_the_node_serves_on(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Seen: the logger took no traceback, and the exception of that ended the thread."""
    inside.activate()
    inside.measure()
    monkeypatch.setattr(inside.node._session._planner, "plan", lambda *_, **__: 1 / 0)
    inside.put(goal(inside))
    wait(lambda: inside.node._ledger.values()["count_INTERNAL_ERROR"] == "1")
    monkeypatch.undo()
    inside.put(goal(inside))
    wait(lambda: inside.published)
    text = capfd.readouterr().err
    assert "ZeroDivisionError" in text and "Traceback" in text and "serving [" in text


def test_a_thread_that_hangs_is_in_the_diagnostics_within_a_second(inside: Inside) -> None:
    """A moving arm, a planner that does not come back: said, refused and braked, from the executor's thread."""
    inside.activate()
    inside.measure()
    inside.put(goal(inside))
    wait(lambda: inside.published)
    end = inside.hang()
    executor = SingleThreadedExecutor(context=inside.node.context)
    executor.add_node(inside.node)
    inside.put(goal(inside))
    began = time.monotonic()
    while not any(report["status"] == "braking" for report in inside.published):
        executor.spin_once(timeout_sec=0.05)
        assert time.monotonic() - began < 10.0
    while not any("NOT_RESPONDING" in message.status[0].message for message in inside.messages):
        executor.spin_once(timeout_sec=0.05)
        assert time.monotonic() - began < 10.0
    assert time.monotonic() - began < 0.1 + 1.0 + 1.0, "the deadline, the second, and what this computer adds"
    end.set()
    executor.shutdown()


@pytest.mark.parametrize("moving", [True, False])
def test_deactivation_brakes_though_the_thread_hangs(inside: Inside, moving: bool) -> None:
    inside.activate()
    inside.measure()
    inside.put(goal(inside))
    wait(lambda: inside.published)
    if not moving:
        inside.node._session.followed.forget()
    end = inside.hang()
    inside.put(goal(inside))
    wait(lambda: inside.node._serving.server.serving is not None)
    began = time.monotonic()
    assert inside.node.trigger_deactivate() == SUCCESS
    assert time.monotonic() - began < 3.0
    assert [report["status"] for report in inside.published][1:] == (["braking"] if moving else [])
    assert inside.node.trigger_activate() != SUCCESS, "two threads would share a planner"
    inside.node._values["deadline"] = 30.0
    end.set()
    wait(lambda: not inside.node._ended.is_alive())
    assert inside.node.trigger_activate() == SUCCESS
    assert len(inside.published) == 1 + moving, "and what the thread planned is not published"


def test_a_thread_that_dies_is_noticed_and_its_goals_are_answered(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside.activate()
    serving = inside.node._serving
    assert serving is not None
    inside.measure()

    def die(*_: object, **__: object) -> None:
        raise SystemExit("out of luck")

    refused: list[Any] = []
    monkeypatch.setattr(inside.node._session._planner, "plan", die)
    monkeypatch.setattr(inside.node._session.outputs, "publish_refusal", lambda *a: refused.append(a))
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    inside.put(goal(inside))
    wait(lambda: not serving.worker.is_alive())
    inside.node._watch()
    assert inside.diagnosed() == "NOT_RESPONDING" and "died" in inside.node_health()[1]
    assert [refusal.status.value for refusal, _ in refused] == ["NOT_RESPONDING"]
    from geometry_msgs.msg import PoseStamped

    pose = PoseStamped()
    pose.header.frame_id, pose.pose.orientation.w = "base_link", 1.0
    inside.node._requests._on_goal(pose)
    assert refused[-1][0].status.value == "NOT_RESPONDING"


@pytest.mark.parametrize(("age", "known"), [(0.0, True), (0.05, True), (0.06, False), (None, False)])
def test_the_stream_knows_where_the_arm_is_from_fresh_states_only(age: float | None, known: bool) -> None:
    told: list[tuple[float, Any]] = []
    outputs = SimpleNamespace(publish_control=lambda now, x: told.append((now, x)))
    state = None if age is None else SimpleNamespace(x="state", age=age)
    node: Any = SimpleNamespace(_session=SimpleNamespace(outputs=outputs), _now=lambda: 5.0)
    node._serving = SimpleNamespace(inbox=SimpleNamespace(look=lambda: state))
    PlannerNode._publish_control(node)
    node._serving = None  # between configuring and activating
    PlannerNode._publish_control(node)
    assert told == [(5.0, "state" if known else None), (5.0, None)]
    node._session = None
    PlannerNode._publish_control(node)
    assert len(told) == 2
