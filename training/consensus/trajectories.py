"""The trajectory step of each method, on instances that stay the same, with simulator calls counted.

A simulator call is one step of the dynamics of one instance. A rollout takes T of them, and so does an iteration of
the solver, which linearises the dynamics at each of T steps; the trials of its line search, which it does not report,
are not counted. Rollouts that only measure a policy are not counted for any method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import SoboError, SolverError
from sobo_planner.solver import Guess, Instance, Solution, Solver, SolverStatus

if TYPE_CHECKING:
    from sobo_planner.solver import StageTerms
    from sobo_planner.tasks import Task

Array = NDArray[np.float64]
#: A solution that violates dynamics or bounds by more is not learned from.
FEASIBLE = 1e-2
#: Step lengths that PODS tries, the largest first.
STEP_LENGTHS = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.001)


@dataclass
class Trajectories:
    """What the instances' trajectories are after a step.

    Attributes:
        X: States, (n, T+1, nx).
        U: Controls that the policy is to have at X, (n, T, nu).
        K: Gains, (n, T, nu, nx).
        good: Whether there is a trajectory to learn from, (n,).
        iterations: Mean iterations of the last step's solves.
        kept: Instances whose last step failed, with the reason: their trajectory is that of the step before.
    """

    X: Array
    U: Array
    K: Array
    good: NDArray[np.bool_]
    iterations: float = 0.0
    kept: dict[int, str] = field(default_factory=dict)

    @classmethod
    def none(cls, task: Task, count: int) -> Trajectories:
        """No trajectory yet."""
        T, nx, nu = task.horizon, task.nx, task.nu
        X, U, K = np.zeros((count, T + 1, nx)), np.zeros((count, T, nu)), np.zeros((count, T, nu, nx))
        return cls(X, U, K, np.zeros(count, bool))


class Oracle:
    """Improves trajectories, and counts simulator calls.

    Args:
        task: The task.
        bounds: Whether the bounds of the controls are known.
        threads: Solver threads.

    Attributes:
        calls: Simulator calls so far.
    """

    def __init__(self, task: Task, bounds: bool, threads: int) -> None:
        self.task, self.threads, self.calls = task, threads, 0
        self.problem: Any = task if bounds else task.without_control_bounds()
        self.solver = Solver(self.problem)
        self._once = self.solver.with_options(replace(self.solver.options, max_iterations=1, retry=False))

    def first(self, instances: Sequence[Instance], starts: Sequence[Sequence[Guess]]) -> Trajectories:
        """The cheapest solution of each instance from several starts."""
        flat = [(i, guess) for i, guesses in enumerate(starts) for guess in guesses if guess.finite]
        solutions = self._solve([instances[i] for i, _ in flat], [guess for _, guess in flat], None)
        out = Trajectories.none(self.task, len(instances))
        best = np.full(len(instances), np.inf)
        for (i, _), solution in zip(flat, solutions, strict=True):
            reason = objection(solution)
            if reason and not out.good[i]:
                out.kept[i] = reason
            if not reason and solution.cost < best[i]:
                best[i] = solution.cost
                _put(out, i, solution)
        return self._counted(out, solutions)

    def improve(
        self,
        instances: Sequence[Instance],
        guesses: Sequence[Guess],
        before: Trajectories,
        terms: Sequence[StageTerms] | None = None,
    ) -> Trajectories:
        """Solves each instance from a guess; where that fails, what was before is kept."""
        out = replace(before, X=before.X.copy(), U=before.U.copy(), K=before.K.copy(), good=before.good.copy(), kept={})
        solutions = self._solve(instances, guesses, terms)
        for i, solution in enumerate(solutions):
            reason = objection(solution)
            if reason:
                out.kept[i] = reason
            else:
                _put(out, i, solution)
        return self._counted(out, solutions)

    def newton_step(
        self, instances: Sequence[Instance], guesses: Sequence[Guess | None], before: Trajectories
    ) -> Trajectories:
        """One Newton step of the solver from each rollout, with the largest length that lowers the cost.

        The new controls go with the rollout's own states (PODS).
        """
        out = replace(before, X=before.X.copy(), U=before.U.copy(), kept={}, iterations=1.0)
        out.good = np.zeros(len(instances), bool)
        for i, (instance, guess) in enumerate(zip(instances, guesses, strict=True)):
            if guess is None:
                out.kept[i] = "the rollout diverged"
                continue
            self.calls += self.task.horizon
            step, reason = self._direction(instance, guess)
            out.X[i], out.U[i], out.good[i] = guess.X, guess.U, True
            if step is None:
                out.kept[i] = reason
            else:
                out.U[i] = guess.U + self._length(instance, guess, step) * step
        return out

    def _direction(self, instance: Instance, guess: Guess) -> tuple[Array | None, str]:
        """The change of the controls (T, nu) in one iteration of the solver, or why there is none."""
        try:
            found = self._once.solve(instance, guess)
        except SolverError as error:
            return None, str(error)
        step: Array = found.U - guess.U
        return (step, "") if np.isfinite(step).all() else (None, "the Newton step is not finite")

    def _length(self, instance: Instance, guess: Guess, step: Array) -> float:
        """The largest of `STEP_LENGTHS` that lowers the cost, 0 for none; each trial is a rollout."""
        reference = self.task.cost(guess.X, guess.U, instance.target)
        for length in STEP_LENGTHS:
            U = guess.U + length * step
            self.calls += self.task.horizon
            try:
                with np.errstate(over="ignore", invalid="ignore"):
                    X = self.task.simulate(instance.x0, U)
            except SoboError:
                continue
            if np.isfinite(X).all() and self.task.cost(X, U, instance.target) < reference:
                return length
        return 0.0

    def _solve(
        self, instances: Sequence[Instance], guesses: Sequence[Guess], terms: Sequence[StageTerms] | None
    ) -> list[Solution]:
        if terms is None:
            return self.solver.solve_batch(instances, guesses, self.threads)
        return self.solver.solve_batch(instances, guesses, self.threads, terms=terms)

    def _counted(self, out: Trajectories, solutions: Sequence[Solution]) -> Trajectories:
        iterations = [each.iterations for each in solutions]
        self.calls += self.task.horizon * sum(iterations)
        out.iterations = float(np.mean(iterations))
        return out


def objection(solution: Solution) -> str:
    """Why a solution is not learned from, empty where it may be."""
    if not (np.isfinite(solution.X).all() and np.isfinite(solution.U).all() and np.isfinite(solution.K).all()):
        return f"not finite: {solution.message or solution.status.value}"
    if solution.status is SolverStatus.FAILED:
        return solution.message or "failed"
    if not solution.primal_residual <= FEASIBLE:
        return f"{solution.status.value}, {solution.primal_residual:.2g} from feasible"
    return ""


def _put(out: Trajectories, i: int, solution: Solution) -> None:
    out.X[i], out.U[i], out.K[i], out.good[i] = solution.X, solution.U, solution.K, True
    out.kept.pop(i, None)
