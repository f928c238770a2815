"""What policies, and the solver alone, do on held-out instances."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cells import Cell

from sobo_planner.solver import Solver
from sobo_training.data.instances import Stream, draw, policy_start


@dataclass
class Rollouts:
    """What a policy does on the held-out instances, one entry an instance; None where its rollout is not finite.

    Attributes:
        cost: Costs of its rollouts.
        error: Final distances to the target [m].
        violation: Depths in obstacles [m].
        refined: Costs after refinement, None where it did not converge.
        iterations: Solver iterations of the refinement.
        converged: Whether it converged.
        rollout_ms: Time of the rollout [ms].
        solve_ms: CPU time of the refinement [ms].
        paths: First two states along some of the rollouts.
    """

    cost: list[float | None] = field(default_factory=list)
    error: list[float | None] = field(default_factory=list)
    violation: list[float | None] = field(default_factory=list)
    refined: list[float | None] = field(default_factory=list)
    iterations: list[int | None] = field(default_factory=list)
    converged: list[bool] = field(default_factory=list)
    rollout_ms: list[float] = field(default_factory=list)
    solve_ms: list[float | None] = field(default_factory=list)
    paths: list[list[list[float]] | None] = field(default_factory=list)


def held_out(task: Any, count: int) -> list[Any]:
    """The held-out instances: never part of collected data."""
    return [draw(task, Stream.EVALUATE, 0, number)[0] for number in range(count)]


def roll_out(task: Any, policy: Any, cell: Cell, T_a: int, samples: int = 1) -> Rollouts:
    """Rolls a policy out on the held-out instances, and refines the rollouts if asked."""
    solver, result = Solver(task), Rollouts()
    for number, instance in enumerate(held_out(task, cell.instances)):
        rng = np.random.default_rng([7, number])
        began = time.perf_counter()
        guess = policy_start(task, policy, instance, rng, T_a, samples)
        result.rollout_ms.append(1e3 * (time.perf_counter() - began))
        cost = np.inf if guess is None else task.cost(guess.X, guess.U, instance.target)
        good = guess if np.isfinite(cost) else None
        result.cost.append(float(cost) if good else None)
        result.error.append(task.final_error(good.X, instance.target) if good else None)
        result.violation.append(task.violation(good.X) if good else None)
        if number < cell.keep_paths:
            result.paths.append(good.X[:, :2].round(3).tolist() if good else None)
        if cell.refine:
            solution = solver.solve(instance, good) if good else None
            result.converged.append(solution is not None and solution.converged)
            result.refined.append(float(solution.cost) if solution and solution.converged else None)
            result.iterations.append(solution.iterations if solution else None)
            result.solve_ms.append(solution.cpu_ms if solution else None)
    return result


def solver_alone(task: Any, count: int, starts: int, keep_paths: int = 0) -> dict[str, list[Any]]:
    """The solver from interpolation, and the cheapest of several starts, on the held-out instances."""
    solver = Solver(task)
    names = ("cost", "iterations", "converged", "solve_ms", "best", "paths")
    out: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(count):
        instance, rng = draw(task, Stream.EVALUATE, 0, number)
        guesses = task.starts(instance, max(1, starts), rng)
        solutions = [solver.solve(instance, guess) for guess in guesses]
        first, good = solutions[0], [each.cost for each in solutions if each.converged]
        out["cost"].append(float(first.cost) if np.isfinite(first.cost) else None)
        out["iterations"].append(first.iterations)
        out["converged"].append(first.converged)
        out["solve_ms"].append(first.cpu_ms)
        out["best"].append(float(min(good)) if good else None)
        if number < keep_paths:
            out["paths"].append(first.X[:, :2].round(3).tolist())
    return out
