"""What the solver is given: an instance and a trajectory to start from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Guess:
    """A trajectory to start the solver from.

    Attributes:
        X: States, (T+1, nx). The solver replaces X[0] by the instance's initial state.
        U: Controls, (T, nu).
    """

    X: Array
    U: Array

    @property
    def finite(self) -> bool:
        """Whether it holds finite numbers only: one that diverged does not."""
        return bool(np.isfinite(self.X).all() and np.isfinite(self.U).all())


@dataclass(frozen=True)
class Instance:
    """One problem to solve (xi in the paper).

    Attributes:
        x0: Initial state, (nx,).
        target: What to reach, for tasks with a tool: position (3,) [m], or pose (7,) [x, y, z, qx, qy, qz, qw].
    """

    x0: Array
    target: Array
