"""Receding-horizon planning: a short solve in each cycle, continued in the next."""

from __future__ import annotations

from sobo_planner.motion import LOST
from sobo_planner.receding.cycle import LEAVING, Cycle
from sobo_planner.receding.handover import OVERSHOOT
from sobo_planner.receding.planner import RecedingPlanner
from sobo_planner.receding.solver import NEAR

__all__ = ["LEAVING", "LOST", "NEAR", "OVERSHOOT", "Cycle", "RecedingPlanner"]
