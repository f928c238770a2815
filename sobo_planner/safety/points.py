"""The points by which a motion leaves for a controller: built here, checked as they are, sent as they are."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native

Array = NDArray[np.float64]

# A remaining speed that the last step could take away with less deceleration than this [rad/s^2] is rounded to rest; a
# faster end gets a braking point of its own.
REST_DECELERATION = 5e-3
BRAKE_ACCELERATION = 5.0  # [rad/s^2], well under what a UR5 joint delivers
# Where no velocity limit bounds the curve between two points, something must.
MAX_PARTS = 300


@dataclass(frozen=True)
class Trajectory:
    """Points for a controller that interpolates them with cubic splines. The arrays cannot be written to.

    Attributes:
        begin: When the motion begins [ns] after the stamp: 0, or the lead.
        start: State [q, v] in which it begins, (2n,) [rad, rad/s]; with a lead it is the first point, too.
        nanoseconds: Times of the points after the stamp, (N,) [ns].
        positions: (N, n) [rad].
        velocities: (N, n) [rad/s].
        effort: Torques that act from each point on, (N, n) [Nm]; the last ones repeat the last control.
    """

    begin: int
    start: Array
    nanoseconds: NDArray[np.int64]
    positions: Array
    velocities: Array
    effort: Array

    @classmethod
    def of(
        cls, time: ArrayLike, X: ArrayLike, U: ArrayLike, *, lead: float = 0.0, moving_end: bool = False
    ) -> Trajectory:
        """The points of a motion.

        Without a lead the state at its beginning is left out, because the controller wants a first point after 0. The
        last point is at rest: a motion that still moves at its end (`REST_DECELERATION`) gets one more point, which
        brakes it at `BRAKE_ACCELERATION` or less; the cubic spline that leads there is a constant deceleration.

        Args:
            time: Times of the states [s], (T+1,).
            X: States [q, v], (T+1, 2n) [rad, rad/s].
            U: Torques [Nm], (T, n).
            lead: How long after the stamp the motion begins [s].
            moving_end: Leave the end as it is, for a controller that was told to accept it.
        """
        times, states, torques = np.asarray(time, float), np.array(X, float), np.asarray(U, float)
        n, first, step = states.shape[1] // 2, 0 if lead > 0.0 else 1, float(times[-1] - times[-2])
        start, states, times = states[0], states[first:], times[first:] - times[0]
        speed = float(np.abs(states[-1, n:]).max())
        if not moving_end and speed > REST_DECELERATION * step:
            braking = max(step, speed / BRAKE_ACCELERATION)
            rest = np.concatenate([states[-1, :n] + 0.5 * braking * states[-1, n:], np.zeros(n)])
            times, states = np.append(times, times[-1] + braking), np.vstack([states, rest])
        elif not moving_end:
            states[-1, n:] = 0.0
        # U[t] acts from state t on.
        rows = np.minimum(np.arange(first, first + len(times)), len(torques) - 1)
        begin = max(round(1e9 * lead), 0)
        nanoseconds = begin + np.rint(1e9 * times).astype(np.int64)
        return cls(begin, start, nanoseconds, states[:, :n], states[:, n:], torques[rows])

    def __post_init__(self) -> None:
        for name in ("start", "nanoseconds", "positions", "velocities", "effort"):
            values = np.ascontiguousarray(getattr(self, name)).view()
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    @property
    def accelerations(self) -> Array:
        """Those that act from each point on, (N, n) [rad/s^2], where they are constant between points; 0 at the end."""
        h = 1e-9 * np.diff(self.nanoseconds)[:, None]
        return np.vstack([np.diff(self.velocities, axis=0) / h, np.zeros_like(self.velocities[:1])])

    @property
    def checksum(self) -> int:
        """CRC-32 of times, positions and velocities: little-endian, 64 bits a number, one array after the other."""
        data = self.nanoseconds.astype("<i8").tobytes()
        return zlib.crc32(data + b"".join(part.astype("<f8").tobytes() for part in (self.positions, self.velocities)))

    def knots(self) -> tuple[Array, Array, Array]:
        """Times from the stamp (M,) [s], positions and velocities (M, n) of the start and all points after it."""
        times: Array = 1e-9 * self.nanoseconds.astype(np.float64)
        positions, velocities = self.positions, self.velocities
        if self.begin < self.nanoseconds[0]:
            n = positions.shape[1]
            times = np.append(1e-9 * self.begin, times)
            positions = np.vstack([self.start[:n], positions])
            velocities = np.vstack([self.start[n:], velocities])
        return times, positions, velocities


def sampled(times: Array, positions: Array, velocities: Array, step: float) -> tuple[Array, Array]:
    """Times (M,) and positions (M, n) along the cubic splines through knots, at most `step` apart in any joint.

    Args:
        times: Of the knots, (N,) [s].
        positions: At the knots, (N, n).
        velocities: At the knots, (N, n).
        step: Bound on the distance of two samples in any joint, as far as `MAX_PARTS` samples an interval allow.
    """
    # Intervals are rounded to whole nanoseconds: the same samples whatever times count from.
    return _native.sampled(times, positions, velocities, step, MAX_PARTS)
