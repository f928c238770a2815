"""What is solved: robot, costs, constraints, the distribution of instances, and the policy's encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sobo_planner.errors import ConfigError, RobotError
from sobo_planner.paths import share_folders, share_path, user_path
from sobo_planner.tasks.arm.config import ArmConfig
from sobo_planner.tasks.arm.task import ArmReach
from sobo_planner.tasks.base import Task
from sobo_planner.tasks.config import TaskConfig
from sobo_planner.tasks.config_reader import place_of, read_config
from sobo_planner.tasks.lqr import Lqr, LqrConfig
from sobo_planner.tasks.quadrotor.config import FlightConfig
from sobo_planner.tasks.quadrotor.task import QuadrotorReach
from sobo_planner.tasks.swing_up import SwingUp, SwingUpConfig

#: Kinds of task: the task file of each, and what it becomes.
KINDS: dict[str, tuple[type[TaskConfig], Any]] = {
    "arm_reach": (ArmConfig, ArmReach),
    "lqr": (LqrConfig, Lqr),
    "quadrotor_reach": (FlightConfig, QuadrotorReach),
    "swing_up": (SwingUpConfig, SwingUp),
}

__all__ = [
    "KINDS",
    "ArmReach",
    "Lqr",
    "QuadrotorReach",
    "SwingUp",
    "Task",
    "TaskConfig",
    "load_arm",
    "load_task",
    "robot_files",
    "task_path",
]


def load_task(name: str | Path, **overrides: Any) -> Any:  # each kind has more than a Task
    """Reads a task.

    Args:
        name: A shipped task (`ur5`), or the path of a task file.
        overrides: Values that replace the file's, by key (`r_init=0`).

    Returns:
        A `Task` of the file's kind, `ArmReach` for an arm.

    Raises:
        ConfigError: Unknown task, unreadable file, or a key or value that is not allowed.
        RobotError: The robot description cannot be used.
    """
    path = task_path(name)
    config = read_config(path, overrides, {kind: each for kind, (each, _) in KINDS.items()})
    make = KINDS[config.kind][1]
    robot: Any = getattr(config, "robot", None)
    if not hasattr(robot, "urdf"):
        return make(config)
    try:
        return make(config, robot.load(*robot_files(path, config)))
    except (ConfigError, RobotError) as error:
        place = place_of(path, "robot", str(error), overrides)
        named = str(error) if isinstance(error, ConfigError) else f"robot: {error}"
        raise type(error)(f"{place}: {named}") from error


def task_path(name: str | Path) -> Path:
    """The file of a task: a shipped one by its name, or the path itself.

    Raises:
        ConfigError: No task of this name is shipped.
    """
    path = user_path(name)
    return path if path.suffix in (".yaml", ".yml") else _shipped(str(name))


def robot_files(path: Path, config: Any) -> list[Path]:
    """The files that an arm is made from beside its task file: the URDF and, if there is one, that of joint limits.

    Raises:
        ConfigError: One is not there.
    """
    robot = config.robot
    files = [_locate(path.parent, "urdf", robot.urdf)]
    if getattr(robot, "joint_limits", ""):
        files.append(_locate(path.parent, "joint_limits", robot.joint_limits))
    return files


def _shipped(name: str) -> Path:
    """The task file of a shipped task."""
    try:
        return share_path(f"config/{name}.yaml")
    except ConfigError as error:
        files = {path for folder in share_folders() for path in (folder / "config").glob("*.yaml")}
        names = sorted({path.stem for path in files if not path.stem.endswith(".params")})
        raise ConfigError(f"unknown task {name!r}; shipped: {', '.join(names)}; or name a .yaml file") from error


def load_arm(name: str | Path, **overrides: Any) -> ArmReach:
    """Reads a task that can be planned for at run time.

    Raises:
        ConfigError: As `load_task`, or a task of another kind.
    """
    task = load_task(name, **overrides)
    if not isinstance(task, ArmReach):
        raise ConfigError(f"{name} is a task of kind {task.kind}; the planner needs one of kind {ArmReach.kind}")
    return task


def _locate(folder: Path, key: str, file: str) -> Path:
    """A file that the robot is made from: absolute, beside the task file, or among the shipped files."""
    beside = folder / user_path(file)
    try:
        return beside if beside.is_file() else share_path(file)
    except ConfigError as error:
        raise ConfigError(f"robot.{key}: {error}") from error
