"""Messages of moveit_msgs, which is in ROS distributions only, from plain values; its own where it is installed."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import Point, Pose, Quaternion
from std_msgs.msg import Header

IDENTITY = {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}


class Message:
    """Stands for a message: fields, and their names as rclpy's messages tell them."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)

    def get_fields_and_field_types(self) -> dict[str, str]:
        """See messages of rclpy."""
        return {name: type(value).__name__ for name, value in vars(self).items()}


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Pose:
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(**IDENTITY))


def ball(name: str, radius: float = 0.05, at: Pose | None = None, frame: str = "base_link", **fields: Any) -> Message:
    """A `CollisionObject` with a sphere."""
    given: dict[str, Any] = {
        "header": Header(frame_id=frame),
        "pose": at or pose(0.5),
        "id": name,
        "type": Message(key="", db=""),
        "primitives": [Message(type=2, dimensions=[radius], polygon=Message(points=[]))],
        "primitive_poses": [pose()],
        "operation": b"\0",
    }
    empty = ("meshes", "mesh_poses", "planes", "plane_poses", "subframe_names", "subframe_poses")
    return Message(**{name: [] for name in empty}, **(given | fields))


def attached(thing: Message, link: str = "tool0", touches: tuple[str, ...] = (), weight: float = 0.0) -> Message:
    """An `AttachedCollisionObject`."""
    thing.header = Header(frame_id=link)
    posture = Message(joint_names=[], points=[])
    return Message(link_name=link, object=thing, touch_links=list(touches), detach_posture=posture, weight=weight)


def scene(
    *objects: Message,
    held: tuple[Message, ...] = (),
    is_diff: bool = False,
    allowed: tuple[str, ...] = (),
) -> Message:
    """A `PlanningScene`; those that are named may touch each other."""
    rows = [Message(enabled=[True] * len(allowed)) for _ in allowed]
    matrix = Message(entry_names=list(allowed), entry_values=rows, default_entry_names=[], default_entry_values=[])
    joints = Message(header=Header(), name=["elbow_joint"], position=[0.5], velocity=[], effort=[])
    octomap = Message(header=Header(), origin=pose(), octomap=Message(resolution=0.0, data=[]))
    return Message(
        name="scene",
        robot_state=Message(joint_state=joints, attached_collision_objects=list(held), is_diff=is_diff),
        robot_model_name="ur5",
        fixed_frame_transforms=[],
        allowed_collision_matrix=matrix,
        link_padding=[Message(link_name="tool0", padding=0.0)],
        link_scale=[Message(link_name="tool0", scale=1.0)],
        object_colors=[],
        world=Message(collision_objects=list(objects), octomap=octomap),
        is_diff=is_diff,
    )
