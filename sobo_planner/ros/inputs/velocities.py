"""Velocities of joints whose sender measures none: differences of their positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Indices = NDArray[np.intp]

# Time over which a difference is taken [s]: this to twice this, once so much is known. Over 20 ms, 0.1 mrad of encoder
# noise is 5 mrad/s; the velocity is that of half the time before.
WINDOW = 0.02
# A difference over less [s] is noise.
SHORTEST = 0.005
# Positions further apart than this [s] say nothing of the velocity now.
LONGEST = 0.5
TURN = 2.0 * np.pi


class VelocityEstimator:
    """Differences of positions over their stamps, joint by joint, within the joints' speed limits.

    A joint is taken to be at rest until `SHORTEST` of its positions is known, and again after a gap of `LONGEST`.

    Args:
        limit: Largest speeds, (n,) [rad/s or m/s].
        unbounded: Which joints turn without end, (n,): their angle may be given less whole turns. None: no joint.
    """

    def __init__(self, limit: Vector, unbounded: NDArray[np.bool_] | None = None) -> None:
        self._limit = np.asarray(limit, float)
        self._unbounded = np.zeros(len(self._limit), bool) if unbounded is None else unbounded
        self.forget()

    def forget(self) -> None:
        """Drops the positions from before."""
        n = len(self._limit)
        self._last = np.full(n, -np.inf)  # stamp of the newest position
        # Two positions of each joint: the difference is taken to the first; the second takes its place in time.
        self._first, self._first_q = np.zeros(n), np.zeros(n)
        self._second, self._second_q = np.zeros(n), np.zeros(n)

    def update(self, joints: Indices, stamp: float, q: Vector) -> Vector:
        """Takes positions in and returns the velocities of these joints, (k,) [rad/s or m/s].

        Args:
            joints: Indices of the joints, (k,).
            stamp: When they were measured [s]; not before what came last for any of them.
            q: Their positions, (k,) [rad or m].
        """
        gap = stamp - self._last[joints] > LONGEST
        begun = joints[gap]
        self._first[begun] = self._second[begun] = stamp
        self._first_q[begun] = self._second_q[begun] = q[gap]
        old = stamp - self._second[joints] >= WINDOW
        moved = joints[old]
        self._first[moved], self._first_q[moved] = self._second[moved], self._second_q[moved]
        self._second[moved], self._second_q[moved] = stamp, q[old]
        self._last[joints] = stamp
        elapsed = stamp - self._first[joints]
        known = elapsed >= SHORTEST
        with np.errstate(over="ignore", invalid="ignore"):  # absurd positions
            way = q - self._first_q[joints]
            way = np.where(self._unbounded[joints], way - TURN * np.round(way / TURN), way)
            v = np.divide(way, elapsed, out=np.zeros(len(q)), where=known)
        limit = self._limit[joints]
        clipped: Vector = np.clip(v, -limit, limit)
        return clipped
