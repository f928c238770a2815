"""Policies of the UR5 that know a world: three scenes of MotionBenchMaker, Sobolev training beside plain diffusion.

    python benchmarks/cell_policies.py --out FOLDER --data mbm_ur5.json.gz [--json FILE]

One world of each scene, that of its first problem, for the bare arm. Solutions are collected once a scene; the seeds
are those of weights, batches and noise. Each policy is evaluated on held-out instances, the same ones for
all: its ways, and plans with it beside plans without. What is finished in FOLDER is not repeated; what was stopped
goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sobo_planner.files import write_json
from sobo_planner.tasks import ArmReach, load_arm
from sobo_training.bench import machine
from sobo_training.bench.worlds.problems import read_problems, world_of
from sobo_training.config import TrainConfig
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions
from sobo_training.data.dataset import load
from sobo_training.evaluation.evaluate import evaluate
from sobo_training.evaluation.options import EvaluateOptions
from sobo_training.export.exporter import export
from sobo_training.learning.train import train

SCENES = ("bookshelf_small", "box", "table_under_pick")
METHODS = ("sob_diff", "diff")
#: Instances to try for each solution, before giving up.
ATTEMPTS = 20
#: Of all trainings: shorter chunks and smaller batches than the task's, for a step in half the time.
TRAINING = {"T_h": 16, "batch": 64}


def task_in(scene: str, data: Path) -> ArmReach:
    """The UR5's task in the world of a scene's first problem."""
    problem = next(iter(read_problems(data)["problems"][scene].values()))
    return load_arm("ur5").in_cell(world_of(problem, []), scene)


def cell(options: argparse.Namespace, scene: str, method: str, seed: int) -> dict[str, Any]:
    """The record of one policy, made where it is not there yet."""
    folder = options.out / scene / f"{method}-{seed}"
    path = folder / "report.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    task, solutions = task_in(scene, options.data), options.out / scene / "data"
    wanted = CollectOptions(ATTEMPTS * options.trajectories, wanted=options.trajectories, threads=options.threads)
    collected = collect(task, solutions, wanted)
    config = TrainConfig.from_task(task, method, steps=options.steps, seed=seed, **TRAINING)
    result = train(load(solutions, task), task, folder / "run", config)
    export(result, task, folder / "policy")
    how = EvaluateOptions(instances=options.instances, seed=options.evaluation_seed, samples=options.samples)
    report = evaluate(task, folder / "policy", how)
    report |= {
        "method": method,
        "training_seed": seed,
        "training": result.summary | {"config": config.to_dict()},
        "collected": {
            "solutions": collected.collected,
            "rejected": collected.rejected,
            "causes": collected.causes,
            "winners": {str(number): count for number, count in collected.winners.items()},
            "iterations": collected.mean_iterations,
            "seconds": collected.seconds,
        },
    }
    write_json(path, report)
    return report


def figures(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds of one scene and method, and each seed's."""
    each = {
        "free": [one["rollouts"]["free"] for one in reports],
        "free_and_near": [one["rollouts"]["free_and_near"] for one in reports],
        "reached": [one["success"]["refined"] for one in reports],
        "iterations": [one["iterations"]["warm"]["mean"] for one in reports],
        "iterations_without": [one["iterations"]["cold"]["mean"] for one in reports],
        "time_ms": [one["time_ms"]["warm"]["mean"] for one in reports],
        "time_ms_without": [one["time_ms"]["cold"]["mean"] for one in reports],
        "cost_ratio": [one["paired"]["cost_warm_over_cold"]["ratio_of_means"] for one in reports],
        "duration_ratio": [one["paired"]["duration_warm_over_cold"]["ratio_of_means"] for one in reports],
        "from_policy": [one["sources"]["warm"].get("policy", 0) / one["instances"] for one in reports],
        "training_minutes": [one["training"]["minutes"] for one in reports],
    }
    means = {name: float(np.mean(values)) for name, values in each.items()}
    ratios = {name: means[name] / means[f"{name}_without"] for name in ("iterations", "time_ms")}
    return {"seeds": len(reports), "mean": means, "ratio": ratios, "each": each}


def render(table: dict[str, dict[str, Any]]) -> str:
    """The means as text."""
    lines = [f"{'':28} free  near  iterations       time [ms]         cost  duration  from policy"]
    for name, found in table.items():
        mean, ratio = found["mean"], found["ratio"]
        lines.append(
            f"{name:28} {mean['free']:.2f}  {mean['free_and_near']:.2f}  {mean['iterations_without']:5.1f} -> "
            f"{mean['iterations']:4.1f} x {ratio['iterations']:.2f}  {mean['time_ms_without']:4.0f} -> "
            f"{mean['time_ms']:4.0f} x {ratio['time_ms']:.2f}  {mean['cost_ratio']:.3f}  {mean['duration_ratio']:.3f}"
            f"     {mean['from_policy']:.2f}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Makes what is missing, seed by seed, and writes the record after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SOBO_MBM_UR5"), required="SOBO_MBM_UR5" not in os.environ
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trajectories", type=int, default=300)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--instances", type=int, default=50)
    parser.add_argument("--evaluation-seed", type=int, default=4)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    options.data = Path(options.data)
    asked = {name: getattr(options, name) for name in ("trajectories", "steps", "instances", "samples")}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        for scene in options.scenes:
            for method in options.methods:
                found.setdefault((scene, method), []).append(cell(options, scene, method, seed))
                table = {", ".join(key): figures(reports) for key, reports in found.items()}
                if options.json is not None:
                    rows = [report for reports in found.values() for report in reports]
                    about = {"machine": machine.describe(), "versions": machine.versions(), "options": asked}
                    write_json(options.json, about | {"table": table, "reports": rows})
    print(render(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
