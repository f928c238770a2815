"""Tunes the weights of a short-horizon problem of the UR5 through the differentiable solver; held-out costs.

    python benchmarks/receding_weights.py --horizon 30 --seeds 3 --json out/receding_weights.json

The tuned weights are printed as options of `sobo` and `load_task`, for a task with that horizon.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sobo_planner.solver import Solver
from sobo_planner.tasks import ArmReach, load_task
from sobo_training.bench import machine
from sobo_training.receding_weights import ClosedLoop, TuningSettings, tune


def costs(loop: ClosedLoop, task: ArmReach, weights: list[float], seed: int, count: int) -> np.ndarray:
    """Closed-loop costs of instances that no tuning has seen."""
    rng = np.random.default_rng(10_000 + seed)
    with torch.no_grad():
        found, _ = loop.costs([task.sample(rng) for _ in range(count)], torch.tensor(weights))
    return found.numpy()


def optima(task: ArmReach, seed: int, count: int) -> np.ndarray:
    """What whole motions cost that are solved at once."""
    rng, solver = np.random.default_rng(10_000 + seed), Solver(task)
    instances = [task.sample(rng) for _ in range(count)]
    return np.array([each.cost for each in solver.solve_batch(instances, [task.interpolate(i) for i in instances])])


def summary(values: np.ndarray) -> dict[str, float]:
    """Means and median, to four digits."""
    numbers = {"mean": values.mean(), "median": np.median(values), "geometric mean": np.exp(np.log(values).mean())}
    return {name: float(f"{value:.4g}") for name, value in numbers.items()}


def run(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Tunes with one seed, and measures."""
    task, short = load_task(arguments.task), load_task(arguments.task, horizon=arguments.horizon)
    loop = ClosedLoop(task, short, TuningSettings(steps=arguments.steps, every=arguments.every))
    rng = np.random.default_rng(seed)
    began = time.process_time()
    instances = [task.sample(rng) for _ in range(arguments.instances)]
    tuned, means = tune(loop, instances, lambda step, mean: print(f"  step {step:3d}: {mean:.4g}", flush=True))
    cpu = time.process_time() - began
    hand = loop.layer.weights.values.tolist()
    before = costs(loop, task, hand, seed, arguments.held_out)
    after = costs(loop, task, list(tuned.values()), seed, arguments.held_out)
    return {
        "seed": seed,
        "tuned": tuned,
        "training": means,
        "hand": summary(before),
        "held out": summary(after),
        "whole motion": summary(optima(task, seed, arguments.held_out)),
        "better on": int((after < before).sum()),
        "of": arguments.held_out,
        "cpu_s": cpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="ur5")
    parser.add_argument("--horizon", type=int, default=30, help="steps of the short problem")
    parser.add_argument("--every", type=int, default=5, help="steps between two solutions")
    parser.add_argument("--instances", type=int, default=8, help="motions to tune for")
    parser.add_argument("--steps", type=int, default=30, help="gradient steps")
    parser.add_argument("--held-out", type=int, default=40, help="motions to measure on")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = []
    for seed in range(arguments.seeds):
        result = run(arguments, seed)
        results.append(result)
        share = result["held out"]["mean"] / result["hand"]["mean"] - 1.0
        print(f"seed {seed}: by hand {result['hand']}, tuned {result['held out']}, {100 * share:+.1f} % in the mean")
        print(" ".join(f"--set problem.{name}={value:.3g}" for name, value in result["tuned"].items()))
        if arguments.json:
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            settings = {name: value for name, value in vars(arguments).items() if name != "json"}
            record = {"machine": machine.describe(), "settings": settings, "results": results}
            arguments.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
