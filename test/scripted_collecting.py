"""Collections for tests, with a solver from a script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sobo_planner.solver import Guess, Instance, Solution, SolverStatus
from sobo_planner.tasks import load_task
from sobo_training.data.collection import CollectOptions, CollectSummary
from sobo_training.data.collector import Collector
from sobo_training.data.filling import fill

LQR = load_task("lqr")
CONFIG = {"config": {"scripted": True}}
FAILED = next(status for status in SolverStatus if status is not SolverStatus.CONVERGED)


def solution(cost: float = 1.0, status: SolverStatus = SolverStatus.CONVERGED, **changes: Any) -> Solution:
    T, nx, nu = LQR.horizon, LQR.nx, LQR.nu
    shapes = {"X": (T + 1, nx), "U": (T, nu), "K": (T, nu, nx), "k": (T, nu), "A": (T, nx, nx), "B": (T, nx, nu)}
    return Solution(
        **{name: np.full(shape, cost) for name, shape in shapes.items()},
        initial_cost=2 * cost,
        cost=cost,
        iterations=int(cost),
        primal_residual=0.0,
        dual_residual=0.0,
        status=status,
        message="",
        time_ms=1.0,
        cpu_ms=1.0,
        **changes,
    )


class ScriptedSolver:
    """Answers in turn with the solutions of a script, then with converged ones of cost 1; keeps what it was asked."""

    def __init__(self, *script: Solution) -> None:
        self.script = list(script)
        self.batches: list[list[tuple[Instance, Guess]]] = []
        self.threads: list[int] = []

    def solve_batch(self, instances: Sequence[Instance], guesses: Sequence[Guess], threads: int) -> list[Solution]:
        self.batches.append(list(zip(instances, guesses, strict=True)))
        self.threads.append(threads)
        return [self.script.pop(0) if self.script else solution() for _ in instances]


def collector(solver: ScriptedSolver, **options: Any) -> Collector:
    settings = {"count": 4, "seed": 3, "starts": 2, "threads": 1, "shard_size": 2}
    return Collector(LQR, solver, CollectOptions(**(settings | options)))  # type: ignore[arg-type]


def run(folder: Path, *script: Solution, **options: Any) -> tuple[CollectSummary, ScriptedSolver]:
    solver = ScriptedSolver(*script)
    return fill(folder, collector(solver, **options), CONFIG, progress=False), solver
