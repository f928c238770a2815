"""Reads a robot: the text of a URDF file, and what Pinocchio and Coal make of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.errors import RobotError
from sobo_planner.robot.urdf import Description


def text_of(path: Path) -> str:
    """The text of a URDF file.

    Raises:
        RobotError: The file cannot be read.
    """
    if not path.is_file():  # nor a device, which may never end
        raise RobotError(f"the URDF {path} cannot be read: there is no such file")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise RobotError(f"the URDF {path} cannot be read: {e}") from e


def native_robot(
    checked: Description, tool_frame: str, rotors: NDArray[np.float64], path: Path | None, collision: bool
) -> _native.Robot:
    """The extension's robot.

    Args:
        checked: The checked URDF.
        tool_frame: Link or frame that is brought to the target.
        rotors: Inertia of each joint's rotor seen through its gear [kg m^2], (nv,), or none, (0,).
        path: The file that the URDF is from; `package://` meshes are looked up in the folders above it.
        collision: Read the collision geometry.

    Raises:
        RobotError: A frame, a joint or a mesh is missing or cannot be used.
    """
    folders = [str(folder) for folder in path.parents] if path else []
    try:
        return _native.Robot(checked.text, tool_frame, checked.locked, rotors, folders, collision)
    except RobotError as e:
        raise RobotError(_in_one_line(str(e))) from e


def _in_one_line(message: str) -> str:
    """A message of Pinocchio or Coal without the place in its sources, and what to do where a mesh is missing."""
    plain = " ".join(re.sub(r"From file: .*?message: ", "", message, flags=re.DOTALL).split())
    if "collision geometry" in plain:
        plain += " (robot.collision: false plans without collision geometry)"
    return plain
