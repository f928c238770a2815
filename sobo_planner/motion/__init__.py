"""Motions in time: what the arm follows, where it will be, and how it is brought to rest."""

from __future__ import annotations

from sobo_planner.motion.braking import Brakes, braking
from sobo_planner.motion.motion import Motion, follow
from sobo_planner.motion.prediction import POSITION_JUMP, VELOCITY_JUMP, expected_state, unwound, within_limits
from sobo_planner.motion.timeline import HISTORY, Timeline

__all__ = [
    "HISTORY",
    "POSITION_JUMP",
    "VELOCITY_JUMP",
    "Brakes",
    "Motion",
    "Timeline",
    "braking",
    "expected_state",
    "follow",
    "unwound",
    "within_limits",
]
