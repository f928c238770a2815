"""`sobo plan`: plan one motion."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from sobo_planner.cli.shared import Flag, TaskCommand, finish, parse_overrides, policy_of
from sobo_planner.errors import ConfigError, TaskError
from sobo_planner.files import check_output

if TYPE_CHECKING:
    import numpy as np

    from sobo_planner.tasks import ArmReach

#: Exit status after a plan that ends too far from its goal.
EXIT_SHORT = 3


@dataclass(kw_only=True)
class Plan(TaskCommand):
    """Plan one motion: policy rollout, then refinement by the solver.

    The exit status is 3 for a plan that ends too far from the goal; its report says how far (`tool_error`).
    """

    goal: Annotated[tuple[float, ...], arg(metavar="X Y Z [QX QY QZ QW]")] = ()
    """Tool position to reach, in the base frame [m]; with a unit quaternion, the pose."""
    joints: Annotated[tuple[float, ...], arg(metavar="Q1 ... QN")] = ()
    """Joint positions to reach instead [rad]."""
    start: Annotated[tuple[float, ...], arg(metavar="Q1 ... QN")] = ()
    """Joint positions to start from, at rest [rad]. Default: the task's home configuration."""
    policy: Annotated[str, arg(metavar="DIR|none")] = "shipped"
    """Policy artifact, or "none". By default the task's shipped policy, if there is one."""
    deadline: float | None = None
    """Time limit [s]."""
    duration: float | None = None
    """How long the motion is to last [s]. By default as long as it has to."""
    velocity_scaling: float = 1.0
    """Share of the robot's speeds that the motion may use, 0 < s <= 1."""
    acceleration_scaling: float = 1.0
    """Share of the robot's accelerations that the motion may use, 0 < s <= 1."""
    world: Path | None = None
    """World file: obstacles, attached objects, pairs that may touch; or a MoveIt planning scene."""
    margin: float = 0.0
    """Distance to keep from its objects [m]."""
    json: Flag = False
    """Print the result as JSON."""
    out: Path | None = None
    """File for the whole trajectory with its gains, and what `sobo view` shows of it: .json or .npz."""

    def run(self) -> int:
        """Plan, print the result, and store the trajectory if asked."""
        import numpy as np

        from sobo_planner.planning.plan import PlanStatus
        from sobo_planner.planning.plan_file import SUFFIXES, PlannedFor, summarise, write_plan
        from sobo_planner.planning.planner import Planner
        from sobo_planner.safety import PlanChecker
        from sobo_planner.world import World, read_world

        if self.out is not None and self.out.suffix not in SUFFIXES:
            raise ConfigError(f"--out must end with .json or .npz, got {self.out}")
        if self.out is not None:
            check_output(self.out)
        task = self.load_arm()
        if bool(self.goal) == bool(self.joints):
            raise TaskError("give either --goal or --joints")
        if self.goal and len(self.goal) not in (3, 7):
            raise TaskError(f"--goal has {len(self.goal)} values; a position has 3, a pose 7")
        if self.joints and len(self.joints) != task.nu:
            raise TaskError(f"--joints has {len(self.joints)} values, {task.robot.name} has {task.nu} joints")
        world = World() if self.world is None else read_world(self.world, task.robot.root_link)
        planner = Planner(task, policy_of(task, self.policy), PlanChecker(task), world=world, margin=self.margin)
        state = start_state(task, self.start)
        result = planner.plan(
            state,
            np.asarray(self.goal) if self.goal else None,
            joints=np.asarray(self.joints) if self.joints else None,
            deadline=self.deadline,
            duration=self.duration,
            velocity_scaling=self.velocity_scaling,
            acceleration_scaling=self.acceleration_scaling,
        )
        summary = summarise(task, state, result)
        out = self.out
        made_for = PlannedFor(self.task, parse_overrides(self.overrides), world, self.margin)
        finish(
            json.dumps(summary, indent=2) if self.json else render(summary),
            None if out is None else lambda: write_plan(out, task, summary, result, made_for),
        )
        return EXIT_SHORT if result.status is PlanStatus.SHORT else 0


def start_state(task: ArmReach, positions: Sequence[float]) -> np.ndarray:
    """The state at rest at some joint positions, or at the task's home configuration if none are given."""
    import numpy as np

    q = np.asarray(positions if len(positions) else task.config.robot.home, dtype=float)
    if q.shape != (task.robot.nq,):
        raise TaskError(f"--start has {q.size} values, {task.robot.name} has {task.robot.nq} joints")
    return np.concatenate([q, np.zeros(task.robot.nv)])


def render(summary: dict[str, Any]) -> str:
    """The figures of a plan as text."""
    phases = ", ".join(f"{name} {value:.1f} ms" for name, value in summary["phases_ms"].items())
    goal = ", ".join(f"{value:.3f}" for value in summary["goal"])
    unit = "m" if summary["orientation_error"] is None else "m, quaternion"
    if summary["joint_error"] is not None:
        unit = "rad"
    error, angle = summary["tool_error"], summary["orientation_error"]
    distance = f"{1e3 * error:.1f} mm" if math.isfinite(error) else "unknown"
    if angle is not None:
        distance += f" and {math.degrees(angle):.2f} degrees"
    if summary["joint_error"] is not None:
        distance += f" and {summary['joint_error']:.4f} rad in a joint"
    around = summary["surroundings"]
    near, left = [], summary["left"]
    if left is not None:
        near = [f"leaves a contact first: {left['first']} is {1e3 * left['distance']:.1f} mm from {left['second']}"]
    if around is not None:
        near.append(f"{around['objects']} objects")
        if around["nearest"] is not None:
            near[-1] += f"; {' comes within {:.1f} mm of '.format(1e3 * around['distance']).join(around['nearest'])}"
        if around["policy_knows"]:
            near.append(f"the policy knows {around['policy_knows']}, this is another one: its way was judged by cost")
    return "\n".join(
        [
            f"{summary['task']} to ({goal}) {unit}: {summary['status']} after {summary['iterations']} iterations, "
            f"started from {summary['source']}",
            f"cost {summary['cost']:.4g}, constraint violation {summary['violation']:.1e}, final tool error {distance}",
            f"duration {summary['duration']:.2f} s; {phases}",
            *near,
        ]
    )
