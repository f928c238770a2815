"""Trajectories as goals of an action: what is sent, and what is told of their ends."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from trajectory_msgs.msg import JointTrajectory

from sobo_planner.errors import ConfigError
from sobo_planner.ros.outputs import execution
from sobo_planner.ros.outputs.execution import ABORTED, CANCELED, SUCCEEDED, Execution
from sobo_planner.ros.support.status import Refused, Status


class Goal:
    """FollowJointTrajectory.Goal, as far as it is filled."""

    def __init__(self) -> None:
        self.trajectory: Any = None


class Future:
    """A result that a test brings when it likes."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Any], None]] = []
        self._result: Any = None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def result(self) -> Any:
        return self._result

    def bring(self, result: Any) -> None:
        self._result = result
        for callback in self._callbacks:
            callback(self)


class Client:
    """A controller that a test plays."""

    def __init__(self) -> None:
        self.ready, self.destroyed = True, False
        self.sent: list[tuple[Any, Future]] = []

    def server_is_ready(self) -> bool:
        return self.ready

    def send_goal_async(self, goal: Any) -> Future:
        self.sent.append((goal, Future()))
        return self.sent[-1][1]

    def destroy(self) -> None:
        self.destroyed = True

    def accept(self, index: int = -1) -> Future:
        """Takes a goal. Returns its end."""
        end = Future()
        self.sent[index][1].bring(SimpleNamespace(accepted=True, get_result_async=lambda: end))
        return end


def end(status: int, code: int = 0, text: str = "") -> Any:
    return SimpleNamespace(status=status, result=SimpleNamespace(error_code=code, error_string=text))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(execution, "FollowJointTrajectory", SimpleNamespace(Goal=Goal))
    return Client()


@pytest.fixture
def told() -> list[Refused]:
    return []


@pytest.fixture
def sender(client: Client, told: list[Refused]) -> Execution:
    return Execution(client, told.append)


def test_a_trajectory_is_sent_as_it_is_and_its_success_is_nothing_to_tell(
    client: Client, sender: Execution, told: list[Refused]
) -> None:
    trajectory = JointTrajectory(joint_names=["a"])
    sender.send(trajectory)
    assert client.sent[0][0].trajectory is trajectory
    client.accept().bring(end(SUCCEEDED))
    assert told == []


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (ABORTED, -4, "a is off", "the controller aborted the trajectory: PATH_TOLERANCE_VIOLATED, a is off"),
        (ABORTED, -5, "", "the controller aborted the trajectory: GOAL_TOLERANCE_VIOLATED"),
        (ABORTED, 7, "", "the controller aborted the trajectory: error 7"),
        (CANCELED, 0, "", "the controller cancelled the trajectory"),
        (9, 0, "", "the controller ended (status 9) the trajectory"),
    ],
)
def test_any_other_end_is_told(
    client: Client, sender: Execution, told: list[Refused], status: int, code: int, text: str, expected: str
) -> None:
    sender.send(JointTrajectory())
    client.accept().bring(end(status, code, text))
    ((refusal),) = told
    assert refusal.status is Status.EXECUTION_FAILED and refusal.detail == expected


def test_a_trajectory_that_is_not_accepted_is_told(client: Client, sender: Execution, told: list[Refused]) -> None:
    sender.send(JointTrajectory())
    client.sent[0][1].bring(SimpleNamespace(accepted=False))
    assert [refusal.status for refusal in told] == [Status.EXECUTION_FAILED] and "did not accept" in told[0].detail


def test_only_what_becomes_of_the_newest_counts(client: Client, sender: Execution, told: list[Refused]) -> None:
    """The controller ends a trajectory that another one replaces."""
    sender.send(JointTrajectory())
    first = client.accept()
    sender.send(JointTrajectory())
    second = client.accept()
    first.bring(end(ABORTED))
    assert told == []
    second.bring(end(CANCELED))
    assert len(told) == 1
    sender.send(JointTrajectory())
    third = client.accept()
    sender.destroy()
    third.bring(end(ABORTED))
    assert client.destroyed and len(told) == 1


def test_without_a_controller_nothing_is_published(client: Client, sender: Execution) -> None:
    sender.check()
    client.ready = False
    with pytest.raises(Refused, match="no controller takes goals of the action follow_joint_trajectory") as refused:
        sender.check()
    assert refused.value.status is Status.EXECUTION_FAILED


@pytest.mark.skipif(execution.FollowJointTrajectory is not None, reason="control_msgs is installed")
def test_without_control_msgs_the_parameter_is_refused() -> None:
    with pytest.raises(ConfigError, match="execute: action needs control_msgs, which is not installed"):
        Execution.of(None, lambda refusal: None)  # type: ignore[arg-type]
