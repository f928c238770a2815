"""The rules by which joint_trajectory_controller takes a JointTrajectory or drops it, from Jazzy to Rolling.

The controller drops a message that breaks a rule with one line in its own log. So the sender checks.
Four rules are stricter than the controller's, which accepts and then moves badly: joints named once, all numbers
finite, a first point after 0 (a point at 0 is a step), and times in the range of their fields.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Duration, Time
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sobo_planner.safety import Trajectory

NANOSECONDS = 1_000_000_000
# What the controller takes for zero at the end: the spacing of single-precision numbers at 1 [rad/s].
ZERO_VELOCITY = 2.0**-23


@dataclass(frozen=True)
class Rules:
    """What the controller's parameters say.

    Attributes:
        joint_names: Its `joints`, prefix included.
        effort_interface: Whether `effort` is among its `command_interfaces`.
        allow_nonzero_velocity_at_trajectory_end: Its parameter of that name.
    """

    joint_names: tuple[str, ...]
    effort_interface: bool = False
    allow_nonzero_velocity_at_trajectory_end: bool = False


def broken_rule(message: JointTrajectory, rules: Rules, now: Time | None = None) -> str:
    """Why the controller would not follow a message, with value and bound; empty if it would.

    Args:
        message: The message as it is published.
        rules: The controller's parameters.
        now: The present time, on the clock of the stamp. None: the stamp's age is not checked.
    """
    return (
        _names(message.joint_names, rules.joint_names)
        or ("" if message.points else "the trajectory has no points")
        or _points(message.points, len(message.joint_names), rules)
        or _times(message.points)
        or _start(message, now)
        or ("" if rules.allow_nonzero_velocity_at_trajectory_end else _end(message))
    )


def keeps_rules(
    points: Trajectory, names: Sequence[str], stamp: Time, effort: bool, rules: Rules, acceleration: bool = False
) -> bool:
    """Whether `broken_rule` has nothing against the message that these points make, in a tenth of its time.

    Args:
        points: The points.
        names: Their joints.
        stamp: The message's stamp.
        effort: Whether it has efforts.
        rules: The controller's parameters.
        acceleration: Whether the message has accelerations.
    """
    times, ends = points.nanoseconds, np.abs(points.velocities[-1:])
    arrays = [points.positions, points.velocities]
    arrays += [points.effort] * effort + ([points.accelerations] if acceleration else [])
    return (
        tuple(names) == rules.joint_names
        and len(times) > 0
        and bool(times[0] > 0 and (times[1:] > times[:-1]).all() and times[-1] < 2**31 * NANOSECONDS)
        and all(each.shape == (len(times), len(names)) and np.isfinite(each).all() for each in arrays)
        and (rules.effort_interface or not effort)
        and stamp.sec >= 0
        and (rules.allow_nonzero_velocity_at_trajectory_end or bool(ends.max() <= ZERO_VELOCITY))
    )


def _names(names: Sequence[str], expected: tuple[str, ...]) -> str:
    if tuple(names) == expected:  # the usual case
        return ""
    if missing := sorted(set(expected) - set(names)):
        return f"joints are missing: {missing}"
    if unknown := sorted(set(names) - set(expected)):
        return f"the controller does not know the joints {unknown}"
    twice = sorted({name for name in names if list(names).count(name) > 1})
    return f"joints are named more than once: {twice}" if twice else ""


def _points(points: Sequence[JointTrajectoryPoint], n: int, rules: Rules) -> str:
    for i, point in enumerate(points):
        for name, values, optional in (
            ("positions", point.positions, False),
            ("velocities", point.velocities, True),
            ("accelerations", point.accelerations, True),
            ("effort", point.effort, True),
        ):
            if len(values) != n and not (optional and not values):
                return f"point {i} has {len(values)} {name} for {n} joints"
            # Only a sum that is not finite can hold such a number; a sum of large ones may overflow.
            if not math.isfinite(sum(values)):
                bad = [value for value in values if not math.isfinite(value)]
                if bad:
                    return f"point {i}: {name} hold {bad[0]}"
        if point.effort and not rules.effort_interface:
            return f"point {i} has an effort, but the controller has no effort interface"
    return ""


def _times(points: Sequence[JointTrajectoryPoint]) -> str:
    last = 0
    for i, point in enumerate(points):
        stamp = point.time_from_start
        if not 0 <= stamp.nanosec < NANOSECONDS:
            return f"point {i}: nanosec is {stamp.nanosec}, allowed is less than {NANOSECONDS}"
        time = _nanoseconds(stamp)
        if time <= last:
            before = f"that of the point before, {1e-9 * last:.9f} s" if i else "0"
            return f"point {i}: time_from_start is {1e-9 * time:.9f} s, it must be after {before}"
        last = time
    return ""


def _start(message: JointTrajectory, now: Time | None) -> str:
    stamp = message.header.stamp
    if stamp.sec < 0 or not 0 <= stamp.nanosec < NANOSECONDS:
        return f"the stamp {stamp.sec} s, {stamp.nanosec} ns is out of range"
    start = _nanoseconds(stamp)
    if start == 0 or now is None:  # 0: at once
        return ""
    late = _nanoseconds(now) - start - _nanoseconds(message.points[-1].time_from_start)
    return f"the trajectory ended {1e-9 * late:.3f} s ago" if late > 0 else ""


def _end(message: JointTrajectory) -> str:
    for name, velocity in zip(message.joint_names, message.points[-1].velocities, strict=False):
        if abs(velocity) > ZERO_VELOCITY:
            return f"joint {name} still moves at {velocity:.3g} rad/s at the end, it must be at rest"
    return ""


def _nanoseconds(stamp: Duration | Time) -> int:
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
