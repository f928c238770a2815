"""Planning one motion: starters propose, ProxDDP refines, the checker decides."""

from __future__ import annotations

from sobo_planner.planning.plan import REACHED, Plan, PlanStatus
from sobo_planner.planning.planner import Planner

__all__ = ["REACHED", "Plan", "PlanStatus", "Planner"]
