"""Limits of joints, held against the points of a motion and the splines between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native
from sobo_planner.errors import ConfigError
from sobo_planner.safety.curve import extremes
from sobo_planner.safety.limits import TOLERANCE, Limit, Violation, outside
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Torques are clipped to their limits: only rounding is let through [Nm].
TORQUE_TOLERANCE = 1e-6
# Largest |K| of a joint as a multiple of its torque limit [1/rad, s/rad]: all of its torque for an error of 7.5 mrad.
# Over 150 plans of the UR5 the largest multiple is 15 in the median, 30 at most.
GAIN_CAP = 2e4 / 150.0
ACCELERATION_TOLERANCE = 0.01  # as a share of the limit: what the solver leaves, and times in whole nanoseconds


class JointLimits:
    """The limits of one task's joints.

    Args:
        task: The task.
        box: Lower and upper joint positions beside the robot's limits, (n,) each [rad, m], or None.
        gain_cap: Largest absolute entry in each joint's row of K, (n,), or one for all; None: `GAIN_CAP` times the
            joint's torque limit.

    Raises:
        ConfigError: A cap is not positive, or there is not one for each joint.
    """

    def __init__(self, task: ArmReach, box: tuple[Array, Array] | None, gain_cap: ArrayLike | None) -> None:
        self._task, self._robot, self._n, self._joint_box = task, task.robot, task.nu, box
        cap = GAIN_CAP * task.torque_limit if gain_cap is None else np.asarray(gain_cap, float)
        if cap.shape not in ((), (self._n,)) or not (cap > 0.0).all():
            raise ConfigError(f"gain_cap must be positive, one number or {self._n}, got {cap.tolist()}")
        self._gain_cap = np.broadcast_to(cap, self._n)
        self._all = self._native_bounds()

    def _native_bounds(self) -> _native.JointBounds:
        """All that `bounds`, `gains` and `between` compare with, without their exceptions for starts outside."""
        robot, acceleration = self._robot, self._task.acceleration_limit
        lower, upper = robot.position_lower, robot.position_upper
        if self._joint_box is not None:
            lower, upper = np.maximum(lower, self._joint_box[0]), np.minimum(upper, self._joint_box[1])
        return _native.JointBounds(
            lower=lower,
            upper=upper,
            velocity=robot.velocity_limit,
            torque=self._task.torque_limit + TORQUE_TOLERANCE,
            acceleration=(1.0 + ACCELERATION_TOLERANCE) * acceleration,
            gain=np.ascontiguousarray(self._gain_cap),
            tolerance=TOLERANCE,
            curves=bool(np.isfinite(acceleration).any()),
        )

    def kept(self, time: Array, Q: Array, V: Array, U: Array, K: Array) -> bool:
        """Whether `bounds`, `gains` and `between` certainly have nothing to object to, in one native call."""
        return self._all.kept(time, Q, V, U, np.ascontiguousarray(K))

    def bounds(self, time: Array, Q: Array, V: Array, U: Array) -> Violation | None:
        """Positions, velocities and torques at the points."""
        robot, names = self._robot, self._robot.joint_names
        speed = robot.velocity_limit
        found = (
            outside(Limit.POSITION, names, "rad", time, Q, robot.position_lower, robot.position_upper)
            or outside(Limit.VELOCITY, names, "rad/s", time, V, -speed, speed)
            or self._jumps(time, Q)
            or self._torques(time, U)
        )
        if found is None and self._joint_box is not None:
            found = outside(Limit.JOINT_BOX, names, "rad", time, Q, *self._joint_box)
        return found

    def _jumps(self, time: Array, Q: Array) -> Violation | None:
        """Positions may not move faster than velocities say: a jump between two points is as bad as a speed."""
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

    def gains(self, time: Array, K: Array) -> Violation | None:
        """Feedback gains (T, n, 2n)."""
        beyond = np.abs(K) / self._gain_cap[:, None]
        if beyond.max() <= 1.0:
            return None
        k, i, j = (int(index) for index in np.unravel_index(np.argmax(beyond), K.shape))
        state = "position" if j < self._n else "velocity"
        of, on = self._robot.joint_names[i], self._robot.joint_names[j % self._n]
        detail = f"the gain of {of} on the {state} of {on} is {K[k, i, j]:.4g} at {time[k]:.3f} s"
        return Violation(Limit.GAINS, f"{detail}, allowed is {self._gain_cap[i]:.4g}")

    def between(self, time: Array, Q: Array, V: Array) -> Violation | None:
        """What joints reach along the splines between points, for a task with limits on accelerations."""
        if not np.isfinite(self._task.acceleration_limit).any():
            return None
        robot, names, speed = self._robot, self._robot.joint_names, self._robot.velocity_limit
        most = (1.0 + ACCELERATION_TOLERANCE) * self._task.acceleration_limit
        peaks = extremes(time, Q, V)
        checks = [
            (Limit.POSITION, "rad", Q, peaks.position, robot.position_lower, robot.position_upper),
            (Limit.VELOCITY, "rad/s", V, peaks.velocity, -speed, speed),
            (Limit.ACCELERATION, "rad/s^2", np.zeros_like(Q), peaks.acceleration, -most, most),
        ]
        if self._joint_box is not None:
            checks.append((Limit.JOINT_BOX, "rad", Q, peaks.position, *self._joint_box))
        for limit, unit, points, sides, lower, upper in checks:
            for values in sides:
                found = outside(limit, names, unit, time, np.vstack([points[:1], values]), lower, upper)
                if found is not None:
                    return found
        return None
