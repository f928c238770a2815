"""JointTrajectory messages in CDR, straight from the points that were published.

Writing a hundred points field by field would keep the planning thread waiting for the interpreter.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from sobo_planner.safety import Trajectory

LITTLE_ENDIAN = b"\x00\x01\x00\x00"


def joint_trajectory(
    points: Trajectory, names: Sequence[str], stamp: tuple[int, int], effort: bool, acceleration: bool
) -> bytes:
    """The message that `conversions.trajectory_message` makes of the same, with an empty frame.

    Args:
        points: The points.
        names: Joint names.
        stamp: Seconds and nanoseconds.
        effort: Whether the message has efforts.
        acceleration: Whether it has accelerations.
    """
    head = struct.pack("<iI", *stamp) + _text("")
    head = _aligned(head) + struct.pack("<I", len(names))
    for name in names:
        head = _aligned(head) + _text(name)
    head = _aligned(head) + struct.pack("<I", len(points.nanoseconds))
    seconds, nanoseconds = np.divmod(points.nanoseconds, 1_000_000_000)
    columns = (
        points.positions,
        points.velocities,
        points.accelerations if acceleration else None,
        points.effort if effort else None,
        seconds,
        nanoseconds,
    )
    first, rest = slice(0, 1), slice(1, None)
    body = _rows(len(head), columns, first)
    return LITTLE_ENDIAN + head + body + _rows(len(head) + len(body), columns, rest)


def _rows(place: int, columns: Sequence[Any], part: slice) -> bytes:
    """Points that follow each other in a message from a place on, which is a multiple of 4.

    Numbers of 8 bytes are at multiples of 8. From the second point on, all begin alike.
    """
    fields: dict[str, tuple[Any, int]] = {}
    values = {}

    def put(name: str, kind: Any, where: int, value: Any) -> int:
        fields[name], values[name] = (kind, where - place), value
        return where + np.dtype(kind).itemsize

    end = place
    for i, column in enumerate(columns[:4]):
        size = 0 if column is None else column.shape[1]
        end = put(f"size{i}", "<u4", end, size)
        if size:
            end = put(f"data{i}", ("<f8", (size,)), -(-end // 8) * 8, column[part])
    end = put("seconds", "<i4", end, columns[4][part])
    end = put("nanoseconds", "<u4", end, columns[5][part])
    formats, offsets = zip(*fields.values(), strict=True)
    layout: Any = {"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": end - place}
    rows: Any = np.zeros(len(columns[4][part]), np.dtype(layout))
    for name, value in values.items():
        rows[name] = value
    data: bytes = rows.tobytes()
    return data


def _text(value: str) -> bytes:
    data = value.encode() + b"\0"
    return struct.pack("<I", len(data)) + data


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
