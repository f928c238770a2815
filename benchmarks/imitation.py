"""Cost weights from eight demonstrations of the UR5, beside a direct policy that learns from the same eight.

    python benchmarks/imitation.py [--seeds 3] [--policy-steps 1000] [--json FILE]

A teacher has other weights than the task. Errors are root mean squares of the joints along ten motions of the teacher
that were not learned from: of solutions with the learned weights, from the usual start, and of rollouts of the policy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from sobo_planner.files import write_json
from sobo_planner.policy.rollout import rollout
from sobo_planner.solver import Solver
from sobo_planner.tasks import ArmReach, load_arm
from sobo_training.config import TrainConfig
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions
from sobo_training.data.dataset import load
from sobo_training.export.exporter import live_policy
from sobo_training.imitation.demonstrations import of_dataset
from sobo_training.imitation.report import report
from sobo_training.imitation.weights import NAMES, FitSettings, WeightFit, joint_error, weights_of, with_weights
from sobo_training.learning.train import train

FACTORS = np.array([0.3, 10.0, 5.0, 3.0, 3.0])
SHOWN, HELD_OUT = 8, 10


def teacher_of(task: ArmReach) -> ArmReach:
    """The same arm with other weights."""
    return with_weights(task, FACTORS * weights_of(task))


def of_policy(teacher: ArmReach, folder: Path, steps: int) -> tuple[list[float], float]:
    """Errors of a direct policy (sob_mlp) on the held-out motions, and the CPU time of its training [s]."""
    data = load(folder)
    begin = time.process_time()
    config = TrainConfig.from_task(teacher, "sob_mlp", steps=steps)
    result = train(data.select(slice(SHOWN)), teacher, folder.parent / "run", config, progress=False)
    seconds = time.process_time() - begin
    policy, errors = live_policy(result, teacher), []
    for each in of_dataset(folder, teacher)[SHOWN:]:
        found = rollout(teacher, policy, each.instance, rng=np.random.default_rng(0))
        errors.append(joint_error(teacher, found.X, each.X))
    return errors, seconds


def one(seed: int, policy_steps: int, folder: Path) -> dict[str, Any]:
    """One seed of the demonstrations."""
    task = load_arm("ur5")
    teacher = teacher_of(task)
    options = CollectOptions(SHOWN + HELD_OUT, seed=seed, starts=1, threads=1)
    collect(teacher, folder / "data", options, progress=False)
    shown = of_dataset(folder / "data", task)
    begin = time.process_time()
    fit = WeightFit(task, shown[:SHOWN], FitSettings(threads=1)).run()
    seconds = time.process_time() - begin
    found = report(task, fit, SHOWN, shown[SHOWN:])
    ratios = np.array([fit.weights[name] for name in NAMES]) / weights_of(teacher)
    errors, policy_seconds = of_policy(teacher, folder / "data", policy_steps) if policy_steps else ([], 0.0)
    return {
        "seed": seed,
        "cpu_s": seconds,
        "solves": fit.solves,
        "steps": len(fit.errors) - 1,
        "ratios": dict(zip(NAMES, (ratios / ratios[0]).tolist(), strict=True)),
        "error_before": float(np.nanmedian(found.before)),
        "error": float(np.nanmedian(found.after)),
        "worst": float(np.nanmax(found.after)),
        "policy_error": float(np.median(errors)) if errors else None,
        "policy_cpu_s": policy_seconds,
        "solver": {"early_stop": Solver(task).options.early_stop},
    }


def main() -> None:
    """All seeds, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--policy-steps", type=int, default=1000, help="of the direct policy; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(one(seed, options.policy_steps, Path(folder)))
        row = rows[-1]
        policy = "" if row["policy_error"] is None else f", of the policy {row['policy_error']:.4f}"
        errors = f"error {row['error_before']:.4f} before, {row['error']:.4f} after (worst {row['worst']:.4f}){policy}"
        print(f"seed {seed}: {errors}; {row['cpu_s']:.1f} s CPU, {row['solves']} solves", flush=True)
    if options.json is not None:
        write_json(options.json, {"weights": rows})


if __name__ == "__main__":
    main()
