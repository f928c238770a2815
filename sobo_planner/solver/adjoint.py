"""Derivatives of a loss on solutions, by one more Riccati sweep each (docs/differentiable.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.solver.terms import StageTerms

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a loss L(X, U) by what the solution X, U depends on; arrays are made when they are asked for.

    Attributes:
        found: What the solver found, of one solution.
        X: States of the solution, (T+1, nx).
        U: Its controls, (T, nu).
    """

    found: _native.Adjoints
    X: Array
    U: Array

    @property
    def x0(self) -> Array:
        """By the initial state, (nx,)."""
        return self.found.x0[0, 0]

    @property
    def target(self) -> Array:
        """By the target: position (3,), or joints; pose (6,), position and rotation about the goal's axes [rad].

        Empty for linear problems.
        """
        return self.found.target[0, 0]

    @property
    def weights(self) -> Array:
        """By the cost's weights, (2, 6+nx+nu), of running stages and of the end, as `Solver.weights` orders them.

        Empty for linear problems.
        """
        return self.found.weights[0]

    @property
    def dX(self) -> Array:
        """The adjoint trajectory: what a step of the loss's slope, as a cost, would change about X, (T+1, nx)."""
        return self.found.X[0]

    @property
    def dU(self) -> Array:
        """The same for U, (T, nu)."""
        return self.found.U[0]

    @property
    def costates(self) -> Array:
        """Those of the adjoint trajectory, (T+1, nx)."""
        return self.found.costates[0]

    @property
    def own_costates(self) -> Array:
        """Those of the solution, (T+1, nx)."""
        return self.found.own_costates[0]

    def terms(self) -> StageTerms:
        """By H, g and c of stage terms, of the problem as it was solved, with or without any; symmetric by H."""
        z = np.concatenate([self.X[:-1], self.U], axis=1)
        dX = self.dX
        dz = np.concatenate([dX[:-1], self.dU], axis=1)
        zeros = np.zeros(len(z))
        return StageTerms(symmetric_products(dz, z), dz, zeros, symmetric_products(dX[-1], self.X[-1]), dX[-1], 0.0)

    def matrices(self) -> dict[str, Array]:
        """By the matrices of a linear-quadratic problem, keyed as in `LinearQuadratic`; symmetric by Q, R and Qf."""
        X, U, dX, dU = self.X[:-1], self.U, self.dX[:-1], self.dU
        next_costates, own = self.costates[1:], self.own_costates[1:]

        def symmetric(a: Array, b: Array) -> Array:
            product = 0.5 * a.T @ b
            return product + product.T

        return {
            "A": next_costates.T @ X + own.T @ dX,
            "B": next_costates.T @ U + own.T @ dU,
            "c": next_costates.sum(axis=0),
            "Q": symmetric(dX, X),
            "R": symmetric(dU, U),
            "q": dX.sum(axis=0),
            "r": dU.sum(axis=0),
            "Qf": symmetric(self.dX[-1:], self.X[-1:]),
            "qf": self.dX[-1],
        }


def symmetric_products(a: Array, b: Array) -> Array:
    """(a b' + b a') / 2 of vectors in the last dimension."""
    products = 0.5 * a[..., :, None] * b[..., None, :]
    return products + products.swapaxes(-1, -2)


class Pullback:
    """From the slopes of a loss by a solution to its derivatives, until the solver solves something else.

    Args:
        worker: What has found the solution.
        result: The solution.

    Attributes:
        exact: Whether there are derivatives: not where the solution is no strict minimum, or was found with RK2, whose
            curvature is not known.
    """

    def __init__(self, worker: _native.Worker, result: dict[str, Any]) -> None:
        self._worker, self._number = worker, result["number"]
        self._X, self._U = result["X"], result["U"]
        self.exact: bool = result["exact"]

    def __call__(self, by_state: Array, by_control: Array) -> Gradients:
        """Derivatives of a loss.

        Args:
            by_state: Its slope by X, (T+1, nx).
            by_control: Its slope by U, (T, nu).

        Raises:
            SolverError: There are no derivatives, or no longer; wrong shapes, a NaN or an infinity.
        """
        slopes = np.ascontiguousarray(by_state, float)[None], np.ascontiguousarray(by_control, float)[None]
        return Gradients(_native.adjoint_each([self._worker], [self._number], *slopes), self._X, self._U)


class Pullbacks:
    """Those of several solutions of one problem, in one native call.

    Args:
        pullbacks: Of the N solutions.
        threads: Most solutions at work at once.
        costates: Whether those are wanted.
    """

    def __init__(self, pullbacks: Sequence[Pullback], threads: int = 1, *, costates: bool = True) -> None:
        self._workers = [each._worker for each in pullbacks]
        self._numbers = [each._number for each in pullbacks]
        self._threads, self._costates = threads, costates

    def __call__(self, by_state: Array, by_control: Array) -> _native.Adjoints:
        """Derivatives of losses; all of `Gradients` as arrays.

        Args:
            by_state: Slopes by X, (N, T+1, nx).
            by_control: Slopes by U, (N, T, nu).

        Raises:
            SolverError: As of a single one.
        """
        # The extension makes arrays of other layouts contiguous itself.
        return _native.adjoint_each(self._workers, self._numbers, by_state, by_control, self._threads, self._costates)
