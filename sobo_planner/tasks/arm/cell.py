"""Where an arm works in a cell: with its tool near objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.robot import Robot
from sobo_planner.robot.urdf import parse
from sobo_planner.world import AttachedObject, Part, Sphere, World

Array = NDArray[np.float64]

#: How near an object [m] the tool is at starts and goals of a cell. Elsewhere objects are rarely in the way: of plans
#: between random configurations of the UR5 among those of MotionBenchMaker 3 in 90 lead past one.
NEAR = 0.2
_POINT = 1e-6  # [m]


class ToolDistance:
    """The distance of a robot's tool to the nearest obstacle of its world.

    Args:
        robot: In its world.
    """

    def __init__(self, robot: Robot) -> None:
        objects = robot.world.objects
        names = [each.name for each in objects]
        probe = AttachedObject("the tool", robot.tool_frame, (Part(Sphere(_POINT)),))
        links = {str(link.get("name")) for link in parse(robot.description.text).iter("link")}
        apart = frozenset((link, name) for link in links for name in names if link != name)
        self._probe = robot.with_world(World(objects, (probe,), apart)) if objects else None

    def __call__(self, q: Array) -> float:
        """At a configuration q (nq,) [m]; 0 where there are no obstacles, negative within one."""
        found = None if self._probe is None else self._probe.nearest_object(q[None])
        return 0.0 if found is None else float(found.distance)
