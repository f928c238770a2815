"""Bags for tests: joint states, goals and plans of a UR5, as recorders write them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from sobo_planner.robot.kinematics import minimum_jerk
from sobo_planner.solver import Solution
from sobo_planner.tasks import ArmReach
from sobo_planner.world import World

STORE = get_typestore(Stores.ROS2_KILTED)
SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
Message = tuple[str, str, int, Any]  # topic, type, time [ns], message


def message(type_name: str, **fields: Any) -> Any:
    """A message of a type."""
    return STORE.types[type_name](**fields)


def stamp(time: int) -> Any:
    """A time [ns]."""
    return message("builtin_interfaces/msg/Time", sec=time // SECOND, nanosec=time % SECOND)


def header(time: int, frame: str = "") -> Any:
    """A header."""
    return message("std_msgs/msg/Header", stamp=stamp(time), frame_id=frame)


def string(data: dict[str, Any]) -> Any:
    """A string with JSON."""
    return message("std_msgs/msg/String", data=json.dumps(data))


def joint_state(names: Sequence[str], position: np.ndarray, time: int, velocity: np.ndarray | None = None) -> Any:
    """A joint state."""
    velocity = np.array([]) if velocity is None else velocity
    position = np.ascontiguousarray(position)
    fields = {"name": list(names), "position": position, "velocity": velocity, "effort": np.array([])}
    return message("sensor_msgs/msg/JointState", header=header(time), **fields)


def array(values: np.ndarray, labels: Sequence[str]) -> Any:
    """A labelled Float64MultiArray."""
    dims = [
        message("std_msgs/msg/MultiArrayDimension", label=label, size=size, stride=int(np.prod(values.shape[i:])))
        for i, (label, size) in enumerate(zip(labels, values.shape, strict=True))
    ]
    layout = message("std_msgs/msg/MultiArrayLayout", dim=dims, data_offset=0)
    return message("std_msgs/msg/Float64MultiArray", layout=layout, data=np.ascontiguousarray(values).ravel())


def pose_goal(position: np.ndarray, time: int, frame: str = "base_link") -> Message:
    """A goal of the tool."""
    point = message("geometry_msgs/msg/Point", **dict(zip("xyz", map(float, position), strict=True)))
    turned = message("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    pose = message("geometry_msgs/msg/Pose", position=point, orientation=turned)
    kind = "geometry_msgs/msg/PoseStamped"
    return "/goal_pose", kind, time, message(kind, header=header(time, frame), pose=pose)


def path(stops: Sequence[np.ndarray], durations: Sequence[float], pause: float, rate: float) -> np.ndarray:
    """Positions (N, n) of an arm that moves from stop to stop, and rests between."""
    rest = int(pause * rate)
    parts = [np.repeat(stops[0][None, :], rest, axis=0)]
    for there, here, duration in zip(stops, stops[1:], durations, strict=False):
        parts.append(minimum_jerk(there, here, int(duration * rate), 1.0 / rate)[0])
        parts.append(np.repeat(here[None, :], rest, axis=0))
    return np.concatenate(parts)


def joint_states(
    names: Sequence[str], positions: np.ndarray, rate: float, begin: int = BEGIN, topic: str = "/joint_states"
) -> list[Message]:
    """Joint states at a rate [Hz]."""
    times = [begin + round(i * SECOND / rate) for i in range(len(positions))]
    kind = "sensor_msgs/msg/JointState"
    return [(topic, kind, time, joint_state(names, q, time)) for time, q in zip(times, positions, strict=True)]


def trajectory(names: Sequence[str], times: np.ndarray, X: np.ndarray, time: int) -> Message:
    """A JointTrajectory of states."""
    n = len(names)
    points = [
        message(
            "trajectory_msgs/msg/JointTrajectoryPoint",
            positions=np.ascontiguousarray(x[:n]),
            velocities=np.ascontiguousarray(x[n:]),
            accelerations=np.array([]),
            effort=np.array([]),
            time_from_start=message(
                "builtin_interfaces/msg/Duration", sec=round(at * SECOND) // SECOND, nanosec=round(at * SECOND) % SECOND
            ),
        )
        for at, x in zip(times, X, strict=True)
    ]
    kind = "trajectory_msgs/msg/JointTrajectory"
    content = message(kind, header=header(time), joint_names=list(names), points=points)
    return "/joint_trajectory", kind, time, content


def recording(task: ArmReach, task_hash: str | None = None) -> Message:
    """What a recording of the node says about itself, as docs/bags.md has it."""
    roles = (
        "joint_states",
        "goal_pose",
        "goal_joints",
        "joint_trajectory",
        "feedback_gains",
        "feedforward",
        "plan_report",
    )
    own = ("plan_data", "solver_controls", "solver_gains", "world")
    topics = {role: f"/{role}" for role in roles} | {role: f"/planner/{role}" for role in own}
    base = task.robot.placement(task.config.robot.base_frame)
    data = {
        "format": 1,
        "topics": topics,
        "joint_names": list(task.robot.joint_names),
        "tf_prefix": "",
        "base_placement": [*base.position, *base.quaternion],
        "task": {"hash": task_hash or task.hash},
    }
    return "/planner/recording", "std_msgs/msg/String", BEGIN, string(data)


def plan(
    task: ArmReach,
    solution: Solution,
    target: np.ndarray,
    dt: float,
    time: int,
    report: dict[str, Any] | None = None,
    payload: float = 0.0,
    **also: Any,
) -> list[Message]:
    """The messages of a plan, as the node records them; `report` is what its report has different, `also` its data."""
    base = task.robot.placement(task.config.robot.base_frame)
    points, times = solution.X[1:].copy(), dt * np.arange(1, len(solution.X))
    points[-1, task.nu :] = 0.0
    parts = np.rint(1e9 * times).astype("<i8"), points[:, : task.nu], points[:, task.nu :]
    kind = "std_msgs/msg/Float64MultiArray"
    feedforward, gains = array(solution.U, ("T", "nu")), array(-solution.K, ("T", "rows", "cols"))
    sums = {
        name: zlib.crc32(each.data.astype("<f8").tobytes())
        for name, each in (("feedforward", feedforward), ("feedback_gains", gains))
    }
    sums["joint_trajectory"] = zlib.crc32(b"".join(part.tobytes() for part in parts))
    common = {"plan_id": 1, "stamp": {"sec": time // SECOND, "nanosec": time % SECOND}, "lead": 0.0, "dt": dt}
    error = task.final_error(solution.X, target)
    goal = base.inverse().goal(target).tolist()
    about = {
        "start": solution.X[0].tolist(),
        "status": "converged",
        "goal": goal,
        "checksums": sums,
        "tool_error": error,
    }
    data = {"start": solution.X[0].tolist(), "end": solution.X[-1].tolist(), "goal": target.tolist()}
    scaling = {"velocity_scaling": 1.0, "acceleration_scaling": 1.0, "payload_mass": payload}
    return [
        ("/feedback_gains", kind, time, gains),
        ("/feedforward", kind, time, feedforward),
        trajectory(task.robot.joint_names, times, points, time),
        ("/plan_report", "std_msgs/msg/String", time, string(common | about | (report or {}))),
        ("/planner/plan_data", "std_msgs/msg/String", time, string(common | data | scaling | also)),
        ("/planner/solver_controls", kind, time, array(solution.U, ("T", "nu"))),
        ("/planner/solver_gains", kind, time, array(solution.K, ("T", "rows", "cols"))),
    ]


def world(world: World, time: int, version: int = 1, margin: float = 0.0) -> Message:
    """A world that something was planned in."""
    about = {"version": version, "hash": world.hash, "margin": margin, "world": world.to_dict()}
    return "/planner/world", "std_msgs/msg/String", time, string(about)


def write(folder: Path, messages: Iterable[Message], sqlite: bool = False, zstd: bool = False) -> Path:
    """Writes a bag; returns its one file."""
    plugin = StoragePlugin.SQLITE3 if sqlite else StoragePlugin.MCAP
    writer = Writer(folder, version=9, storage_plugin=plugin)
    if zstd:
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind, time, content in sorted(messages, key=lambda each: each[2]):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], time, STORE.serialize_cdr(content, kind))
    return next(each for each in folder.iterdir() if each.suffix in (".mcap", ".db3"))
