"""Objects and texts from the markers in which the planner node shows its world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from visualization_msgs.msg import Marker, MarkerArray

from sobo_planner.errors import RobotError, WorldError
from sobo_planner.robot import Robot
from sobo_planner.ros.inputs.markers import KINDS, own_pose, parts_of
from sobo_planner.view.links import carrier, matrix
from sobo_planner.view.scene import Item
from sobo_planner.view.surfaces import Surface, merged, surface_of_parts
from sobo_planner.world import Part

Vector = NDArray[np.float64]


def items_of_markers(robot: Robot, message: MarkerArray, prefix: str = "") -> tuple[Item, ...]:
    """The objects that markers show: those of one namespace and frame are one object; what is no solid is left out.

    Args:
        robot: The robot.
        message: All markers that there are.
        prefix: What stands before the names of links in tf.

    Raises:
        RobotError: A marker is in a frame that is no link of the robot, or is none that can be read.
    """
    surfaces: dict[tuple[str, str], list[Surface]] = {}
    colours: dict[tuple[str, str], tuple[float, float, float]] = {}
    for marker in message.markers:
        if marker.action != Marker.ADD or marker.type not in KINDS:
            continue
        frame = marker.header.frame_id
        key = marker.ns, frame.removeprefix(prefix)
        try:
            parts = [Part(part.shape, own_pose(marker) @ part.pose) for part in parts_of(marker)]
        except WorldError as error:
            raise RobotError(f"the marker {marker.ns}/{marker.id} cannot be shown: {error}") from error
        surfaces.setdefault(key, []).append(surface_of_parts(parts))
        colours[key] = marker.color.r, marker.color.g, marker.color.b
    items = []
    for (name, link), found in surfaces.items():
        try:
            joint, placement = carrier(robot, link)
        except KeyError as error:
            raise RobotError(f"the marker {name} is in the frame {link!r}, which is no link of {robot.name}") from error
        surface = merged(found).moved(matrix(placement), placement.position)
        items.append(Item(name, joint, surface, colours[name, link]))
    return tuple(items)


def unchanged(items: Sequence[Item], before: Sequence[Item]) -> tuple[Item, ...]:
    """The same items; those that were there before as they were then, so that they are not sent again."""
    known = {(item.name, item.joint): item for item in before}
    return tuple(
        old if (old := known.get((item.name, item.joint))) is not None and _alike(item, old) else item for item in items
    )


def _alike(item: Item, other: Item) -> bool:
    return (
        item.colour == other.colour
        and np.array_equal(item.surface.vertices, other.surface.vertices)
        and np.array_equal(item.surface.faces, other.surface.faces)
    )


def text_of_markers(message: MarkerArray) -> tuple[str, Vector] | None:
    """What comes nearest to what, and where that is said, (3,) [m]; None where nothing does."""
    for marker in message.markers:
        if marker.action == Marker.ADD and marker.type == Marker.TEXT_VIEW_FACING:
            at = marker.pose.position
            return marker.text, np.array([at.x, at.y, at.z])
    return None
