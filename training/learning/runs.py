"""What a training run says about itself, so that it can be exported from anywhere, whatever became of the task file.

run.json     what was asked for, and the hashes of task and robot
task.yaml    the task with every setting, the URDF as an absolute path unless it is a shipped one
world.yaml   the world that the policy is to know, if any
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sobo_planner.errors import ConfigError, PolicyError, SoboError
from sobo_planner.files import check_output, write_bytes, write_json
from sobo_planner.paths import share_path
from sobo_planner.tasks import ArmReach, Task, load_task
from sobo_planner.tasks.settings import explain
from sobo_planner.world import read_world, write_world

RUN_RECORD = "run.json"
TASK_FILE = "task.yaml"
WORLD_FILE = "world.yaml"


def check_run(folder: Path, task: Task) -> None:
    """Refuse a folder that cannot be written to, or whose run is of another task.

    Raises:
        SoboError: It cannot be written to.
        PolicyError: The run there is of another task; the message names the settings that differ.
    """
    for name in (RUN_RECORD, TASK_FILE):
        check_output(folder / name)
    if not (folder / RUN_RECORD).exists():
        return
    record = read_run(folder)
    there, here = record.get("world"), task.cell and dict(task.cell)
    if there != here:
        names = [f"the world {each['name']} ({each['hash']})" if each else "no world" for each in (there, here)]
        raise PolicyError(f"{folder} holds a run in {names[0]}, this one is in {names[1]}; name another folder")
    if record.get("task_hash", task.policy_hash) == task.policy_hash:
        return
    try:
        settings = load_task(folder / TASK_FILE).config.to_dict()
    except SoboError:
        settings = {}
    reason = explain(settings, task, str(record.get("robot_hash"))) or "its task file or robot was another"
    raise PolicyError(f"{folder} holds a run of another task: {reason}; name another folder")


def write_run(folder: Path, task: Task, about: Mapping[str, Any]) -> None:
    """Record what is trained.

    Args:
        folder: The run.
        task: Its task.
        about: What else to say.

    Raises:
        SoboError: The folder cannot be written to.
    """
    settings = task.config.to_dict()
    robot = getattr(task, "robot", None)
    if robot is not None and robot.path is not None and not _is_shipped(settings["robot"]["urdf"], robot.path):
        settings["robot"]["urdf"] = str(robot.path)
    head = "# The task that this run was trained for, with every setting.\n"
    write_bytes(folder / TASK_FILE, (head + yaml.safe_dump(settings, sort_keys=False)).encode())
    hashes: dict[str, Any] = {"task_hash": task.policy_hash, "robot_hash": task.robot_hash}
    if isinstance(task, ArmReach) and task.cell is not None:
        write_world(folder / WORLD_FILE, task.robot.world)
        hashes["world"] = dict(task.cell)
    write_json(folder / RUN_RECORD, {"task": task.name, "overrides": {}, **about, **hashes})


def _is_shipped(urdf: str, path: Path) -> bool:
    try:
        return share_path(urdf).resolve() == path
    except ConfigError:
        return False


def read_run(folder: Path) -> dict[str, Any]:
    """The record of a run.

    Raises:
        PolicyError: The folder holds no training run.
    """
    path = folder / RUN_RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {**record, "task": str(record["task"]), "overrides": dict(record["overrides"])}
    except OSError as error:
        raise PolicyError(f"no training run at {folder}: cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"{path} is damaged: {error!r}") from error


def task_of_run(folder: Path) -> Task:
    """The task that a run was trained for.

    Raises:
        PolicyError: The folder holds no training run, or its robot has changed since.
        ConfigError, RobotError: Its task cannot be loaded.
    """
    record = read_run(folder)
    task: Task
    if (folder / TASK_FILE).exists():
        task = load_task(folder / TASK_FILE)
    else:  # of an older version
        task = load_task(record["task"], **record["overrides"])
    world = record.get("world")
    if world is not None:
        assert isinstance(task, ArmReach)
        around = read_world(folder / WORLD_FILE, task.robot.root_link)
        if around.hash != world["hash"]:
            raise PolicyError(f"{folder / WORLD_FILE} is not the world {world['name']} of the run; train again")
        task = task.in_cell(around, world["name"], world["margin"])
    if record.get("robot_hash", task.robot_hash) != task.robot_hash:
        urdf = getattr(getattr(task, "robot", None), "path", None)
        raise PolicyError(f"{folder} was trained for another robot: {urdf or TASK_FILE} has changed since; train again")
    if record.get("task_hash", task.policy_hash) != task.policy_hash:
        raise PolicyError(f"{folder} was trained with other settings than {folder / TASK_FILE} has now; train again")
    return task
