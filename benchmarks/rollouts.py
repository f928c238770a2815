"""Rollouts a second of the native batch kernel, beside simulating and pricing them one by one.

python benchmarks/rollouts.py [--threads 2] [--json benchmarks/results/rollouts.json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sobo_planner.tasks import Task, load_task
from sobo_planner.tasks.batch import one_by_one

TASKS: dict[str, Callable[[], Task]] = {
    "lqr": lambda: load_task("lqr"),
    "pendulum": lambda: load_task("pendulum"),
    "double_pendulum": lambda: load_task("double_pendulum"),
    "ur5": lambda: load_task("ur5"),
    "quadrotor, 9 columns": lambda: load_task("quadrotor", columns=9),
}


def seconds(work: Callable[[], object], least: float = 0.4) -> tuple[float, float]:
    """Wall and CPU time [s] of a call: the least of calls that take `least` seconds in all."""
    walls, cpus = [], []
    while sum(walls) < least or len(walls) < 3:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def measure(task: Task, threads: int, count: int = 512) -> dict[str, float | None]:
    """Rates of one task [1/s] and CPU times of one rollout [us]."""
    rng = np.random.default_rng(0)
    instance = task.sample(rng)
    middle, half = 0.5 * (task.control_upper + task.control_lower), 0.5 * (task.control_upper - task.control_lower)
    U = middle + 0.3 * half * rng.uniform(-1.0, 1.0, (count, task.horizon, task.nu))
    one, one_cpu = seconds(lambda: task.batch_costs(instance, U))
    several, _ = seconds(lambda: task.batch_costs(instance, U, threads=threads))
    alone, alone_cpu = seconds(lambda: one_by_one(task, instance, U[:32]))
    found: dict[str, float | None] = {
        "controls_per_s": count / several,
        "controls_per_s_1_thread": count / one,
        "controls_us": 1e6 * one_cpu / count,
        "one_by_one_us": 1e6 * alone_cpu / 32,
        "motions_us": None,
    }
    if hasattr(task, "robot"):
        V = 0.01 * np.cumsum(rng.normal(size=U.shape), axis=1)
        _, cpu = seconds(lambda: task.motion_costs(instance, V))
        found["motions_us"] = 1e6 * cpu / count
    return found


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {name: measure(make(), options.threads) for name, make in TASKS.items()}
    print(f"| task | rollouts/s, {options.threads} threads | one thread | us | motions, us | one by one, us |")
    print("|---|---|---|---|---|---|")
    for name, each in results.items():
        motions = "-" if each["motions_us"] is None else f"{each['motions_us']:.0f}"
        print(
            f"| {name} | {each['controls_per_s']:.0f} | {each['controls_per_s_1_thread']:.0f} | "
            f"{each['controls_us']:.1f} | {motions} | {each['one_by_one_us']:.0f} |"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
