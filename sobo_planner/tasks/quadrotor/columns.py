"""What a policy observes of columns: which ones are in the way, on which side they are, and how near.

On which side to pass follows from geometry and need not be learned from trajectories. docs/training.md compares
policies with and without these features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Features of a column.
PER_COLUMN = 6
#: Lengths [m] over which features change: along the way, across it where sides meet, and away from a surface.
ALONG, ACROSS, AWAY = 0.2, 0.1, 0.3
#: Half width of a column in the way, in radii.
WIDTH = 1.5
#: Step [m] of the central differences.
DIFFERENCE = 1e-6


def column_features(position: Array, target: Array, columns: Array) -> Array:
    """Features of n columns, (6 n,), in six blocks of n.

    Measured from the straight way to the target: how much a column is in it (1: in its middle, 0: beside it or behind
    either end); the same with the sign of its side; how deep [m] the way cuts it; the same with that sign. Then the x
    and y of the direction to its axis, which decrease with the distance to its surface. Within about `ALONG` of the
    target the way has no direction, and every column counts as in the way with a third.

    Args:
        position: x, y [m], (2,).
        target: x, y [m], (2,).
        columns: x, y, radius [m], (n, 3).
    """
    offset, radius, way = columns[:, :2] - position, columns[:, 2], target - position
    length = np.sqrt(way @ way + ALONG**2)  # has derivatives at the target, too
    along = offset @ way / length
    aside = (way[0] * offset[:, 1] - way[1] * offset[:, 0]) / length
    between = _step(along / ALONG) * _step((length - along) / ALONG)
    distance = np.sqrt(aside**2 + ACROSS**2)
    side = aside / distance
    blocking = between * np.exp(-((aside / (WIDTH * radius)) ** 2))
    depth = between * ACROSS * np.logaddexp(0.0, (radius - distance) / ACROSS)
    to_axis = np.sqrt((offset**2).sum(1) + 1e-4)
    near = np.exp(-np.maximum((to_axis - radius) / AWAY, -2.0)) / to_axis
    return np.concatenate([blocking, blocking * side, depth, depth * side, *(near[:, None] * offset).T])


def column_jacobian(position: Array, target: Array, columns: Array) -> Array:
    """d column_features / d position, (6 n, 2), by central differences."""
    slopes = [
        column_features(position + d, target, columns) - column_features(position - d, target, columns)
        for d in DIFFERENCE * np.eye(2)
    ]
    return np.stack(slopes, axis=1) / (2.0 * DIFFERENCE)


def _step(x: Array) -> Array:
    """A smooth step from 0 to 1."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))
