"""Reports of plans and refusals, with goals as their senders may compare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import ArrayLike, NDArray

from sobo_planner.motion import Motion
from sobo_planner.robot.frames import Placement
from sobo_planner.ros.outputs import diagnostics
from sobo_planner.ros.support.status import Refused


class PlanReports:
    """Numbers plans and makes their reports. Not thread-safe.

    Args:
        policy_name: What reports say of the policy.
        values: The node's parameters.
        base: The base frame, which reports give goals in, in the root link's frame. None: the root link's frame.
    """

    def __init__(self, policy_name: str, values: Mapping[str, Any], base: Placement | None) -> None:
        self._policy_name, self._values = policy_name, values
        self._from_root = (base or Placement.identity()).inverse()
        self._plan_id = 0
        self._last_goal: tuple[NDArray[np.float64], list[float]] = np.zeros(0), []

    def plan(
        self, stamp: Time, lead: float, motion: Motion, details: dict[str, Any], checksums: dict[str, Any]
    ) -> dict[str, Any]:
        """The report of the next plan; see `diagnostics.plan_report`."""
        self._plan_id += 1
        about = details | {"policy": self._policy_name}
        report = diagnostics.plan_report(self._plan_id, stamp, lead, motion, about)
        return report | {"goal": self._in_base(details.get("goal")), "checksums": checksums}

    def refusal(self, refusal: Refused, goal: ArrayLike | None) -> dict[str, Any]:
        """The report of a refusal; see `diagnostics.refusal_report`."""
        return diagnostics.refusal_report(refusal, self._in_base(goal))

    def _in_base(self, goal: ArrayLike | None) -> list[float] | None:
        """A goal of the tool in the base frame, one of the joints as it is."""
        if goal is None:
            return None
        values = np.asarray(goal, float)
        if not np.array_equal(values, self._last_goal[0]):  # a receding horizon reports the same one many times
            there = values if self._values["goal_type"] == "joints" else self._from_root.goal(values)
            self._last_goal = values.copy(), there.tolist()
        return self._last_goal[1]
