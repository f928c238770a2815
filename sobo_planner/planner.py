"""The import path `sobo_planner.planner`, kept for programs that use it; the code is in `sobo_planner.planning`."""

from __future__ import annotations

from sobo_planner.planning import REACHED, Plan, Planner, PlanStatus

__all__ = ["REACHED", "Plan", "PlanStatus", "Planner"]
