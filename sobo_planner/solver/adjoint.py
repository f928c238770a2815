"""Derivatives of a loss on solutions, by one more Riccati sweep each (docs/differentiable.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.solver.terms import StageTerms

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a loss L(X, U) by what the solution X, U depends on.

    Attributes:
        x0: By the initial state, (nx,).
        target: By the target: position (3,), or joints; pose (6,), position and rotation about the goal's axes [rad].
            Empty for linear problems.
        weights: By the cost's weights, (2, 6+nx+nu), of running stages and of the end, as `Solver.weights` orders them.
            Empty for linear problems.
        dX: The adjoint trajectory: what a step of the loss's slope, as a cost, would change about X, (T+1, nx).
        dU: The same for U, (T, nu).
        costates: Those of the adjoint trajectory, (T+1, nx).
        X: States of the solution, (T+1, nx).
        U: Its controls, (T, nu).
        own_costates: Its costates, (T+1, nx).
    """

    x0: Array
    target: Array
    weights: Array
    dX: Array
    dU: Array
    costates: Array
    X: Array
    U: Array
    own_costates: Array

    def terms(self) -> StageTerms:
        """By H, g and c of stage terms, of the problem as it was solved, with or without any; symmetric by H."""
        z = np.concatenate([self.X[:-1], self.U], axis=1)
        dz = np.concatenate([self.dX[:-1], self.dU], axis=1)
        products = np.einsum("ti,tj->tij", 0.5 * dz, z)
        last = np.outer(0.5 * self.dX[-1], self.X[-1])
        zeros = np.zeros(len(z))
        return StageTerms(products + products.swapaxes(1, 2), dz, zeros, last + last.T, self.dX[-1], 0.0)

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
        slopes = (np.asarray(each, float) for each in (by_state, by_control))
        found = self._worker.adjoint(self._number, *slopes)
        return Gradients(
            x0=found["costates"][0],
            target=found["target"],
            weights=found["weights"],
            dX=found["X"],
            dU=found["U"],
            costates=found["costates"],
            X=self._X,
            U=self._U,
            own_costates=found["own_costates"],
        )
