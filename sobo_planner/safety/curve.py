"""What cubic splines through points reach between them: positions, speeds, accelerations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Extremes:
    """The largest and smallest values within each interval, its ends included, (N-1, n) each.

    Attributes:
        position: Smallest and largest positions.
        velocity: Smallest and largest velocities.
        acceleration: Smallest and largest accelerations.
    """

    position: tuple[Array, Array]
    velocity: tuple[Array, Array]
    acceleration: tuple[Array, Array]


def extremes(times: Array, positions: Array, velocities: Array) -> Extremes:
    """Extremes of the cubic splines that a joint trajectory controller makes of points with positions and velocities.

    Args:
        times: Of the points, (N,) [s], increasing.
        positions: At the points, (N, n).
        velocities: At the points, (N, n).
    """
    h = np.diff(times)[:, None]
    p0, p1, v0, v1 = positions[:-1], positions[1:], velocities[:-1], velocities[1:]
    slope = (p1 - p0) / h
    a0, a1 = (6.0 * slope - 4.0 * v0 - 2.0 * v1) / h, (-6.0 * slope + 2.0 * v0 + 4.0 * v1) / h
    jerk = (a1 - a0) / h

    def at(time: Array) -> tuple[Array, Array]:
        """Position and velocity at times within the intervals."""
        t = np.clip(time, 0.0, h)
        return p0 + t * (v0 + t * (0.5 * a0 + t * jerk / 6.0)), v0 + t * (a0 + 0.5 * t * jerk)

    with np.errstate(divide="ignore", invalid="ignore"):
        fastest = at(_number(-a0 / jerk))[1]
        # The velocity is v0 + a0 t + jerk t^2 / 2; its roots in a form that does not cancel.
        root = np.sqrt(np.maximum(a0**2 - 2.0 * jerk * v0, 0.0))
        large = -(a0 + np.where(a0 >= 0.0, root, -root))
        turns = [at(_number(when))[0] for when in (large / jerk, 2.0 * v0 / large)]
    return Extremes(_span(p0, p1, *turns), _span(v0, v1, fastest), _span(a0, a1))


def _number(time: Array) -> Array:
    """Times, 0 where there is none: the beginning of the interval counts anyway."""
    return np.where(np.isfinite(time), time, 0.0)


def _span(*values: Array) -> tuple[Array, Array]:
    stacked = np.stack(values)
    return stacked.min(axis=0), stacked.max(axis=0)
