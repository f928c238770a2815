"""Which topics of a bag hold what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sobo_planner.robot.frames import Placement
from sobo_training.bags import plans
from sobo_training.bags.decoding import Decode
from sobo_training.bags.files import Bag, read
from sobo_training.bags.records import Channel, Findings

JOINT_STATE, STRING, ARRAY = "sensor_msgs/msg/JointState", "std_msgs/msg/String", "std_msgs/msg/Float64MultiArray"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
POSE, POINT = "geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/PointStamped"
JOINT_STATES, GOAL, GOAL_JOINTS, WORLD = "joint_states", "goal_pose", "goal_joints", "world"
#: Types that the topic of a role may have.
TYPES: dict[str, tuple[str, ...]] = {
    JOINT_STATES: (JOINT_STATE,),
    GOAL: (POSE, POINT, JOINT_STATE),
    GOAL_JOINTS: (JOINT_STATE,),
    plans.TRAJECTORY: (TRAJECTORY,),
    plans.REPORT: (STRING,),
    plans.DATA: (STRING,),
    plans.FEEDFORWARD: (ARRAY,),
    plans.CONTROLS: (ARRAY,),
    plans.SOLVER_GAINS: (ARRAY,),
    WORLD: (STRING,),
}
RECORDING = "recording"


@dataclass(frozen=True)
class Names:
    """How a bag names things; what is empty is not known.

    Attributes:
        topics: Topic of each role. A role without one has every topic whose last part is the role's name.
        joints: The arm's joints, in the task's order.
        prefix: What frames and joints have in front of the URDF's names.
        base: The frame that reports give goals in, in the root link's frame.
        task_hash: Of the task that plans were made for.
    """

    topics: dict[str, str] = field(default_factory=dict)
    joints: tuple[str, ...] = ()
    prefix: str = ""
    base: Placement | None = None
    task_hash: str = ""

    def role(self, channel: Channel) -> str | None:
        """What a channel holds; None for what is of no use here."""
        for role, types in TYPES.items():
            if channel.type in types and self._is(role, channel.topic):
                return role
        return None

    def _is(self, role: str, topic: str) -> bool:
        name = self.topics.get(role)
        return topic.rpartition("/")[2] == role if name is None else topic.strip("/") == name.strip("/")

    def given(self, other: Names) -> Names:
        """These names where others do not say otherwise."""
        return replace(
            self,
            topics=self.topics | other.topics,
            joints=other.joints or self.joints,
            prefix=other.prefix or self.prefix,
        )


def recorded_names(bag: Bag, decode: Decode) -> Names:
    """What a recording of this package says about itself; nothing for other bags."""

    def wanted(channel: Channel) -> bool:
        return channel.type == STRING and channel.topic.rpartition("/")[2] == RECORDING

    for path in bag.files:
        blocks = read(path, wanted, Findings())
        for batch in next(blocks, []):
            for payload in batch.payloads:
                try:
                    return _names(json.loads(decode(STRING, bytes(payload)).data))
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue
        blocks.close()  # type: ignore[attr-defined]
    return Names()


def _names(recording: dict[str, Any]) -> Names:
    placement = np.asarray(recording["base_placement"], float)
    if placement.shape != (7,) or not np.isfinite(placement).all():
        raise ValueError("the base frame has no placement")
    topics = {str(role): str(topic) for role, topic in recording["topics"].items() if role in TYPES}
    joints: Sequence[Any] = recording["joint_names"]
    prefix = str(recording["tf_prefix"])
    base = Placement(placement[:3], placement[3:])
    return Names(topics, tuple(map(str, joints)), prefix, base, str(recording["task"]["hash"]))
