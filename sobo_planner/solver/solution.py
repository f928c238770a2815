"""What a solver returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class SolverStatus(str, Enum):
    """How a solve ended."""

    CONVERGED = "converged"
    MAX_ITERATIONS = "max_iterations"
    TIME_LIMIT = "time_limit"
    FAILED = "failed"


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

    @classmethod
    def of(cls, result: dict[str, Any]) -> Solution:
        """From the numbers of the extension."""
        fields = {name: value for name, value in result.items() if name not in ("number", "exact")}
        return cls(**(fields | {"status": SolverStatus(result["status"])}))
