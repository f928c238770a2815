"""What `sobo plan` does, and what all sub-commands on a task share."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from sobo_planner.errors import ConfigError, SoboError, TaskError
from sobo_planner.paths import share_path
from sobo_planner.tasks import load_arm, load_task

if TYPE_CHECKING:
    from sobo_planner.cli import commands
    from sobo_planner.planning.planner import Plan
    from sobo_planner.policy import Policy
    from sobo_planner.tasks import ArmReach, Task

#: Arrays of a plan that `--out` stores.
ARRAYS = ("time", "X", "U", "K")


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse `key=value` pairs; values are read as YAML, and `1e-3` as a number too.

    Raises:
        ConfigError: A pair has no `=`, no key, or a value that is not YAML.
    """
    overrides: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set expects KEY=VALUE, got {pair!r}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {key}: {text!r} is not a YAML value") from error
        overrides[key] = _number(value)
    return overrides


def _number(value: Any) -> Any:
    """YAML 1.1 takes `1e-3` for text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def task_of(command: commands.TaskCommand) -> Task:
    """Load the task that a sub-command names, with its overrides."""
    return load_task(command.task, **parse_overrides(command.overrides))


def arm_of(command: commands.TaskCommand) -> ArmReach:
    """The same for commands that plan."""
    return load_arm(command.task, **parse_overrides(command.overrides))


def shipped_policy(task: Task) -> Path | None:
    """Folder of the policy that is shipped for a task, None if there is none."""
    try:
        return share_path(f"config/policies/{task.name}")
    except ConfigError:
        return None


def policy_of(task: Task, choice: str) -> Policy | None:
    """The policy that `--policy` asks for: "none", "shipped", or an artifact's folder."""
    from sobo_planner.policy import Policy

    folder = shipped_policy(task) if choice == "shipped" else Path(choice)
    return None if choice == "none" or folder is None else Policy.load(folder, task)


def start_state(task: ArmReach, positions: Sequence[float]) -> np.ndarray:
    """The state at rest at some joint positions, or at the task's home configuration if none are given."""
    q = np.asarray(positions if len(positions) else task.config.robot.home, dtype=float)
    if q.shape != (task.robot.nq,):
        raise TaskError(f"--start has {q.size} values, {task.robot.name} has {task.robot.nq} joints")
    return np.concatenate([q, np.zeros(task.robot.nv)])


def plan(command: commands.Plan) -> int:
    """Plan one motion, print the result, store the trajectory if asked."""
    from sobo_planner.planning.planner import Planner
    from sobo_planner.safety import PlanChecker

    if command.out is not None and command.out.suffix not in (".json", ".npz"):
        raise ConfigError(f"--out must end with .json or .npz, got {command.out}")
    task = arm_of(command)
    if len(command.goal) not in (3, 7):
        raise TaskError(f"--goal has {len(command.goal)} values; a position has 3, a pose 7")
    planner = Planner(task, policy_of(task, command.policy), PlanChecker(task))
    state = start_state(task, command.start)
    result = planner.plan(state, np.asarray(command.goal), deadline=command.deadline)
    summary = summarise(task, state, result)
    if command.out is not None:
        store(command.out, task, summary, result)
    print(json.dumps(summary, indent=2) if command.json else render(summary))
    return 0


def summarise(task: ArmReach, state: np.ndarray, result: Plan) -> dict[str, Any]:
    """The figures of a plan, as JSON values."""
    return {
        "task": task.name,
        "start": state.tolist(),
        "goal": np.asarray(result.goal).tolist(),
        "status": result.status.value,
        "source": result.source,
        "cost": float(result.cost),
        "violation": float(result.violation),
        "iterations": int(result.iterations),
        "tool_error": float(result.tool_error),
        "orientation_error": result.orientation_error,
        "duration": float(result.time[-1]),
        "phases_ms": {name: float(value) for name, value in result.phases_ms.items()},
    }


def store(path: Path, task: ArmReach, summary: dict[str, Any], result: Plan) -> None:
    """Write a plan with its trajectory and gains.

    Raises:
        SoboError: The file cannot be written.
    """
    arrays = {name: np.asarray(getattr(result, name)) for name in ARRAYS}
    try:
        if path.suffix == ".npz":
            contents: dict[str, Any] = {"joint_names": np.array(task.robot.joint_names), **arrays}
            np.savez(path, summary=np.array(json.dumps(summary)), **contents)
            return
        lists = {name: array.tolist() for name, array in arrays.items()}
        path.write_text(json.dumps({**summary, "joint_names": list(task.robot.joint_names), **lists}))
    except OSError as error:
        raise SoboError(f"cannot write {path}: {error.strerror}") from error


def render(summary: dict[str, Any]) -> str:
    """The figures of a plan as text."""
    phases = ", ".join(f"{name} {value:.1f} ms" for name, value in summary["phases_ms"].items())
    goal = ", ".join(f"{value:.3f}" for value in summary["goal"])
    unit = "m" if summary["orientation_error"] is None else "m, quaternion"
    error, angle = summary["tool_error"], summary["orientation_error"]
    distance = f"{1e3 * error:.1f} mm" if math.isfinite(error) else "unknown"
    if angle is not None:
        distance += f" and {math.degrees(angle):.2f} degrees"
    return "\n".join(
        [
            f"{summary['task']} to ({goal}) {unit}: {summary['status']} after {summary['iterations']} iterations, "
            f"started from {summary['source']}",
            f"cost {summary['cost']:.4g}, constraint violation {summary['violation']:.1e}, final tool error {distance}",
            f"duration {summary['duration']:.2f} s; {phases}",
        ]
    )
