"""Trajectories as goals of a FollowJointTrajectory action, where control_msgs is installed.

A controller that takes a goal reports what becomes of it, which a topic cannot. Each goal replaces the one before,
which the controller then ends: only what becomes of the newest is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.errors import ConfigError
from sobo_planner.ros.support.status import Refused, Status

try:
    from control_msgs.action import FollowJointTrajectory
    from rclpy.action import ActionClient
except ImportError:
    FollowJointTrajectory = ActionClient = None

# Relative to the node; remapped to the controller's.
ACTION = "follow_joint_trajectory"
# Of action_msgs/GoalStatus.
SUCCEEDED, CANCELED, ABORTED = 4, 5, 6
ENDS = {CANCELED: "cancelled", ABORTED: "aborted"}
# Of FollowJointTrajectory's results.
ERRORS = {
    -1: "INVALID_GOAL",
    -2: "INVALID_JOINTS",
    -3: "OLD_HEADER_TIMESTAMP",
    -4: "PATH_TOLERANCE_VIOLATED",
    -5: "GOAL_TOLERANCE_VIOLATED",
}


class Client(Protocol):
    """As much of an `rclpy.action.ActionClient` as is used."""

    def server_is_ready(self) -> bool:
        """Whether somebody takes goals."""
        ...

    def send_goal_async(self, goal: Any) -> Any:
        """Sends a goal; the future's result is its handle."""
        ...

    def destroy(self) -> None:
        """Ends it."""
        ...


class Execution:
    """Sends trajectories to a controller's action, and tells what becomes of them. Thread-safe.

    Args:
        client: Of the action.
        note: Told what went wrong with the newest trajectory.
    """

    def __init__(self, client: Client, note: Callable[[Refused], None]) -> None:
        self._client, self._note = client, note
        self._lock = threading.Lock()
        self._newest = 0

    @classmethod
    def of(cls, node: Node, note: Callable[[Refused], None]) -> Execution:
        """For the action `follow_joint_trajectory` of a node's namespace.

        Raises:
            ConfigError: control_msgs is not installed.
        """
        if FollowJointTrajectory is None:
            raise ConfigError("execute: action needs control_msgs, which is not installed; use execute: topic")
        return cls(ActionClient(node, FollowJointTrajectory, ACTION), note)

    def check(self) -> None:
        """Raises Refused (EXECUTION_FAILED) while nobody takes goals."""
        if not self._client.server_is_ready():
            raise Refused(Status.EXECUTION_FAILED, f"no controller takes goals of the action {ACTION}; is it active?")

    def send(self, trajectory: JointTrajectory) -> None:
        """Sends a trajectory, which replaces the one before."""
        with self._lock:
            self._newest += 1
            number = self._newest
        goal = FollowJointTrajectory.Goal()
        goal.trajectory = trajectory
        self._client.send_goal_async(goal).add_done_callback(lambda future: self._answered(number, future))

    def destroy(self) -> None:
        """Ends the client; what becomes of the last goal is not told."""
        self._newest += 1
        self._client.destroy()

    def _answered(self, number: int, future: Any) -> None:
        handle = future.result()
        if not handle.accepted:
            self._tell(number, "the controller did not accept the trajectory; its log says why")
            return
        handle.get_result_async().add_done_callback(lambda ended: self._ended(number, ended.result()))

    def _ended(self, number: int, answer: Any) -> None:
        if answer.status == SUCCEEDED:
            return
        result = answer.result
        reason = ERRORS.get(result.error_code, f"error {result.error_code}") if result.error_code else ""
        how = ENDS.get(answer.status, f"ended (status {answer.status})")
        details = ", ".join(part for part in (reason, result.error_string) if part)
        self._tell(number, f"the controller {how} the trajectory" + (f": {details}" if details else ""))

    def _tell(self, number: int, detail: str) -> None:
        if number == self._newest:
            self._note(Refused(Status.EXECUTION_FAILED, detail))
