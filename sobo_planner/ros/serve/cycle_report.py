"""What is told of a cycle of the receding horizon: its report, and the faults beside its motion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.receding import LEAVING, Cycle
from sobo_planner.receding.proposer import Proposer
from sobo_planner.ros.inputs.worlds import SeenWorld
from sobo_planner.ros.outputs.diagnostics import contact_of
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.support.status import Status


class CycleReport:
    """Tells of cycles.

    Args:
        core: Counts and logs.
        proposer: The policy in another thread, or None.
    """

    def __init__(self, core: Core, proposer: Proposer | None) -> None:
        self._core, self._proposer = core, proposer
        self._policy_failures = 0

    def note_faults(self, cycle: Cycle) -> None:
        """Counts and logs what went wrong, and tells of a contact that is left."""
        if cycle.lost:
            self._core.note(Status.TRACKING_LOST, "the arm is far from its motion")
        if self._proposer is not None and self._proposer.failures > self._policy_failures:
            self._policy_failures = self._proposer.failures
            self._core.note(Status.POLICY_FAILED, self._proposer.problem)
        if cycle.left is not None:
            first, second, distance = cycle.left.first, cycle.left.second, cycle.left.distance
            self._core.info(f"{first} is {1e3 * distance:.1f} mm from {second}: the arm leaves that first")
        if cycle.motion is None and (cycle.objection or cycle.source != LEAVING):
            self._core.note(Status.BAD_START if cycle.source == LEAVING else Status.FALLBACK, cycle.objection)

    def details(self, cycle: Cycle, goal: NDArray[np.float64], seen: SeenWorld | None) -> dict[str, Any]:
        """What the report says of a cycle towards a goal, and of a world from topics."""
        world = {} if seen is None else {"world": seen.summary}
        policy = {} if self._proposer is None else {"policy": self._proposer.last_ms}
        return {
            "status": "leaving" if cycle.left is not None else "refined" if cycle.refined else "start",
            "source": cycle.source,
            "goal": goal.tolist(),
            "cost": None if np.isnan(cycle.cost) else float(cycle.cost),
            "violation": float(cycle.violation),
            "iterations": int(cycle.iterations),
            "tool_error": float(cycle.tool_error),
            "objection": cycle.objection,
            **contact_of(cycle.left),
            **world,
            "phases_ms": cycle.phases_ms | policy,
        }
