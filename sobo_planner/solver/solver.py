"""ProxDDP as Python sees it: guesses in, solutions with feedback gains out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native
from sobo_planner.errors import ConfigError, SolverError
from sobo_planner.solver.adjoint import Pullback
from sobo_planner.solver.budget import Interrupt
from sobo_planner.solver.terms import StageTerms
from sobo_planner.solver.trajectory import Guess, Instance

Array = NDArray[np.float64]


class SolverStatus(str, Enum):
    """How a solve ended."""

    CONVERGED = "converged"
    MAX_ITERATIONS = "max_iterations"
    TIME_LIMIT = "time_limit"
    FAILED = "failed"


@dataclass(frozen=True)
class SolverOptions:
    """Settings of ProxDDP; the defaults were measured on the UR5.

    Attributes:
        tol: Primal and dual tolerance. Below 1e-6 the dual residual often stalls.
        mu_init: Initial penalty of the augmented Lagrangian.
        reg_min: Smallest regularisation; 1e-4 and more biases the optimum.
        max_iterations: Limit for one attempt.
        early_stop: Accept a feasible iterate once the relative change of the cost falls below this and the dual
            residual below a tenth of its largest value; 0 switches it off. Most iterations otherwise only reduce the
            dual residual, at an unchanged cost.
        retry: On failure solve once more with nonlinear rollouts and more regularisation.
    """

    tol: float = 1e-4
    mu_init: float = 1e-2
    reg_min: float = 1e-10
    max_iterations: int = 200
    early_stop: float = 1e-4
    retry: bool = True

    def __post_init__(self) -> None:
        for name in ("tol", "mu_init"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"solver.{name} must be positive, got {getattr(self, name)}")
        for name in ("reg_min", "early_stop"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"solver.{name} must not be negative, got {getattr(self, name)}")
        if self.max_iterations < 1:
            raise ConfigError(f"solver.max_iterations must be at least 1, got {self.max_iterations}")

    def native(self, time_limit: float | None = None, interrupt: Interrupt | None = None) -> _native.SolveOptions:
        """The extension's options; `time_limit` is in seconds of wall time."""
        options = _native.SolveOptions()
        for name, value in asdict(self).items():
            setattr(options, name, value)
        options.time_limit, options.interrupt = time_limit or 0.0, interrupt
        return options


@dataclass(frozen=True)
class Solution:
    """A local optimum and its first-order information, all at the returned trajectory.

    Attributes:
        X: States, (T+1, nx).
        U: Controls, (T, nu).
        K: Feedback gains du/dx, (T, nu, ndx): u = U[t] + K[t] (x - X[t]).
        k: Feedforward step that the solver would take next, (T, nu); about 0 at an optimum.
        A: Dynamics Jacobians dx'/dx, (T, ndx, ndx).
        B: Dynamics Jacobians dx'/du, (T, ndx, nu).
        initial_cost: Total cost of the guess.
        cost: Total cost.
        iterations: Newton iterations, retries included.
        primal_residual: Largest violation of dynamics and constraints.
        dual_residual: Largest gradient of the Lagrangian.
        status: How the solve ended.
        message: What went wrong, empty otherwise.
        time_ms: Wall time, the final gain sweep included.
        cpu_ms: CPU time of the solving thread.
    """

    X: Array
    U: Array
    K: Array
    k: Array
    A: Array
    B: Array
    initial_cost: float
    cost: float
    iterations: int
    primal_residual: float
    dual_residual: float
    status: SolverStatus
    message: str
    time_ms: float
    cpu_ms: float

    @property
    def converged(self) -> bool:
        """Whether the solver's tolerances, or those of the early stop, were met."""
        return self.status is SolverStatus.CONVERGED


class Problem(Protocol):
    """What a Solver can be made for: tasks, and `LinearQuadratic`."""

    def make_worker(self) -> _native.Worker:
        """Builds the native problem with a solver of its own."""
        ...


@dataclass(frozen=True)
class LinearQuadratic:
    """min sum 1/2 x'Qx + 1/2 u'Ru + q'x + r'u + terminal (Qf, qf) with x' = A x + B u + c.

    Attributes:
        horizon: Number of steps.
        control_bounds: Lower and upper bounds on u, (nu,) each, or None.
        state_bounds: Lower and upper bounds on x, (nx,) each, or None; x0 is exempt.
    """

    horizon: int
    A: Array
    B: Array
    c: Array
    Q: Array
    R: Array
    q: Array
    r: Array
    Qf: Array
    qf: Array
    control_bounds: tuple[Array, Array] | None = None
    state_bounds: tuple[Array, Array] | None = None

    def make_worker(self) -> _native.Worker:
        """Builds the native problem.

        Raises:
            SolverError: Matrices whose sizes disagree, or infeasible bounds.
        """
        spec = _native.LinearSpec()
        for name in ("A", "B", "c", "Q", "R", "q", "r", "Qf", "qf"):
            setattr(spec, name, np.asarray(getattr(self, name), float))
        spec.horizon = self.horizon
        if self.control_bounds is not None:
            spec.control = _native.Box(*self.control_bounds)
        if self.state_bounds is not None:
            spec.state = _native.Box(*self.state_bounds)
        return _native.Worker(spec)


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
        first_order: Whether `solve` returns gains and Jacobians. Without, K, k, A and B are empty, and a sequence saves
            the Riccati sweep of solves that need no step.
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
        return _solution(self._worker().solve(_start(instance, guess, terms, weights), options))

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
        return _solution(result), Pullback(worker, result)

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
        return [(_solution(result), Pullback(worker, result)) for worker, result in pairs]

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
        solution = _solution(self._worker().solve(_start(instance, trajectory), options))
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
        return [_solution(result) for result in results]

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


def _solution(result: dict[str, Any]) -> Solution:
    fields = {name: value for name, value in result.items() if name not in ("number", "exact")}
    return Solution(**(fields | {"status": SolverStatus(result["status"])}))
