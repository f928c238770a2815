"""The last look at a plan before it leaves for a controller: numbers, limits, boxes, self-collision, gains.

Planner and solver keep the limits by themselves. This module trusts neither: it looks at the arrays that are about to
be published and at nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.errors import ConfigError
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# What a plan may exceed a position [rad, m] or velocity [rad/s] bound by: the planner's own tolerance.
TOLERANCE = 1e-3
# Torques are clipped to their limits: only rounding is let through [Nm].
TORQUE_TOLERANCE = 1e-6
# Largest |K| [Nm/rad, Nm s/rad]. Over 300 plans of the UR5 the largest entry is 1.2e3 in the median, 3.3e3 at most.
GAIN_CAP = 2e4
# Configurations compared for self-collision are at most this far apart in any joint [rad]: a point 0.85 m away (the
# UR5's reach) then moves 4 cm, less than its links are thick. At pi rad/s knots of 20 ms are 0.063 rad apart.
COLLISION_STEP = 0.05
# Where no velocity limit bounds the stretch between two knots, something must.
MAX_PARTS = 100


class Limit(str, Enum):
    """What a plan may violate."""

    SHAPE = "SHAPE"  # arrays do not fit together, or times do not increase
    FINITE = "FINITE"  # a NaN or an infinity
    POSITION = "POSITION"  # a joint leaves the robot's position limits
    VELOCITY = "VELOCITY"  # a joint is faster than the robot's velocity limit
    TORQUE = "TORQUE"  # a torque exceeds the task's limit
    JOINT_BOX = "JOINT_BOX"  # a joint leaves the box set for it
    TOOL_BOX = "TOOL_BOX"  # the tool leaves the box set for it
    GAINS = "GAINS"  # a feedback gain is absurd
    SELF_COLLISION = "SELF_COLLISION"  # two links touch


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


class PlanChecker:
    """Checks whole plans of one task; fast enough for every cycle of a receding horizon.

    A start outside a limit or a box does not condemn a plan, so that an arm that is outside can get back in: a later
    knot is refused when it is outside by more than `TOLERANCE` and further out than the start.

    Limits and boxes are checked at the knots. A controller that interpolates with cubic splines goes further between
    two of them by at most dt |v' - v| 4/27 where it turns round: 3 mrad for 1 rad/s in 20 ms. Self-collision is
    also checked between knots that are further apart than `COLLISION_STEP`.

    Args:
        task: The task that is planned for.
        joint_box: Lower and upper joint positions, (n,) each [rad, m]. None: the robot's limits alone.
        tool_box: Lower and upper tool positions, (3,) each [m], in the base frame. None: anywhere.
        gain_cap: Largest absolute entry of K [Nm/rad, Nm s/rad].

    Attributes:
        position_lower: Joint positions that a plan must not go below, (n,): robot's limits and box together.
        position_upper: Joint positions that a plan must not go above, (n,).

    Raises:
        ConfigError: A box has the wrong size, holds a NaN or is empty, or the cap is not positive.
    """

    def __init__(
        self,
        task: ArmReach,
        *,
        joint_box: tuple[ArrayLike, ArrayLike] | None = None,
        tool_box: tuple[ArrayLike, ArrayLike] | None = None,
        gain_cap: float = GAIN_CAP,
    ) -> None:
        robot = task.robot
        self._task, self._robot, self._n = task, robot, task.nu
        self._joint_box = None if joint_box is None else _box("joint_box", joint_box, robot.joint_names)
        self._tool_box = None if tool_box is None else _box("tool_box", tool_box, "xyz")
        if not gain_cap > 0:
            raise ConfigError(f"gain_cap must be positive, got {gain_cap}")
        self._gain_cap = gain_cap
        self.position_lower, self.position_upper = robot.position_lower, robot.position_upper
        if self._joint_box is not None:
            self.position_lower = np.maximum(self.position_lower, self._joint_box[0])
            self.position_upper = np.minimum(self.position_upper, self._joint_box[1])

    def check(self, time: ArrayLike, X: ArrayLike, U: ArrayLike, K: ArrayLike) -> Violation | None:
        """The first violation found in a plan, or None.

        Args:
            time: Times of the states [s], (T+1,).
            X: States [q, v], (T+1, 2n).
            U: Torques [Nm], (T, n).
            K: Feedback gains du/dx, (T, n, 2n).
        """
        times, states, torques, gains = (np.asarray(values, float) for values in (time, X, U, K))
        return (
            self._shapes(times, states, torques, gains)
            or self._bounds(times, states, torques)
            or self._gains(times, gains)
            or self.self_collision(times, states[:, : self._n])
        )

    def self_collision(self, time: Array, Q: Array) -> Violation | None:
        """The first contact of two links on the way through Q (T+1, n), which takes most of the time of a check."""
        times, configurations = _refined(time, Q, COLLISION_STEP)
        found = self._first_collision(configurations)
        if found is None:
            return None
        k, (first, second) = found
        return Violation(Limit.SELF_COLLISION, f"{first} touches {second} at {times[k]:.3f} s")

    def _shapes(self, time: Array, X: Array, U: Array, K: Array) -> Violation | None:
        n, T = self._n, len(U) if U.ndim else 0
        arrays = {"time": (time, (T + 1,)), "X": (X, (T + 1, 2 * n)), "U": (U, (T, n)), "K": (K, (T, n, 2 * n))}
        for name, (values, shape) in arrays.items():
            if values.shape != shape or T == 0:
                return Violation(Limit.SHAPE, f"{name} has shape {values.shape}, expected {shape} with T > 0")
        for name, (values, _) in arrays.items():
            if not np.isfinite(values).all():
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
                return Violation(Limit.FINITE, f"{name}{list(where)} is {values[where]}")
        if not (time[1:] > time[:-1]).all():
            k = int(np.argmin(np.diff(time)))
            return Violation(Limit.SHAPE, f"time[{k + 1}] = {time[k + 1]} s does not come after {time[k]} s")
        return None

    def _bounds(self, time: Array, X: Array, U: Array) -> Violation | None:
        robot, n, names = self._robot, self._n, self._robot.joint_names
        Q, speed = X[:, :n], robot.velocity_limit
        found = (
            _outside(Limit.POSITION, names, "rad", time, Q, robot.position_lower, robot.position_upper)
            or _outside(Limit.VELOCITY, names, "rad/s", time, X[:, n:], -speed, speed)
            or self._jumps(time, Q)
            or self._torques(time, U)
        )
        if found is None and self._joint_box is not None:
            found = _outside(Limit.JOINT_BOX, names, "rad", time, Q, *self._joint_box)
        if found is None and self._tool_box is not None:
            axes = ["tool x", "tool y", "tool z"]
            found = _outside(Limit.TOOL_BOX, axes, "m", time, robot.tool_positions(Q), *self._tool_box)
        return found

    def _jumps(self, time: Array, Q: Array) -> Violation | None:
        """Positions may not move faster than velocities say: a jump between two knots is as bad as a speed."""
        beyond = np.abs(np.diff(Q, axis=0)) - np.diff(time)[:, None] * self._robot.velocity_limit
        if beyond.max() <= TOLERANCE:
            return None
        k, i = np.unravel_index(np.argmax(beyond), beyond.shape)
        speed = abs(Q[k + 1, i] - Q[k, i]) / (time[k + 1] - time[k])
        detail = f"{self._robot.joint_names[i]} moves at {speed:.4f} rad/s from {time[k]:.3f} to {time[k + 1]:.3f} s"
        return Violation(Limit.VELOCITY, f"{detail}, allowed is {self._robot.velocity_limit[i]:.4f}")

    def _torques(self, time: Array, U: Array) -> Violation | None:
        beyond = np.abs(U) - self._task.torque_limit
        if beyond.max() <= TORQUE_TOLERANCE:
            return None
        k, i = np.unravel_index(np.argmax(beyond), beyond.shape)
        detail = f"the torque of {self._robot.joint_names[i]} is {U[k, i]:.4f} Nm at {time[k]:.3f} s"
        return Violation(Limit.TORQUE, f"{detail}, allowed is {self._task.torque_limit[i]:.4f}")

    def _gains(self, time: Array, K: Array) -> Violation | None:
        size = np.abs(K)
        largest = size.max()
        if largest <= self._gain_cap:
            return None
        k, i, j = (int(index) for index in np.unravel_index(np.argmax(size), K.shape))
        state = "position" if j < self._n else "velocity"
        of, on = self._robot.joint_names[i], self._robot.joint_names[j % self._n]
        detail = f"the gain of {of} on the {state} of {on} is {K[k, i, j]:.4g} at {time[k]:.3f} s"
        return Violation(Limit.GAINS, f"{detail}, allowed is {self._gain_cap:.4g}")

    def _first_collision(self, Q: Array) -> tuple[int, tuple[str, str]] | None:
        """Row of the first configuration in self-collision, and the links that touch."""
        found = self._robot.first_collision(Q)
        return None if found is None else (found[0], found[1:])


def _box(name: str, box: tuple[ArrayLike, ArrayLike], entries: list[str] | str) -> tuple[Array, Array]:
    """Both sides of a box, checked."""
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


def _outside(
    limit: Limit, names: list[str], unit: str, time: Array, values: Array, lower: Array, upper: Array
) -> Violation | None:
    """The worst of values (N, m) that is outside by more than the tolerance, and further out than the first row."""
    if (values >= lower - TOLERANCE).all() and (values <= upper + TOLERANCE).all():
        return None
    low = np.minimum(lower - TOLERANCE, values[0])
    high = np.maximum(upper + TOLERANCE, values[0])
    beyond = np.maximum(low - values, values - high)
    k, i = np.unravel_index(np.argmax(beyond), beyond.shape)
    if beyond[k, i] <= 0.0:
        return None
    detail = f"{names[i]} is {values[k, i]:.4f} {unit} at {time[k]:.3f} s, allowed is [{lower[i]:.4f}, {upper[i]:.4f}]"
    return Violation(limit, detail)


def _refined(time: Array, Q: Array, step: float) -> tuple[Array, Array]:
    """Times and configurations with further ones between knots that are more than `step` apart in any joint."""
    parts = np.ceil(np.abs(np.diff(Q, axis=0)).max(axis=1) / step).clip(1, MAX_PARTS).astype(int)
    if parts.max() == 1:
        return time, Q
    knots = np.concatenate([[0], np.cumsum(parts)])
    # Position in units of knots, e.g. 0, 0.5, 1, 2 when the first stretch is halved.
    position = np.interp(np.arange(knots[-1] + 1), knots, np.arange(len(Q)))
    index = np.minimum(position.astype(int), len(Q) - 2)
    share = position - index
    refined = Q[index] + share[:, None] * (Q[index + 1] - Q[index])
    return time[index] + share * (time[index + 1] - time[index]), refined
