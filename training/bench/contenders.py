"""The two solvers behind one interface, and the record of their runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sobo_planner.planning.planner import FEASIBLE
from sobo_planner.solver import Guess, Instance, Solver, SolverOptions

if TYPE_CHECKING:
    from sobo_planner.tasks import ArmReach
    from sobo_training.bench.crocoddyl_client import CrocoddylSide

MAX_ITERATIONS = 200
# From here on a trajectory counts as a solution: its cost is this close to the solver's own optimum (relative), and its
# violation is one that the planner accepts.
NEAR = 1e-3


@dataclass
class Series:
    """Runs of one solver on one instance.

    Attributes:
        iterations: Iterations to the solver's own tolerances.
        converged: Whether it met them.
        cost: Cost it ended with.
        near: Iterations until the cost is within 0.1 % of its own optimum; None if it never became feasible.
        wall_ms, cpu_ms: Times of the runs to the tolerances, a round each.
        near_wall_ms, near_cpu_ms: Times of the runs that were stopped after `near` iterations.
    """

    near: int | None
    iterations: int = 0
    converged: bool = False
    cost: float = np.nan
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    near_wall_ms: list[float] = field(default_factory=list)
    near_cpu_ms: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Medians over the rounds, as JSON values."""
        wall, cpu = float(np.median(self.wall_ms)), float(np.median(self.cpu_ms))
        count = max(self.iterations, 1)
        return {
            "iterations": self.iterations,
            "converged": self.converged,
            "cost": self.cost,
            "wall_ms": wall,
            "cpu_ms": cpu,
            "ms_per_iteration": cpu / count,
            "wall_ms_per_iteration": wall / count,
            "near_iterations": self.near,
            "near_wall_ms": float(np.median(self.near_wall_ms)) if self.near_wall_ms else None,
            "near_cpu_ms": float(np.median(self.near_cpu_ms)) if self.near_cpu_ms else None,
        }


def first_near(reached: Callable[[int], bool], last: int) -> int | None:
    """Iterations 1 ... last from which on `reached` holds, by bisection; None if it never does."""
    if last < 1 or not reached(last):
        return None
    low, high = 0, last  # does not hold at low, holds at high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


class ProxDDP:
    """Our side, without exact gains, as plans are solved; `solve` and `near` answer as Crocoddyl's side does."""

    def __init__(self, task: ArmReach, instances: Sequence[Instance], guesses: Sequence[Guess]) -> None:
        self._pairs = list(zip(instances, guesses, strict=True))
        self._solver = Solver(task, first_order=False)
        self._options = replace(self._solver.options, max_iterations=MAX_ITERATIONS)

    def _run(self, index: int, options: SolverOptions) -> dict[str, Any]:
        self._solver.options = options
        wall, cpu = time.perf_counter(), time.thread_time()
        solution = self._solver.solve(*self._pairs[index])
        cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
        return {
            "iterations": solution.iterations,
            "cost": solution.cost,
            "converged": solution.converged,
            "primal": solution.primal_residual,
            "wall_ms": 1e3 * wall,
            "cpu_ms": 1e3 * cpu,
        }

    def solve(self, index: int, max_iterations: int | None = None) -> dict[str, Any]:
        """To the planner's own tolerances, or so many iterations."""
        if max_iterations is None:
            return self._run(index, self._options)
        return self._run(index, replace(self._options, early_stop=0.0, retry=False, max_iterations=max_iterations))

    def near(self, index: int) -> int | None:
        """Iterations until the cost is within 0.1 % of where it ends without early stop."""
        end = self.solve(index, MAX_ITERATIONS)

        def reached(count: int) -> bool:
            run = end if count == end["iterations"] else self.solve(index, count)
            return bool(run["cost"] <= (1 + NEAR) * end["cost"] and run["primal"] <= FEASIBLE)

        return first_near(reached, end["iterations"])


class BoxFDDP:
    """Crocoddyl's side, reached through its process."""

    def __init__(self, side: CrocoddylSide) -> None:
        self._side = side

    def solve(self, index: int, max_iterations: int | None = None) -> dict[str, Any]:
        """To Crocoddyl's default tolerance, or so many iterations."""
        return self._side.ask("solve", index, max_iterations or MAX_ITERATIONS)

    def near(self, index: int) -> int | None:
        """Iterations until the cost is within 0.1 % of where it ends."""
        trace = self._side.ask("trace", index, MAX_ITERATIONS)
        costs, gaps = trace["costs"], trace["gaps"]

        def reached(count: int) -> bool:
            return bool(costs[count - 1] <= (1 + NEAR) * costs[-1] and gaps[count - 1] <= FEASIBLE)

        return first_near(reached, len(costs))
