"""`arm_reach`: bring the tool of a fixed-base arm to a position, or to a pose."""

from __future__ import annotations

import functools
import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.errors import ConfigError, TaskError
from sobo_planner.robot import CONSTANT_ACCELERATION, Robot
from sobo_planner.tasks.actions import Actions, StateActions
from sobo_planner.tasks.arm.cell import ToolDistance
from sobo_planner.tasks.arm.config import ArmConfig
from sobo_planner.tasks.arm.encoding import VERSION, ArmEncoding
from sobo_planner.tasks.arm.instances import LIMIT_TOLERANCE
from sobo_planner.tasks.arm.paces import Costs
from sobo_planner.tasks.arm.problem import ArmProblem
from sobo_planner.world import World

Array = NDArray[np.float64]


class ArmReach(ArmEncoding, ArmProblem):
    """A task file of kind `arm_reach`; x = [q, v], u = joint torques.

    It encodes as `ArmEncoding` says; its instances are those of `ArmInstances`, its starts those of `ArmStarts`,
    `ArmPaces` makes it slower, and `ArmProblem` is what the solver gets. A task file is about positions;
    `with_orientation` gives the same task for poses. All tasks made from one share its robot.

    Attributes:
        torque_limit: Largest torques [Nm], (nu,). Controls of the problem keep dry friction away from it.
        velocity_limit: Largest speeds, (nu,): the robot's, or a share of them.
        acceleration_limit: Largest accelerations, (nu,); infinite for problems without.
        integrator: Of rollouts and simulated motions, see `Robot.step`.
        sees_all: Whether it encodes for policies that know a world, see `seeing`.
    """

    kind = "arm_reach"
    config: ArmConfig

    def __init__(
        self,
        config: ArmConfig,
        robot: Robot,
        goal_type: str = "position",
    ) -> None:
        self.config = config
        self.goal_type = goal_type
        self.name = config.name
        super().__init__(robot, config.problem.horizon)
        self._check_sizes()
        self.dt = config.problem.dt
        self.nu = self.robot.nv
        self.nx = 2 * self.robot.nv
        self.torque_limit = config.problem.torque_scale * self.robot.effort_limit
        self.control_upper = self._torques_left()
        self.control_lower = -self.control_upper
        self.integrator = config.problem.rollouts
        limited = config.problem.integrator == CONSTANT_ACCELERATION
        self.velocity_limit = robot.velocity_limit
        self.acceleration_limit = np.full(self.nu, np.inf)
        if limited:
            self.acceleration_limit = np.minimum(robot.acceleration_limit, self.jerk_bound(self.dt))
        self._known_postures = {}
        self.nominal, self._costs, self.fits, self.ramps = self, Costs(), False, (0, 0)
        self.room = (np.zeros(self.nu), np.zeros(self.nu))
        self.sees_all = False
        identity = f"{robot.hash} {self.acceleration_limit.tolist()}"
        self._identify(hashlib.sha256(identity.encode()).hexdigest() if limited else robot.hash, VERSION)
        if goal_type != "position":  # what a policy sees stays the same
            self.hash = hashlib.sha256((self.hash + config.digest(goal_type)).encode()).hexdigest()

    def _check_sizes(self) -> None:
        n = self.robot.nv
        for name, values in (
            ("robot.home", self.config.robot.home),
            ("distribution.start_centre", self.config.distribution.start_centre),
        ):
            if len(values) != n:
                raise ConfigError(f"{name} needs one entry for each of the {n} joints, got {len(values)}")
            self._check_within_limits(name, np.array(values))
        if not np.all(np.isfinite(self.robot.effort_limit)) or np.any(self.robot.effort_limit <= 0):
            raise ConfigError(f"the URDF of {self.robot.name} gives no effort limit for every joint")

    def _torques_left(self) -> Array:
        """What the limits leave beside dry friction, which is fed forward later, (nu,) [Nm]."""
        limits, friction = self.torque_limit, self.robot.friction
        for i in np.flatnonzero(friction >= limits)[:1]:
            joint = self.robot.joint_names[i]
            raise ConfigError(
                f"robot.friction: {friction[i]:g} Nm of joint {joint} is not below its torque limit, {limits[i]:g} Nm "
                "(problem.torque_scale times the URDF's)"
            )
        out: Array = limits - friction
        return out

    def _check_within_limits(self, name: str, q: Array) -> None:
        low, high = self.robot.position_lower - LIMIT_TOLERANCE, self.robot.position_upper + LIMIT_TOLERANCE
        for i in np.flatnonzero((q < low) | (q > high))[:1]:
            joint = self.robot.joint_names[i]
            raise ConfigError(f"{name}: joint {joint} is at {q[i]:g}, outside its limits [{low[i]:.4f}, {high[i]:.4f}]")

    def with_orientation(self) -> ArmReach:
        """The same task for poses: targets are [x, y, z, qx, qy, qz, qw], and the angle left to them costs as well."""
        return self.with_goal_type("pose")

    def with_goal_type(self, goal_type: str) -> ArmReach:
        """The same task for targets of another type, see `ArmInstances`."""
        return ArmReach(self.config, self.robot, goal_type)

    def with_world(self, world: World, margin: float = 0.0) -> ArmReach:
        """The same task, for the same policies, among obstacles and with attached objects; see `Robot.with_world`.

        Links are then kept apart from them, and from each other, in every problem.

        Raises:
            RobotError: An object is attached to a link that is not in the URDF.
        """
        view = ArmReach(self.config, self.robot.with_world(world, margin), self.goal_type)
        view._costs = self._costs
        return view

    def in_cell(self, world: World, name: str = "", margin: float = 0.0) -> ArmReach:
        """The task in a world that does not change, for policies that learn their ways among its objects.

        Its instances touch nothing, have the tool near objects (`tasks.arm.cell`), and its hash depends on the world.

        Args:
            world: What surrounds the arm.
            name: Of the world, for messages.
            margin: Distance [m] to be kept from objects.

        Raises:
            ConfigError: The world is empty, or targets are not positions.
            RobotError: See `with_world`.
        """
        if not world.everything:
            raise ConfigError(f"the world {name or world.hash} is empty: a policy needs no knowledge of it")
        if self.goal_type != "position":
            raise ConfigError(f"policies lead to positions, the task's targets are of type {self.goal_type}")
        view = self.with_world(world, margin).seeing(True)
        view.work = ToolDistance(view.robot)
        view.cell = {"name": name, "hash": world.hash, "margin": margin}
        view.hash = hashlib.sha256(f"{self.hash} in {world.hash} margin {margin}".encode()).hexdigest()
        view._recipe = functools.partial(ArmReach.in_cell, self, world, name, margin)
        return view

    def seeing(self, everything: bool) -> ArmReach:
        """This task as policies that know a world encode it, or as others do.

        The former observe the angles of all joints: what surrounds the arm does not turn with the first one.
        """
        if everything == self.sees_all:
            return self
        view: ArmReach = object.__new__(type(self))
        vars(view).update(vars(self), sees_all=everything, cell=None, work=None)
        if view.nominal is self:
            view.nominal = view
        plain = ArmReach(self.config, self.robot, self.goal_type) if not everything else self
        view._observe(*((0, self.nu) if everything else plain.angles))
        view.policy_hash = (
            hashlib.sha256(f"{self.policy_hash} sees all".encode()).hexdigest() if everything else plain.policy_hash
        )
        view._recipe = functools.partial(ArmReach.seeing, self, everything)
        return view

    def with_payload(self, mass: float, centre: ArrayLike = (0.0, 0.0, 0.0)) -> ArmReach:
        """The same task, for the same policies, with something at the tool; see `Robot.with_payload`.

        Raises:
            TaskError: See `check_payload`.
        """
        self.check_payload(mass, centre)
        return ArmReach(self.config, self.robot.with_payload(mass, centre), self.goal_type)

    def check_payload(self, mass: float, centre: ArrayLike = (0.0, 0.0, 0.0)) -> None:
        """Refuses a payload that the arm could not hold where the task is at home.

        Raises:
            TaskError: A torque limit is too small for it.
            RobotError: It is malformed.
        """
        torque = np.abs(self.robot.with_payload(mass, centre).gravity(self.config.robot.home))
        for joint, needed, limit in zip(self.robot.joint_names, torque, self.torque_limit, strict=True):
            if needed > limit:
                raise TaskError(
                    f"a payload of {mass:g} kg cannot be held at home: {joint} would need {needed:.1f} Nm, its limit "
                    f"is {limit:g}; use a lighter one"
                )

    def simulate(self, x0: Array, U: Array) -> Array:
        """States (N+1, nx) that the torques U (N, nu) lead to from x0 (nx,)."""
        return self.robot.simulate(x0, U, self.dt, self.integrator)

    def tracking_limits(self) -> tuple[Array, Array, Array]:
        """Torques, speeds and accelerations within which `track` follows, (nu,) each."""
        speed = self.velocity_limit / self.robot.velocity_limit * self.robot.velocity_limit
        return self.robot.effort_limit, speed, self.acceleration_limit

    def track(self, x: Array, desired: Array, blend: float, velocity_share: float = 1.0) -> tuple[Array, Array]:
        """Follows desired states (N, nx) from x (nx,) within the limits: X (N+1, nx), U (N, nu); see `Robot.track`."""
        share = velocity_share * self.velocity_limit / self.robot.velocity_limit
        limit, how = self.acceleration_limit, self.integrator
        return self.robot.track(x, desired, self.dt, blend, share, acceleration_limit=limit, integrator=how)

    def observation(self, x: Array, target: Array, t: int = 0) -> Array:
        """See `ArmEncoding.observation`; in a slower view, of a state that is as fast as the task's own."""
        if self.stretch != 1.0:
            x = np.concatenate([x[: self.nu], self.stretch * x[self.nu :]])
        return super().observation(x, target, t)

    def actions(self, kind: str) -> Actions:
        """Chunks of states, joint positions relative to the present ones; or of torques."""
        if kind != "state":
            return super().actions(kind)
        n = self.nu
        hold = np.diag(np.concatenate([np.ones(n), np.zeros(n)]))
        return StateActions(n, hold, self.state_groups, self._follow, self.stretch)

    def _follow(self, x: Array, desired: Array) -> tuple[Array, Array]:
        return self.track(x, desired, self.config.policy.blend)
