"""The instances of an arm: drawn, checked, and reached by inverse kinematics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native
from sobo_planner.errors import GoalError, StartError, TaskError
from sobo_planner.robot import Robot
from sobo_planner.robot.kinematics import inverse_kinematics
from sobo_planner.solver import UNLIMITED, Budget, Instance
from sobo_planner.tasks.arm.cell import NEAR, ToolDistance
from sobo_planner.tasks.arm.config import ArmConfig

Array = NDArray[np.float64]

# Starts may be this far outside a limit [rad or rad/s], because of encoder noise.
LIMIT_TOLERANCE = 1e-3
# How far the squared norm of a quaternion may be from 1, the native problem's bound too.
QUATERNION_TOLERANCE = 1e-3
# Tries before a sample, or the reachability of a goal, is given up.
MAX_TRIES = 1000
# Tries before no configuration is found that has the tool near an object; among those of MotionBenchMaker 10 to 36 do.
NEAR_TRIES = 10_000
# Starts of a cell that are drawn around a posture.
START_TRIES = 10
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
# Size of a target by its type.
GOAL_SIZES = {"position": 3, "pose": 7}
#: What a target may be: where the tool is, where it is and how it is turned, or where all joints are.
GOAL_TYPES = ("position", "pose", "joints")


class ArmInstances:
    """Starts x = [q, v] and targets of one arm.

    Targets are positions (3,) [m], poses (7,) [x, y, z, qx, qy, qz, qw], or positions of the joints (n,).

    Attributes:
        name: Name of the task.
        config: The resolved task file.
        robot: The arm.
        goal_type: What a target is: `position`, `pose` or `joints`.
        work: Where starts and targets of a cell are drawn; None for other tasks.
    """

    name: str
    config: ArmConfig
    robot: Robot
    goal_type: str
    work: ToolDistance | None = None
    _known_postures: dict[Any, list[Array]]

    @property
    def goal_size(self) -> int:
        """Numbers of a target."""
        return GOAL_SIZES.get(self.goal_type, self.robot.nq)

    def sample(self, rng: np.random.Generator) -> Instance:
        """Draws a start at rest and a target; neither is in self-collision, both are within reach.

        The fixed target of a task for poses has the orientation of the tool at home. In a cell (`ArmReach.in_cell`) the
        tool is near an object at the start and at the target, whatever the distribution.

        Raises:
            TaskError: No valid configuration was found.
        """
        if self.work is not None:
            start = self._sample_at_work(rng, self.work)
            goal = self.robot.tool_position(self._sample_near_object(rng, self.work))
            return Instance(np.concatenate([start, np.zeros(self.robot.nv)]), goal)
        distribution = self.config.distribution
        if distribution.r_init:
            q = self._sample_configuration(rng, None)
        else:
            q = self._sample_configuration(rng, np.array(distribution.start_centre))
        if self.goal_type == "joints":
            return Instance(np.concatenate([q, np.zeros(self.robot.nv)]), self._sample_configuration(rng, None))
        if distribution.r_tgt:
            pose = self.robot.tool_pose(self._sample_configuration(rng, None))
        else:
            pose = self.robot.tool_pose(self.config.robot.home)
            pose[:3] = distribution.target
        return Instance(np.concatenate([q, np.zeros(self.robot.nv)]), pose[: self.goal_size])

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

    def _sample_at_work(self, rng: np.random.Generator, distance: ToolDistance) -> Array:
        """A configuration with the tool near an object, in a posture like that at home: as a motion there ends."""
        home, spread = np.array(self.config.robot.home), self.config.distribution.start_spread
        at_home = np.concatenate([home, np.zeros(self.robot.nv)])
        for _ in range(MAX_TRIES):
            place = self.robot.tool_position(self._sample_near_object(rng, distance))
            posture = min(
                self._postures(Instance(at_home, place), UNLIMITED), key=lambda q: float(np.abs(q - home).sum())
            )
            for _ in range(START_TRIES):
                q = posture + rng.uniform(-spread, spread, self.robot.nq)
                inside = (self.robot.position_lower <= q) & (q <= self.robot.position_upper)
                if inside.all() and self.robot.colliding_pair(q) is None:
                    return q
        raise TaskError(
            f"{MAX_TRIES} places near objects were drawn, and no start of {self.name} there touches nothing"
        )

    def _sample_near_object(self, rng: np.random.Generator, distance: ToolDistance) -> Array:
        for _ in range(NEAR_TRIES):
            q = self._sample_configuration(rng, None)
            if distance(q) < NEAR:
                return q
        raise TaskError(
            f"{NEAR_TRIES} configurations of {self.name} were drawn, and in none of them the tool is within {NEAR:g} m "
            "of an object; is the world in the base frame, and within reach?"
        )

    def check(self, instance: Instance, budget: Budget = UNLIMITED) -> None:
        """Refuses an instance that cannot be planned for.

        Raises:
            StartError: See `check_start`.
            GoalError: See `check_goal`.
            DeadlineError: See `check_goal`.
        """
        self.check_start(instance.x0)
        self.check_goal(instance, budget)

    def check_goal(self, instance: Instance, budget: Budget = UNLIMITED) -> None:
        """Refuses a target that no plan may lead to.

        Raises:
            GoalError: Wrong size, a NaN, a quaternion off its norm, out of reach, a joint out of its limits, or links
                that touch.
            DeadlineError: The budget ran out before it was known whether the target can be reached.
        """
        target = _finite("target", instance.target, self.goal_size, GoalError)
        if self.goal_type == "joints":
            self._check_positions("joint", target, "would be", GoalError)
            self._check_apart("the goal is", target, GoalError)
            return
        if abs(target[3:] @ target[3:] - 1.0) > QUATERNION_TOLERANCE and self.goal_type == "pose":
            norm = float(np.linalg.norm(target[3:]))
            raise GoalError(f"the quaternion {target[3:].tolist()} of the target has the norm {norm:.6f}, expected 1")
        if not self.robot.world.everything:
            self.goal_configuration(instance, budget)
            return
        contact = self.robot.contact(self.goal_postures(instance, budget)[0])
        if contact is not None:
            what = touching(contact, self.robot.margin)
            raise GoalError(f"no posture at the target was found that touches nothing: {what}")

    def check_start(self, x: ArrayLike) -> None:
        """Refuses a state [q, v], (2n,), that no plan may begin at, unless it leaves a contact first.

        Raises:
            StartError: Wrong size, NaN, a joint out of its limits, or something touches.
        """
        self.check_limits(x)
        self._check_apart("the start is", np.asarray(x, float)[: self.robot.nq], StartError)

    def check_limits(self, x: ArrayLike) -> None:
        """Refuses a state [q, v], (2n,), outside of the limits, whatever touches there.

        Raises:
            StartError: Wrong size, NaN, or a joint out of its limits.
        """
        x, robot = _finite("state", x, 2 * self.robot.nv, StartError), self.robot
        q, v = x[: robot.nq], x[robot.nq :]
        self._check_positions("joint", q, "is", StartError)
        for i, name in enumerate(robot.joint_names):
            if abs(v[i]) > robot.velocity_limit[i] + LIMIT_TOLERANCE:
                raise StartError(
                    f"joint {name} moves at {v[i]:.4f}, faster than its limit {robot.velocity_limit[i]:.4f}"
                )

    def _check_positions(self, what: str, q: Array, verb: str, error: type[TaskError]) -> None:
        for name, low, high, at in zip(
            self.robot.joint_names, self.robot.position_lower, self.robot.position_upper, q, strict=True
        ):
            if not low - LIMIT_TOLERANCE <= at <= high + LIMIT_TOLERANCE:
                raise error(f"{what} {name} {verb} at {at:.4f}, outside its limits [{low:.4f}, {high:.4f}]")

    def _check_apart(self, what: str, q: Array, error: type[TaskError]) -> None:
        contact = self.robot.contact(q)
        if contact is not None:
            kind = "in collision" if contact.object else "in self-collision"
            raise error(f"{what} {kind}: {touching(contact, self.robot.margin)}")

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


def touching(contact: _native.Contact, margin: float) -> str:
    """Which bodies touch, and how deep if one is an object."""
    names = f"{contact.first} touches {contact.second}"
    if not contact.object:
        return names
    if contact.distance > 0.0 and margin > 0.0:
        return (
            f"{contact.first} is {1e3 * contact.distance:.1f} mm from {contact.second}, allowed are {1e3 * margin:g} mm"
        )
    return f"{names}, {max(-1e3 * contact.distance, 0.0):.1f} mm deep"


def _finite(name: str, values: ArrayLike, size: int, error: type[TaskError]) -> Array:
    """The values as an array of this size; raises the error if they are not."""
    out = np.asarray(values, float)
    if out.shape != (size,):
        raise error(f"the {name} has shape {out.shape}, expected {(size,)}")
    if not np.all(np.isfinite(out)):
        raise error(f"the {name} holds a NaN or an infinity: {out}")
    return out
