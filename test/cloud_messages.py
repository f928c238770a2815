"""Point clouds in any layout."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

POINTS = np.array([[0.1, 0.2, 0.3], [1.0, -2.0, 0.5], [0.0, 0.25, -1.0], [4.0, 5.0, 6.0]])


def cloud(points: np.ndarray = POINTS, kind: str = "<f4", height: int = 1, pad: int = 4, row: int = 0) -> PointCloud2:
    """A cloud with `pad` bytes after each point's coordinates and `row` after each row."""
    size = np.dtype(kind).itemsize
    step, width = 3 * size + pad, len(points) // height
    datatype = PointField.FLOAT32 if size == 4 else PointField.FLOAT64
    fields = [PointField(name=n, offset=k * size, datatype=datatype, count=1) for k, n in enumerate("xyz")]
    rows = np.zeros((height, width * step + row), np.uint8)
    for k, point in enumerate(points.astype(kind)):
        at = (k % width) * step
        rows[k // width, at : at + 3 * size] = np.frombuffer(point.tobytes(), np.uint8)
    message = PointCloud2(height=height, width=width, fields=fields, is_bigendian=kind[0] == ">")
    message.point_step, message.row_step = step, width * step + row
    message.data = array.array("B", rows.tobytes())
    return message
