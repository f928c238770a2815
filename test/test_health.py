"""What the diagnostics say of a planner node, from what there is of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from diagnostic_msgs.msg import DiagnosticStatus

from sobo_planner.errors import ConfigError
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.inputs.worlds import Layer, Worlds
from sobo_planner.ros.serve.health import Health
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.world import World

NOW = 100.0  # [s], monotonic
SESSION = SimpleNamespace(
    policy_name="my_policy",
    policy_problem="",
    states=SimpleNamespace(counters=lambda now: {"states_dropped": "3"}),
    outputs=SimpleNamespace(subscribers=lambda: {"subscribers_plan_report": "2"}),
    task=SimpleNamespace(robot=SimpleNamespace(name="ur5")),
    world_topics=None,
)


def health(**parts: Any) -> Health:
    """An active node, but for these parts."""
    server = SimpleNamespace(status=Status.TRACKING, detail="goal 1", lost="")
    whole: dict[str, Any] = {
        "session": SESSION,
        "inbox": inbox_of(0.5),
        "server": server,
        "held": False,
        "failure": None,
        "values": {"state_timeout": 0.5},
    }
    return Health(**(whole | parts))


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sobo_planner.ros.inputs.inbox.time.monotonic", lambda: NOW)


def inbox_of(age: float) -> Inbox:
    """A state of an age [s] has come in."""
    inbox = Inbox()
    inbox.put_state(np.zeros(12), 5.0, NOW - age)
    return inbox


def refused_inbox() -> Inbox:
    inbox = Inbox()
    inbox.no_state = Refused(Status.BAD_STATE, "elbow is missing")
    return inbox


LOST = SimpleNamespace(status=Status.TRACKING, detail="", lost="it has died")


@pytest.mark.parametrize(
    "parts, expected",
    [
        ({}, (Status.TRACKING, "goal 1")),
        ({"session": None}, (Status.UNCONFIGURED, "")),
        ({"session": None, "failure": ConfigError("no such task")}, (Status.UNCONFIGURED, "no such task")),
        ({"inbox": None}, (Status.INACTIVE, "")),
        ({"server": None}, (Status.INACTIVE, "")),
        ({"server": LOST, "inbox": Inbox()}, (Status.NOT_RESPONDING, "it has died")),
        ({"inbox": Inbox()}, (Status.NO_STATE, Inbox().no_state.detail)),
        ({"inbox": refused_inbox()}, (Status.BAD_STATE, "elbow is missing")),
        ({"inbox": inbox_of(3.0), "held": True}, (Status.STALE_STATE, "joint state is 3.0 s old")),
        ({"held": True}, (Status.HOLDING, "")),
    ],
)
def test_the_first_thing_that_keeps_it_from_serving(parts: dict[str, Any], expected: tuple[Status, str]) -> None:
    assert health(**parts).status() == expected


def among(worlds: Worlds) -> SimpleNamespace:
    """A session whose world comes from topics."""
    intake = SimpleNamespace(worlds=worlds, values=worlds.values)
    return SimpleNamespace(**vars(SESSION) | {"world_topics": SimpleNamespace(intake=intake)})


def test_a_world_that_is_not_known_or_old_keeps_it_from_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sobo_planner.ros.inputs.worlds.time.monotonic", lambda: NOW)
    worlds = Worlds(World(), ("points",), lambda world: None)
    given = {"session": among(worlds), "values": {"state_timeout": 0.5, "world_timeout": 1.0}}
    assert health(**given).status() == (Status.NO_WORLD, "nothing valid has come in yet on points")
    worlds.accept("points", Layer(measured=NOW - 3.0))
    status, detail = health(**given).status()
    assert status is Status.STALE_WORLD and "points is 3.00 s old" in detail
    assert values(health(**given).message({}))["world_age_points_s"] == "3.000"
    worlds.accept("points", Layer(measured=NOW - 0.5))
    assert health(**given).status() == (Status.TRACKING, "goal 1")


def values(message: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in message.values}


def test_the_message_of_a_node_that_serves() -> None:
    message = health().message({"plans": "4"})
    found = values(message)
    assert message.hardware_id == "ur5" and message.level == DiagnosticStatus.OK
    assert (found["status"], found["plans"], found["policy"]) == ("TRACKING", "4", "my_policy")
    assert found["policy_error"] == "" and found["states_dropped"] == "3" and found["subscribers_plan_report"] == "2"
    assert found["state_age_s"] == "0.500"


@pytest.mark.parametrize("parts", [{"inbox": None}, {"inbox": Inbox()}])
def test_without_a_state_its_age_is_empty(parts: dict[str, Any]) -> None:
    assert values(health(**parts).message({}))["state_age_s"] == ""


def test_a_node_that_is_not_configured_tells_what_it_counts() -> None:
    message = health(session=None).message({"plans": "4"})
    assert message.hardware_id == "" and values(message)["plans"] == "4" and "policy" not in values(message)


def test_a_policy_that_could_not_be_used_is_a_warning() -> None:
    session = SimpleNamespace(**vars(SESSION) | {"policy_problem": "no policy is shipped"})
    message = health(session=session).message({})
    assert message.level == DiagnosticStatus.WARN and "no policy is shipped" in message.message
    assert values(message)["policy_error"] == "no policy is shipped"


def test_a_recording_that_ended_is_a_warning() -> None:
    recording = SimpleNamespace(values=lambda: {"recording_dropped": "7"}, problem="recording ended: the disk is full")
    message = health(recording=recording).message({})
    assert message.level == DiagnosticStatus.WARN and "the disk is full" in message.message
    assert values(message)["recording_dropped"] == "7"
