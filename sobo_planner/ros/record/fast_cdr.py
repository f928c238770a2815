"""The messages of every cycle in CDR, in a few microseconds each.

Field by field, a trajectory of a hundred points takes a millisecond in which the planning thread waits for the
interpreter. Here bytes are made of whole arrays, and what is the same from message to message is kept.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from sobo_planner.safety import Trajectory

LITTLE_ENDIAN = b"\x00\x01\x00\x00"  # where places in a message count from


def string(message: String) -> bytes:
    """A String."""
    return LITTLE_ENDIAN + _text(message.data)


def joint_state(message: JointState) -> bytes:
    """A JointState."""
    stamp = message.header.stamp
    data = struct.pack("<iI", stamp.sec, stamp.nanosec) + _names(message.header.frame_id, tuple(message.name))
    for values in (message.position, message.velocity, message.effort):
        data = _with_doubles(data, values)
    return LITTLE_ENDIAN + data


def multi_array(message: Float64MultiArray) -> bytes:
    """A Float64MultiArray."""
    dimensions = tuple((each.label, each.size, each.stride) for each in message.layout.dim)
    return LITTLE_ENDIAN + _with_doubles(_layout(dimensions, message.layout.data_offset), message.data)


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


def _rows(place: int, columns: dict[str, Any], part: slice) -> bytes:
    """Points that follow each other in a message from a place on. From the second point on, all begin alike."""
    n = columns["positions"].shape[1]
    rows: Any = np.zeros(len(columns["seconds"][part]), _point(place % 8, n, frozenset(columns)))
    for name, values in columns.items():
        rows[name] = values[part]
        if f"size of {name}" in rows.dtype.fields:
            rows[f"size of {name}"] = n
    data: bytes = rows.tobytes()
    return data


@functools.lru_cache(maxsize=32)
def _point(place: int, n: int, columns: frozenset[str]) -> np.dtype[Any]:
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
def _layout(dimensions: tuple[tuple[str, int, int], ...], offset: int) -> bytes:
    """A MultiArrayLayout, at the beginning of a message."""
    data = struct.pack("<I", len(dimensions))
    for label, size, stride in dimensions:
        data = _aligned(data + _text(label)) + struct.pack("<II", size, stride)
    return data + struct.pack("<I", offset)


def _with_doubles(data: bytes, values: Any) -> bytes:
    """The message so far with a sequence of doubles after it."""
    data = _aligned(data) + struct.pack("<I", len(values))
    return data + bytes(-len(data) % 8) + values.tobytes() if len(values) else data


def _text(value: str) -> bytes:
    data = value.encode() + b"\0"
    return struct.pack("<I", len(data)) + data


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
