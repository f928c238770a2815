"""A session of the planner node whose world comes from topics, served on the test's own thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.node import Node

from sobo_planner.motion import Motion
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.inputs.world_topics import WorldIntake
from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.record.recording import Recording
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.serve.plan_once import PlanOnce
from sobo_planner.ros.serve.session import Session
from sobo_planner.ros.support import domain
from sobo_planner.ros.support.node_parameters import PLANNER
from sobo_planner.ros.support.status import Refused, Status

NOW = 1000.0  # ROS time [s], which stands still


@dataclasses.dataclass
class Served:
    """A session with a server on this thread.

    Attributes:
        refusals: Messages of the world that were refused.
        motions: What was published, with its report.
        reports: The reports.
        defects: Exceptions that were logged.
    """

    session: Session
    values: dict[str, Any]
    node: Node
    home: np.ndarray
    intake: WorldIntake
    refusals: list[Refused]
    motions: list[Motion] = dataclasses.field(default_factory=list)
    reports: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    defects: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        session = self.session
        parts = (session.task, Inbox(), session.outputs, session.followed, Ledger(), session.brakes, self.values)
        said: dict[str, Any] = {"info": print, "warn": print, "defect": self.defects.append}
        core = Core(*parts, now=lambda: NOW, **said, worlds=self.intake.worlds)
        self._server = session.server(core)
        self._publish, session.outputs.publish = session.outputs.publish, self._published  # type: ignore
        session.outputs.open()

    def _published(self, motion: Motion, *others: Any) -> dict[str, Any] | None:
        report = self._publish(motion, *others)
        if report is not None:
            self.motions.append(motion)
            self.reports.append(report)
        return report

    def ask(self, goal: np.ndarray) -> dict[str, Any] | None:
        """The report of the plan for a goal; None if it was refused."""
        assert isinstance(self._server, PlanOnce)
        self.session.followed.forget()
        self._server.core.inbox.put_state(np.concatenate([self.home, np.zeros(6)]), 0.0)
        served = self._server.guarded(goal, lambda: self._server._serve(goal))  # type: ignore[attr-defined]
        return self.reports[-1] if served else None

    def count(self, status: Status) -> int:
        """How often a status occurred."""
        return int(self._server.core.ledger.values()[f"count_{status.value}"])

    def counts(self) -> dict[str, int]:
        """How often each status occurred that did."""
        return {status.value: self.count(status) for status in Status if self.count(status)}


@contextmanager
def served_session(
    home: np.ndarray, topics: Sequence[str] = (), records: bool = False, **parameters: Any
) -> Iterator[Served]:
    """A session of the planner node that nobody spins.

    Args:
        home: Where the arm is, (6,) [rad].
        topics: Where the world comes from, by calls alone; else, those of the parameter `world_topics`.
        records: Whether the session is recorded, into the folder of the parameter `record`.
        parameters: Of the node.
    """
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    node = Node("worlds", context=context)
    given = {"policy": "none", "world_timeout": 60.0, "state_timeout": 60.0, "deadline": 60.0, "world_margin": 0.005}
    values = {spec.name: spec.default for spec in PLANNER} | given | parameters
    refusals: list[Refused] = []
    recording = Recording(node)
    session = Session(node, values, note=refusals.append, recording=recording)
    if records:
        recording.begin(values, session.description)
    assert session.world_topics is not None
    intake = session._intake(topics, node, refusals.append) if topics else session.world_topics.intake
    intake._now = lambda: NOW
    try:
        yield Served(session, values, node, home, intake, refusals)
    finally:
        session.drop()
        recording.end()
        node.destroy_node()
        context.try_shutdown()
