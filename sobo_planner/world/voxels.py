"""Point clouds as obstacles: cubes of a grid that hold points, joined to boxes where they lie side by side."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import WorldError
from sobo_planner.world.objects import Part
from sobo_planner.world.pose import Pose
from sobo_planner.world.shapes import Box
from sobo_planner.world.values import LARGEST

#: Boxes that a cloud may become; with more of them the grid is made coarser.
MOST_BOXES = 1000
# Bits of a cell's number along an axis.
_BITS = 20
_HALF = 1 << (_BITS - 1)


def boxes(points: NDArray[np.float64], edge: float, most: int = MOST_BOXES) -> tuple[tuple[Part, ...], float]:
    """Boxes that hold all points.

    Args:
        points: (N, 3) [m].
        edge: Of the grid's cubes [m].
        most: Boxes beyond which the edge is doubled, as often as it takes: coarser boxes hold the finer ones.

    Returns:
        The boxes, and the edge of the grid that they are made of.

    Raises:
        WorldError: A point is not finite, or too far from the origin for the grid.
    """
    farthest = min(LARGEST, edge * (_HALF - 1))
    if not (np.abs(points) <= farthest).all():  # NaN compares false
        raise WorldError(f"points must lie within {farthest:g} m of the origin on each axis for cubes of {edge:g} m")
    cells = _cells(np.floor(points / edge).astype(np.int64))
    joined = _joined(cells)
    while len(joined) > most:
        edge *= 2.0
        cells = _cells(cells >> 1)
        joined = _joined(cells)
    return tuple(_part(row, edge) for row in joined.tolist()), edge


def _cells(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Different cells (M, 3); by one number for each, as comparing rows takes long."""
    x, y, z = (cells + _HALF).T
    numbers = np.unique((x << (2 * _BITS)) | (y << _BITS) | z)
    mask = (1 << _BITS) - 1
    return np.stack([numbers >> (2 * _BITS), (numbers >> _BITS) & mask, numbers & mask], axis=1) - _HALF


def _joined(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Boxes (K, 6) that hold these cells and no others: lowest cell, and how many along each axis."""
    rows = np.hstack([cells, np.ones_like(cells)])
    for axis in range(3):
        rows = _joined_along(rows, axis)
    return rows


def _joined_along(rows: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Joins boxes that touch along an axis and are the same across it."""
    if not len(rows):
        return rows
    low, count = rows[:, axis], rows[:, axis + 3]
    across = [column for column in range(6) if column not in (axis, axis + 3)]
    rows = rows[np.lexsort((low, *rows[:, across].T))]
    low, count = rows[:, axis], rows[:, axis + 3]
    begins = np.ones(len(rows), bool)
    begins[1:] = (rows[1:, across] != rows[:-1, across]).any(axis=1) | (low[1:] != low[:-1] + count[:-1])
    first = np.flatnonzero(begins)
    out = rows[first].copy()
    out[:, axis + 3] = np.add.reduceat(count, first)
    return out


def _part(row: list[int], edge: float) -> Part:
    low, count = row[:3], row[3:]
    x, y, z = (edge * (a + 0.5 * n) for a, n in zip(low, count, strict=True))
    return Part(_box(count[0], count[1], count[2], edge), Pose((x, y, z)))


@lru_cache(maxsize=4096)
def _box(nx: int, ny: int, nz: int, edge: float) -> Box:
    """The same object for the same size: its hash is computed once."""
    return Box((nx * edge, ny * edge, nz * edge))
