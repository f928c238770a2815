"""How long motions take: shares of the robot's limits, durations that fit a way, time laws along it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PlanningError

Array = NDArray[np.float64]

# Duration of a motion over that of the fastest one along a straight line in joint space. With 1.1, 200 plans last 1.09
# times as long as is optimal along their paths (median; benchmarks/durations.py), and all reach their goals.
SLACK = 1.1
# The same with a goal of the joints: the straight line is the way then, and nothing is gained by more. Of 60 random
# motions of the UR5 all that have a plan with 1.1 have one with 1.02, in fewer iterations (2.7 instead of 2.9); of 200
# others all that have one with 1.01 have one with 1.001, in as many (6.7 and 6.6, with those that lead past links).
SLACK_JOINTS = 1.001
# Shortest step [s]: controllers of arms run at 500 Hz and more.
SHORTEST_STEP = 2e-3


@dataclass(frozen=True)
class Pace:
    """How fast motions may be, and how long they take.

    Attributes:
        duration: Of the motion [s]; None: what fits the way, where the task has limits on accelerations.
        velocity_scaling: Share of the robot's speeds that may be used, 0 < s <= 1.
        acceleration_scaling: The same for accelerations.

    Raises:
        PlanningError: A share outside its bounds, or a duration that is not positive and finite.
    """

    duration: float | None = None
    velocity_scaling: float = 1.0
    acceleration_scaling: float = 1.0

    def __post_init__(self) -> None:
        for name in ("velocity_scaling", "acceleration_scaling"):
            share = getattr(self, name)
            if not 0.0 < share <= 1.0:
                raise PlanningError(f"{name} must lie in (0, 1], got {share:g}")
        if self.duration is not None and not 0.0 < self.duration < np.inf:
            raise PlanningError(f"duration must be a positive number of seconds, got {self.duration:g}")


def least_duration(way: Array, speed: Array, acceleration: Array) -> float:
    """Time [s] that a way takes from rest to rest, all joints in step, none beyond its limits.

    It is the least possible along a straight line in joint space, and an estimate along any other.

    Args:
        way: Positions, (N, n).
        speed: Largest speeds, (n,).
        acceleration: Largest accelerations, (n,); may be infinite.
    """
    return _fastest(way, speed, acceleration)[0]


def timed(way: Array, speed: Array, acceleration: Array, steps: int, duration: float) -> Array:
    """States (steps + 1, 2n) along a way: all joints speed up, keep their speed and slow down together.

    Args:
        way: Positions, (N, n).
        speed: Largest speeds, (n,).
        acceleration: Largest accelerations, (n,); may be infinite.
        steps: Number of steps.
        duration: Of the motion [s]. The speeds are those of this duration, whatever the limits.
    """
    _, ramp = _fastest(way, speed, acceleration)
    moved = np.append(0.0, np.cumsum((np.abs(np.diff(way, axis=0)) / speed).max(axis=1)))
    knots = moved[-1] * _ramps(np.linspace(0.0, 1.0, steps + 1), ramp)
    positions = np.stack([np.interp(knots, moved, joint) for joint in way.T], axis=1)
    velocities = np.gradient(positions, duration / steps, axis=0)
    velocities[[0, -1]] = 0.0
    return np.hstack([positions, velocities])


def _fastest(way: Array, speed: Array, acceleration: Array) -> tuple[float, float]:
    """How long the fastest motion along a way takes [s], and the share of it in which it speeds up.

    Its speed over time is a trapezoid, or a triangle. Which joint bounds the speed and which the acceleration is told
    by how far each has to go.
    """
    length = np.abs(np.diff(way, axis=0)).sum(axis=0)
    cruise = float((length / speed).max())  # time at full speed all the way
    if cruise == 0.0:
        return 0.0, 0.0
    rise = float((length / acceleration).max()) / cruise  # time to full speed
    if rise < cruise:
        return cruise + rise, rise / (cruise + rise)
    return 2.0 * math.sqrt(cruise * rise), 0.5


def _ramps(time: Array, ramp: float) -> Array:
    """Shares of a way after shares of the time, (N,): the speed rises and falls over `ramp` each."""
    if ramp == 0.0:
        return time
    top = 1.0 / (1.0 - ramp)
    up, down = 0.5 * top * time**2 / ramp, 1.0 - 0.5 * top * (1.0 - time) ** 2 / ramp
    out: Array = np.where(time < ramp, up, np.where(time > 1.0 - ramp, down, top * (time - 0.5 * ramp)))
    return out
