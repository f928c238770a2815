"""Time along ways with bends: corners are rounded, and each point is passed as fast as limits of joints allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native

Array = NDArray[np.float64]

# Points along a rounded way, and how many of them the corners are rounded over (a standard deviation).
POINTS = 160
ROUNDING = 2.5


def rounded(way: Array, speed: Array) -> Array:
    """Points (POINTS, n) along a way by straight lines (N, n), equally far apart, its corners rounded.

    Lengths are times at full speed [s], so that a slow joint counts as much as a fast one.
    """
    moved = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(way, axis=0) / speed, axis=1)))
    at = np.linspace(0.0, moved[-1], POINTS)
    points = np.stack([np.interp(at, moved, joint) for joint in way.T], axis=1)
    reach = int(4.0 * ROUNDING)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / ROUNDING) ** 2)
    kernel /= kernel.sum()
    # Beyond its ends the way goes on as it came, so that they stay where they are.
    before, after = 2.0 * points[0] - points[reach:0:-1], 2.0 * points[-1] - points[-2 : -2 - reach : -1]
    padded = np.vstack([before, points, after])
    return np.stack([np.convolve(joint, kernel, "valid") for joint in padded.T], axis=1)


def fastest(points: Array, speed: Array, acceleration: Array) -> Array:
    """Times (N,) [s] at which points (N, n) are passed from rest to rest, as soon as the limits allow.

    See `src/path_speed.cpp`.

    Args:
        points: Along a smooth way, equally far apart.
        speed: Largest speeds, (n,).
        acceleration: Largest accelerations, (n,), finite.
    """
    step = 1.0 / (len(points) - 1)
    slope = np.gradient(points, step, axis=0)
    bend = np.gradient(slope, step, axis=0)
    with np.errstate(divide="ignore"):
        most = ((speed / np.maximum(np.abs(slope), 1e-9)) ** 2).min(axis=1)
    square = _native.fastest_squares(slope, bend, most, acceleration, step)
    pace = np.sqrt(square)
    return np.append(0.0, np.cumsum(2.0 * step / (pace[1:] + pace[:-1])))


def passed(points: Array, times: Array, steps: int) -> Array:
    """States (steps + 1, 2n) at equal steps of time along points (N, n) that are passed at some times (N,)."""
    knots = np.linspace(0.0, times[-1], steps + 1)
    positions = np.stack([np.interp(knots, times, joint) for joint in points.T], axis=1)
    pace = np.gradient(points, times, axis=0)
    pace[[0, -1]] = 0.0
    velocities = np.stack([np.interp(knots, times, joint) for joint in pace.T], axis=1)
    return np.hstack([positions, velocities])
