"""A cost of where the tool is, learned from demonstrations of a teacher who keeps it above a height.

    python benchmarks/tool_cost.py [--shown 20] [--steps 120] [--seeds 1] [--json FILE]

The UR5 starts near its home. Distances are the largest of the tool along each of eight motions of the teacher that
were not learned from: of solutions of the task as it is, and with the learned cost.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sobo_planner.files import write_json
from sobo_planner.solver import Guess, Solver
from sobo_planner.tasks import ArmReach, load_arm
from sobo_training.imitation.demonstrations import Demonstration
from sobo_training.imitation.tool_cost import ToolCost, ToolCostFit, ToolCostSettings, solve, tool_along
from sobo_training.imitation.weights import accurate

HEIGHT, HELD_OUT, ROUNDS = 0.4, 8, 8
# Motions that the teacher changes by less [m] are left out.
DETOUR = 0.02


class KeepUp(ToolCost):
    """The teacher's: rises softly below a height."""

    def forward(self, positions: Tensor) -> Tensor:
        """See `ToolCost.forward`."""
        return 0.15 * torch.nn.functional.softplus((HEIGHT - positions[:, 2:]) / 0.05)


def demonstrations(task: ArmReach, solver: Solver, count: int, seed: int) -> list[Demonstration]:
    """Motions of the teacher; the solver begins at solutions of the task as it is."""
    teacher, found, number = KeepUp(np.zeros(3), 1.0, ToolCostSettings()), list[Demonstration](), 0
    while len(found) < count:
        instance = task.sample(np.random.default_rng([seed, number]))
        plain = solver.solve(instance, task.interpolate(instance))
        guess = Guess(plain.X, plain.U)
        solution = solve(task, solver, teacher, instance, guess, ROUNDS)
        if plain.converged and solution.converged and farthest(task, plain.X, solution.X) > DETOUR:
            found.append(Demonstration(instance, solution.X, guess))
        number += 1
    return found


def farthest(task: ArmReach, X: np.ndarray, Y: np.ndarray) -> float:
    """Largest distance of the tool [m] between two motions."""
    off = tool_along(task, X)[0] - tool_along(task, Y)[0]
    return float(np.sqrt((off**2).sum(1)).max())


def one(task: ArmReach, seed: int, shown: int, steps: int) -> dict[str, Any]:
    """One seed of demonstrations and network."""
    solver = Solver(task, accurate(task))
    learned_from, others = (demonstrations(task, solver, n, s) for n, s in ((shown, seed), (HELD_OUT, 1000 + seed)))
    begin = time.process_time()
    fit = ToolCostFit(task, learned_from, ToolCostSettings(steps=steps, seed=seed, threads=1)).run()
    seconds = time.process_time() - begin
    before, after = [], []
    for each in others:
        solution = solve(task, solver, fit.cost, each.instance, each.guess, ROUNDS)
        before.append(farthest(task, each.guess.X, each.X))
        after.append(farthest(task, solution.X, each.X) if solution.converged else None)
    reached = [value for value in after if value is not None]
    return {
        "seed": seed,
        "cpu_s": seconds,
        "errors": fit.errors,
        "before": before,
        "after": after,
        "median_before": float(np.median(before)),
        "median_after": float(np.median(reached)) if reached else None,
    }


def main() -> None:
    """All seeds, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shown", type=int, default=20)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task, rows = load_arm("ur5", **{"distribution.r_init": 0}), []
    for seed in range(options.seeds):
        rows.append(one(task, seed, options.shown, options.steps))
        row = rows[-1]
        print(
            f"seed {seed}: {row['median_before']:.4f} m before, {row['median_after']} after, {row['cpu_s']:.0f} s CPU"
        )
    if options.json is not None:
        write_json(options.json, {"rows": rows, "shown": options.shown, "steps": options.steps})


if __name__ == "__main__":
    main()
