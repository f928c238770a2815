"""What is solved: robot, costs, constraints, the distribution of instances, and the policy's encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sobo_planner.errors import ConfigError
from sobo_planner.paths import share_path
from sobo_planner.tasks.arm_reach import ArmReach
from sobo_planner.tasks.config import TaskConfig, read_config

Task = ArmReach
KINDS = {"arm_reach": ArmReach}

__all__ = ["KINDS", "ArmReach", "Task", "TaskConfig", "load_task"]


def load_task(name: str | Path, **overrides: Any) -> Task:
    """Reads a task.

    Args:
        name: A shipped task (`ur5`), or the path of a task file.
        overrides: Values that replace the file's, by key (`r_init=0`).

    Raises:
        ConfigError: Unknown task, unreadable file, or a key or value that is not allowed.
        RobotError: The robot description cannot be used.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = share_path(f"config/{name}.yaml")
    config = read_config(path, overrides)
    if config.kind not in KINDS:
        raise ConfigError(f"{path}: unknown kind of task {config.kind!r}; known: {', '.join(KINDS)}")
    return KINDS[config.kind](config, _locate(config.robot.urdf, path.parent))


def _locate(urdf: str, folder: Path) -> Path:
    """The URDF: absolute, beside the task file, or among the shipped files."""
    beside = folder / urdf
    return beside if beside.exists() else share_path(urdf)
