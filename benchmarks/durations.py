"""How long motions last, and whether a controller's splines keep the limits, at several shares of the robot's speeds.

    python benchmarks/durations.py --plans 200 --json out/durations.json

Random goals, and goals at given distances from the tool. The splines are those that joint_trajectory_controller makes
of the published points. With toppra installed (`pip install toppra`), durations are compared with the time that is
optimal along each plan's own path, within the same limits on speeds and accelerations.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sobo_planner.errors import SoboError
from sobo_planner.planning import Plan, Planner, PlanStatus
from sobo_planner.safety import PlanChecker, Trajectory
from sobo_planner.safety.curve import extremes
from sobo_planner.tasks import ArmReach, load_task
from sobo_training.bench import machine

Array = NDArray[np.float64]

SHARES = (1.0, 0.5, 0.25, 0.1, 0.05)
DISTANCES = (0.01, 0.03, 0.1, 0.3, 0.6)  # [m] from the tool to the goal
GRID = 200  # points of the path that toppra looks at
APART = 3e-3  # [rad] between two points of that path


def optimal(path: Array, speed: Array, acceleration: Array) -> float:
    """The least time [s] along positions (N, n), by toppra; NaN where it is not installed or finds none."""
    try:
        toppra: Any = importlib.import_module("toppra")
        constraint: Any = importlib.import_module("toppra.constraint")
        algorithm: Any = importlib.import_module("toppra.algorithm")
    except ImportError:
        return float("nan")
    kept = [path[0]]
    for q in path[1:]:
        if np.abs(q - kept[-1]).max() > APART:
            kept.append(q)
    if len(kept) < 4:
        return float("nan")
    at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(kept, axis=0), axis=1))])
    limits = [
        kind(np.stack([-most, most], axis=1))
        for kind, most in (
            (constraint.JointVelocityConstraint, speed),
            (constraint.JointAccelerationConstraint, acceleration),
        )
    ]
    instance = algorithm.TOPPRA(
        limits,
        toppra.SplineInterpolator(at, np.array(kept)),
        solver_wrapper="seidel",
        parametrizer="ParametrizeConstAccel",
        gridpoints=np.linspace(0.0, at[-1], GRID),
    )
    trajectory = instance.compute_trajectory(0.0, 0.0)
    return float("nan") if trajectory is None else float(trajectory.duration)


def random_goals(task: ArmReach, count: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """States and goals."""
    for index in range(count):
        instance = task.sample(np.random.default_rng([seed, index]))
        yield instance.x0, instance.target


def near_goals(task: ArmReach, count: int, seed: int, distance: float) -> Iterator[tuple[Array, Array]]:
    """States, and goals that are so far [m] from the tool, in reach."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        while True:
            instance = task.sample(rng)
            way = rng.normal(size=3)
            goal = task.robot.tool_position(instance.x0[: task.nu]) + distance * way / np.linalg.norm(way)
            if task.reachable_configuration(instance.x0[: task.nu], goal) is not None:
                break
        yield instance.x0, goal


def measured(task: ArmReach, plan: Plan, share: float) -> dict[str, float]:
    """Figures of one plan: peaks of its splines as shares of what is allowed."""
    speed, acceleration = share * task.robot.velocity_limit, task.robot.acceleration_limit
    times, Q, V = Trajectory.of(plan.time, plan.X, plan.U, lead=0.01).knots()
    peaks = extremes(times, Q, V)
    steps = np.diff(np.diff(V, axis=0) / np.diff(times)[:, None], axis=0, prepend=0.0, append=0.0)
    return {
        "duration": plan.duration,
        "over_optimal": plan.duration / optimal(plan.X[:, : task.nu], speed, acceleration),
        "speed": max(float((np.abs(each) / speed).max()) for each in peaks.velocity),
        "acceleration": max(float((np.abs(each) / acceleration).max()) for each in peaks.acceleration),
        "acceleration_step": float(np.abs(steps).max()),
        "tool_error_mm": 1e3 * plan.tool_error,
        "iterations": plan.iterations,
        "ms": plan.phases_ms["total"],
    }


def row(planner: Planner, goals: Iterator[tuple[Array, Array]], share: float, label: str) -> dict[str, Any]:
    """Figures of many plans."""
    task, plans, refused, short = planner.task, [], 0, 0
    for state, goal in tqdm(goals, desc=label, leave=False):
        try:
            plan = planner.plan(state, goal, velocity_scaling=share)
        except SoboError:
            refused += 1
            continue
        short += plan.status is not PlanStatus.CONVERGED
        plans.append(measured(task, plan, share))
    columns = {name: np.array([plan[name] for plan in plans]) for name in plans[0]}
    beyond = int(((columns["speed"] > 1.01) | (columns["acceleration"] > 1.01)).sum())
    over = columns["over_optimal"]
    return {
        "plans": len(plans),
        "refused": refused,
        "not_converged": short,
        "beyond_1_percent": beyond,
        "over_optimal_above_1.3": int((over > 1.3).sum()),
        **{f"{name}_median": float(np.nanmedian(values)) for name, values in columns.items()},
        **{f"{name}_max": float(np.nanmax(values)) for name, values in columns.items()},
    }


def main() -> None:
    """Measures, prints the tables, stores the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=int, default=200, help="random goals a share; a quarter as many a distance")
    parser.add_argument("--seed", type=int, default=2026, help="of starts and goals")
    parser.add_argument("--task", default="ur5", help="name of the task, or path of its file")
    parser.add_argument("--json", type=Path, help="file for the record")
    options = parser.parse_args()
    task = load_task(options.task)
    planner, rows = Planner(task, None, PlanChecker(task)), {}
    for share in SHARES:
        goals = random_goals(task, options.plans, options.seed)
        rows[f"random goals at {share:g}"] = row(planner, goals, share, f"{share:g}")
    for distance in DISTANCES:
        for share in (1.0, 0.05):
            goals = near_goals(task, options.plans // 4, options.seed, distance)
            rows[f"{distance:g} m at {share:g}"] = row(planner, goals, share, f"{distance:g} m, {share:g}")
    print(
        "| goals | plans, refused, not converged | beyond 1 % | s, median | over optimal, median / max | above 1.3 "
        "| mm, max |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, found in rows.items():
        print(
            f"| {name} | {found['plans']}, {found['refused']}, {found['not_converged']} | {found['beyond_1_percent']} "
            f"| {found['duration_median']:.2f} | {found['over_optimal_median']:.2f} / {found['over_optimal_max']:.2f} "
            f"| {found['over_optimal_above_1.3']} | {found['tool_error_mm_max']:.1f} |"
        )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
