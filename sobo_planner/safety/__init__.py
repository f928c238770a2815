"""What leaves for a controller: its points, and the checks that every motion passes before it is published."""

from __future__ import annotations

from sobo_planner.safety.checker import COLLISION_STEP, PlanChecker
from sobo_planner.safety.joints import GAIN_CAP, TORQUE_TOLERANCE
from sobo_planner.safety.limits import TOLERANCE, Limit, Violation
from sobo_planner.safety.points import BRAKE_ACCELERATION, REST_DECELERATION, Trajectory

__all__ = [
    "BRAKE_ACCELERATION",
    "COLLISION_STEP",
    "GAIN_CAP",
    "REST_DECELERATION",
    "TOLERANCE",
    "TORQUE_TOLERANCE",
    "Limit",
    "PlanChecker",
    "Trajectory",
    "Violation",
]
