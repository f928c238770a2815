"""Checks of a URDF's joints: which types there are, what those that move need, and where the others are locked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element

from sobo_planner.errors import RobotError
from sobo_planner.robot.urdf_check import numbers_of

MOVABLE = ("revolute", "continuous", "prismatic")
# A locked position may be this far outside its limits, or from where its mimicked joint puts it [rad or m].
ROUNDING = 1e-6


def locked_positions(robot: Element, locked: Mapping[str, float]) -> dict[str, float]:
    """Where all joints are that do not move: the locked ones, and those that mimic them.

    Args:
        robot: The root element; its tree and numbers were checked.
        locked: Joints to freeze and their positions [rad or m].

    Raises:
        RobotError: A joint of another type, one that cannot be locked there, or one that mimics a joint that moves.
    """
    joints = {joint.get("name", ""): joint for joint in robot.iterfind("joint")}
    for name, joint in joints.items():
        if joint.get("type") not in (*MOVABLE, "fixed"):
            allowed = ", ".join((*MOVABLE, "fixed"))
            raise RobotError(f"joint {name!r}: type {joint.get('type')!r} is not supported; use one of {allowed}")
    for name, position in locked.items():
        _check_lock(name, position, joints)
    out = {name: float(position) for name, position in locked.items()}
    followers = {name: joint for name, joint in joints.items() if _mimics(joint)}
    for _ in followers:  # one may mimic another
        for name, joint in followers.items():
            _follow(name, joint, out, joints)
    for name, joint in followers.items():
        if name not in out:
            raise RobotError(
                f"joint {name!r} mimics joint {_leader(joint)!r}, and coupled joints are not supported: freeze it, or "
                f"both, with robot.locked_joints ({{{name}: 0.0}})"
            )
    return out


def _check_lock(name: str, position: float, joints: Mapping[str, Element]) -> None:
    if name not in joints:
        raise RobotError(f"the locked joint {name!r} is not in the URDF; its joints are: {', '.join(joints)}")
    joint = joints[name]
    if joint.get("type") == "fixed":
        raise RobotError(f"the locked joint {name!r} is fixed in the URDF: take it out of robot.locked_joints")
    if not math.isfinite(position):
        raise RobotError(f"joint {name!r} is locked at {position}: a finite position is needed [rad or m]")
    limit = joint.find("limit")
    if limit is None or joint.get("type") == "continuous" or not {"lower", "upper"} <= limit.attrib.keys():
        return
    lower, upper = numbers_of(limit, "lower")[0], numbers_of(limit, "upper")[0]
    if not lower - ROUNDING <= position <= upper + ROUNDING:
        raise RobotError(f"joint {name!r} is locked at {position:g}, outside its limits [{lower:g}, {upper:g}]")


def _mimics(joint: Element) -> bool:
    return joint.get("type") != "fixed" and joint.find("mimic") is not None


def _leader(joint: Element) -> str:
    mimic = joint.find("mimic")
    return "" if mimic is None else mimic.get("joint", "")


def _follow(name: str, joint: Element, locked: dict[str, float], joints: Mapping[str, Element]) -> None:
    """Locks a joint where the locked joint that it mimics puts it."""
    leader, mimic = _leader(joint), joint.find("mimic")
    if leader not in joints and name not in locked:
        raise RobotError(f"joint {name!r}: mimic joint={leader!r} is not a joint of the URDF")
    if leader not in locked or mimic is None:
        return
    position = numbers_of(mimic, "multiplier", 1.0)[0] * locked[leader] + numbers_of(mimic, "offset")[0]
    if name not in locked:
        _check_lock(name, position, joints)
    elif abs(locked[name] - position) > ROUNDING:
        raise RobotError(
            f"joint {name!r} is locked at {locked[name]:g}, but mimics joint {leader!r}, which puts it at "
            f"{position:g}: lock it there, or leave it out of robot.locked_joints"
        )
    locked.setdefault(name, position)


def check_moving(joints: Iterable[Element]) -> None:
    """Refuses joints that cannot move as they are described.

    Args:
        joints: The joints that move.

    Raises:
        RobotError: No axis, limits that are missing or allow nothing, or negative friction.
    """
    for joint in joints:
        where = f"joint {joint.get('name')!r}"
        axis = joint.find("axis")
        length = 1.0 if axis is None else math.hypot(*numbers_of(axis, "xyz"))
        if not 1e-6 < length < 1e6:
            raise RobotError(
                f"{where}: axis needs a direction in xyz, got {axis.get('xyz') if axis is not None else ''!r}"
            )
        limit = joint.find("limit")
        needed = (
            ("effort", "velocity") if joint.get("type") == "continuous" else ("effort", "velocity", "lower", "upper")
        )
        missing = [name for name in needed if limit is None or limit.get(name) is None]
        if limit is None or missing:
            raise RobotError(f"{where}: limit needs {', '.join(missing)}; URDF takes 0 for what is left out")
        for name in ("effort", "velocity"):
            if not numbers_of(limit, name)[0] > 0.0:
                raise RobotError(
                    f"{where}: limit needs a positive {name}, got {limit.get(name)}; lock what must not move"
                )
        dynamics = joint.find("dynamics")
        for name in ("damping", "friction"):
            if dynamics is not None and numbers_of(dynamics, name)[0] < 0.0:
                raise RobotError(f"{where}: {name} of dynamics must not be negative, got {dynamics.get(name)}")
        if "lower" in needed and not numbers_of(limit, "lower")[0] < numbers_of(limit, "upper")[0]:
            raise RobotError(
                f"{where}: lower limit {limit.get('lower')} is not below the upper one {limit.get('upper')}"
            )
