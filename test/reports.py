"""The points and the report of a plan, as the planner node would publish it."""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time

from sobo_planner.motion import Motion
from sobo_planner.planning.plan import Plan
from sobo_planner.ros.outputs.diagnostics import plan_report
from sobo_planner.ros.serve.plan_once import details_of
from sobo_planner.safety import Trajectory


def points_of(plan: Plan, lead: float = 0.0, moving_end: bool = False) -> Trajectory:
    """The points by which a plan leaves."""
    return Trajectory.of(plan.time, plan.X, plan.U, lead=lead, moving_end=moving_end)


def report_of(plan: Plan, plan_id: int, stamp: Time, checksums: dict[str, int], lead: float = 0.0) -> dict[str, Any]:
    """Report of a plan whose motion begins `lead` seconds after the stamp; 0: on arrival."""
    motion = Motion(0.0, float(plan.time[1] - plan.time[0]), plan.X, plan.U, plan.K)
    return plan_report(plan_id, stamp, lead, motion, details_of(plan) | {"policy": "none", "checksums": checksums})
