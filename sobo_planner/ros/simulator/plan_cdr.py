"""Trajectories read from their CDR: a hundred points take rclpy, and Python after it, two milliseconds."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sobo_planner.ros.record.fast_cdr import LITTLE_ENDIAN, point_layout

Vector = NDArray[np.float64]

COUNT = struct.Struct("<I")
SIZES = ("positions", "velocities", "accelerations", "effort")


class Points(NamedTuple):
    """What a trajectory says.

    Attributes:
        names: Joints.
        stamp: Seconds and nanoseconds.
        times: Times from start (N,) [s].
        positions: (N, n).
        velocities: (N, n).
    """

    names: list[str]
    stamp: tuple[int, int]
    times: Vector
    positions: Vector
    velocities: Vector


def read_trajectory(data: bytes) -> Points | None:
    """The points of a JointTrajectory in CDR.

    None where it is not encoded as usual, or where points have other columns than a position and a velocity of each
    joint: that is left to rclpy.
    """
    try:
        return _read(data)
    except (struct.error, ValueError):  # shorter than it says, or a name that is no text
        return None


def _read(data: bytes) -> Points | None:
    if not data.startswith(LITTLE_ENDIAN):
        return None
    body = memoryview(data)[len(LITTLE_ENDIAN) :]
    sec, nanosec, frame = struct.unpack_from("<iII", body)
    names, place = _names(body, _even(12 + frame))
    place = _even(place)
    (left,), place = COUNT.unpack_from(body, place), place + COUNT.size
    parts: list[Any] = []
    while left > 0:  # the first point, and all others: those begin alike
        layout = point_layout(place % 8, len(names), frozenset(SIZES[:2]))
        rows = np.frombuffer(body, layout, left if parts else 1, place)
        expected = (len(names), len(names), 0, 0)
        if any((rows[f"size of {name}"] != size).any() for name, size in zip(SIZES, expected, strict=True)):
            return None
        parts.append(rows)
        place, left = place + rows.nbytes, left - len(rows)
    if not parts:
        return None
    times = [rows["seconds"] + 1e-9 * rows["nanoseconds"] for rows in parts]
    columns = [np.concatenate([rows[name] for rows in parts]) for name in SIZES[:2]]
    return Points(names, (sec, nanosec), np.concatenate(times), *columns)


def _names(body: memoryview, place: int) -> tuple[list[str], int]:
    (count,), place = COUNT.unpack_from(body, place), place + COUNT.size
    names = []
    for _ in range(count):
        place = _even(place)
        (size,), place = COUNT.unpack_from(body, place), place + COUNT.size
        names.append(bytes(body[place : place + size - 1]).decode())
        place += size
    return names, place


def _even(place: int) -> int:
    """The next multiple of 4."""
    return place + -place % 4
