"""What there is to see of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sobo_planner.planning import Plan
from sobo_planner.planning.plan_file import StoredPlan, read_motion, read_plan
from sobo_planner.robot import Robot
from sobo_planner.tasks import ArmReach
from sobo_planner.view.links import Colour, Looks, carrier, looks_of, matrix
from sobo_planner.view.surfaces import Surface, surface_of_parts
from sobo_planner.world import AttachedObject, HalfSpace, World

Array = NDArray[np.float64]

#: Of obstacles, of planes, of what is attached to links; of the proposal, the plan, and what was driven.
OBSTACLE, GROUND, ATTACHED = (0.80, 0.72, 0.58), (0.86, 0.86, 0.84), (0.45, 0.45, 0.48)
PROPOSAL, PLAN, EXECUTED = (0.93, 0.55, 0.14), (0.12, 0.38, 0.78), (0.13, 0.60, 0.30)


@dataclass(frozen=True)
class Item:
    """An object of a world as it is shown.

    Attributes:
        name: Of the object.
        joint: Index of the joint that carries it; -1: it stays where it is.
        surface: In that joint's frame, or the root link's.
        colour: Red, green, blue in [0, 1].
        plane: Whether it is a half-space, of which a square is shown.
    """

    name: str
    joint: int
    surface: Surface
    colour: Colour
    plane: bool = False


@dataclass(frozen=True)
class Motion:
    """A motion over time.

    Attributes:
        time: From its start, (N,) [s].
        Q: Joint positions, (N, n).
    """

    time: Array
    Q: Array

    def at(self, time: float) -> Array:
        """Joint positions (n,) at a time [s], linear in between; before and after, those of the ends."""
        return np.array([np.interp(time, self.time, column) for column in self.Q.T])


@dataclass(frozen=True)
class Scene:
    """A plan in its surroundings.

    Attributes:
        robot: The robot, in its world.
        goal: What was to be reached: position (3,) [m], pose (7,) or joints (n,).
        goal_type: `position`, `pose` or `joints`.
        plan: The motion that was planned.
        proposal: What it was refined from, if that is known.
        executed: What the arm did, if that is known.
        title: One line about the plan.
    """

    robot: Robot
    goal: Array
    goal_type: str
    plan: Motion
    proposal: Motion | None = None
    executed: Motion | None = None
    title: str = ""

    @classmethod
    def of_plan(cls, task: ArmReach, plan: Plan, executed: Motion | None = None) -> Scene:
        """A plan that was just made.

        Args:
            task: The task, in the world that was planned in (`Planner.among`).
            plan: The plan.
            executed: What the arm made of it.
        """
        goal_type = "joints" if plan.joint_error is not None else "pose" if len(plan.goal) == 7 else "position"
        proposal = None
        if plan.proposal is not None:
            X = plan.proposal.guess.X
            proposal = Motion(np.linspace(0.0, plan.proposal.duration or task.duration, len(X)), X[:, : task.nu])
        title = _title(task.name, plan.status.value, plan.source, plan.duration)
        return cls(task.robot, plan.goal, goal_type, Motion(plan.time, plan.X[:, : task.nu]), proposal, executed, title)

    @classmethod
    def of_stored(cls, stored: StoredPlan, executed: Path | None = None) -> Scene:
        """A plan from a file, and what was driven from another one.

        Raises:
            SoboError: Its task or its world cannot be read, or the other file cannot.
        """
        task = stored.load_task()
        summary, n = stored.summary, task.nu
        proposal = None if stored.proposal is None else Motion(stored.proposal[0], stored.proposal[1][:, :n])
        driven = None if executed is None else Motion(*read_motion(executed, n))
        plan = Motion(stored.time, stored.X[:, :n])
        title = _title(summary["task"], summary.get("status"), summary.get("source"), float(stored.time[-1]))
        return cls(task.robot, stored.goal, stored.goal_type, plan, proposal, driven, title)

    @classmethod
    def of_file(cls, path: Path, executed: Path | None = None) -> Scene:
        """As `of_stored`, from the path of a plan."""
        return cls.of_stored(read_plan(path), executed)

    @cached_property
    def looks(self) -> Looks:
        """What the robot looks like."""
        return looks_of(self.robot)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The objects of its world."""
        return items_of(self.robot, self.robot.world)

    def way(self, motion: Motion) -> Array:
        """Where the tool goes, (N, 3) [m]."""
        return np.asarray(self.robot.tool_positions(np.ascontiguousarray(motion.Q)))


def items_of(robot: Robot, world: World) -> tuple[Item, ...]:
    """The objects of a world as they are shown; half-spaces apart from the other shapes of their object."""
    items = []
    for each in world.everything:
        joint, colour = -1, OBSTACLE
        planes = [part for part in each.shapes if isinstance(part.shape, HalfSpace)]
        solid = [part for part in each.shapes if not isinstance(part.shape, HalfSpace)]
        surface = surface_of_parts(solid)
        if isinstance(each, AttachedObject):
            joint, placement = carrier(robot, each.link)
            surface, colour = surface.moved(matrix(placement), placement.position), ATTACHED
        if solid:
            items.append(Item(each.name, joint, surface, colour))
        if planes:
            items.append(Item(each.name, joint, surface_of_parts(planes), GROUND, plane=True))
    return tuple(items)


def _title(task: str, status: str | None, source: str | None, duration: float) -> str:
    return f"{task}: {status}, refined from {source}, {duration:.2f} s"
