"""Whole runs of the interplay loop, and what their last policies do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cell, fingerprint
from experiment import parallel
from numpy.typing import NDArray
from originals import paper_task
from records import mean, mean_known, remember
from rollouts import roll_out, solver_alone

from sobo_planner.policy import Policy
from sobo_training.interplay.loop import interplay
from sobo_training.interplay.options import InterplayOptions

Array = NDArray[np.float64]


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
        samples: Noise samples a rollout, the cheapest kept; several to compare.
    """

    task: str
    overrides: tuple[tuple[str, Any], ...]
    method: str
    seed: int
    T_a: tuple[int, ...]
    instances: int
    samples: tuple[int, ...] = (1,)

    def load_task(self) -> Any:
        """The task, in the loop's variant."""
        return paper_task(self.task, **dict(self.overrides))

    def name(self, task: Any) -> str:
        """Readable, and unique by a hash of every setting."""
        digest = fingerprint(task.hash, task.policy_hash, task.config.to_dict(), asdict(self))
        return f"{self.task}-{self.method}-s{self.seed}-{digest}"


def policy_folder(loop: Loop, folder: Path) -> Path:
    """Where the last policy of a loop lies."""
    return folder / "loops" / loop.name(loop.load_task()) / "policy"


def run_loop(loop: Loop, folder: Path) -> dict[str, Any]:
    """Runs or resumes one loop, and evaluates its last policy."""
    task = loop.load_task()
    place = folder / "loops" / loop.name(task)
    return remember(place.with_suffix(".json"), lambda: _run_loop(loop, task, place))


def _run_loop(loop: Loop, task: Any, place: Path) -> dict[str, Any]:
    status = interplay(task, place, InterplayOptions(loop.method, loop.seed, threads=1), progress=False)
    policy = Policy.load(place / "policy", task)
    horizons = (1,) if policy.artifact.spec.network["kind"] == "mlp" else loop.T_a
    cell = Cell(loop.task, loop.method, 0, loop.seed, instances=loop.instances, refine=True)
    evaluated = {
        f"{T_a}, best of {n}" if n > 1 else str(T_a): asdict(roll_out(task, policy, cell, T_a, n))
        for T_a in horizons
        for n in loop.samples
    }
    return {"loop": asdict(loop), "iterations": status["iterations"], "T_a": evaluated}


def run_loops(loops: Sequence[Loop], folder: Path, jobs: int) -> list[dict[str, Any]]:
    """Runs loops in parallel processes."""
    return parallel(run_loop, [(loop, folder) for loop in loops], jobs)


def reference(loop: Loop, starts: int) -> dict[str, Any]:
    """The solver without a policy on the loop's held-out instances."""
    return solver_alone(loop.load_task(), loop.instances, starts)


def curves(records: Sequence[dict[str, Any]]) -> dict[str, list[list[float | None]]]:
    """Mean costs over the iterations of the loop, a list a seed; `solver` is the solver alone on the same instances."""
    return {
        name: [[each["cost"][name] for each in record["iterations"]] for record in records]
        for name in ("policy", "refined", "solver")
    }


def over_iterations(seeds: Sequence[Sequence[float | None]], highest: float) -> tuple[Array, Array]:
    """Iterations from 1 and mean costs over seeds, for a plot; each cost counts as `highest` at most."""
    costs = np.array(seeds, float)
    middle = np.nanmean(np.where(costs < highest, costs, highest), axis=0)
    return np.arange(1.0, len(middle) + 1), middle


def table(records: Sequence[dict[str, Any]], solver: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """For each T_a and number of samples what the last policies do, a list over seeds.

    `rescued` is the share of the instances that the solver alone fails on which refinement solves.
    """
    failed = [not good for good in solver["converged"]]
    out = {}
    for T_a in records[0]["T_a"]:
        rolls = [record["T_a"][T_a] for record in records]
        out[T_a] = {
            "policy_cost": [mean(roll["cost"]) for roll in rolls],
            "refined_cost": [mean(roll["refined"]) for roll in rolls],
            "iterations": [mean_known(roll["iterations"]) for roll in rolls],
            "rollout_ms": [mean_known(roll["rollout_ms"]) for roll in rolls],
            "solve_ms": [mean_known(roll["solve_ms"]) for roll in rolls],
            "converged": [float(np.mean(roll["converged"])) for roll in rolls],
        }
        if any(failed):
            out[T_a]["rescued"] = [float(np.mean(np.array(roll["converged"])[failed])) for roll in rolls]
    return out


def alone_figures(solver: dict[str, Any]) -> dict[str, float]:
    """The solver alone in the same terms; where it does not converge, its costs may be anything."""
    converged = [cost for cost, good in zip(solver["cost"], solver["converged"], strict=True) if good]
    return {
        "cost": mean(solver["cost"]),
        "cost_where_converged": mean_known(converged),
        "best_of_starts": mean(solver["best"]),
        "iterations": float(np.mean(solver["iterations"])),
        "solve_ms": float(np.mean(solver["solve_ms"])),
        "converged": float(np.mean(solver["converged"])),
    }
