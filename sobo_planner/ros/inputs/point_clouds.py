"""Points of a cloud as numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

from sobo_planner.robot.frames import Placement, rotate
from sobo_planner.ros.support.status import Refused, Status

#: Points of a cloud.
MOST_POINTS = 20_000_000
_TYPES = {PointField.FLOAT32: ("f4", 4), PointField.FLOAT64: ("f8", 8)}


def read_points(message: PointCloud2) -> NDArray[np.float64]:
    """The points that were measured, (N, 3) [m], in the frame of the message.

    Points that are not finite were not measured. A cloud of which no point was measured is refused: it says nothing.

    Raises:
        Refused: BAD_WORLD, the message does not hold what it says that it does.
    """
    width, height, step, row = message.width, message.height, message.point_step, message.row_step
    count = width * height
    if count > MOST_POINTS:
        raise _refused(f"a cloud may have {MOST_POINTS} points, got {width} x {height}; thin it out")
    offsets, formats = _layout(message)
    if count == 0:
        return np.zeros((0, 3))
    if row < width * step:
        raise _refused(f"a row of {width} points of {step} bytes cannot have {row} bytes (row_step)")
    data = memoryview(message.data).cast("B")
    needed = (height - 1) * row + width * step
    if len(data) < needed:
        raise _refused(f"{width} x {height} points need {needed} bytes, got {len(data)}")
    kind = np.dtype({"names": ["x", "y", "z"], "formats": formats, "offsets": offsets, "itemsize": step})
    table = np.ndarray((height, width), kind, buffer=data, strides=(row, step))
    points = np.stack([table[axis].astype(float).ravel() for axis in ("x", "y", "z")], axis=1)
    measured = points[np.isfinite(points).all(axis=1)]
    if not len(measured):
        raise _refused(f"none of {count} points is finite")
    return measured


def _layout(message: PointCloud2) -> tuple[list[int], list[str]]:
    """Where x, y and z stand within a point, and their types."""
    offsets, formats = [], []
    for axis in ("x", "y", "z"):
        found = [field for field in message.fields if field.name == axis]
        if len(found) != 1:
            raise _refused(f"there must be one field {axis}, got {len(found)}")
        [field] = found
        if field.datatype not in _TYPES or field.count > 1:
            raise _refused(f"the field {axis} must be one float32 (7) or float64 (8), got {field.datatype}")
        name, size = _TYPES[field.datatype]
        if field.offset + size > message.point_step:
            raise _refused(
                f"the field {axis} ends at {field.offset + size}, after a point's {message.point_step} bytes"
            )
        offsets.append(field.offset)
        formats.append((">" if message.is_bigendian else "<") + name)
    return offsets, formats


def _refused(detail: str) -> Refused:
    return Refused(Status.BAD_WORLD, f"point cloud: {detail}")


def within_reach(points: NDArray[np.float64], frame: Placement, reach: float) -> NDArray[np.float64]:
    """Points (N, 3) of a frame in the frame that it is placed in, those within a distance [m] of its origin."""
    turned = np.stack([rotate(frame.quaternion, axis) for axis in np.eye(3)])
    with np.errstate(over="ignore", invalid="ignore"):  # huge coordinates
        moved = points @ turned + frame.position
        near: NDArray[np.float64] = moved[np.einsum("ij,ij->i", moved, moved) <= reach * reach]
    return near
