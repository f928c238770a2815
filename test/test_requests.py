"""Goals, `cancel` and `hold`, one by one on one thread; goals wait in the subscription where the test says so."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.context import Context
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.outputs.plan_outputs import RELIABLE
from sobo_planner.ros.serve.requests import INACTIVE, Desk, Requests
from sobo_planner.ros.support import domain
from sobo_planner.ros.support.status import Refused, Status


class Answers:
    """In the place of a server and what it works with: keeps what is refused."""

    def __init__(self) -> None:
        self.core, self.lost = self, ""
        self.refused: list[tuple[Status, str, Any]] = []

    def refuse(self, refusal: Refused, goal: Any) -> None:
        self.refused.append((refusal.status, refusal.detail, None if goal is None else list(goal)))


class Office:
    """Requests of a node that nobody spins, and a sender of goals."""

    def __init__(self, node: Node) -> None:
        self.ledger, self.warned = Ledger(), []
        self.values = {"goal_type": "position"}
        self.requests = Requests(
            node, self.ledger, lambda status, text: self.warned.append((status, text)), self.values
        )
        self.inbox, self.server = Inbox(), Answers()
        self.desk = Desk(GoalFrames("base_link"), self.inbox, self.server, ("a", "b"))  # type: ignore[arg-type]
        self._publisher = node.create_publisher(PoseStamped, "goal_pose", RELIABLE)
        while not self._publisher.get_subscription_count():
            time.sleep(0.01)

    def goal(self, x: float, frame: str = "base_link") -> PoseStamped:
        message = PoseStamped()
        message.header.frame_id, message.pose.position.x = frame, x
        return message

    def take(self, x: float, frame: str = "base_link") -> None:
        """A goal that the executor hands over."""
        self.requests._on_goal(self.goal(x, frame))

    def send(self, x: float) -> None:
        """A goal that has come in and waits to be taken."""
        self._publisher.publish(self.goal(x))
        assert self._publisher.wait_for_all_acked(rclpy.duration.Duration(seconds=5.0))

    def cancel(self) -> Trigger.Response:
        return self.requests._on_cancel(Trigger.Request(), Trigger.Response())

    def hold(self, on: bool) -> SetBool.Response:
        return self.requests._on_hold(SetBool.Request(data=on), SetBool.Response())

    def next(self) -> Any:
        """What the planning thread takes next: x of a goal, `stop`, or None."""
        request = self.inbox.take(0.0)
        if request is None:
            return None
        return "stop" if request.goal is None else request.goal[0]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    node = Node("office", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def office(node: Node) -> Iterator[Office]:
    office = Office(node)
    yield office
    for entity in list(node.subscriptions):
        if entity.topic_name.endswith("goal_pose"):
            node.destroy_subscription(entity)
    for service in [service for service in node.services if service.srv_name.endswith(("cancel", "hold"))]:
        node.destroy_service(service)
    node.destroy_publisher(office._publisher)


@pytest.fixture
def active(office: Office) -> Office:
    office.requests.open(office.desk)
    return office


def test_there_are_services(office: Office, node: Node) -> None:
    services = {service.srv_name.rpartition("/")[2]: service.callback for service in node.services}
    assert services["cancel"] == office.requests._on_cancel
    assert services["hold"] == office.requests._on_hold


def test_a_node_that_is_not_active_refuses_everything(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[dict[str, Any]] = []
    publisher = SimpleNamespace(publish=lambda data: reports.append(json.loads(deserialize_message(data, String).data)))
    monkeypatch.setattr(office.requests, "report", publisher)
    office.take(0.1)
    assert [(each["status"], each["reason"], each["goal"]) for each in reports] == [("refused", "INACTIVE", None)]
    assert office.ledger.values()["count_INACTIVE"] == "1"
    assert office.warned == [(Status.INACTIVE, f"goal refused: {INACTIVE} and send the goal again")]
    for response in (office.cancel(), office.hold(True), office.hold(False)):
        assert not response.success and response.message == INACTIVE
    assert not office.requests.held and office.next() is None


def test_a_goal_goes_to_the_planning_thread(active: Office) -> None:
    active.take(0.1)
    assert active.next() == 0.1 and active.next() is None
    assert active.server.refused == [] and active.warned == []


def test_the_type_of_goals_is_the_parameters(active: Office) -> None:
    active.values["goal_type"] = "pose"
    active.take(0.1)
    request = active.inbox.take(0.0)
    assert request is not None and request.goal is not None
    np.testing.assert_array_equal(request.goal, [0.1, 0, 0, 0, 0, 0, 1])


def test_what_cannot_be_read_is_refused_and_the_goal_before_stays(active: Office) -> None:
    active.take(0.1)
    active.take(float("nan"))
    active.take(0.2, frame="")
    assert [(status, goal) for status, _, goal in active.server.refused] == [
        (Status.BAD_GOAL, None),
        (Status.BAD_FRAME, None),
    ]
    assert active.next() == 0.1


def test_a_planning_thread_that_is_lost_gets_no_goals(active: Office) -> None:
    active.server.lost = "it has died"
    active.take(0.1)
    assert active.server.refused == [(Status.NOT_RESPONDING, "it has died", None)] and active.next() is None


def test_a_newer_goal_replaces_one_that_waits(active: Office) -> None:
    active.take(0.1)
    active.take(0.2)
    assert active.next() == 0.2
    ((status, detail, goal),) = active.server.refused
    assert status is Status.SUPERSEDED and goal == [0.1, 0.0, 0.0] and "0.2" in detail


def test_cancel_drops_the_goal_and_stops_the_arm(active: Office) -> None:
    active.take(0.1)
    response = active.cancel()
    assert response.success and response.message == "the goal is dropped, the arm comes to rest"
    assert active.next() == "stop" and active.next() is None
    assert active.server.refused == [(Status.CANCELLED, "the goal was cancelled", [0.1, 0.0, 0.0])]
    active.take(0.2)
    assert active.next() == 0.2, "goals after it are served"
    active.cancel()
    assert len(active.server.refused) == 1, "without a goal nobody is told"


def test_hold_stops_the_arm_and_refuses_goals_until_it_is_released(active: Office) -> None:
    active.take(0.1)
    response = active.hold(True)
    assert response.success and response.message == "the arm comes to rest and is held" and active.requests.held
    assert active.next() == "stop"
    active.take(0.2)
    assert [(status, goal) for status, _, goal in active.server.refused] == [
        (Status.CANCELLED, [0.1, 0.0, 0.0]),
        (Status.HOLDING, None),
    ]
    assert active.server.refused[0][1] == "the goal was cancelled by hold"
    response = active.hold(False)
    assert response.success and response.message == "goals are taken again" and not active.requests.held
    assert active.next() is None, "releasing stops nothing"
    active.take(0.3)
    assert active.next() == 0.3


def test_goals_that_came_before_a_request_are_taken_before_it(active: Office) -> None:
    """The executor may hand over the service's request first."""
    active.send(0.1)
    active.cancel()
    assert active.next() == "stop" and active.next() is None
    assert [status for status, _, _ in active.server.refused] == [Status.CANCELLED]
    active.send(0.2)
    active.hold(True)
    assert active.next() == "stop" and active.next() is None
    active.send(0.3)
    active.hold(False)
    assert active.next() is None
    assert [status for status, _, _ in active.server.refused[1:]] == [Status.CANCELLED, Status.HOLDING]


