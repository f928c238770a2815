"""Model-based diffusion on the shipped tasks: alone, as the solver's start, and beside MPPI, CEM and CMA-ES.

    python benchmarks/sampling.py [--only pendulum double_pendulum ur5 peers] [--instances 50] [--json FILE]

With --json, sections that the file holds already are kept, so that an interrupted call goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sobo_planner.sampling import SamplingSettings, diffuse
from sobo_planner.solver import Guess, Instance, Solver
from sobo_planner.tasks import Task, load_task

Row = dict[str, Any]
PEERS = {
    "MBD": {"update": "mbd"},
    "MPPI, noise 0.3": {"update": "mppi", "noise": 0.3},
    "MPPI, noise 1": {"update": "mppi", "noise": 1.0},
    "CEM": {"update": "cem", "noise": 1.0},
    "CMA-ES": {"update": "cma-es", "noise": 1.0},
}


def instances(task: Task, count: int) -> list[Instance]:
    """The same for all."""
    return [task.sample(np.random.default_rng([77, i])) for i in range(count)]


def sampled(task: Task, instance: Instance, settings: SamplingSettings | None, seed: int) -> tuple[Row, Guess]:
    """One trajectory, and what it took."""
    cpu = time.process_time()
    found = diffuse(task, instance, settings, rng=np.random.default_rng([78, seed]))
    row = {"cost": found.chain.cost, "excess": found.chain.excess, "cpu_s": time.process_time() - cpu}
    return row, found.guess


def solved(solver: Solver, instance: Instance, guess: Guess) -> Row:
    """What the solver makes of a start."""
    solution = solver.solve(instance, guess)
    cost = float(solution.cost) if solution.converged else None
    return {"cost": cost, "iterations": int(solution.iterations), "cpu_s": 1e-3 * solution.cpu_ms}


def pendulum(count: int) -> list[Row]:
    """Sampling alone, three seeds, beside the optimum."""
    task = load_task("pendulum")
    solver, rows = Solver(task), []
    for instance in instances(task, count):
        optimum = solved(solver, instance, task.interpolate(instance))
        seeds = [sampled(task, instance, None, seed)[0] for seed in range(3)]
        rows.append({"optimum": optimum, "mbd": seeds})
    return rows


def double_pendulum(count: int) -> list[Row]:
    """The solver from a line without velocities, from the interpolation, and from three samplings."""
    task = load_task("double_pendulum")
    solver, rows = Solver(task), []
    for instance in instances(task, count):
        line = task.interpolate(instance)
        still = Guess(np.hstack([line.X[:, : task.nu], np.zeros_like(line.X[:, : task.nu])]), np.zeros_like(line.U))
        row: Row = {"still line": solved(solver, instance, still), "interpolation": solved(solver, instance, line)}
        for seed in range(3):
            start, guess = sampled(task, instance, None, seed)
            row[f"mbd {seed}"] = {"start": start, "refined": solved(solver, instance, guess)}
        rows.append(row)
    return rows


def ur5(count: int) -> list[Row]:
    """The solver from the cheapest of three samplings without inverse kinematics, and from interpolation."""
    task = load_task("ur5")
    solver, rows = Solver(task), []
    for instance in instances(task, count):
        starts = [sampled(task, instance, None, seed) for seed in range(3)]
        start, guess = min(starts, key=lambda each: each[0]["cost"])
        start = start | {"cpu_s": sum(each["cpu_s"] for each, _ in starts)}
        refined, reference = solved(solver, instance, guess), solved(solver, instance, task.interpolate(instance))
        rows.append({"start": start, "refined": refined, "interpolation": reference})
    return rows


def peers(count: int) -> list[Row]:
    """All planners with three seeds: own costs of pendulum and quadrotor, refined ones of the double pendulum."""
    rows = []
    for name, overrides in (("pendulum", {}), ("quadrotor", {"columns": 9}), ("double_pendulum", {})):
        task = load_task(name, **overrides)
        solver, suits = Solver(task), SamplingSettings.of(task)
        for i, instance in enumerate(instances(task, max(1, count // 6))):
            for planner, changes in PEERS.items():
                settings = replace(suits, chain=replace(suits.chain, **changes))
                for seed in range(3):
                    start, guess = sampled(task, instance, settings, seed)
                    row = {"task": name, "instance": i, "planner": planner, "seed": seed, "start": start}
                    if name == "double_pendulum":
                        row["refined"] = solved(solver, instance, guess)
                    rows.append(row)
    return rows


def mean(values: list[float | None]) -> str:
    """Mean of what converged, and how many did if not all."""
    good = [value for value in values if value is not None and np.isfinite(value)]
    text = f"{np.mean(good):.4g}" if good else "-"
    return text if len(good) == len(values) else f"{text} ({len(good)} of {len(values)})"


def render(name: str, rows: list[Row]) -> str:
    """A section's figures as text."""
    if name == "pendulum":
        own = [each for row in rows for each in row["mbd"]]
        optima = [row["optimum"]["cost"] for row in rows]
        return (
            f"pendulum: own cost {mean([each['cost'] for each in own])}, optimum {mean(optima)}, "
            f"{np.median([each['cpu_s'] for each in own]):.3f} s of CPU time"
        )
    if name == "double_pendulum":
        starts = [row[f"mbd {seed}"] for row in rows for seed in range(3)]
        best = [min(row[f"mbd {seed}"]["refined"]["cost"] or np.inf for seed in range(3)) for row in rows]
        lines = [
            f"double_pendulum, {key}: cost {mean([row[key]['cost'] for row in rows])}, "
            f"{np.mean([row[key]['iterations'] for row in rows]):.0f} iterations"
            for key in ("still line", "interpolation")
        ]
        lines.append(
            f"double_pendulum, MBD: own cost {mean([each['start']['cost'] for each in starts])}, "
            f"{np.median([each['start']['cpu_s'] for each in starts]):.2f} s of CPU time, refined "
            f"{mean([each['refined']['cost'] for each in starts])} in "
            f"{np.mean([each['refined']['iterations'] for each in starts]):.0f} iterations; best of three {mean(best)}"
        )
        return "\n".join(lines)
    if name == "ur5":
        pairs = [(row["refined"]["cost"] or np.inf, row["interpolation"]["cost"] or np.inf) for row in rows]
        good, better = (np.mean([a <= factor * b for a, b in pairs]) for factor in (1.01, 0.99))
        return (
            f"ur5: refined {mean([row['refined']['cost'] for row in rows])} in "
            f"{np.mean([row['refined']['iterations'] for row in rows]):.1f} iterations, interpolation "
            f"{mean([row['interpolation']['cost'] for row in rows])} in "
            f"{np.mean([row['interpolation']['iterations'] for row in rows]):.1f}; as good or better "
            f"{100 * good:.0f} %, better by 1 % {100 * better:.0f} %, "
            f"{np.median([row['start']['cpu_s'] for row in rows]):.2f} s of CPU time"
        )
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        which = "refined" if task == "double_pendulum" else "start"
        for planner in PEERS:
            costs = [row[which]["cost"] for row in rows if (row["task"], row["planner"]) == (task, planner)]
            lines.append(f"{task}, {planner}: {mean(costs)}")
    return "\n".join(lines)


SECTIONS: dict[str, Callable[[int], list[Row]]] = {
    "pendulum": pendulum,
    "double_pendulum": double_pendulum,
    "ur5": ur5,
    "peers": peers,
}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--instances", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    if options.json and options.json.exists():
        found = json.loads(options.json.read_text(encoding="utf-8"))
    for name in options.only:
        if name not in found:
            found[name] = SECTIONS[name](options.instances)
            if options.json:
                options.json.write_text(json.dumps(found) + "\n", encoding="utf-8")
        print(render(name, found[name]), flush=True)


if __name__ == "__main__":
    main()
