"""Motions in time: what the arm follows, where it will be, and how it is brought to rest."""

from __future__ import annotations

from sobo_planner.motion.braking import Brakes, StopTouchesError, braking
from sobo_planner.motion.motion import Motion, Optimum, follow, splined
from sobo_planner.motion.prediction import (
    LOST,
    POSITION_JUMP,
    VELOCITY_JUMP,
    coasting_state,
    expected_state,
    unwound,
    within_limits,
)
from sobo_planner.motion.reference import reference
from sobo_planner.motion.timeline import HISTORY, Followed, Timeline

__all__ = [
    "HISTORY",
    "LOST",
    "POSITION_JUMP",
    "VELOCITY_JUMP",
    "Brakes",
    "Followed",
    "Motion",
    "Optimum",
    "StopTouchesError",
    "Timeline",
    "braking",
    "coasting_state",
    "expected_state",
    "follow",
    "reference",
    "splined",
    "unwound",
    "within_limits",
]
