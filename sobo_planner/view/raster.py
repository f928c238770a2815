"""Triangles to pixels with a depth buffer, on the processor: each pixel shows what is nearest there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pixels = NDArray[np.float32]

LIGHT = np.array([-0.35, -0.55, 0.76])  # towards the light
AMBIENT, DIFFUSE = 0.62, 0.38


@dataclass(frozen=True)
class Layer:
    """What triangles leave in each pixel.

    Attributes:
        colour: Red, green, blue in [0, 1], (height, width, 3); row 0 is the lowest.
        depth: How far away the nearest one is, (height, width); infinite where there is none.
    """

    colour: Pixels
    depth: Pixels

    @classmethod
    def empty(cls, width: int, height: int) -> Layer:
        """A layer with nothing in it."""
        return cls(np.zeros((height, width, 3), np.float32), np.full((height, width), np.inf, np.float32))

    def draw(self, corners: Array, colours: Array) -> None:
        """Draws triangles.

        Args:
            corners: Column, row and depth of their corners, (N, 3, 3).
            colours: Of each, (N, 3).
        """
        height, width = self.depth.shape
        low = np.floor(corners[:, :, :2].min(1)).astype(int)
        high = np.ceil(corners[:, :, :2].max(1)).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, [width, height])
        for corner, colour, (left, bottom), (right, top) in zip(corners, colours, low, high, strict=True):
            if left < right and bottom < top:
                self._draw_one(corner, colour, slice(bottom, top), slice(left, right))

    def _draw_one(self, corner: Array, colour: Array, rows: slice, columns: slice) -> None:
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corner
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0.0:
            return
        x = np.arange(columns.start, columns.stop) + 0.5 - ax  # pixels are looked at in their middles
        y = (np.arange(rows.start, rows.stop) + 0.5 - ay)[:, None]
        second = ((cy - ay) * x - (cx - ax) * y) / area  # barycentric coordinates
        third = ((bx - ax) * y - (by - ay) * x) / area
        depth = az + second * (bz - az) + third * (cz - az)
        before = self.depth[rows, columns]
        seen = (second >= 0.0) & (third >= 0.0) & (second + third <= 1.0) & (depth < before)
        before[seen] = depth[seen]
        self.colour[rows, columns][seen] = colour


def shaded(triangles: Array, colour: Array, towards: Array) -> Array:
    """The colours of triangles (N, 3, 3) of one colour (3,), lit from one direction, both sides alike, (N, 3).

    Args:
        triangles: In the root link's frame [m].
        colour: Red, green, blue in [0, 1].
        towards: Direction of the camera, (3,).
    """
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-30)[:, None]
    normals = np.where((normals @ towards < 0.0)[:, None], -normals, normals)
    light = AMBIENT + DIFFUSE * np.maximum(normals @ (LIGHT / np.linalg.norm(LIGHT)), -0.5)
    out: Array = np.clip(light[:, None] * colour, 0.0, 1.0)
    return out
