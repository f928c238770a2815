"""Few numbers for many steps: values at knots, and cubic splines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def linear(knots: int, steps: int) -> Array:
    """Matrix (steps, knots) from values at equally spaced knots to linear interpolations at every step."""
    if knots >= steps:
        return np.eye(steps)
    at = np.linspace(0.0, knots - 1.0, steps)
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(knots)))


def cubic(count: int, steps: int) -> Array:
    """Matrix (steps + 1, count) from the coefficients of a uniform cubic B-spline to its values, count >= 4."""
    at = np.linspace(0.0, count - 3.0, steps + 1)
    first = np.minimum(at.astype(int), count - 4)
    u = at - first
    values = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1) / 6
    out = np.zeros((steps + 1, count))
    for k in range(4):
        out[np.arange(steps + 1), first + k] = values[:, k]
    return out


def deviations(knots: int, steps: int, free_end: bool) -> Array:
    """Matrix (steps + 1, knots) to smooth deviations that begin and end at rest: at 0, and where the last knot says.

    Without a free end they end at 0 as well.
    """
    end = 2 if free_end else 3
    place = np.zeros((3 + knots + end, knots))
    place[3 : 3 + knots] = np.eye(knots)
    if free_end:
        place[3 + knots :, -1] = 1.0
    return cubic(len(place), steps) @ place
