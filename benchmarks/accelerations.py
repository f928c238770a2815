"""The solver with limits on accelerations: iterations, time and cost, for the UR5 and for arms without rotor inertias.

    python benchmarks/accelerations.py --instances 100 --json out/accelerations.json

Every instance is solved from joint interpolation, without a policy and without a second attempt. For the UR5 the cost
is compared with the cheapest of six starts, and the CPU time, instance by instance, with that of the problem without
limits on accelerations (semi-implicit Euler). The other arms are those of the package example-robot-data; they have no
armature and no collision shapes, and 15 rad/s^2; instances whose straight way in joint space takes longer than the
horizon at full speed have no solution at their goal, and are counted apart. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from sobo_planner.paths import share_path
from sobo_planner.solver import Solution, Solver
from sobo_planner.tasks import load_task
from sobo_planner.tasks.arm.timing import least_duration
from sobo_training.bench import machine

STARTS = 6
# The UR5 before it had limits on accelerations, with the weights that it had then.
NOVEMBER = {"integrator": "semi_implicit_euler", "problem.terminal.position": 100.0, "problem.terminal.velocity": 1.0}
OTHER_LIMIT = 15.0  # [rad/s^2]
#: URDF below the package's folder of robots, tool frame, home and locked joints.
ARMS: dict[str, tuple[str, str, list[float], dict[str, float]]] = {
    "xarm7": ("xarm_description/urdf/xarm7.urdf", "link_eef", [0, 0, 0, 1, 0, 1, 0], {}),
    "so101": ("so_arm_description/urdf/so101.urdf", "gripper_frame_link", [0, 0, 0, 0, 0], {"gripper": 0.0}),
    "z1": ("z1_description/urdf/z1.urdf", "gripperStator", [0, 1.5, -1, -0.5, 0, 0], {"jointGripper": 0.0}),
    "j2s6s200": ("kinova_description/robots/kinova.urdf", "j2s6s200_end_effector", [0, 2.9, 1.3, 0, 2, 0], {}),
}


def other_arm(name: str, folder: Path) -> Any:
    """The UR5's task for another arm."""
    urdf, tool, home, locked = ARMS[name]
    files = importlib.metadata.files("example-robot-data") or []
    path = next(Path(str(file.locate())).resolve() for file in files if str(file).endswith(f"robots/{urdf}"))
    data = yaml.safe_load(share_path("config/ur5.yaml").read_text())
    data["name"] = name
    data["robot"] = {
        "urdf": str(path),
        "tool_frame": tool,
        "home": [float(each) for each in home],
        "locked_joints": locked,
        "collision": False,
        "acceleration_limits": [OTHER_LIMIT],
    }
    data["problem"]["integrator"] = "constant_acceleration"
    data["distribution"] |= {"start_centre": data["robot"]["home"], "target": [0.3, 0.1, 0.3]}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(data))
    return load_task(file)


def solved(task: Any, instances: int, seed: int, starts: int = 1) -> list[list[Solution]]:
    """Solutions of each instance, from interpolation first."""
    solver = Solver(task, dataclasses.replace(task.solver_options, retry=False))
    out = []
    for index in tqdm(range(instances), desc=task.name, leave=False):
        rng = np.random.default_rng([seed, index])
        instance = task.sample(rng)
        guesses = task.starts(instance, starts, rng) if starts > 1 else [task.interpolate(instance)]
        out.append([solver.solve(instance, guess) for guess in guesses])
    return out


def in_time(task: Any, instances: int, seed: int) -> list[bool]:
    """Whether the speeds allow the straight way to each goal within the horizon."""
    found = []
    for index in range(instances):
        instance = task.sample(np.random.default_rng([seed, index]))
        way = np.stack([instance.x0[: task.nu], task.goal_configuration(instance)])
        found.append(least_duration(way, task.velocity_limit, task.acceleration_limit) <= task.duration)
    return found


def figures(solutions: list[list[Solution]]) -> dict[str, float]:
    """What the table shows of one arm and limit; times in ms of CPU time."""
    first = [each[0] for each in solutions]
    iterations = np.array([each.iterations for each in first])
    times = np.array([each.cpu_ms for each in first])
    best = [min((s.cost for s in each if s.converged), default=np.nan) for each in solutions]
    return {
        "instances": len(first),
        "converged": sum(each.converged for each in first),
        "iterations_mean": float(iterations.mean()),
        "iterations_p95": float(np.percentile(iterations, 95)),
        "ms_median": float(np.median(times)),
        "ms_p99": float(np.percentile(times, 99)),
        "cost_over_best_mean": float(np.nanmean([s.cost / b for s, b in zip(first, best, strict=True)])),
    }


def main() -> None:
    """Measures, prints the table, stores the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=100, help="instances of the UR5; half as many of other arms")
    parser.add_argument("--seed", type=int, default=2026, help="of the instances")
    parser.add_argument("--json", type=Path, help="file for the record")
    options = parser.parse_args()

    rows: dict[str, dict[str, float]] = {}
    free = solved(load_task("ur5", **NOVEMBER), options.instances, options.seed)
    rows["ur5, semi-implicit Euler, no limit"] = figures(free)
    for limit in (12.0, 8.0):
        task = load_task("ur5", integrator="constant_acceleration", acceleration_limits=[limit])
        limited = solved(task, options.instances, options.seed, STARTS)
        ratios = [a[0].cpu_ms / b[0].cpu_ms for a, b in zip(limited, free, strict=True)]
        rows[f"ur5, {limit:g} rad/s^2"] = figures(limited) | {"time_ratio_median": float(np.median(ratios))}
    with tempfile.TemporaryDirectory() as folder:
        for name in ARMS:
            task = other_arm(name, Path(folder))
            found, allowed = (f(task, options.instances // 2, options.seed) for f in (solved, in_time))
            rows[f"{name}, {OTHER_LIMIT:g} rad/s^2"] = figures([s for s, ok in zip(found, allowed, strict=True) if ok])
            if not all(allowed):
                late = [s for s, ok in zip(found, allowed, strict=True) if not ok]
                rows[f"{name}, goals too far for 2 s"] = figures(late)
    print("| problem | converged | iterations, mean / p95 | ms, median / p99 | cost / best of six | time / no limit |")
    print("|---|---|---|---|---|---|")
    for name, row in rows.items():
        best = f"{row['cost_over_best_mean']:.3f}" if "time_ratio_median" in row else "-"
        ratio = f"{row['time_ratio_median']:.2f}" if "time_ratio_median" in row else "-"
        print(
            f"| {name} | {row['converged']} of {row['instances']} "
            f"| {row['iterations_mean']:.1f} / {row['iterations_p95']:.0f} "
            f"| {row['ms_median']:.0f} / {row['ms_p99']:.0f} | {best} | {ratio} |"
        )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
