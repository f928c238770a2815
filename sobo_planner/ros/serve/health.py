"""How the planner node is, as it stands in /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.outputs import diagnostics
from sobo_planner.ros.record.recording import Recording
from sobo_planner.ros.serve.serving import Server
from sobo_planner.ros.serve.session import Session
from sobo_planner.ros.support.status import Refused, Status


@dataclass(frozen=True)
class Health:
    """A look at a planner node.

    Attributes:
        session: What configuring made; None before.
        inbox: What came in; None unless the node is active.
        server: Who serves it; None unless the node is active.
        held: Whether the arm is held.
        failure: Why the node could not be configured.
        values: The node's parameters.
        recording: What the node records.
    """

    session: Session | None
    inbox: Inbox | None
    server: Server | None
    held: bool
    failure: Exception | None
    values: Mapping[str, Any]
    recording: Recording | None = None

    def status(self) -> tuple[Status, str]:
        """What the node is doing, or what keeps it from that, and what exactly (may be empty)."""
        if self.session is None:
            return Status.UNCONFIGURED, "" if self.failure is None else str(self.failure)
        if self.inbox is None or self.server is None:
            return Status.INACTIVE, ""
        if self.server.lost:
            return Status.NOT_RESPONDING, self.server.lost
        state = self.inbox.state
        if state is None:
            return self.inbox.no_state.status, self.inbox.no_state.detail
        if state.age > self.values["state_timeout"]:
            return Status.STALE_STATE, f"joint state is {state.age:.1f} s old"
        topics = self.session.world_topics
        if topics is not None:
            try:
                topics.intake.worlds.fresh(self.values["world_timeout"])
            except Refused as refusal:
                return refusal.status, refusal.detail
        return (Status.HOLDING, "") if self.held else (self.server.status, self.server.detail)

    def message(self, counters: dict[str, str]) -> DiagnosticStatus:
        """The status with all numbers, those of the ledger included."""
        status, detail = self.status()
        state = None if self.inbox is None else self.inbox.state
        values = counters | {"state_age_s": "" if state is None else f"{state.age:.3f}"}
        session = self.session
        if session is None:
            return diagnostics.status_message("", status, detail, [], values)
        values |= {
            "policy": session.policy_name,
            "policy_error": session.policy_problem,
            **session.states.counters(time.monotonic()),
            **session.outputs.subscribers(),
        }
        if session.world_topics is not None:
            values |= session.world_topics.intake.values(time.monotonic())
        recording_problem = ""
        if self.recording is not None:
            values |= self.recording.values()
            recording_problem = self.recording.problem
        problems = [problem for problem in (session.policy_problem, recording_problem) if problem]
        return diagnostics.status_message(session.task.robot.name, status, detail, problems, values)
