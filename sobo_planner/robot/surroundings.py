"""What acts on an arm beside its motors: gravity, and the friction of its joints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import RobotError

Array = NDArray[np.float64]

#: Gravity of an arm that stands on the ground [m/s^2].
GRAVITY = (0.0, 0.0, -9.81)


def gravity_vector(given: Sequence[float]) -> Array:
    """A direction and strength of gravity, (3,) [m/s^2].

    Raises:
        RobotError: It is something else.
    """
    down = np.asarray(given, float)
    if down.shape != (3,) or not np.isfinite(down).all():
        raise RobotError(f"robot.gravity needs three finite numbers [m/s^2], got {list(given)}")
    return down


def friction_of_joints(what: str, given: Sequence[float], otherwise: Array) -> Array:
    """One number for each joint, (nv,); those of the URDF where none are given.

    Raises:
        RobotError: Their number is another one, or one is negative or not finite.
    """
    if not len(given):
        return otherwise
    out = np.asarray(given, float)
    if out.shape != otherwise.shape or not (np.isfinite(out) & (out >= 0.0)).all():
        raise RobotError(f"{what} needs {len(otherwise)} numbers of 0 or more, one for each joint, got {list(given)}")
    return out
