"""What a solver can be made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native

Array = NDArray[np.float64]


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
