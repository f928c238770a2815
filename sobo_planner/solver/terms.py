"""Quadratic terms that are added to the cost of each stage of a problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.errors import SolverError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StageTerms:
    """1/2 z'Hz + g'z + c at every stage, z = [x, u] with the task's controls (an arm's are torques), z = x at the end.

    The solver counts them in its cost as they are, with their exact Hessian. Its early stop compares changes with the
    whole cost: constants that keep the terms at or above zero, as squares do, keep it meaningful.

    Attributes:
        H: Hessians, (T, nx+nu, nx+nu); the symmetric parts count.
        g: Gradients at z = 0, (T, nx+nu).
        c: Constants, (T,); None for zeros.
        last_H: Hessian at the end, (nx, nx); None for zeros.
        last_g: Gradient at the end at x = 0, (nx,); None for zeros.
        last_c: Constant at the end, which counts if there is one of these.
    """

    H: Array
    g: Array
    c: Array | None = None
    last_H: Array | None = None
    last_g: Array | None = None
    last_c: float = 0.0

    @classmethod
    def about(
        cls,
        X: Array,
        U: Array,
        gradients: Array,
        hessians: Array,
        values: Array | None = None,
        last: tuple[Array, Array] | None = None,
        last_value: float = 0.0,
    ) -> StageTerms:
        """The second-order model of costs about a trajectory.

        Args:
            X: States of the trajectory, (T+1, nx).
            U: Controls, (T, nu).
            gradients: Of the costs there by [x, u], (T, nx+nu).
            hessians: By [x, u] twice, (T, nx+nu, nx+nu).
            values: Of the costs, (T,); None for zeros.
            last: Gradient (nx,) and Hessian (nx, nx) at the end; None for no term there.
            last_value: Value at the end.
        """
        z = np.concatenate([X[:-1], U], axis=1)
        pull = np.einsum("tij,tj->ti", hessians, z)
        constants = np.einsum("ti,ti->t", 0.5 * pull - gradients, z) + (0.0 if values is None else values)
        if last is None:
            return cls(hessians, gradients - pull, constants)
        gradient, hessian = last
        last_pull = hessian @ X[-1]
        last_constant = last_value + float((0.5 * last_pull - gradient) @ X[-1])
        return cls(hessians, gradients - pull, constants, hessian, gradient - last_pull, last_constant)

    @classmethod
    def tracking(cls, X: Array, U: Array, state_weights: Array, control_weights: Array) -> StageTerms:
        """1/2 sum of weighted squared distances to a trajectory X (T+1, nx), U (T, nu), at all of its points.

        Args:
            X: States.
            U: Controls.
            state_weights: (nx,).
            control_weights: (nu,).
        """
        weights = np.diag(np.concatenate([state_weights, control_weights]))
        hessians = np.broadcast_to(weights, (len(U), *weights.shape))
        end = np.zeros(X.shape[1]), np.diag(state_weights)
        return cls.about(X, U, np.zeros((len(U), len(weights))), hessians, last=end)

    def values(self, X: Array, U: Array) -> Array:
        """What each stage and the end of a trajectory X (T+1, nx), U (T, nu) cost by them, (T+1,)."""
        z = np.concatenate([X[:-1], U], axis=1)
        stages = np.einsum("ti,ti->t", 0.5 * np.einsum("tij,tj->ti", self.H, z) + self.g, z) + self._constants
        H, g = self._last
        x = X[-1, : len(g)]  # without a term at the end, nothing
        return np.append(stages, (0.5 * H @ x + g) @ x + self.last_c if len(g) else 0.0)

    @property
    def _constants(self) -> Array:
        return np.zeros(len(self.g)) if self.c is None else self.c

    @property
    def _last(self) -> tuple[Array, Array]:
        """Hessian and gradient at the end, without entries where there is no term."""
        n = next((len(last) for last in (self.last_g, self.last_H) if last is not None), 0)
        H = np.zeros((n, n)) if self.last_H is None else self.last_H
        return np.asarray(H, float), np.zeros(n) if self.last_g is None else np.asarray(self.last_g, float)

    @cached_property
    def native(self) -> _native.StageTerms:
        """The extension's terms.

        Raises:
            SolverError: Sizes that disagree, a NaN or an infinity.
        """
        H, g = np.asarray(self.H, float), np.asarray(self.g, float)
        last_H, last_g = self._last
        if H.ndim != 3 or g.ndim != 2 or H.shape != (*g.shape, g.shape[1]) or np.shape(self._constants) != g.shape[:1]:
            shapes = f"{H.shape}, {g.shape} and {np.shape(self._constants)}"
            raise SolverError(f"H, g and c of the terms must have shapes (T, n, n), (T, n) and (T,), got {shapes}")
        if last_H.shape != (last_g.size, last_g.size):
            raise SolverError(
                f"last_H and last_g have shapes {last_H.shape} and {last_g.shape}, expected (nx, nx) and (nx,)"
            )
        flat = H.reshape(len(H), -1)
        return _native.StageTerms(flat, g, np.asarray(self._constants, float), last_H, last_g, float(self.last_c))
