"""Numbers and names of a world, checked one by one."""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from collections.abc import Iterable
from numbers import Real
from typing import Any

from sobo_planner.errors import WorldError

Triple = tuple[float, float, float]

#: Smallest and largest length [m], and how far from its frame something may be [m].
SMALLEST, LARGEST = 1e-6, 1e4
#: How far the squared norm of a quaternion, or of a normal, may be from 1; as for goals.
NORM_TOLERANCE = 1e-3
#: Below this deviation from 1 nothing is divided by the norm, so that what was written is read back bit by bit.
_EXACT = 1e-12
#: Decimals of lengths [m] and quaternions that count when worlds are compared by their hash.
DECIMALS = 9
#: Characters of a name.
LONGEST_NAME = 200

_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother = 2, 80, 80


def shown(value: Any) -> str:
    """A value as it stands in a message: in one line, cut short."""
    try:
        return _short.repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a value of type {type(value).__name__}"


def number(value: Any, what: str, lowest: float, highest: float, unit: str = "m") -> float:
    """A number within bounds.

    Raises:
        WorldError: It is something else; the message names what it is, the value and the bounds.
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not (real and lowest <= value <= highest):  # NaN compares false
        bounds = f"a number in [{lowest:g}, {highest:g}]{f' {unit}' if unit else ''}"
        raise WorldError(f"{what} must be {bounds}, got {shown(value)}; correct it, or its unit")
    return float(value) + 0.0  # no negative zero


def length(value: Any, what: str) -> float:
    """A size [m]: positive.

    Raises:
        WorldError: It is none.
    """
    return number(value, what, SMALLEST, LARGEST)


def triple(values: Any, what: str, lowest: float = -LARGEST, highest: float = LARGEST, unit: str = "m") -> Triple:
    """Three numbers within bounds.

    Raises:
        WorldError: They are something else.
    """
    x, y, z = numbers(values, what, 3, lowest, highest, unit)
    return x, y, z


def numbers(values: Any, what: str, count: int, lowest: float, highest: float, unit: str = "m") -> tuple[float, ...]:
    """As many numbers within bounds as are asked for.

    Raises:
        WorldError: They are something else.
    """
    if isinstance(values, (str, bytes, dict)) or not isinstance(values, Iterable):
        raise WorldError(f"{what} must be {count} numbers, got {shown(values)}; write a list")
    values = list(values)
    if len(values) != count:
        raise WorldError(f"{what} must be {count} numbers, got {len(values)}: {shown(values)}")
    return tuple(number(value, what, lowest, highest, unit) for value in values)


def unit(values: tuple[float, ...], what: str) -> tuple[float, ...]:
    """A vector of length 1 from one that is nearly so.

    Raises:
        WorldError: Its length is another.
    """
    square = math.fsum(value * value for value in values)
    if abs(square - 1.0) > NORM_TOLERANCE:
        norm = math.sqrt(square)
        raise WorldError(f"{what} {list(values)} has the norm {norm:.6g}, expected 1; divide it by its norm")
    if abs(square - 1.0) <= _EXACT:
        return values
    return tuple(value / math.sqrt(square) for value in values)


def name(value: Any, what: str) -> str:
    """A name that can stand in a message.

    Raises:
        WorldError: It is empty, too long, or not printable text.
    """
    if not isinstance(value, str) or not value.isprintable() or not value.strip() or len(value) > LONGEST_NAME:
        raise WorldError(f"{what} must be 1 to {LONGEST_NAME} printable characters, got {shown(value)}; rename it")
    return value


def rounded(value: Any) -> Any:
    """Plain values, the numbers in them rounded to the decimals that count."""
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return [rounded(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def digest(value: Any) -> str:
    """Hash of plain values."""
    return hashlib.sha256(json.dumps(value, allow_nan=False).encode()).hexdigest()
