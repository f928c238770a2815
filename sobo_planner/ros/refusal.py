"""Why a message or a goal was refused: one name for the log, the diagnostics and the plan report."""

from __future__ import annotations

from enum import Enum

from sobo_planner.errors import SoboError


class Reason(str, Enum):
    """Named reasons, counted one by one in the diagnostics."""

    NO_STATE = "NO_STATE"  # a goal came before the first valid joint state; it is not kept
    STALE_STATE = "STALE_STATE"  # the last valid joint state is older than `state_timeout`
    BAD_STATE = "BAD_STATE"  # a joint state message is malformed
    BAD_GOAL = "BAD_GOAL"  # a goal message is malformed, or in a frame that we do not plan in
    OUT_OF_REACH = "OUT_OF_REACH"  # the task refuses the start or the goal
    PLANNING_FAILED = "PLANNING_FAILED"  # no plan that may be executed was found
    SUPERSEDED = "SUPERSEDED"  # a newer goal came before planning of this one began
    INTERNAL_ERROR = "INTERNAL_ERROR"  # a defect; the traceback is in the log
    BAD_PLAN = "BAD_PLAN"  # simulator: a plan's messages are malformed


class Refused(SoboError):
    """Input that is refused whole.

    Attributes:
        reason: named reason.
        detail: what was wrong, with value and bound.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
