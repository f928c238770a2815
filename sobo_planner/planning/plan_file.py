"""Plans as files, JSON or npz: the trajectory with its gains, and all that it takes to show what was planned."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.files import write_bytes
from sobo_planner.planning.plan import Plan
from sobo_planner.tasks import ArmReach, load_arm
from sobo_planner.world import World, world_from_dict

Array = NDArray[np.float64]

SUFFIXES = (".json", ".npz")
#: Arrays of a plan that are stored.
ARRAYS = ("time", "X", "U", "K")
#: What JSON files have beside the figures of a plan.
APART = (*ARRAYS, "joint_names", "planned_for", "proposal_time", "proposal_X")


@dataclass(frozen=True)
class PlannedFor:
    """What a plan was made for, beside its start and goal.

    Attributes:
        task: Name of a shipped task, or path of a task file.
        overrides: Values that replaced the file's, by key.
        world: What surrounded the arm.
        margin: Distance that was to be kept from its objects [m].
    """

    task: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    world: World = field(default_factory=World)
    margin: float = 0.0


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it was read.

    Attributes:
        path: The file.
        summary: The figures of the plan, see `summarise`.
        planned_for: Task, robot and world as plain values; empty in files of earlier versions.
        joint_names: The joints, in the order of the states.
        time: Times of the states from the start [s], (T+1,).
        X: States, (T+1, 2n).
        proposal: Times (M,) [s] and states (M, 2n) of the start that it was refined from; None: the file has none.
    """

    path: Path
    summary: dict[str, Any]
    planned_for: dict[str, Any]
    joint_names: tuple[str, ...]
    time: Array
    X: Array
    proposal: tuple[Array, Array] | None

    @property
    def goal(self) -> Array:
        """What to reach, (3,), (7,) or (n,); see `Plan.goal`."""
        return np.array(self.summary["goal"], float)

    @property
    def goal_type(self) -> str:
        """`position`, `pose` or `joints`."""
        if self.summary.get("joint_error") is not None:
            return "joints"
        return "position" if self.summary.get("orientation_error") is None else "pose"

    @property
    def missing(self) -> list[str]:
        """What the file does not have, because an earlier version wrote it."""
        there = {"world": bool(self.planned_for), "proposal": self.proposal is not None}
        return [what for what, known in there.items() if not known]

    def load_task(self) -> ArmReach:
        """The task that it was made for, in its world.

        Raises:
            SoboError: The task or the world cannot be read, or its robot is another one by now.
        """
        known = self.planned_for
        name = str(known.get("task", self.summary["task"]))
        try:
            task = load_arm(name, **known.get("overrides", {}))
            robot = task.robot
            if tuple(robot.joint_names) != self.joint_names or known.get("robot", robot.hash) != robot.hash:
                raise ConfigError(f"the robot of {name} is another one now; restore its URDF, or plan again")
            if not known.get("world"):
                return task
            return task.with_world(world_from_dict(known["world"], robot.root_link), float(known["margin"]))
        except (SoboError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{self.path}: what it was planned for cannot be loaded: {error}") from error


def summarise(task: ArmReach, state: Array, plan: Plan) -> dict[str, Any]:
    """The figures of a plan from a state (2n,), as JSON values."""
    return {
        "task": task.name,
        "start": state.tolist(),
        "goal": np.asarray(plan.goal).tolist(),
        "status": plan.status.value,
        "source": plan.source,
        "cost": float(plan.cost),
        "violation": float(plan.violation),
        "iterations": int(plan.iterations),
        "tool_error": float(plan.tool_error),
        "orientation_error": plan.orientation_error,
        "joint_error": plan.joint_error,
        "duration": plan.duration,
        "acceleration_jump": plan.acceleration_jump,
        "jerk": plan.jerk,
        "left": None if plan.left is None else asdict(plan.left),
        "surroundings": None if plan.surroundings is None else asdict(plan.surroundings),
        "phases_ms": {name: float(value) for name, value in plan.phases_ms.items()},
    }


def write_plan(path: Path, task: ArmReach, summary: dict[str, Any], plan: Plan, made_for: PlannedFor) -> None:
    """Write a plan with its trajectory, its gains, its proposal, and what it was planned for.

    Args:
        path: A file that ends with .json or .npz.
        task: The task.
        summary: The figures of the plan.
        plan: The plan.
        made_for: Names the task, and holds the world.

    Raises:
        SoboError: The file cannot be written.
    """
    file = Path(made_for.task).expanduser()
    known = {
        "task": str(file.resolve()) if file.suffix in (".yaml", ".yml") else made_for.task,
        "overrides": dict(made_for.overrides),
        "robot": task.robot.hash,
        "world": made_for.world.to_dict(),
        "margin": made_for.margin,
    }
    arrays = {name: np.asarray(getattr(plan, name)) for name in ARRAYS}
    if plan.proposal is not None:
        X, duration = plan.proposal.guess.X, plan.proposal.duration or task.duration
        arrays |= {"proposal_time": np.linspace(0.0, duration, len(X)), "proposal_X": X}
    names = list(task.robot.joint_names)
    if path.suffix == ".npz":
        texts = {"summary": json.dumps(summary), "planned_for": json.dumps(known)}
        content = io.BytesIO()
        np.savez(
            content,
            allow_pickle=False,
            joint_names=np.array(names),
            **{name: np.array(text) for name, text in texts.items()},
            **arrays,
        )
        write_bytes(path, content.getvalue())
        return
    lists = {name: array.tolist() for name, array in arrays.items()}
    write_bytes(path, json.dumps({**summary, "planned_for": known, "joint_names": names, **lists}).encode())


def read_plan(path: Path) -> StoredPlan:
    """Read a plan that `sobo plan --out` has written, also one of an earlier version.

    Raises:
        ConfigError: It cannot be read, or is no plan.
    """
    content = _content(path)
    try:
        names = tuple(str(name) for name in content["joint_names"])
        time, X = _motion(content, "", len(names))
        proposal = _motion(content, "proposal_", len(names)) if "proposal_X" in content else None
        stored = StoredPlan(path, content["summary"], content.get("planned_for", {}), names, time, X, proposal)
        if stored.goal.ndim != 1 or "task" not in stored.summary:
            raise ValueError("its goal or its task is missing")
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(f"{path} is not a plan of `sobo plan --out`: {reason}") from error
    return stored


def read_motion(path: Path, joints: int) -> tuple[Array, Array]:
    """Read a motion that was driven: times (N,) [s] and joint positions (N, n).

    Args:
        path: A .json or .npz file with `time`, (N,), and `X`, states (N, 2n) or joint positions (N, n), such as those
            of an `Execution` or of a plan.
        joints: n.

    Raises:
        ConfigError: It cannot be read, or is no motion of so many joints.
    """
    try:
        time, X = _motion(_content(path), "", joints)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(f"{path} is not a motion of `time` and `X`: {reason}") from error
    return time, X[:, :joints]


def _motion(content: Mapping[str, Any], prefix: str, joints: int) -> tuple[Array, Array]:
    """Times and states of a motion of so many joints."""
    time, X = (np.asarray(content[prefix + key], float) for key in ("time", "X"))
    if X.ndim != 2 or X.shape[1] not in (joints, 2 * joints) or len(X) < 2 or time.shape != X.shape[:1]:
        wanted = f"a row for each time, at least two, and {joints} or {2 * joints} columns"
        raise ValueError(f"{prefix}X needs {wanted}; it has the shape {X.shape}, {prefix}time {time.shape}")
    if not np.isfinite(X).all() or not (np.diff(time) > 0.0).all():
        raise ValueError(f"a number in {prefix}X is not finite, or {prefix}time does not increase")
    return time, X


def _content(path: Path) -> dict[str, Any]:
    """What a file holds by name; of JSON files, the figures of a plan are brought together as `summary`."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path} must end with {' or '.join(SUFFIXES)}")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                found: dict[str, Any] = {name: file[name] for name in file.files}
            for key in ("summary", "planned_for"):
                if key in found:
                    found[key] = json.loads(str(found[key]))
        else:
            data = json.loads(path.read_bytes())
            found = {key: data[key] for key in APART if key in data}
            found["summary"] = {key: value for key, value in data.items() if key not in APART}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} is damaged: {' '.join(str(error).split())[:200]}") from error
    if not all(isinstance(found.get(key, {}), dict) for key in ("summary", "planned_for")):
        raise ConfigError(f"{path} is damaged: `summary` and `planned_for` must be mappings")
    return found
