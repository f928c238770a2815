"""What a plan may violate, and how values are held against bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.errors import ConfigError

Array = NDArray[np.float64]

# What a plan may exceed a position [rad, m] or velocity [rad/s] bound by: the planner's own tolerance.
TOLERANCE = 1e-3


class Limit(str, Enum):
    """What a plan may violate."""

    SHAPE = "SHAPE"  # arrays do not fit together, or times do not increase
    FINITE = "FINITE"  # a NaN or an infinity
    POSITION = "POSITION"  # a joint leaves the robot's position limits
    VELOCITY = "VELOCITY"  # a joint is faster than the robot's velocity limit
    ACCELERATION = "ACCELERATION"  # a joint accelerates more than the task allows
    TORQUE = "TORQUE"  # a torque exceeds the task's limit
    JOINT_BOX = "JOINT_BOX"  # a joint leaves the box set for it
    TOOL_BOX = "TOOL_BOX"  # the tool leaves the box set for it
    GAINS = "GAINS"  # a feedback gain is absurd
    SELF_COLLISION = "SELF_COLLISION"  # two links touch
    COLLISION = "COLLISION"  # a link or an attached object touches an object


@dataclass(frozen=True)
class Violation:
    """Why a plan must not be executed.

    Attributes:
        limit: What is violated.
        detail: Which joint, tool axis or pair of links, the value, the bound, and when in the plan [s].
    """

    limit: Limit
    detail: str

    def __str__(self) -> str:
        return f"{self.limit.value}: {self.detail}"


def checked_box(name: str, box: tuple[ArrayLike, ArrayLike], entries: Sequence[str]) -> tuple[Array, Array]:
    """Both sides of a box, one number for each of `entries`. Raises ConfigError for anything else."""
    try:
        lower, upper = (np.array(side, float) for side in box)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} needs a lower and an upper side of {len(entries)} numbers: {error}") from error
    for side, values in (("lower", lower), ("upper", upper)):
        if values.shape != (len(entries),):
            raise ConfigError(f"the {side} side of {name} has shape {values.shape}, expected ({len(entries)},)")
    for entry, low, high in zip(entries, lower, upper, strict=True):
        if not low <= high:  # a NaN is refused too
            raise ConfigError(f"{name} is empty in {entry}: [{low:g}, {high:g}]")
    return lower, upper


def outside(
    limit: Limit, names: Sequence[str], unit: str, time: Array, values: Array, lower: Array, upper: Array
) -> Violation | None:
    """The worst of values (N, m) that is outside by more than the tolerance, and further out than the first row."""
    if (values >= lower - TOLERANCE).all() and (values <= upper + TOLERANCE).all():
        return None
    low = np.minimum(lower - TOLERANCE, values[0])
    high = np.maximum(upper + TOLERANCE, values[0])
    beyond = np.maximum(low - values, values - high)
    k, i = (int(index) for index in np.unravel_index(np.argmax(beyond), beyond.shape))
    if beyond[k, i] <= 0.0:
        return None
    detail = f"{names[i]} is {values[k, i]:.4f} {unit} at {time[k]:.3f} s, allowed is [{lower[i]:.4f}, {upper[i]:.4f}]"
    return Violation(limit, detail)
