"""Results of the demo: per goal, per disturbed trial, as JSON and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.files import write_json

REACHED = 0.01  # [m]


@dataclass(frozen=True)
class GoalResult:
    """One goal with the nominal model. Times in ms, errors in m; *_cold: solved from the naive start, not in a world.

    In a world, clearance_m is the smallest distance between the arm and an object on its way, `nearest` names the two.

    A goal that was refused has none of them.
    """

    target: list[float]
    reached: bool
    final_error_m: float | None = None
    plan_ms: float | None = None
    policy_ms: float | None = None
    refine_ms: float | None = None
    iterations_warm: int | None = None
    iterations_cold: int | None = None
    cost_warm: float | None = None
    cost_cold: float | None = None
    source: str | None = None
    clearance_m: float | None = None
    nearest: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Trial:
    """One goal with a wrong model and a push.

    Attributes:
        gains: whether the plan's feedback was applied.
        final_error_m: distance of the tool from the target when the plan ended.
        peak_error_m: largest distance of the tool from where the plan wanted it at that time.
    """

    target: list[float]
    gains: bool
    final_error_m: float
    peak_error_m: float


@dataclass(frozen=True)
class ErrorCurve:
    """Distance of the tool from the target over time.

    Attributes:
        time: (N,) [s], 0 when the motion began.
        error: (N,) [m].
        duration: length of the plan [s].
    """

    time: NDArray[np.float64]
    error: NDArray[np.float64]
    duration: float


def write_summary(
    path: Path,
    goals: Sequence[GoalResult],
    trials: Sequence[Trial],
    disturbance: dict[str, Any],
    **extra: Any,
) -> None:
    """Writes the summary.

    Raises:
        SoboError: The file cannot be written.
    """
    summary = {
        "goals": [asdict(goal) for goal in goals],
        "reached": sum(goal.reached for goal in goals),
        "sent": len(goals),
        "robustness": {"disturbance": disturbance, "trials": [asdict(trial) for trial in trials]},
        **extra,
    }
    write_json(path, summary)


def goal_table(goals: Sequence[GoalResult]) -> str:
    """Table of all goals, with the means in the last row."""
    head: tuple[str, ...] = (
        "goal",
        "target [m]",
        "reached",
        "error [mm]",
        "plan",
        "policy",
        "refine [ms]",
        "iterations",
        "cold",
    )
    head += ("cost", "cold")
    inside = any(goal.clearance_m is not None for goal in goals)
    head += ("nearest [mm]", "of", "start") if inside else ()
    rows = [
        (
            str(i + 1),
            " ".join(f"{value:6.3f}" for value in goal.target),
            "yes" if goal.reached else goal.refused.split(":")[0] or "no",
            _number(goal.final_error_m, 2, 1e3),
            *(_number(value, 1) for value in (goal.plan_ms, goal.policy_ms, goal.refine_ms)),
            *(_number(value, 0) for value in (goal.iterations_warm, goal.iterations_cold)),
            *(_number(value, 2) for value in (goal.cost_warm, goal.cost_cold)),
            *((_number(goal.clearance_m, 1, 1e3), goal.nearest or "-", goal.source or "-") if inside else ()),
        )
        for i, goal in enumerate(goals)
    ]
    last = ("mean", "", f"{sum(g.reached for g in goals)}/{len(goals)}", *_means(goals))
    if inside:
        nearest = min(goal.clearance_m for goal in goals if goal.clearance_m is not None)
        last += (f"min {_number(nearest, 1, 1e3)}", "", "")
    return _table([head, *rows, last])


def _means(goals: Sequence[GoalResult]) -> list[str]:
    columns = [("final_error_m", 2, 1e3), ("plan_ms", 1, 1), ("policy_ms", 1, 1), ("refine_ms", 1, 1)]
    columns += [
        ("iterations_warm", 1, 1),
        ("iterations_cold", 1, 1),
        ("cost_warm", 2, 1),
        ("cost_cold", 2, 1),
    ]
    means = []
    for name, digits, scale in columns:
        values = [getattr(goal, name) for goal in goals if getattr(goal, name) is not None]
        means.append(_number(float(np.mean(values)) if values else None, digits, scale))
    return means


def trial_table(trials: Sequence[Trial]) -> str:
    """Table of the disturbed trials, gains on beside gains off."""
    head = ("target [m]", "final error [mm]: gains on", "off", "peak error [mm]: gains on", "off")
    on = [trial for trial in trials if trial.gains]
    off = [trial for trial in trials if not trial.gains]
    rows = [
        (
            " ".join(f"{value:6.3f}" for value in a.target),
            *(_number(v, 1, 1e3) for v in (a.final_error_m, b.final_error_m, a.peak_error_m, b.peak_error_m)),
        )
        for a, b in zip(on, off, strict=True)
    ]
    return _table([head, *rows])


def _number(value: float | None, digits: int, scale: float = 1.0) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)
