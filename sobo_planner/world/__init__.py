"""Worlds: obstacles in the base frame, objects attached to links, pairs that may touch. Data only, without a robot."""

from sobo_planner.world.files import read_world, world_from_dict, write_world
from sobo_planner.world.objects import AttachedObject, Part, WorldObject
from sobo_planner.world.pose import Pose
from sobo_planner.world.shapes import Box, Capsule, Cylinder, HalfSpace, Mesh, Shape, Sphere
from sobo_planner.world.world import World

__all__ = [
    "AttachedObject",
    "Box",
    "Capsule",
    "Cylinder",
    "HalfSpace",
    "Mesh",
    "Part",
    "Pose",
    "Shape",
    "Sphere",
    "World",
    "WorldObject",
    "read_world",
    "world_from_dict",
    "write_world",
]
