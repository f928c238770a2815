"""The motions that a search has found: what leads to one of them again is not worth another look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.solver import Refinement

Array = NDArray[np.float64]

# Joint positions [rad] by which two solutions may differ and still be one local optimum: the solver ends before they
# agree.
SAME = 0.02


class KnownMotions:
    """The local optima that attempts have converged to. The same refinement would not lead on from there."""

    def __init__(self) -> None:
        self._known: list[tuple[tuple[Refinement, float | None], Array]] = []

    def add(self, refinement: Refinement, X: Array, duration: float | None = None) -> bool:
        """Adds a motion X (T+1, nx).

        Returns whether it was not known for this refinement, whatever its iterations, and duration.
        """
        Q, problem = X[:, : X.shape[1] // 2], (refinement.problem, duration)
        if any(problem == other and np.abs(Q - known).max() <= SAME for other, known in self._known):
            return False
        self._known.append((problem, Q))
        return True
