"""What users ask of the planner node: goals on a topic, `cancel` and `hold` as services."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.goals import read_goal, read_joint_goal
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.outputs.diagnostics import Ledger, refusal_report, to_json
from sobo_planner.ros.outputs.plan_outputs import RELIABLE
from sobo_planner.ros.record import fast_cdr
from sobo_planner.ros.record.recording import Recording
from sobo_planner.ros.serve.serving import Server
from sobo_planner.ros.support.status import Refused, Status

INACTIVE = "the node is not active; activate it"


@dataclass(frozen=True)
class Desk:
    """Where the requests of an active node go.

    Attributes:
        frames: Brings goals into the base frame.
        inbox: What the planning thread takes from.
        server: Answers goals that are refused.
        joint_names: The arm's joints, prefix included.
    """

    frames: GoalFrames
    inbox: Inbox
    server: Server
    joint_names: Sequence[str]


class Requests:
    """Takes goals and requests to stop, in the order in which they came.

    An executor takes one message of a topic at a time, services in between: a goal sent before `cancel` might be served
    after it, and move the arm that was just stopped. So goals that have come in are taken before anything changes that
    decides what becomes of them.

    Args:
        node: The node.
        ledger: Where refusals are counted.
        warn: Logs a warning.
        values: The node's parameters.
        recording: Records goals, and the reports that are published here.

    Attributes:
        held: Whether the arm is held.
        report: Publisher of `plan_report`. It is there as long as goals may come: each is answered.
    """

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        warn: Callable[[Status, str], None],
        values: Mapping[str, Any],
        recording: Recording | None = None,
    ) -> None:
        self._ledger, self._warn, self._values = ledger, warn, values
        self._note = (lambda role, message: None) if recording is None else recording.note
        self._desk: Desk | None = None
        self.held = False
        self.report = node.create_publisher(String, "plan_report", RELIABLE)
        self._subscriptions = (
            node.create_subscription(PoseStamped, "goal_pose", self._on_goal, RELIABLE),
            node.create_subscription(JointState, "goal_joints", self._on_goal, RELIABLE),
        )
        node.create_service(Trigger, "~/cancel", self._on_cancel)
        node.create_service(SetBool, "~/hold", self._on_hold)

    def open(self, desk: Desk) -> None:
        """Goals are served from here on, those that come from now on."""
        self._take_waiting_goals()
        self._desk, self.held = desk, False

    def close(self) -> None:
        """Goals are refused from here on, those that come from now on."""
        self._take_waiting_goals()
        self._desk = None

    def _take_waiting_goals(self) -> None:
        for subscription in self._subscriptions:
            with subscription.handle:
                for _ in range(RELIABLE.depth):  # what comes in meanwhile need not end
                    taken = subscription.handle.take_message(subscription.msg_type, False)
                    if taken is None:
                        break
                    self._on_goal(taken[0])

    def _on_goal(self, message: PoseStamped | JointState) -> None:
        self._note("goal_joints" if isinstance(message, JointState) else "goal_pose", message)
        desk = self._desk
        if desk is None:
            refusal = Refused(Status.INACTIVE, f"{INACTIVE} and send the goal again")
            self._ledger.count(refusal.status, refusal.detail)
            self._warn(refusal.status, f"goal refused: {refusal.detail}")
            told = fast_cdr.text(to_json(refusal_report(refusal, None)))
            self.report.publish(told)
            self._note("plan_report", told)
            return
        try:
            if desk.server.lost:
                raise Refused(Status.NOT_RESPONDING, desk.server.lost)
            if self.held:
                raise Refused(Status.HOLDING, "the arm is held; release it first: call `hold` with data: false")
            goal = self._read(message, desk)
        except Refused as refusal:
            desk.server.core.refuse(refusal, None)
            return
        replaced = desk.inbox.put(goal)
        if replaced is not None:
            desk.server.core.refuse(Refused(Status.SUPERSEDED, f"a newer goal {goal} came first"), replaced)

    def _read(self, message: PoseStamped | JointState, desk: Desk) -> NDArray[np.float64]:
        goal_type = self._values["goal_type"]
        if isinstance(message, JointState) != (goal_type == "joints"):
            topic = "goal_joints" if goal_type == "joints" else "goal_pose"
            raise Refused(Status.BAD_GOAL, f"with goal_type {goal_type} this node takes goals on {topic} alone")
        if isinstance(message, JointState):
            return read_joint_goal(message, desk.joint_names)
        return read_goal(message, desk.frames, goal_type)

    def _on_cancel(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._desk is not None
        if self._desk is not None:
            self._stop(self._desk, "cancelled")
        response.message = "the goal is dropped, the arm comes to rest" if response.success else INACTIVE
        return response

    def _on_hold(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = self._desk is not None
        if self._desk is None:
            response.message = INACTIVE
            return response
        if request.data:
            self._stop(self._desk, "cancelled by hold")
        else:
            self._take_waiting_goals()
        self.held = request.data
        response.message = "the arm comes to rest and is held" if request.data else "goals are taken again"
        return response

    def _stop(self, desk: Desk, why: str) -> None:
        """Drops the goal and has the arm stopped."""
        self._take_waiting_goals()
        replaced = desk.inbox.put(None)
        if replaced is not None:
            desk.server.core.refuse(Refused(Status.CANCELLED, f"the goal was {why}"), replaced)
