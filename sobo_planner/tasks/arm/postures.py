"""The postures of an arm: drawn, and found at a target by inverse kinematics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import GoalError, TaskError
from sobo_planner.robot import Robot
from sobo_planner.robot.kinematics import inverse_kinematics
from sobo_planner.solver import UNLIMITED, Budget, Instance
from sobo_planner.tasks.arm.config import ArmConfig

Array = NDArray[np.float64]

# Tries before a sample, or the reachability of a goal, is given up.
MAX_TRIES = 1000
# Of 1000 poses of the UR5, 12 tries miss 6 and 25 miss one.
IK_TRIES = {"position": 12, "pose": 50}
# Where else than at the start the search for postures at a goal begins: so often, so far from it at most [rad]. Nine in
# ten that find one do so within half of these iterations.
POSTURE_TRIES = {"position": 8, "pose": 12}
POSTURE_SPREAD = 2.0
POSTURE_ITERATIONS = 60
# Searches for a posture among objects, where none of those is free.
FREE_TRIES = 60
# Postures that differ by less [rad] are the same.
SAME_POSTURE = 0.05


class ArmPostures:
    """Configurations of one arm, and how far they are from a target.

    Attributes:
        name: Name of the task.
        config: The resolved task file.
        robot: The arm.
        goal_type: What a target is: `position`, `pose` or `joints`.
    """

    name: str
    config: ArmConfig
    robot: Robot
    goal_type: str
    _known_postures: dict[Any, list[Array]]

    def _sample_configuration(self, rng: np.random.Generator, centre: Array | None) -> Array:
        """A collision-free configuration, anywhere or in the small area around `centre`."""
        half = self.config.distribution.start_spread if centre is not None else self.config.distribution.range
        middle = np.zeros(self.robot.nv) if centre is None else centre
        lower = np.maximum(self.robot.position_lower, middle - half)
        upper = np.minimum(self.robot.position_upper, middle + half)
        for _ in range(MAX_TRIES):
            q = rng.uniform(lower, upper)
            if self.robot.colliding_pair(q) is None:
                return q
        raise TaskError(f"{MAX_TRIES} configurations of {self.name} were drawn, and in all of them something touches")

    def nearest(self, instance: Instance) -> Instance:
        """The instance with the nearest of its equivalent targets: joints need not make whole turns.

        Positions and poses are as they are.
        """
        if self.goal_type != "joints" or np.shape(instance.target) != (self.robot.nq,):
            return instance
        target = np.asarray(instance.target, float)
        if not np.isfinite(target).all():
            return instance
        return Instance(instance.x0, self._unwound(target, instance.x0[: self.robot.nq]))

    def reachable_configuration(
        self, q: Array, target: Array, rng: np.random.Generator | None = None, budget: Budget = UNLIMITED
    ) -> Array | None:
        """A configuration with the tool at the target: near q if there is one, else from other starts; or None.

        With `rng` the search starts at random configurations instead of q.

        Raises:
            DeadlineError: The budget ran out.
        """
        random = rng or np.random.default_rng(0)  # fixed, so that a goal is accepted or refused always alike
        start = q if rng is None else self._sample_configuration(random, None)
        for _ in range(IK_TRIES[self.goal_type]):
            found = inverse_kinematics(self.robot, start, target, over=budget.over)
            if found is not None:
                return self.robot.unwound(found, q)
            budget.check("the inverse kinematics of the goal")
            start = self._sample_configuration(random, None)
        return None

    def goal_configuration(self, instance: Instance, budget: Budget = UNLIMITED) -> Array:
        """A configuration at the target, near the start if there is one, (nq,).

        Raises:
            GoalError: The target is out of reach.
            DeadlineError: The budget ran out.
        """
        if self.goal_type == "joints":
            return instance.target
        q = self.reachable_configuration(instance.x0[: self.robot.nq], instance.target, budget=budget)
        if q is None:
            what = "m is" if self.goal_type == "position" else "(m, quaternion) is"
            raise GoalError(
                f"the target {np.round(instance.target, 4).tolist()} {what} out of reach of {self.robot.name}"
            )
        return q

    def goal_postures(self, instance: Instance, budget: Budget = UNLIMITED) -> list[Array]:
        """Different configurations at a target position or pose not far from the start.

        None touches anything if that can be. The search for further ones ends with the budget. Among objects, where it
        takes long and is asked for several times, the last result is kept.

        Raises:
            TaskError: The target is out of reach.
            DeadlineError: The budget ran out before there was one.
        """
        if not self.robot.world.everything:
            return self._postures(instance, budget)
        key = (self.robot.native, np.concatenate([instance.x0, instance.target]).tobytes())
        if key not in self._known_postures:
            found = self._postures(instance, budget)
            if budget.over():
                return found
            self._known_postures.clear()
            self._known_postures[key] = found
        return self._known_postures[key]

    def _postures(self, instance: Instance, budget: Budget) -> list[Array]:
        robot, q, rng = self.robot, instance.x0[: self.robot.nq], np.random.default_rng(0)
        found = [self._unwound(self.goal_configuration(instance, budget), q)]
        for _ in range(POSTURE_TRIES[self.goal_type]):
            if budget.over():
                break
            start = q + rng.uniform(-POSTURE_SPREAD, POSTURE_SPREAD, robot.nq)
            start = np.clip(start, robot.position_lower, robot.position_upper)
            other = inverse_kinematics(
                robot, start, instance.target, max_iterations=POSTURE_ITERATIONS, over=budget.over
            )
            if other is None:
                continue
            other = self._unwound(other, q)
            if all(np.abs(other - each).max() > SAME_POSTURE for each in found):
                found.append(other)
        free = [each for each in found if robot.colliding_pair(each) is None]
        return free or self._free_postures(instance, budget) or found

    def _free_postures(self, instance: Instance, budget: Budget) -> list[Array]:
        """A posture at the target that touches nothing, found from anywhere; none without objects, or where none is."""
        rng, q = np.random.default_rng(1), instance.x0[: self.robot.nq]
        if not self.robot.world.everything:
            return []
        for _ in range(FREE_TRIES):
            if budget.over():
                break
            start = rng.uniform(
                np.maximum(self.robot.position_lower, q - np.pi), np.minimum(self.robot.position_upper, q + np.pi)
            )
            other = inverse_kinematics(
                self.robot, start, instance.target, max_iterations=POSTURE_ITERATIONS, over=budget.over
            )
            if other is not None and self.robot.contact(other := self._unwound(other, q)) is None:
                return [other]
        return []

    def _unwound(self, q: Array, start: Array) -> Array:
        """The configuration q without whole turns of joints away from the start that its pose does not need."""
        robot, out = self.robot, q.copy()
        for joint in np.flatnonzero(np.abs(q - start) > np.pi):
            other = out.copy()
            other[joint] -= 2.0 * np.pi * np.round((q[joint] - start[joint]) / (2.0 * np.pi))
            allowed = robot.position_lower[joint] <= other[joint] <= robot.position_upper[joint]
            # a joint that slides changes the pose
            if allowed and np.allclose(robot.pose_error(other, robot.tool_pose(out)), 0.0, atol=1e-6):
                out = other
        return out

    # ---------------------------------------------------------------- errors

    def distance(self, x: Array, target: Array) -> float:
        """Of the tool [m]; of the farthest joint [rad or m] where joints are the goal."""
        if self.goal_type == "joints":
            return float(np.abs(x[: self.robot.nq] - target).max())
        return self.tool_distance(x, target)

    def tool_distance(self, x: Array, target: Array) -> float:
        """Of the tool at the state x (nx,) to where the target puts it [m]."""
        place = self.robot.tool_position(target) if self.goal_type == "joints" else target[:3]
        return float(np.linalg.norm(self.robot.tool_position(x[: self.robot.nq]) - place))

    def orientation_error(self, x: Array, target: Array) -> float:
        """Angle between the tool at the state x (nx,) and the target pose (7,) [rad]."""
        return float(np.linalg.norm(self.robot.pose_error(x[: self.robot.nq], target)[3:]))
