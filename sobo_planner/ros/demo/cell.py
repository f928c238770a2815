"""Goals of the demo among the objects of a world, and how near the arm comes to them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import TaskError
from sobo_planner.ros.demo.processes import DemoError
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.world import Box, Capsule, Cylinder, HalfSpace, Part, Sphere, World
from sobo_planner.world.values import Triple

Vector = NDArray[np.float64]

#: A goal is this near to an object at most [m], and in some posture all links are this far from objects. A shoulder may
#: stand as near to the bench as a centimetre in every posture.
NEAR, CLEAR = 0.1, 0.005
SAMPLES = 20_000  # postures looked at before we say that there is no such goal


def target_among(task: ArmReach, x: Vector, rng: np.random.Generator) -> Vector:
    """A target (3,) [m] near an object of the task's world, which the task accepts from state x (2n,).

    Raises:
        DemoError: None was found.
    """
    robot = task.robot
    for _ in range(SAMPLES):
        q = rng.uniform(np.maximum(robot.position_lower, -math.pi), np.minimum(robot.position_upper, math.pi))
        target = robot.tool_position(q)
        if gap(robot.world, target) > NEAR or robot.contact(q) is not None:
            continue
        nearest = robot.nearest_object(q[None])
        if nearest is None or nearest.distance < CLEAR:
            continue
        try:
            task.check(Instance(x, target))
        except TaskError:
            continue
        return np.asarray(target)
    raise DemoError(f"among {SAMPLES} postures none has its tool within {NEAR} m of an object and is free")


def clearance(task: ArmReach, Q: Vector) -> tuple[float | None, str]:
    """The smallest distance [m] between the arm and an object over postures Q (N, n), and of what from what."""
    nearest = task.robot.nearest_object(np.ascontiguousarray(Q))
    return (None, "") if nearest is None else (float(nearest.distance), f"{nearest.first}, {nearest.second}")


def gap(world: World, point: Vector) -> float:
    """Distance [m] of a point from the nearest object, 0 inside; floors and walls do not count, for they are
    everywhere. Meshes count as their bounding spheres."""
    x, y, z = (float(value) for value in point)
    return min((_gap(part, (x, y, z)) for each in world.objects for part in each.shapes), default=math.inf)


def _gap(part: Part, point: Triple) -> float:
    x, y, z = part.pose.inverse().point(point)
    shape = part.shape
    match shape:
        case HalfSpace():
            return math.inf
        case Box():
            sides = zip((x, y, z), shape.size, strict=True)
            return math.hypot(*(max(abs(value) - 0.5 * size, 0.0) for value, size in sides))
        case Cylinder():
            return math.hypot(max(math.hypot(x, y) - shape.radius, 0.0), max(abs(z) - 0.5 * shape.length, 0.0))
        case Capsule():
            return max(math.hypot(x, y, max(abs(z) - 0.5 * shape.length, 0.0)) - shape.radius, 0.0)
        case Sphere():
            return max(math.hypot(x, y, z) - shape.radius, 0.0)
        case _:
            return max(math.hypot(x, y, z) - shape.bounding_radius, 0.0)
