"""What a plan says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sobo_planner.planning.plan import ORIENTED, REACHED, Plan, PlanStatus, reached


def plan(tool_error: float, orientation_error: float | None = None) -> Plan:
    arrays: dict[str, Any] = {name: np.zeros(0) for name in ("time", "X", "U", "K", "goal")}
    return Plan(
        PlanStatus.CONVERGED, **arrays, cost=1.0, violation=0.0, iterations=1, tool_error=tool_error, source="policy",
        phases_ms={}, orientation_error=orientation_error,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tool_error", "angle", "expected"),
    [
        (0.0, None, True),
        (0.99 * REACHED, None, True),
        (REACHED, None, False),
        (0.0, 0.99 * ORIENTED, True),
        (0.0, ORIENTED, False),
        (REACHED, 0.0, False),
        (np.nan, None, False),
    ],
)
def test_a_goal_is_reached_by_distance_and_angle(tool_error: float, angle: float | None, expected: bool) -> None:
    assert reached(tool_error, angle) is expected and plan(tool_error, angle).reached is expected
    assert (plan(tool_error, angle).reason == "") is expected


def test_the_bounds() -> None:
    assert (REACHED, ORIENTED) == (0.01, 0.02)


def test_the_reason_names_what_is_left_and_what_is_allowed() -> None:
    assert (
        plan(0.1361).reason == "the plan ends 136.1 mm from the goal, allowed are 10 mm; choose another goal or start"
    )
    assert "ends 12.0 mm and 0.300 rad from the goal, allowed are 10 mm and 0.02 rad" in plan(0.012, 0.3).reason
