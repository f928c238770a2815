"""Draws one solved instance of each kind of task: docs/tasks.png.

python benchmarks/pictures.py [FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from sobo_planner.solver import Solution, Solver
from sobo_planner.tasks import load_task

ARM_LINKS = ("base_link", "shoulder_link", "upper_arm_link", "forearm_link", "wrist_1_link", "wrist_2_link", "tool0")


def solved(task: Any, seed: int) -> tuple[Any, Solution]:
    """An instance and the cheapest of several solutions."""
    rng = np.random.default_rng(seed)
    instance = task.sample(rng)
    solver = Solver(task)
    solutions = [solver.solve(instance, guess) for guess in task.starts(instance, 6, rng)]
    return instance, min((each for each in solutions if each.converged), key=lambda each: each.cost)


def shade(t: int, horizon: int) -> tuple[float, float, float]:
    """From grey to orange over the horizon."""
    share = t / horizon
    return (0.75 + 0.25 * share, 0.75 - 0.25 * share, 0.75 - 0.7 * share)


def draw_arm(axis: Any) -> None:
    """The links at a few times, the tool's path and the target, from the side and above."""
    task = load_task("ur5")
    instance, solution = solved(task, 5)
    for t in range(0, task.horizon + 1, 20):
        points = np.array([task.robot.frame_position(solution.X[t, :6], link) for link in ARM_LINKS])
        axis.plot(*points.T, "-o", color=shade(t, task.horizon), markersize=2)
    axis.plot(*task.robot.tool_positions(np.ascontiguousarray(solution.X[:, :6])).T, color="tab:blue", linewidth=1)
    axis.plot(*instance.target[:, None], "r*", markersize=9)
    axis.set(title="ur5", xlabel="x [m]", ylabel="y [m]", box_aspect=(1, 1, 1))


def draw_pendulum(axis: Any, name: str) -> None:
    """The rods over time, and the tip's path."""
    task = load_task(name)
    _, solution = solved(task, 0)
    ends = [f"link{i + 1}" for i in range(task.nu)] + ["tip"]
    paths = {end: np.array([task.robot.frame_position(x[: task.nu], end) for x in solution.X]) for end in ends}
    for t in range(0, task.horizon + 1, max(1, task.horizon // 25)):
        points = np.array([paths[end][t] for end in ends])
        axis.plot(points[:, 0], points[:, 2], color=shade(t, task.horizon), linewidth=1)
    axis.plot(paths["tip"][:, 0], paths["tip"][:, 2], color="tab:blue", linewidth=1)
    axis.plot(task.upright[0], task.upright[2], "r*", markersize=9)
    axis.set(title=name, xlabel="x [m]", ylabel="z [m]", aspect="equal")


def draw_quadrotor(axis: Any) -> None:
    """Flights among nine columns, from above."""
    task = load_task("quadrotor", columns=9)
    for x, y, radius in task.columns:
        axis.add_patch(Circle((x, y), radius, color="0.75"))
    for seed in range(6):
        instance, solution = solved(task, seed)
        axis.plot(solution.X[:, 0], solution.X[:, 1], color="tab:blue", linewidth=1)
        axis.plot(*instance.x0[:2], "o", color="0.4", markersize=4)
        axis.plot(*instance.target[:2], "r*", markersize=8)
    axis.set(title="quadrotor, 9 columns", xlabel="x [m]", ylabel="y [m]", aspect="equal")


def draw_lqr(axis: Any) -> None:
    """States and controls over time."""
    task = load_task("lqr")
    _, solution = solved(task, 0)
    time = task.dt * np.arange(task.horizon + 1)
    axis.plot(time, solution.X, color="tab:blue", linewidth=1)
    axis.step(time[:-1], solution.U, where="post", color="tab:orange", linewidth=1)
    axis.axhline(task.control_upper[0], color="0.6", linestyle=":")
    axis.axhline(task.control_lower[0], color="0.6", linestyle=":")
    axis.set(title="lqr", xlabel="time [s]", ylabel="states (blue), controls")


def main() -> None:
    """Draws all."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/tasks.png")
    figure = Figure(figsize=(15, 3.4), layout="constrained")
    draw_arm(figure.add_subplot(1, 5, 1, projection="3d"))
    draw_pendulum(figure.add_subplot(1, 5, 2), "pendulum")
    draw_pendulum(figure.add_subplot(1, 5, 3), "double_pendulum")
    draw_quadrotor(figure.add_subplot(1, 5, 4))
    draw_lqr(figure.add_subplot(1, 5, 5))
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
