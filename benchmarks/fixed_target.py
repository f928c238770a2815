"""Sobolev against plain diffusion on the UR5 with a fixed target and few trajectories.

For each seed: collect, train each loss, and roll the policies out on the same held-out instances. Plain diffusion gets
twice the steps, which takes about the same time. Run it as

    python benchmarks/fixed_target.py --out out/fixed_target

A finished seed or method is not repeated. Results: results.json and a table on standard output.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollout
from sobo_planner.solver import Solver
from sobo_planner.tasks import Task, load_task
from sobo_training.config import TrainConfig
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions
from sobo_training.data.dataset import load
from sobo_training.data.instances import Stream, draw
from sobo_training.export.exporter import export
from sobo_training.learning.train import train

METHODS = {"sobolev": 1, "diff": 2}  # steps as a multiple of --steps


def train_method(task: Task, data: Path, folder: Path, loss: str, steps: int, seed: int) -> dict[str, Any]:
    """Trains and exports one policy; returns its budget."""
    record = folder / "budget.json"
    if not record.exists():
        config = TrainConfig.from_task(task, loss=loss, steps=steps, seed=seed)
        began = time.perf_counter()
        result = train(load(data, task), task, folder / "run", config)
        minutes = (time.perf_counter() - began) / 60
        export(result, task, folder / "policy")
        record.write_text(json.dumps({"steps": steps, "batch": config.batch, "minutes": minutes}))
    return json.loads(record.read_text())


def evaluate(task: Task, policy: Policy, instances: list[Any], T_a: int) -> dict[str, float]:
    """Rollout costs and final tool errors of the policy alone."""
    rng = np.random.default_rng(0)
    guesses = [rollout(task, policy, instance, T_a, rng=rng) for instance in instances]
    costs = [task.cost(g.X, g.U, i.target) for g, i in zip(guesses, instances, strict=True)]
    errors = [task.final_error(g.X, i.target) for g, i in zip(guesses, instances, strict=True)]
    return {
        "cost": float(np.mean(costs)),
        "worst_cost": float(np.max(costs)),
        "final_error_m": float(np.median(errors)),
    }


def solver_cost(task: Task, instances: list[Any]) -> float:
    """Mean cost of the solver alone, from joint interpolation."""
    solutions = Solver(task).solve_batch(instances, [task.interpolate(i) for i in instances], threads=1)
    return float(np.mean([s.cost for s in solutions]))


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs what is not done yet."""
    task = load_task("ur5", r_init=0, r_tgt=0)
    instances = [draw(task, Stream.EVALUATE, 0, i)[0] for i in range(arguments.instances)]
    alone = solver_cost(task, instances)
    rows = []
    for seed in range(arguments.seeds):
        data = arguments.out / f"seed{seed}" / "data"
        collect(task, data, CollectOptions(count=arguments.trajectories, seed=seed, threads=1))
        for loss, multiple in METHODS.items():
            folder = arguments.out / f"seed{seed}" / loss
            budget = train_method(task, data, folder, loss, multiple * arguments.steps, seed)
            policy = Policy.load(folder / "policy", task)
            result = evaluate(task, policy, instances, arguments.action_horizon)
            rows.append({"seed": seed, "loss": loss, **budget, **result, "ratio": result["cost"] / alone})
            print(json.dumps(rows[-1]), flush=True)
    return {
        "task": asdict(task.config.distribution),
        "trajectories": arguments.trajectories,
        "instances": arguments.instances,
        "T_a": arguments.action_horizon,
        "solver_cost": alone,
        "rows": rows,
        "machine": {"processor": platform.machine(), "python": platform.python_version(), "torch": torch.__version__},
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/fixed_target"), help="folder of data, runs and results")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--trajectories", type=int, default=20, help="trajectories to learn from")
    parser.add_argument("--steps", type=int, default=4000, help="gradient steps of the Sobolev method")
    parser.add_argument("--instances", type=int, default=50, help="held-out instances")
    parser.add_argument("--action-horizon", type=int, default=31, help="steps executed of each chunk")
    arguments = parser.parse_args()
    results = run(arguments)
    (arguments.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    for loss in METHODS:
        ratios = [row["ratio"] for row in results["rows"] if row["loss"] == loss]
        minutes = [row["minutes"] for row in results["rows"] if row["loss"] == loss]
        seeds = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"{loss:8s} policy / solver: {np.mean(ratios):.3f} (seeds {seeds}), {np.mean(minutes):.1f} min")


if __name__ == "__main__":
    main()
