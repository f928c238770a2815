"""Questions that the papers leave open: fewer denoising steps, the cost of each way to use first-order information, the
derivative with respect to the goal, several noise samples, and better training data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cell
from experiment import arguments, run_cells
from originals import paper_task
from plotting import Figure, save
from records import interval, machine, mean, mean_known, store
from rollouts import solver_alone

SEEDS = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2, 3, 4)}
INSTANCES = {"smoke": 2, "laptop": 50, "full": 50}
STEPS = {"smoke": 5, "laptop": 1500, "full": 10000}
TRAJECTORIES = {"smoke": 2, "laptop": 100, "full": 200}
SMALL = (("r_init", 0), ("r_tgt", 1))
ANYWHERE = (("r_init", 1), ("r_tgt", 1))


def cell(scale: str, seed: int, overrides: tuple[tuple[str, Any], ...] = SMALL, **changes: Any) -> Cell:
    """A run on the UR5, small start area and random targets unless told otherwise."""
    values: dict[str, Any] = {
        "task": "ur5",
        "method": "sob_diff",
        "trajectories": TRAJECTORIES[scale],
        "seed": seed,
        "overrides": overrides,
        "T_a": (8,),
        "instances": INSTANCES[scale],
        "refine": True,
    }
    train = {"steps": STEPS[scale]} | changes.pop("train", {})
    return Cell(**(values | changes | {"train": tuple(sorted(train.items()))}))


def questions(scale: str) -> dict[str, dict[str, list[Cell]]]:
    """For every question its answers by name, each with its runs."""
    seeds = SEEDS[scale]
    modes = {
        "jvp": {},
        "jvp, half of the batch": {"share": 0.5},
        "vjp": {"mode": "vjp"},
        "augment": {"mode": "augment"},
    }
    few, many = TRAJECTORIES[scale] // 4 or 1, TRAJECTORIES[scale]
    denoising = (1,) if scale == "smoke" else (1, 2, 5)
    return {
        "denoising steps": {f"K = {k}": [cell(scale, s, train={"K": k}) for s in seeds] for k in denoising},
        "first-order information": {name: [cell(scale, s, train=m) for s in seeds] for name, m in modes.items()}
        | {"none": [cell(scale, s, method="diff") for s in seeds]},
        "goal derivative": {
            f"{name}, {count} trajectories": [cell(scale, s, goal=goal, trajectories=count) for s in seeds]
            for name, goal in (("state", False), ("state and goal", True))
            for count in ((few, many) if few < many // 2 else (many,))
        },
        "noise samples": {"rollouts": [cell(scale, s, ANYWHERE, samples=(1, 2, 4, 8)) for s in seeds]},
        "teacher": {f"{n} starts": [cell(scale, s, ANYWHERE, starts=n, samples=(4,)) for s in seeds] for n in (1, 6)},
    }


def figures(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Over seeds: cost of the policy alone, refined cost, iterations, training time."""
    rolls = [record["T_a"]["8"] for record in records]
    out: dict[str, Any] = {
        "policy_cost": [mean(roll["cost"]) for roll in rolls],
        "refined_cost": [mean(roll["refined"]) for roll in rolls],
        "iterations": [mean_known(roll["iterations"]) for roll in rolls],
        "rollout_ms": [float(np.mean(roll["rollout_ms"])) for roll in rolls],
        "train_seconds": [record["train_seconds"] for record in records],
    }
    for n in records[0]["samples"]:
        best = [record["samples"][n] for record in records]
        out[f"policy_cost, {n} samples"] = [mean(each["cost"]) for each in best]
        out[f"iterations, {n} samples"] = [mean_known(each["iterations"]) for each in best]
    return out


def plot(results: Mapping[str, Any], solvers: Mapping[str, float], path: Path) -> None:
    """Cost of the policy alone for each answer, with confidence intervals."""
    figure = Figure(figsize=(3.4 * len(results), 5.0))
    axes = figure.subplots(1, len(results), squeeze=False)
    for axis, (question, answers) in zip(axes[0], results.items(), strict=True):
        bars = {
            f"{name}{key[len('policy_cost') :]}": interval(values)
            for name, each in answers.items()
            for key, values in each.items()
            if key.startswith("policy_cost")
        }
        middle = [bar[0] for bar in bars.values()]
        half = [bar[0] - bar[1] if np.isfinite(bar[0]) else 0.0 for bar in bars.values()]
        axis.errorbar(range(len(bars)), middle, half, fmt="o", capsize=3, color="tab:red")
        axis.axhline(solvers[question], color="tab:purple")
        axis.set_xticks(range(len(bars)), list(bars), rotation=60, ha="right", fontsize=7)
        axis.set_title(question, fontsize=9)
    axes[0][0].set_ylabel("mean cost of the policy alone")
    save(figure, path)


def main() -> None:
    """Answers all questions; writes beyond.json and beyond.png."""
    args = arguments(__doc__ or "")
    scale, folder = args.scale, args.out / args.scale
    alone: dict[tuple[tuple[str, Any], ...], float] = {}
    results: dict[str, Any] = {}
    solvers: dict[str, float] = {}
    for question, answers in questions(scale).items():
        variant = next(iter(answers.values()))[0].overrides
        if variant not in alone:
            alone[variant] = mean(solver_alone(paper_task("ur5", **dict(variant)), INSTANCES[scale], 1)["cost"])
        solvers[question] = alone[variant]
        results[question] = {n: figures(run_cells(cells, folder, args.jobs)) for n, cells in answers.items()}
        record = {"scale": scale, "machine": machine(), "solver": solvers, "questions": results}
        store(folder / "beyond.json", record)
        plot(results, solvers, folder / "beyond.png")
        for name, each in results[question].items():
            print(question, "|", name, "|", {key: np.round(values, 3).tolist() for key, values in each.items()})


if __name__ == "__main__":
    main()
