"""The instances of an arm: drawn and checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native
from sobo_planner.errors import GoalError, StartError, TaskError
from sobo_planner.solver import UNLIMITED, Budget, Instance
from sobo_planner.tasks.arm.cell import NEAR, ToolDistance
from sobo_planner.tasks.arm.config import ArmConfig
from sobo_planner.tasks.arm.postures import MAX_TRIES, ArmPostures

Array = NDArray[np.float64]

# Starts may be this far outside a limit [rad or rad/s], because of encoder noise.
LIMIT_TOLERANCE = 1e-3
# How far the squared norm of a quaternion may be from 1, the native problem's bound too.
QUATERNION_TOLERANCE = 1e-3
# Tries before no configuration is found that has the tool near an object; among those of MotionBenchMaker 10 to 36 do.
NEAR_TRIES = 10_000
# Starts of a cell that are drawn around a posture.
START_TRIES = 10
# Size of a target by its type.
GOAL_SIZES = {"position": 3, "pose": 7}
#: What a target may be: where the tool is, where it is and how it is turned, or where all joints are.
GOAL_TYPES = ("position", "pose", "joints")


class ArmInstances(ArmPostures):
    """Starts x = [q, v] and targets of one arm.

    Targets are positions (3,) [m], poses (7,) [x, y, z, qx, qy, qz, qw], or positions of the joints (n,).

    Attributes:
        config: The resolved task file.
        work: Where starts and targets of a cell are drawn; None for other tasks.
    """

    config: ArmConfig
    work: ToolDistance | None = None

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