def test_goals_that_came_before_activation_and_after_deactivation_are_not_served(office: Office) -> None:
    office.send(0.1)
    office.requests.open(office.desk)
    assert office.next() is None and office.ledger.values()["count_INACTIVE"] == "1"
    office.hold(True)
    office.send(0.2)
    office.requests.close()
    assert [status for status, _, _ in office.server.refused] == [Status.HOLDING]
    office.take(0.3)
    assert office.ledger.values()["count_INACTIVE"] == "2" and office.next() == "stop"
    office.requests.open(office.desk)
    assert not office.requests.held, "an activation begins without a hold"


def test_a_flood_of_goals_does_not_keep_a_request_waiting(active: Office) -> None:
    """At most as many goals are taken as may wait: `cancel` has its turn."""
    taken: list[float] = []

    class Endless:
        def take_message(self, kind: type, raw: bool) -> tuple[PoseStamped, None]:
            taken.append(len(taken))
            return active.goal(float(len(taken))), None

        def __enter__(self) -> None:
            pass

        def __exit__(self, *error: object) -> None:
            pass

    class Subscription:
        handle, msg_type = Endless(), PoseStamped

    active.requests._subscriptions = (Subscription(),)  # type: ignore[assignment]
    active.cancel()
    assert len(taken) == RELIABLE.depth and active.next() == "stop"
