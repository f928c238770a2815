"""What a recording holds: topics by their role, and what is said of the node that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sobo_planner
from sobo_planner.robot.frames import Placement
from sobo_planner.tasks import ArmReach, robot_files, task_path

JOINT_STATE = "sensor_msgs/msg/JointState"
ARRAY = "std_msgs/msg/Float64MultiArray"
STRING = "std_msgs/msg/String"
CONTROL = "linear_feedback_controller_msgs/msg/Control"
RECORDING, PARAMETERS, WORLD = "recording", "parameters", "world"
FORMAT = 1


@dataclass(frozen=True)
class Role:
    """A topic as the node names it, before namespace and remappings.

    Attributes:
        topic: Its name.
        type: Its type.
        latched: Whether those who come later get the last message when a bag is played.
    """

    topic: str
    type: str
    latched: bool = False


def roles() -> dict[str, Role]:
    """All topics of a recording; those of MoveIt and linear_feedback_controller where their messages are installed."""
    found = {
        RECORDING: Role("~/recording", STRING, latched=True),
        PARAMETERS: Role("/parameter_events", "rcl_interfaces/msg/ParameterEvent"),
        "joint_states": Role("joint_states", JOINT_STATE),
        "goal_pose": Role("goal_pose", "geometry_msgs/msg/PoseStamped"),
        "goal_joints": Role("goal_joints", JOINT_STATE),
        "joint_trajectory": Role("joint_trajectory", "trajectory_msgs/msg/JointTrajectory"),
        "feedback_gains": Role("feedback_gains", ARRAY),
        "feedforward": Role("feedforward", ARRAY),
        "plan_report": Role("plan_report", STRING),
        "plan_data": Role("~/plan_data", STRING),
        "solver_controls": Role("~/solver_controls", ARRAY),
        "solver_gains": Role("~/solver_gains", ARRAY),
        WORLD: Role("~/world", STRING, latched=True),
        "obstacles": Role("obstacles", "visualization_msgs/msg/MarkerArray"),
    }
    if find_spec("moveit_msgs") is not None:
        found["planning_scene"] = Role("planning_scene", "moveit_msgs/msg/PlanningScene")
    if find_spec("linear_feedback_controller_msgs") is not None:
        found["control"] = Role("control", CONTROL)
    return found


def description(
    task: ArmReach, values: Mapping[str, Any], joint_names: Sequence[str], base_frame: str, base: Placement, policy: str
) -> dict[str, Any]:
    """What the message on `~/recording` says, apart from the node and its topics.

    Args:
        task: The task, for the node's type of goals.
        values: The node's parameters.
        joint_names: The joints as topics name them.
        base_frame: The frame that reports give goals in, without prefix.
        base: Where it is in the root link's frame.
        policy: Name of the policy.
    """
    path, prefix = task_path(values["task"]), values["tf_prefix"]
    hashes = {"hash": task.hash, "policy_hash": task.policy_hash, "robot_hash": task.robot_hash}
    return {
        "format": FORMAT,
        "sobo_planner": sobo_planner.__version__,
        "joint_names": list(joint_names),
        "tf_prefix": prefix,
        "root_link": prefix + task.robot.root_link,
        "base_frame": prefix + base_frame,
        "base_placement": [*base.position.tolist(), *base.quaternion.tolist()],
        **{name: values[name] for name in ("mode", "goal_type", "gains", "rate")},
        "policy": policy,
        "task": {"name": task.name, "path": str(path), "text": _text(path), **hashes},
        "files": {file.name: _text(file) for file in robot_files(path, task.config)},
    }


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
