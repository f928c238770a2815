"""Parts of observations that several kinds of task share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Steps before the end within which the observation resolves the time left finely.
END = 32
# Entries of `time_left`.
TIME = 5
# Distance [m] below which a saturating error resolves finely.
NEAR = 0.1


def time_left(t: int, horizon: int) -> Array:
    """What is left of the horizon at step t: as a share, and as two harmonics over the last steps, (5,).

    The optimal control of a finite horizon depends on it.
    """
    left = horizon - t
    phase = np.pi * min(left, END) / END * np.array([1.0, 2.0])
    return np.concatenate([[left / horizon], np.cos(phase), np.sin(phase)])


def saturated(error: Array) -> Array:
    """The error (3,) [m] scaled to a length below 1, which resolves small errors finely."""
    return error / np.sqrt(error @ error + NEAR**2)


def saturation_jacobian(error: Array) -> Array:
    """d saturated / d error, (3, 3)."""
    length = np.sqrt(error @ error + NEAR**2)
    return np.eye(3) / length - np.outer(error, error) / length**3
