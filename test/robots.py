"""Robot descriptions that the tests use: our own UR5 and those of the example-robot-data package."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from sobo_planner.paths import share_path

PANDA_FINGERS = {"panda_finger_joint1": 0.0, "panda_finger_joint2": 0.0}
"""Joints to lock for a 7-joint arm, with their neutral position [m]; unlocked they make nq = 9."""

PANDA_TOOL_FRAME = "panda_hand_tcp"
PANDA_READY = (0.0, -0.785398, 0.0, -2.35619, 0.0, 1.5707, 0.785398)
"""The maker's ready pose [rad], far from limits and self-collision."""


def ur5_urdf() -> Path:
    """Returns the path of the UR5 description shipped with the package."""
    return share_path("urdf/ur5.urdf")


def ur5_reference_urdf() -> Path:
    """Returns the path of example-robot-data's UR5 (written by others), or skips the test."""
    return _example_robot("ur_description/urdf/ur5_robot.urdf")


def panda_urdf() -> Path:
    """Returns the path of example-robot-data's Franka Panda with hand and fingers, or skips the test.

    Its meshes are package://example-robot-data/... addresses; see `package_folders`.
    """
    return _example_robot("panda_description/urdf/panda.urdf")


def package_folders(urdf: Path) -> list[str]:
    """Returns where package:// addresses of a description may be looked up: all folders above it."""
    return [str(folder) for folder in urdf.parents]


def _example_robot(relative: str) -> Path:
    try:
        package = metadata.distribution("example-robot-data")
    except metadata.PackageNotFoundError:
        pytest.skip("example-robot-data is not installed (pip install example-robot-data==6.0.0)")
    for file in package.files or []:
        if file.as_posix().endswith(f"robots/{relative}"):
            return Path(str(package.locate_file(file))).resolve()
    raise FileNotFoundError(f"example-robot-data {package.version} holds no {relative}")


GANTRY_LINK = """
  <link name="{name}"><inertial><origin xyz="0.1 0.02 0.1"/><mass value="{mass}"/>
    <inertia ixx="0.02" iyy="0.03" izz="0.025" ixy="0.001" ixz="0.002" iyz="0"/></inertial></link>"""
GANTRY_JOINT = """
  <joint name="j{i}" type="{kind}"><parent link="l{i}"/><child link="l{next}"/><origin xyz="0.05 0 0.25"/>
    <axis xyz="{axis}"/><limit lower="-3" upper="3" velocity="3" effort="120"/></joint>"""
GANTRY_JOINTS = (
    ("prismatic", "0 1 0"),
    ("revolute", "0 0 1"),
    ("revolute", "0 1 0"),
    ("prismatic", "1 0 0"),
    ("revolute", "0 1 0"),
)


def gantry_urdf() -> str:
    """An arm that slides, turns, tilts, extends and tilts again; its tool frame is l5."""
    links = [GANTRY_LINK.format(name=f"l{i}", mass=6 - i) for i in range(len(GANTRY_JOINTS) + 1)]
    joints = [
        GANTRY_JOINT.format(i=i, next=i + 1, kind=kind, axis=axis) for i, (kind, axis) in enumerate(GANTRY_JOINTS)
    ]
    return '<robot name="gantry">' + "".join(links + joints) + "</robot>"
