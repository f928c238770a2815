"""PNG plots of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sobo_planner.ros.demo.results import REACHED, ErrorCurve, GoalResult

SIZE = (8.0, 4.5)  # [inch]
DPI = 120


#: Files of the plots.
PLOTS = ("tool_error.png", "iterations.png", "phases.png")


def plot_all(folder: Path, goals: Sequence[GoalResult], curves: Sequence[ErrorCurve]) -> list[Path]:
    """Writes every plot and returns the paths."""
    planned = [(i + 1, goal) for i, goal in enumerate(goals) if goal.plan_ms is not None]
    errors, iterations, phases = (folder / name for name in PLOTS)
    return [plot_errors(errors, curves), plot_iterations(iterations, planned), plot_phases(phases, planned)]


def plot_errors(path: Path, curves: Sequence[ErrorCurve]) -> Path:
    """Tool error over time, one line a goal."""
    figure, axes = _empty()
    for i, curve in enumerate(curves):
        (line,) = axes.semilogy(curve.time, np.maximum(curve.error, 1e-6), lw=1.0, label=f"goal {i + 1}")
        axes.axvline(curve.duration, color=line.get_color(), lw=0.5, ls=":")
    axes.axhline(REACHED, color="black", ls="--", lw=1.0, label="reached")
    axes.set(
        xlabel="time since the motion began [s]",
        ylabel="tool error [m]",
        title="Tool error (dotted: plan ends)",
    )
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize="x-small", ncols=2)
    return _save(figure, path)


def plot_iterations(path: Path, goals: Sequence[tuple[int, GoalResult]]) -> Path:
    """Solver iterations from the planner's warm start and from the naive start."""
    figure, axes = _empty()
    at = np.arange(len(goals))
    warm = [goal.iterations_warm or 0 for _, goal in goals]
    cold = [goal.iterations_cold or 0 for _, goal in goals]
    axes.bar(at - 0.2, warm, 0.4, label="warm start")
    axes.bar(at + 0.2, cold, 0.4, label="naive start")
    axes.set(xlabel="goal", ylabel="solver iterations", title="Iterations to the plan")
    axes.set_xticks(at, [str(i) for i, _ in goals])
    axes.legend()
    return _save(figure, path)


def plot_phases(path: Path, goals: Sequence[tuple[int, GoalResult]]) -> Path:
    """Planning time of each goal, split into its phases."""
    figure, axes = _empty()
    at = np.arange(len(goals))
    total = np.array([goal.plan_ms or 0.0 for _, goal in goals])
    policy = np.array([goal.policy_ms or 0.0 for _, goal in goals])
    refine = np.array([goal.refine_ms or 0.0 for _, goal in goals])
    axes.bar(at, policy, 0.6, label="policy rollout")
    axes.bar(at, refine, 0.6, bottom=policy, label="refinement")
    axes.bar(at, np.maximum(total - policy - refine, 0.0), 0.6, bottom=policy + refine, label="rest")
    axes.set(xlabel="goal", ylabel="time [ms]", title="Time per planning phase")
    axes.set_xticks(at, [str(i) for i, _ in goals])
    axes.legend()
    return _save(figure, path)


def _empty() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE)
    return figure, figure.add_subplot()


def _save(figure: Figure, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=DPI)
    return path
