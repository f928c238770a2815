"""Cubic splines through states, for one time after the other."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Spline:
    """What `sobo_planner.motion.splined` gives, in a fraction of its time where times are close together.

    Between two knots a state is a cubic polynomial, whose coefficients are kept until a time is between others.

    Args:
        knots: Their times [s], increasing, (K,).
        states: States [q, v] there, (K, 2n).
    """

    def __init__(self, knots: Vector, states: Vector) -> None:
        self._knots: list[float] = knots.tolist()
        self._states = states
        self._last, self._coefficients = -1, np.zeros((4, 0))

    def state(self, time: float) -> Vector:
        """State (2n,) at a time [s]; before the first knot and after the last one, the states there."""
        knots = self._knots
        last = bisect_right(knots, time, 1, len(knots) - 1)
        if last != self._last:
            self._last, self._coefficients = last, self._between(last)
        begin, end = knots[last - 1], knots[last]
        s = min(max((time - begin) / (end - begin), 0.0), 1.0)
        out: Vector = np.array((1.0, s, s * s, s * s * s)) @ self._coefficients
        return out

    def _between(self, last: int) -> Vector:
        """Coefficients (4, 2n) up to a knot, by powers of the share of the interval that is over."""
        h = self._knots[last] - self._knots[last - 1]
        (q0, v0), (q1, v1) = np.split(self._states[last - 1], 2), np.split(self._states[last], 2)
        change, v0, v1 = q1 - q0, h * v0, h * v1
        square, cube = 3.0 * change - 2.0 * v0 - v1, v0 + v1 - 2.0 * change
        position = np.array([q0, v0, square, cube])
        velocity = np.array([v0, 2.0 * square, 3.0 * cube, np.zeros_like(v0)]) / h
        return np.hstack([position, velocity])
