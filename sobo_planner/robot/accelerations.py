"""Limits of arms on acceleration and jerk: those of known arms, and those in a MoveIt `joint_limits.yaml`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import RobotError
from sobo_planner.yaml_reader import read_yaml

Array = NDArray[np.float64]

#: Where neither the task file nor the table below says anything [rad/s^2 or m/s^2]: between the 5 of MoveIt's files for
#: Universal Robots and the 15 to 20 of lighter arms.
DEFAULT = 10.0
#: Names of robots in their URDFs, their limits [rad/s^2] (one for all joints, or one each) and where these are from.
KNOWN: tuple[tuple[str, tuple[float, ...], str], ...] = (
    (r"ur\d+e?(_robot)?", (5.0,), "MoveIt: ur_moveit_config/config/joint_limits.yaml, called conservative there"),
    (r"panda|franka", (15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0), "maker: libfranka, kMaxJointAcceleration"),
    (r"xarm\d", (20.0,), "MoveIt: xarm_moveit_config/config/xarm7/joint_limits.yaml"),
)
#: The same for jerk [rad/s^3]; others have none.
KNOWN_JERKS: tuple[tuple[str, tuple[float, ...], str], ...] = (
    (r"panda|franka", (7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0), "maker: libfranka, kMaxJointJerk"),
)


def jerk_limits(name: str, joints: Sequence[str], given: Sequence[float], file: Path | None) -> Array:
    """Largest jerks of each joint, (nv,) [rad/s^3 or m/s^3]; see `acceleration_limits`.

    A joint for which the file has none gets that of a known arm, and none (infinity) where none is known.

    Raises:
        RobotError: A limit is not positive, or there is not one for each joint.
    """
    if given:
        return _for_all(given, joints, "robot.jerk_limits")
    known = _known(KNOWN_JERKS, name, joints, np.inf)
    if file is None:
        return known
    return np.array([_in_file(file, joint, "jerk", limit) for joint, limit in zip(joints, known.tolist(), strict=True)])


def acceleration_limits(name: str, joints: Sequence[str], given: Sequence[float], file: Path | None) -> Array:
    """Largest accelerations of each joint.

    Args:
        name: The robot's name in its URDF.
        joints: Names of its joints.
        given: Limits of the task file [rad/s^2 or m/s^2]: one for each joint, one for all, or none.
        file: A MoveIt `joint_limits.yaml`, or None.

    Returns:
        (nv,): what is given, else what the file says, else those of a known arm, else `DEFAULT`.

    Raises:
        RobotError: A limit is not positive, there is not one for each joint, or the file does not say them.
    """
    if given:
        return _for_all(given, joints, "robot.acceleration_limits")
    if file is not None:
        return np.array([_in_file(file, joint, "acceleration") for joint in joints])
    return _known(KNOWN, name, joints, DEFAULT)


def _known(
    table: Sequence[tuple[str, tuple[float, ...], str]], name: str, joints: Sequence[str], otherwise: float
) -> Array:
    for pattern, limits, _ in table:
        if re.fullmatch(pattern, name) and len(limits) in (1, len(joints)):
            return _for_all(limits, joints, name)
    return np.full(len(joints), otherwise)


def _for_all(limits: Sequence[float], joints: Sequence[str], what: str) -> Array:
    if len(limits) not in (1, len(joints)):
        raise RobotError(f"{what} needs one entry for each of the {len(joints)} joints, or one for all: {len(limits)}")
    out = np.broadcast_to(np.asarray(limits, float), len(joints)).copy()
    for joint, limit in zip(joints, out, strict=True):
        if not (limit > 0.0 and np.isfinite(limit)):
            raise RobotError(f"{what}: the limit of joint {joint} must be a positive number, got {limit:g}")
    return out


def _in_file(file: Path, joint: str, what: str, otherwise: float | None = None) -> float:
    """A joint's limit in a MoveIt file, which must have one if there is nothing to take otherwise."""
    limits: Any = read_yaml(file).data
    entries = limits.get("joint_limits") if isinstance(limits, dict) else None
    if not isinstance(entries, dict):
        raise RobotError(f"{file}: there are no joint_limits in it")
    entry = entries.get(joint)
    if not isinstance(entry, dict) or not entry.get(f"has_{what}_limits", False):
        if otherwise is not None:
            return otherwise
        raise RobotError(f"{file}: joint {joint} has no {what} limit there; robot.{what}_limits can give it")
    limit = entry.get(f"max_{what}")
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0.0 < limit < np.inf:
        raise RobotError(f"{file}: max_{what} of joint {joint} must be a positive number, got {limit!r}")
    return float(limit)
