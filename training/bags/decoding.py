"""Messages decoded with `rosbags`, whatever their bytes are."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sobo_planner.errors import ConfigError
from sobo_training.bags.joint_states import Array

Decode = Callable[[str, bytes], Any]


def decoder() -> Decode:
    """Decodes messages: type and payload to an object with the fields of the type.

    The decoder raises `ValueError` for a payload that is none of this type.

    Raises:
        ConfigError: `rosbags` is not installed.
    """
    try:
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        hint = 'reading bags needs more packages; install them with: pip install "sobo_planner[bags]"'
        raise ConfigError(f"cannot import {error.name}: {hint}") from error
    store = get_typestore(Stores.ROS2_KILTED)

    def decode(type_name: str, payload: bytes) -> Any:
        try:
            return store.deserialize_cdr(payload, type_name)
        except Exception as error:  # whatever the bytes of a damaged message lead to
            raise ValueError(f"cannot be decoded as {type_name}") from error

    return decode


def header_stamp(payload: bytes) -> int | None:
    """The stamp [ns] of a message that begins with a header; None where it is too short."""
    if len(payload) < 12:
        return None
    seconds, nanoseconds = struct.unpack_from("<iI" if payload[1] else ">iI", payload, 4)
    return int(seconds * 1_000_000_000 + nanoseconds)


def array_of(message: Any, labels: Sequence[str]) -> Array:
    """The values of a Float64MultiArray with labelled dimensions.

    Raises:
        ValueError: Labels, sizes or data disagree, or a number is not finite.
    """
    dims = message.layout.dim
    values = np.asarray(message.data, np.float64)
    if tuple(dim.label for dim in dims) != tuple(labels):
        raise ValueError("an array has other dimensions")
    shape = tuple(int(dim.size) for dim in dims)
    if values.size != np.prod(shape, dtype=object) or not np.isfinite(values).all():
        raise ValueError("an array is damaged")
    return values.reshape(shape)
