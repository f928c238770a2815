"""Whole runs of the interplay loop, and what their last policies do."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from experiment import Cell, mean, parallel, roll_out, solver_alone, store

from sobo_planner.policy import Policy
from sobo_planner.tasks import load_task
from sobo_training.interplay import InterplayOptions, interplay


@dataclass(frozen=True)
class Loop:
    """A run of the loop.

    Attributes:
        task: Task file.
        overrides: Keys of its configuration that differ, those of the loop included.
        method: One of `sobo_training.config.METHODS`.
        seed: Seed of everything.
        T_a: Steps executed of each chunk that the last policy is evaluated with.
        instances: Held-out instances.
        keep_paths: Rollouts of which the first two states are stored.
    """

    task: str
    overrides: tuple[tuple[str, Any], ...]
    method: str
    seed: int
    T_a: tuple[int, ...]
    instances: int
    keep_paths: int = 0

    @property
    def name(self) -> str:
        """Readable, and unique."""
        parts = [f"{key.rsplit('.', 1)[-1]}={value}" for key, value in self.overrides]
        return "-".join([self.task, *parts, self.method, f"s{self.seed}"]).replace(" ", "")


def run_loop(loop: Loop, folder: Path) -> dict[str, Any]:
    """Runs one loop, or goes on with it, and evaluates its last policy."""
    path = folder / "loops" / f"{loop.name}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    logging.disable(logging.INFO)
    task = load_task(loop.task, **dict(loop.overrides))
    place = folder / "loops" / loop.name
    status = interplay(task, place, InterplayOptions(loop.method, loop.seed, threads=1), progress=False)
    policy = Policy.load(place / "policy", task)
    horizons = (1,) if loop.method.endswith("mlp") else loop.T_a
    cell = Cell(loop.task, loop.method, 0, loop.seed, instances=loop.instances, refine=True, keep_paths=loop.keep_paths)
    evaluated = {str(T_a): asdict(roll_out(task, policy, cell, T_a)) for T_a in horizons}
    record = {"loop": asdict(loop), "iterations": status["iterations"], "T_a": evaluated}
    store(path, record)
    return record


def run_loops(loops: Sequence[Loop], folder: Path, jobs: int) -> list[dict[str, Any]]:
    """Runs loops in parallel processes."""
    return parallel(run_loop, [(loop, folder) for loop in loops], jobs)


def reference(loop: Loop, starts: int) -> dict[str, Any]:
    """The solver without a policy on the loop's held-out instances."""
    return solver_alone(load_task(loop.task, **dict(loop.overrides)), loop.instances, starts, loop.keep_paths)


def curves(records: Sequence[dict[str, Any]]) -> dict[str, list[list[float | None]]]:
    """Mean costs over the iterations of the loop, a list a seed."""
    return {
        name: [[each["cost"][name] for each in record["iterations"]] for record in records]
        for name in ("policy", "refined")
    }


def table(records: Sequence[dict[str, Any]], solver: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """For each T_a what the last policies do, a list over seeds.

    `rescued` is the share of the instances that the solver alone fails on which refinement solves.
    """
    failed = [not good for good in solver["converged"]]
    out = {}
    for T_a in records[0]["T_a"]:
        rolls = [record["T_a"][T_a] for record in records]
        out[T_a] = {
            "policy_cost": [mean(roll["cost"]) for roll in rolls],
            "refined_cost": [mean(roll["refined"]) for roll in rolls],
            "iterations": [float(np.mean(roll["iterations"])) for roll in rolls],
            "rollout_ms": [float(np.mean(roll["rollout_ms"])) for roll in rolls],
            "solve_ms": [float(np.mean(roll["solve_ms"])) for roll in rolls],
            "converged": [float(np.mean(roll["converged"])) for roll in rolls],
        }
        if any(failed) and all(len(roll["converged"]) == len(failed) for roll in rolls):
            out[T_a]["rescued"] = [float(np.mean(np.array(roll["converged"])[failed])) for roll in rolls]
    return out


def alone_figures(solver: dict[str, Any]) -> dict[str, float]:
    """The solver alone in the same terms."""
    return {
        "cost": mean(solver["cost"]),
        "best_of_starts": mean(solver["best"]),
        "iterations": float(np.mean(solver["iterations"])),
        "solve_ms": float(np.mean(solver["solve_ms"])),
        "converged": float(np.mean(solver["converged"])),
    }
