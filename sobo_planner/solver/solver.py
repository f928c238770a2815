"""ProxDDP as Python sees it: guesses in, solutions with feedback gains out."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native
from sobo_planner.errors import SolverError
from sobo_planner.solver.adjoint import Pullback
from sobo_planner.solver.budget import Interrupt
from sobo_planner.solver.options import SolverOptions
from sobo_planner.solver.problem import Problem
from sobo_planner.solver.solution import Solution
from sobo_planner.solver.terms import StageTerms
from sobo_planner.solver.trajectory import Guess, Instance

Array = NDArray[np.float64]


class Solver:
    """Solves instances of one problem; keeps a native problem and solver for each thread.

    A Solver is used by one Python thread at a time; `solve` and `solve_batch` release the interpreter lock.

    Args:
        problem: What to solve instances of.
        options: Settings; the problem's own by default.
        sequence: Each instance of `solve` is much like the one before: it begins with the multipliers of the last one,
            ends after a feasible step that changed the cost by less than 1 %, and its gains (and A, B) are those of its
            last iteration, which belong to the iterate before the last step. The next solve continues where this one
            stopped: the real-time iteration (Diehl, Bock, Schloeder 2005).
        first_order: Whether `solve` returns gains and Jacobians. Without, K, k, A and B are empty, and a Riccati sweep
            is saved, in a sequence that of solves without a step.
    """

    def __init__(
        self,
        problem: Problem,
        options: SolverOptions | None = None,
        *,
        sequence: bool = False,
        first_order: bool = True,
    ) -> None:
        self._problem = problem
        self._sequence, self._first_order = sequence, first_order
        self.options = options or getattr(problem, "solver_options", None) or SolverOptions()
        self._workers = [problem.make_worker()]

    def _worker(self) -> _native.Worker:
        """The native problem that single instances are solved with."""
        return self._workers[0]

    def with_options(self, options: SolverOptions) -> Solver:
        """The same native problem and solver, which take megabytes, with other settings."""
        other = copy.copy(self)
        other.options = options
        return other

    def solve(
        self,
        instance: Instance,
        guess: Guess,
        time_limit: float | None = None,
        interrupt: Interrupt | None = None,
        *,
        terms: StageTerms | None = None,
        weights: Array | None = None,
    ) -> Solution:
        """Solves one instance.

        Args:
            instance: What to solve.
            guess: Where to start.
            time_limit: Wall time [s] within which to return the current iterate. The first iteration always begins, a
                later one only if it would end in time, going by those before.
            interrupt: Another thread sets it to have the current iterate returned.
            terms: What is added to the problem's cost.
            weights: Of the cost, in place of the problem's own, (2, 6+nx+nu): see `weights`.

        Returns:
            The solution; divergence gives status `failed`, never an exception. Its cost includes the terms.

        Raises:
            SolverError: Wrong sizes, a NaN or an infinity in the instance, the guess, the terms or the weights.
        """
        options = self.options.native(time_limit, interrupt)
        options.sequence, options.gains = self._sequence, self._first_order
        return Solution.of(self._worker().solve(_start(instance, guess, terms, weights), options))

    def solve_with_adjoint(
        self,
        instance: Instance,
        guess: Guess,
        *,
        terms: StageTerms | None = None,
        weights: Array | None = None,
    ) -> tuple[Solution, Pullback]:
        """Solves one instance; the derivatives of losses on its solution are then one Riccati sweep each.

        They are as exact as the solution: with `early_stop=1e-6` to about a thousandth on the UR5, with the default to
        some percent. Where a bound is about to become active they jump.

        Args:
            instance: What to solve.
            guess: Where to start.
            terms: What is added to the problem's cost.
            weights: Of the cost, in place of the problem's own.

        Returns:
            The solution, and a function that takes the slopes of a loss by X and U to the loss's derivatives (see
            `Gradients`). It may be called until this solver solves something else.

        Raises:
            SolverError: As `solve`.
        """
        worker = self._worker()
        result = worker.solve(_start(instance, guess, terms, weights), self.options.native())
        return Solution.of(result), Pullback(worker, result)

    def solve_each_with_adjoint(
        self,
        instances: Sequence[Instance],
        guesses: Sequence[Guess],
        threads: int = 2,
        *,
        terms: Sequence[StageTerms | None] | None = None,
        weights: Sequence[Array | None] | None = None,
    ) -> list[tuple[Solution, Pullback]]:
        """`solve_with_adjoint` for many instances, each with a native problem of its own, which takes megabytes.

        Raises:
            SolverError: As `solve_batch`.
        """
        starts = self._starts(instances, guesses, threads, len(instances), terms, weights)
        workers = self._workers[: len(starts)]
        results = _native.solve_each(workers, starts, self.options.native(), threads)
        pairs = zip(workers, results, strict=True)
        return [(Solution.of(result), Pullback(worker, result)) for worker, result in pairs]

    def weights(self) -> Array:
        """The own weights of squared errors, (2, 6+nx+nu): of running stages, times their length, and of the end.

        In this order: tool position (3), orientation (3), state (nx), control (nu).

        Raises:
            SolverError: It is a problem in matrices.
        """
        return np.asarray(self._worker().weights())

    @property
    def shortest_solve(self) -> float:
        """CPU time [s] that a solve of one iteration takes, going by the last solve; 0 before that."""
        return float(self._worker().shortest_solve)

    def restart(self) -> None:
        """Ends a sequence: the next instance is not like the one before."""
        self._worker().restart()

    def gains(self, instance: Instance, trajectory: Guess) -> Array:
        """Feedback gains (T, nu, ndx) along a trajectory as it is, whether or not it is optimal.

        Raises:
            SolverError: As `solve`, or the problem has no minimum near the trajectory.
        """
        options = self.options.native()
        options.max_iterations, options.retry = 0, False
        solution = Solution.of(self._worker().solve(_start(instance, trajectory), options))
        if not np.isfinite(solution.K).all() or len(solution.K) != len(trajectory.U):
            raise SolverError(f"there are no gains along this trajectory: {solution.message}")
        return solution.K

    def solve_batch(
        self,
        instances: Sequence[Instance],
        guesses: Sequence[Guess],
        threads: int = 2,
        *,
        terms: Sequence[StageTerms | None] | None = None,
        weights: Sequence[Array | None] | None = None,
    ) -> list[Solution]:
        """Solves many instances, in order; the result does not depend on `threads`.

        Args:
            instances: What to solve.
            guesses: Where to start, one each.
            threads: Most solvers at work at once.
            terms: What is added to the cost, for each instance.
            weights: Of the cost, for each instance; None for the problem's own.

        Raises:
            SolverError: As `solve`, or lists of different lengths.
        """
        starts = self._starts(instances, guesses, threads, threads, terms, weights)
        results = _native.solve_batch(self._workers[:threads], starts, self.options.native())
        return [Solution.of(result) for result in results]

    def _starts(
        self,
        instances: Sequence[Instance],
        guesses: Sequence[Guess],
        threads: int,
        workers: int,
        terms: Sequence[StageTerms | None] | None,
        weights: Sequence[Array | None] | None,
    ) -> list[_native.Start]:
        """Checks the arguments of a batch, and makes as many native problems as it needs."""
        n = len(instances)
        terms, weights = terms or [None] * n, weights or [None] * n
        if not n == len(guesses) == len(terms) == len(weights):
            counts = f"{len(guesses)} guesses, {len(terms)} terms and {len(weights)} weights"
            raise SolverError(f"{n} instances but {counts}")
        if threads < 1:
            raise SolverError(f"threads must be at least 1, got {threads}")
        while len(self._workers) < min(workers, n):
            self._workers.append(self._problem.make_worker())
        self._worker()  # made ready
        return [_start(*each) for each in zip(instances, guesses, terms, weights, strict=True)]

    def cost(self, X: ArrayLike, U: ArrayLike, target: ArrayLike) -> float:
        """Cost of a trajectory, X (T+1, nx) and U (T, nu), as the solver counts it without terms."""
        X = np.asarray(X, float)
        return float(self._worker().cost(_native.Start(X[0], np.asarray(target, float), X, np.asarray(U, float))))


def _start(
    instance: Instance, guess: Guess, terms: StageTerms | None = None, weights: Array | None = None
) -> _native.Start:
    arrays = (instance.x0, instance.target, guess.X, guess.U)
    native = None if terms is None else terms.native
    try:
        x0, target, X, U = (np.asarray(array, float) for array in arrays)
        return _native.Start(x0, target, X, U, native, None if weights is None else np.asarray(weights, float))
    except (TypeError, ValueError) as e:
        shapes = ", ".join(str(np.shape(array)) for array in arrays)
        expected = "(nx,), (3,) or (7,), (T+1, nx), (T, nu)"
        raise SolverError(f"x0, target, X, U must be numbers of shape {expected}: {shapes}") from e
