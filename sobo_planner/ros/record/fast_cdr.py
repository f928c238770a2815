"""The messages of every cycle in CDR, in a few microseconds each.

Field by field, a trajectory of a hundred points takes a millisecond in which the planning thread waits for the
interpreter. Here bytes are made of whole arrays, and what is the same from message to message is kept.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.safety import Trajectory

LITTLE_ENDIAN = b"\x00\x01\x00\x00"  # where places in a message count from


def text(value: str) -> bytes:
    """A String with a text."""
    return LITTLE_ENDIAN + _text(value)


def multi_array(values: NDArray[np.float64], labels: tuple[str, ...]) -> bytes:
    """The message that `conversions.multiarray_message` makes of the same; it ends with the numbers."""
    return _array_head(values.shape, labels) + np.ascontiguousarray(values, np.float64).tobytes()


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
    head = _aligned(struct.pack("<iI", *stamp) + _names("", tuple(names))) + struct.pack("<I", len(points.nanoseconds))
    columns: dict[str, Any] = {"positions": points.positions, "velocities": points.velocities}
    if acceleration:
        columns["accelerations"] = points.accelerations
    if effort:
        columns["effort"] = points.effort
    columns["seconds"], columns["nanoseconds"] = np.divmod(points.nanoseconds, 1_000_000_000)
    first = _rows(len(head), columns, slice(0, 1))
    return LITTLE_ENDIAN + head + first + _rows(len(head) + len(first), columns, slice(1, None))


def joint_state(names: Sequence[str], stamp: tuple[int, int], *columns: NDArray[np.float64]) -> bytes:
    """A JointState with an empty frame.

    Args:
        names: Joint names.
        stamp: Seconds and nanoseconds.
        columns: Positions, velocities and efforts, of any number each.
    """
    data = _aligned(struct.pack("<iI", *stamp) + _names("", tuple(names)))
    for values in columns:
        data += struct.pack("<I", len(values))
        if len(values):
            data += bytes(-len(data) % 8) + np.ascontiguousarray(values, np.float64).tobytes()
    return LITTLE_ENDIAN + data


def _rows(place: int, columns: dict[str, Any], part: slice) -> bytes:
    """Points that follow each other in a message from a place on. From the second point on, all begin alike."""
    n = columns["positions"].shape[1]
    rows: Any = np.zeros(len(columns["seconds"][part]), point_layout(place % 8, n, frozenset(columns)))
    for name, values in columns.items():
        rows[name] = values[part]
        if f"size of {name}" in rows.dtype.fields:
            rows[f"size of {name}"] = n
    data: bytes = rows.tobytes()
    return data


@functools.lru_cache(maxsize=32)
def point_layout(place: int, n: int, columns: frozenset[str]) -> np.dtype[Any]:
    """How a point of n joints lies in a message that has these columns. Numbers of 8 bytes are at multiples of 8."""
    fields: dict[str, tuple[Any, int]] = {}
    end = place
    for name in ("positions", "velocities", "accelerations", "effort"):
        fields[f"size of {name}"] = ("<u4", end - place)
        end += 4
        if name in columns:
            begin = -(-end // 8) * 8
            fields[name] = (("<f8", (n,)), begin - place)
            end = begin + 8 * n
    fields["seconds"], fields["nanoseconds"] = ("<i4", end - place), ("<u4", end + 4 - place)
    formats, offsets = zip(*fields.values(), strict=True)
    layout: Any = {"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": end + 8 - place}
    return np.dtype(layout)


@functools.lru_cache(maxsize=32)
def _names(frame: str, names: tuple[str, ...]) -> bytes:
    """A frame and a list of names, from a multiple of 4 on."""
    data = _aligned(_text(frame)) + struct.pack("<I", len(names))
    for name in names:
        data = _aligned(data) + _text(name)
    return data


@functools.lru_cache(maxsize=32)
def _array_head(shape: tuple[int, ...], labels: tuple[str, ...]) -> bytes:
    """What comes before the numbers of a Float64MultiArray."""
    data = struct.pack("<I", len(shape))
    for i, (label, size) in enumerate(zip(labels, shape, strict=True)):
        data = _aligned(data + _text(label)) + struct.pack("<II", size, math.prod(shape[i:]))
    count = math.prod(shape)
    data += struct.pack("<II", 0, count)
    return LITTLE_ENDIAN + data + bytes(-len(data) % 8 if count else 0)


def _text(value: str) -> bytes:
    data = value.encode() + b"\0"
    return struct.pack("<I", len(data)) + data


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
