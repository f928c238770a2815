"""The weights of a task's cost by their names in the task file, and as the solver sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CostWeights:
    """Named weights, on which the solver's depend linearly.

    Attributes:
        names: As in the task file: `running.position`, ..., `terminal.velocity`.
        values: The task's own, (k,).
        columns: What a unit of each contributes to the solver's weights, (k, 2, 6+nx+nu).
    """

    names: tuple[str, ...]
    values: Array
    columns: Array

    @classmethod
    def of(cls, named: dict[str, tuple[float, Array]]) -> CostWeights:
        """From values and columns by name; what is zero or has no effect is left out."""
        kept = {name: each for name, each in named.items() if each[0] > 0.0 and each[1].any()}
        return cls(tuple(kept), np.array([v for v, _ in kept.values()]), np.array([c for _, c in kept.values()]))

    def and_more(self, named: dict[str, tuple[float, Array]]) -> CostWeights:
        """These and others."""
        own = {name: (v, c) for name, v, c in zip(self.names, self.values, self.columns, strict=True)}
        return CostWeights.of(own | named)

    def native(self, values: ArrayLike) -> Array:
        """The solver's weights (2, 6+nx+nu), for `Solver.solve(..., weights=)`, of these values (k,)."""
        return np.einsum("k,kij->ij", np.asarray(values, float), self.columns)

    def pull(self, gradient: Array) -> Array:
        """Derivatives by the values, (..., k), from those by the solver's weights (..., 2, 6+nx+nu)."""
        return np.einsum("kij,...ij->...k", self.columns, gradient)


def flat(weights: _native.ReachWeights) -> Array:
    """The order that the solver has: position, orientation, state, control."""
    return np.concatenate([weights.position, weights.orientation, weights.state, weights.control])


def named_weights(running: Any, terminal: Any, flat_of: Callable[[Any, Any], Array]) -> CostWeights:
    """Those of a cost with weights in two dataclasses.

    Args:
        running: Weights along the way.
        terminal: The same at the end.
        flat_of: From two such dataclasses to the solver's weights (2, 6+nx+nu).
    """
    zeros = [replace(each, **{field.name: 0.0 for field in fields(each)}) for each in (running, terminal)]
    named = {}
    for i, (prefix, own) in enumerate((("running", running), ("terminal", terminal))):
        for field in fields(own):
            pair = list(zeros)
            pair[i] = replace(zeros[i], **{field.name: 1.0})
            named[f"{prefix}.{field.name}"] = (getattr(own, field.name), flat_of(*pair))
    return CostWeights.of(named)
