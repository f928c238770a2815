"""What counts as reaching a goal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sobo_planner.planning.plan import Plan, PlanStatus, reached


@pytest.mark.parametrize(
    "tool_error, orientation_error, expected",
    [
        (0.009, None, True),
        (0.011, None, False),
        (0.009, 0.019, True),
        (0.009, 0.021, False),
        (0.011, 0.019, False),
    ],
)
def test_a_centimetre_and_two_hundredths_of_a_radian(
    tool_error: float, orientation_error: float | None, expected: bool
) -> None:
    assert reached(tool_error, orientation_error) is expected


def made(tool_error: float, orientation_error: float | None = None) -> Plan:
    arrays: dict[str, Any] = {name: np.zeros(0) for name in ("time", "X", "U", "K", "goal")}
    figures: dict[str, Any] = {"cost": 1.0, "violation": 0.0, "iterations": 1, "source": "policy", "phases_ms": {}}
    return Plan(PlanStatus.SHORT, **arrays, **figures, tool_error=tool_error, orientation_error=orientation_error)


def test_a_plan_that_reaches_its_goal_has_no_reason() -> None:
    assert made(0.005).reached and made(0.005).reason == ""
    assert made(0.005, 0.01).reached and made(0.005, 0.01).reason == ""
    assert not made(0.02).reached and not made(0.005, 0.03).reached


def test_the_reason_names_what_is_left_and_what_is_allowed() -> None:
    told = "the plan ends 136.1 mm from the goal, allowed are 10 mm; choose another goal or start"
    assert made(0.1361).reason == told
    assert "ends 12.0 mm and 0.300 rad from the goal, allowed are 10 mm and 0.02 rad" in made(0.012, 0.3).reason


def test_a_joint_goal_counts_by_its_farthest_joint() -> None:
    assert reached(0.009, None, 0.019) and not reached(0.009, None, 0.021) and not reached(0.011, None, 0.0)
    short = replace(made(0.001), joint_error=0.03)
    assert not short.reached and replace(short, joint_error=0.01).reached
    assert "1.0 mm and 0.030 rad in a joint from the goal, allowed are 10 mm and 0.02 rad;" in short.reason


def test_what_a_plan_says_of_its_time_and_its_accelerations() -> None:
    """Two joints: one speeds up by 2 rad/s^2 and slows down by 3, the other turns round at once."""
    time = np.array([0.0, 0.5, 1.0, 1.5])
    X = np.zeros((4, 4))
    X[:, 2] = [0.0, 1.0, 1.0, -0.5]
    plan = replace(made(0.0), time=time, X=X)
    assert plan.duration == 1.5 and plan.acceleration_jump == pytest.approx(3.0)
    X[:, 2:] = [[0.5, 0.0], [0.0, 2.0], [0.0, -2.0], [0.0, 0.0]]
    assert replace(plan, X=X).acceleration_jump == pytest.approx(12.0)
    assert replace(plan, X=X).jerk == pytest.approx(24.0)
    X[:, 3] = [0.0, 2.5, 2.5, 2.5]
    assert replace(plan, X=X).acceleration_jump == pytest.approx(5.0), "from rest"
