"""Problems of MotionBenchMaker for the UR5."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sobo_planner.errors import DatasetError
from sobo_planner.world import AttachedObject, Box, Cylinder, Part, Pose, Shape, Sphere, World, WorldObject

#: Links that the gripper's spheres overlap in any posture of the arm.
BESIDE_TOOL = ("wrist_2_link", "wrist_3_link")
#: Shapes by name, of their sizes in the file.
SHAPES: dict[str, Callable[[Sequence[float]], Shape]] = {
    "box": lambda size: Box((size[0], size[1], size[2])),
    "cylinder": lambda size: Cylinder(size[1], size[0]),
    "sphere": lambda size: Sphere(size[0]),
}


def read_problems(path: Path) -> dict[str, Any]:
    """The file's contents: `problems`, by scene and number, and the spheres of a gripper in `tool`.

    Raises:
        DatasetError: It cannot be read, or holds something else.
    """
    try:
        with gzip.open(path) as file:
            data = json.load(file)
    except (OSError, EOFError, ValueError) as error:
        raise DatasetError(f"problems in {path} cannot be read: {error}") from error
    if not isinstance(data, dict) or not {"problems", "tool"} <= data.keys():
        raise DatasetError(f"{path} holds no problems of MotionBenchMaker: 'problems' and 'tool' are missing")
    return data


def goal_near(start: np.ndarray, goal: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The goal with each joint turned by whole turns: nearest to the start, of those within the joint's limits.

    Args:
        start: Joint positions [rad].
        goal: Joint positions, within the limits.
        lower: Lower limits.
        upper: Upper limits.
    """
    turns = 2.0 * np.pi * np.arange(-3, 4)
    turned = goal[:, None] + turns
    away = np.where((lower[:, None] <= turned) & (turned <= upper[:, None]), np.abs(turned - start[:, None]), np.inf)
    away[:, len(turns) // 2] = np.minimum(away[:, len(turns) // 2], np.finfo(float).max)  # as it is, where none fits
    return turned[np.arange(len(goal)), away.argmin(1)]


def world_of(problem: dict[str, Any], spheres: Sequence[Sequence[float]]) -> World:
    """A problem's obstacles, and spheres at the tool."""
    objects = []
    for number, each in enumerate(problem["obstacles"]):
        shape = SHAPES[each["shape"]](each["size"])
        quaternion = np.array(each["quaternion"])
        pose = Pose(tuple(each["position"]), tuple(quaternion / np.linalg.norm(quaternion)))
        objects.append(WorldObject(f"{each['name']}#{number}", (Part(shape),), pose))
    parts = tuple(Part(Sphere(radius), Pose((x, y, z))) for x, y, z, radius in spheres)
    gripper = (AttachedObject("gripper", "tool0", parts, touches=BESIDE_TOOL),) if parts else ()
    return World(tuple(objects), gripper)
