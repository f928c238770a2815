"""What in bags gives candidates: plans, motions, trajectories and goals, each of which counts once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import partial

import numpy as np

from sobo_planner.motion import splined
from sobo_planner.robot.frames import Placement
from sobo_planner.tasks import ArmReach
from sobo_training.bags.candidates import Candidate, Filters, Found, UnusedError
from sobo_training.bags.checks import REACHED, Checks
from sobo_training.bags.contents import Contents
from sobo_training.bags.goals import Goal
from sobo_training.bags.joint_states import Array
from sobo_training.bags.motions import Motion
from sobo_training.bags.plans import LoggedPlan
from sobo_training.bags.records import SECOND, Times
from sobo_training.bags.worlds import LoggedWorlds, UnknownWorldError

# A motion belongs to the last goal up to this long before it [s], and to a plan recorded up to this long before it.
SERVED_WITHIN, PLANNED_BEFORE = 10.0, 1.5
# A motion counts as begun after a goal that was recorded this much later [s].
EARLY = 0.5
# A goal that comes this long after a motion began, and before it ends [s], is one that it turns to.
UNDERWAY = 0.3
# Motions that do not bring the tool anywhere teach nothing [m].
NEAREST = 0.01
# A goal without a motion needs a state that is no older than this [s].
STATE_AGE = 0.5


class Selection:
    """Makes candidates of what is in bags; what comes twice counts once.

    Args:
        task: The present task.
        filters: What is used.
    """

    def __init__(self, task: ArmReach, filters: Filters) -> None:
        self._task, self._checks = task, Checks(task, filters)
        self._known: set[str] = set()
        self._worlds = LoggedWorlds(task.robot.root_link)  # of the bag at hand
        self.found = Found()

    def add(self, contents: Contents) -> None:
        """Adds the candidates of a bag."""
        unused, self._worlds = self.found.unused, contents.worlds
        for kind, causes in (("motion", contents.unused_motions), ("plan", contents.unused_plans)):
            unused[kind].update(causes)
        bag, served = str(contents.bag.path), [goal for goal in contents.goals if not self._refused(goal, contents)]
        base = contents.names.base or self._checks.base
        for plan in contents.plans:
            self._keep("plan", partial(self._of_plan, plan, bag, base))
        plans = np.array(sorted(plan.recorded for plan in contents.plans), np.int64)
        for motion in contents.motions:
            self._keep("motion", partial(self._of_motion, motion, bag, served, plans))
        measured = np.array(sorted((motion.begin, motion.end) for motion in contents.motions), np.int64).reshape(-1, 2)
        for motion in contents.trajectories:
            self._keep("trajectory", partial(self._of_trajectory, motion, bag, measured, plans))
        begun = np.sort(np.concatenate([plans, measured[:, 0], [each.begin for each in contents.trajectories]]))
        for goal in contents.goals:
            self._keep("goal", partial(self._of_goal, goal, contents, begun, measured))

    def _keep(self, kind: str, make: Callable[[], Candidate]) -> None:
        try:
            candidate = make()
            if candidate.key in self._known:
                raise UnusedError("recorded twice")
            self._known.add(candidate.key)
            self.found.candidates.append(candidate)
        except (UnusedError, UnknownWorldError) as error:
            self.found.unused[kind][str(error)] += 1

    def _refused(self, goal: Goal, contents: Contents) -> bool:
        """Whether the node answered a goal with a refusal."""
        base = contents.names.base or self._checks.base
        return any(
            refusal.goal is not None
            and 0 <= refusal.recorded - goal.recorded <= SERVED_WITHIN * SECOND
            and len(refusal.goal) in (3, 7)
            and np.allclose(base.goal(refusal.goal[:3]), goal.target)
            for refusal in contents.refusals
        )

    # ---------------------------------------------------------------- kinds

    def _of_plan(self, plan: LoggedPlan, bag: str, base: Placement) -> Candidate:
        task, n = self._task, self._task.nu
        self._checks.check_status(plan.status)
        self._checks.check_error(plan.error)
        stretch = plan.duration / task.nominal.duration
        states = plan.X
        if len(states) != task.horizon + 1:
            knots = plan.dt * np.arange(len(states), dtype=np.float64)
            states = splined(knots, states, np.linspace(0.0, knots[-1], task.horizon + 1))
        same = len(plan.X) == task.horizon + 1 and abs(stretch - 1.0) < 1e-6
        states = np.hstack([states[:, :n], states[:, n:] * stretch])
        target = task.robot.tool_position(states[-1, :n])
        if plan.goal is not None and plan.goal_type != "joints" and len(plan.goal) in (3, 7):
            asked = base.goal(plan.goal[:3])
            # seven numbers are a pose, or the goal of seven joints
            if len(plan.goal) == 3 or plan.goal_type or np.linalg.norm(asked - target) <= REACHED:
                target = asked
        world = self._worlds.of(plan.world, plan.recorded)
        instance = self._checks.instance(world, states[0], target, states[-1, :n])
        if not (same and plan.nominal):
            return Candidate("plan", bag, plan.begin, instance, states, stretch=stretch, world=world)
        return Candidate("plan", bag, plan.begin, instance, states, plan.U, plan.K, world=world)

    def _of_motion(self, motion: Motion, bag: str, goals: list[Goal], plans: Times) -> Candidate:
        first = np.searchsorted(plans, motion.begin - round(PLANNED_BEFORE * SECOND))
        if first < len(plans) and plans[first] <= motion.end:
            raise UnusedError("its plan was recorded, which counts instead")
        margin = round(UNDERWAY * SECOND)
        sent = _last(goals, motion.begin + margin, motion.end - margin)
        if sent is not None:  # the way to the goal before it was not ended
            motion = motion.since(sent.recorded)
        end = self._task.robot.tool_position(motion.position[-1])
        goal = _last(goals, motion.begin - round(SERVED_WITHIN * SECOND), motion.end)
        error = np.nan if goal is None else float(np.linalg.norm(goal.target - end))
        self._checks.check_error(error)
        target = end if goal is None or error > REACHED else goal.target
        return self._of_path("motion", motion, bag, target)

    def _of_trajectory(self, motion: Motion, bag: str, measured: Times, plans: Times) -> Candidate:
        if ((measured[:, 0] <= motion.end) & (measured[:, 1] >= motion.begin)).any():
            raise UnusedError("the motion was measured, which counts instead")
        first = np.searchsorted(plans, motion.begin - SECOND)
        if first < len(plans) and plans[first] <= motion.begin + SECOND:
            raise UnusedError("its plan was recorded, which counts instead")
        return self._of_path("trajectory", motion, bag, self._task.robot.tool_position(motion.position[-1]))

    def _of_path(self, kind: str, motion: Motion, bag: str, target: Array) -> Candidate:
        task = self._task
        position = self._checks.inside(motion.at(np.linspace(0.0, 1.0, task.horizon + 1)))
        velocity = np.gradient(position, task.nominal.dt, axis=0)
        velocity[[0, -1]] = motion.velocity, np.zeros(task.nu)
        states = np.hstack([position, velocity])
        if np.linalg.norm(task.robot.tool_position(position[0]) - target) < NEAREST:
            raise UnusedError(f"the tool was nearer than {NEAREST:g} m to where it ended")
        world = self._worlds.of(None, motion.begin)
        instance = self._checks.instance(world, states[0], target, position[-1])
        stretch = motion.duration / task.nominal.duration
        return Candidate(kind, bag, motion.stamp, instance, states, stretch=stretch, world=world)

    def _of_goal(self, goal: Goal, contents: Contents, begun: Times, measured: Times) -> Candidate:
        later = [each.recorded for each in contents.goals if each.recorded > goal.recorded]
        until = min([goal.recorded + round(SERVED_WITHIN * SECOND), *later])
        first = np.searchsorted(begun, goal.recorded - round(EARLY * SECOND))
        moving = ((measured[:, 0] <= goal.recorded) & (measured[:, 1] >= goal.recorded)).any()
        if moving or (first < len(begun) and begun[first] <= until):
            raise UnusedError("a plan or a motion follows, which counts instead")
        x0 = self._state_at(goal.recorded, contents.history)
        world = self._worlds.of(None, goal.recorded)
        instance = self._checks.instance(world, x0, goal.target)
        return Candidate("goal", str(contents.bag.path), goal.recorded, instance, world=world)

    def _state_at(self, time: int, history: list[tuple[int, Array]]) -> Array:
        """The arm at rest at a time [ns], (nx,)."""
        place = bisect_right(history, time, key=lambda each: each[0]) - 1
        if place < 0 or time - history[place][0] > STATE_AGE * SECOND:
            raise UnusedError("no state of the arm at that time")
        q = history[place][1]
        return np.concatenate([self._checks.inside(q), np.zeros(self._task.nu)])


def _last(goals: list[Goal], begin: int, end: int) -> Goal | None:
    """The last goal between two times [ns]."""
    between = [goal for goal in goals if begin <= goal.recorded <= end]
    return max(between, key=lambda goal: goal.recorded) if between else None
