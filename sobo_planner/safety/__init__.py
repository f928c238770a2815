"""The checks that every motion passes before it is published."""

from __future__ import annotations

from sobo_planner.safety.checker import (
    COLLISION_STEP,
    GAIN_CAP,
    TOLERANCE,
    TORQUE_TOLERANCE,
    Limit,
    PlanChecker,
    Violation,
)

__all__ = ["COLLISION_STEP", "GAIN_CAP", "TOLERANCE", "TORQUE_TOLERANCE", "Limit", "PlanChecker", "Violation"]
