"""Receding-horizon planning: a short solve in each cycle, continued in the next."""

from __future__ import annotations

from sobo_planner.receding.planner import LEAVING, LOST, NEAR, OVERSHOOT, Cycle, RecedingPlanner

__all__ = ["LEAVING", "LOST", "NEAR", "OVERSHOOT", "Cycle", "RecedingPlanner"]
