"""The problems of MotionBenchMaker, planned and checked, scene by scene.

A problem counts as solved if the plan reaches its goal in time, and neither a contact nor an exceeded limit is found
along its splines, contacts by a check without this project's code. Times are CPU times of one thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from sobo_planner.errors import ConfigError, DatasetError, SoboError
from sobo_planner.files import write_json
from sobo_planner.planning import Planner
from sobo_planner.safety import PlanChecker
from sobo_planner.safety.curve import extremes
from sobo_planner.tasks import ArmReach, load_arm
from sobo_training.bench import machine
from sobo_training.bench.options import NotMeasured
from sobo_training.bench.worlds.check import Check
from sobo_training.bench.worlds.problems import goal_near, read_problems, world_of

SPEED, ACCELERATION = 3.14, 12.0  # [rad/s, rad/s^2]
#: By how much the check lets a limit be exceeded, relatively.
SLACK = 0.01
DEADLINE = 5.0  # [s] of CPU time
GOALS = ("joints", "pose")


@dataclass(frozen=True)
class WorldsOptions:
    """What is planned.

    Attributes:
        data: File of the problems.
        problems: How many of each scene, the first ones; 0 for all.
        scenes: Names; all if empty.
        goal: `joints`, or `pose` for the tool's pose at the goal.
        gripper: With the spheres of a gripper at the tool.
        peer: OMPL and toppra on the same problems.
    """

    data: Path
    problems: int = 0
    scenes: tuple[str, ...] = ()
    goal: str = "joints"
    gripper: bool = False
    peer: bool = False

    def __post_init__(self) -> None:
        if self.problems < 0:
            raise ConfigError(f"problems must not be negative, got {self.problems}")
        if self.goal not in GOALS:
            raise ConfigError(f"unknown goal {self.goal!r}; known: {', '.join(GOALS)}")
        if self.peer and (missing := [name for name in ("ompl", "toppra") if find_spec(name) is None]):
            raise NotMeasured(f"the peer needs {' and '.join(missing)}: pip install {' '.join(missing)}")


def bench_worlds(options: WorldsOptions, path: Path | None = None, progress: bool = True) -> dict[str, Any]:
    """Plans for the problems.

    Args:
        options: Which problems.
        path: File of the report, written after each scene; scenes that it holds for the same options are not repeated.
        progress: Show a progress bar.

    Returns:
        JSON values: `options`, `machine`, `versions`, `scenes` (figures), `all`, `problems` (a record each).

    Raises:
        DatasetError: The file of the problems or that of the report cannot be used, or a scene is unknown.
    """
    data = read_problems(options.data)
    scenes = options.scenes or tuple(data["problems"])
    if unknown := [scene for scene in scenes if scene not in data["problems"]]:
        raise DatasetError(f"no scene {unknown[0]!r} in {options.data}; known: {', '.join(data['problems'])}")
    asked = {name: value for name, value in asdict(options).items() if name not in ("data", "scenes")}
    records = _held(path, asked)
    spheres = data["tool"]["spheres"] if options.gripper else []
    # Neither planner leaves a part of the speeds to a controller.
    task = load_arm("ur5", **{"robot.acceleration_limits": [ACCELERATION], "tracking.speed_margin": 0.0})
    planner = Planner(task, checker=PlanChecker(task))
    planner.prepare(options.goal)
    for scene in scenes:
        if scene in records:
            continue
        chosen = list(data["problems"][scene].items())[: options.problems or None]
        shown = tqdm(chosen, scene, unit="problem", disable=not progress, leave=False)
        records[scene] = [{"problem": name, **solve(planner, task, each, options, spheres)} for name, each in shown]
        if path is not None:
            write_json(path, _report(asked, records))
    return _report(asked, {scene: records[scene] for scene in scenes})


def _held(path: Path | None, asked: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What an earlier call has stored."""
    if path is None or not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text())
        options, records = report["options"], report["problems"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DatasetError(f"{path} holds no report of this benchmark: {error}; name another file") from error
    if options != asked:
        raise DatasetError(f"{path} holds the report for {options}, this call asks for {asked}; name another file")
    return dict(records)


def _report(asked: dict[str, Any], records: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "options": asked,
        "machine": machine.describe(),
        "versions": machine.versions(),
        "all": summary([each for some in records.values() for each in some]),
        "scenes": {scene: summary(some) for scene, some in records.items()},
        "problems": dict(records),
    }


def solve(
    planner: Planner,
    task: ArmReach,
    problem: dict[str, Any],
    options: WorldsOptions,
    spheres: Sequence[Sequence[float]],
) -> dict[str, Any]:
    """One problem; `valid` is false if its start or goal touches something."""
    start = np.array(problem["start"])
    limits = task.robot.position_lower, task.robot.position_upper
    goal, world = goal_near(start, np.array(problem["goals"][0]), *limits), world_of(problem, spheres)
    check = Check(str(task.robot.path), problem, spheres)
    if check.touches(start) or check.touches(goal):
        return {"valid": False}
    target: dict[str, Any] = {"joints": goal} if options.goal == "joints" else {"goal": task.robot.tool_pose(goal)}
    out: dict[str, Any] = {"valid": True, "solved": False, "why": ""}
    began = time.thread_time()
    try:
        state = np.concatenate([start, np.zeros(task.nu)])
        share = SPEED / task.robot.velocity_limit.max()
        plan = planner.plan(state, world=world, velocity_scaling=share, deadline=DEADLINE, **target)
    except SoboError as error:
        out["why"] = f"{type(error).__name__}: {error}"
    out["ms"] = 1e3 * (time.thread_time() - began)
    if not out["why"]:
        out |= {"duration": plan.duration, "source": plan.source, "iterations": plan.iterations}
        out["why"] = fault(plan, check, task.nu, out["ms"])
        out["solved"] = not out["why"]
    if options.peer:
        from sobo_training.bench.worlds import peer

        out["peer"] = peer.plan(check, start, goal, SPEED, ACCELERATION)
    return out


def fault(plan: Any, check: Check, n: int, milliseconds: float) -> str:
    """Why a plan of n joints does not count; empty if it does."""
    if not plan.reached:
        return str(plan.reason)
    contact = check.contact(plan.time, plan.X[:, :n], plan.X[:, n:])
    if contact is not None:
        return f"contact at {contact:.3f} s"
    return exceeded(plan, n) or ("late" if milliseconds > 1e3 * DEADLINE else "")


def exceeded(plan: Any, n: int) -> str:
    """Which limit the splines of a plan of n joints exceed; empty if none."""
    peaks = extremes(plan.time, plan.X[:, :n], plan.X[:, n:])
    for name, sides, most in (("speed", peaks.velocity, SPEED), ("acceleration", peaks.acceleration, ACCELERATION)):
        largest = max(np.abs(side).max() for side in sides)
        if largest > (1.0 + SLACK) * most:
            return f"{name} {largest:.2f}"
    return ""


def summary(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of some problems."""
    valid = [each for each in records if each["valid"]]
    times = [each["ms"] for each in valid] or [0.0]
    out = {
        "valid": len(valid),
        "solved": sum(each["solved"] for each in valid),
        "past_objects": sum(each.get("source") == "global" for each in valid),
        "ms_p50": float(np.median(times)),
        "ms_p95": float(np.percentile(times, 95)),
        "ms_max": float(np.max(times)),
    }
    pairs = [each for each in valid if each["solved"] and each.get("peer")]
    if pairs:
        out["peer_solved"] = sum(bool(each.get("peer")) for each in valid)
        out["duration_over_peer"] = float(np.median([each["duration"] / each["peer"]["duration"] for each in pairs]))
        out["ms_over_peer"] = float(np.median([each["ms"] / each["peer"]["ms"] for each in pairs]))
        out["peer_ms_p50"] = float(np.median([each["peer"]["ms"] for each in pairs]))
    return out


def render(report: Mapping[str, Any]) -> str:
    """The report as text: a line a scene, and each problem that is not solved."""
    lines = [f"{'scene':18} {'solved':>11} {'ms p50':>8} {'p95':>8} {'max':>8}  past objects"]
    for scene, figures in [*report["scenes"].items(), ("all", report["all"])]:
        solved = f"{figures['solved']} of {figures['valid']}"
        times = " ".join(f"{figures[name]:8.0f}" for name in ("ms_p50", "ms_p95", "ms_max"))
        peer = ""
        if "peer_solved" in figures:
            peer = (
                f"   peer: {figures['peer_solved']} solved; duration x {figures['duration_over_peer']:.2f}, "
                f"time x {figures['ms_over_peer']:.2f} of it"
            )
        lines.append(f"{scene:18} {solved:>11} {times}  {figures['past_objects']}{peer}")
    failed = [
        f"{scene} {each['problem']}: {each['why'][:160]}"
        for scene, some in report["problems"].items()
        for each in some
        if each.get("why")
    ]
    return "\n".join([*lines, *(["", "not solved:", *failed] if failed else [])])
