"""`arm_reach`: bring the tool of a fixed-base arm to a position."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.errors import ConfigError, TaskError
from sobo_planner.robot import Robot
from sobo_planner.solver import Guess, Instance
from sobo_planner.tasks.actions import Actions, StateActions
from sobo_planner.tasks.arm_config import ArmConfig
from sobo_planner.tasks.base import Task
from sobo_planner.tasks.config import Weights
from sobo_planner.tasks.encoding import VERSION, ArmEncoding
from sobo_planner.tasks.kinematics import inverse_kinematics, minimum_jerk

Array = NDArray[np.float64]

# A start this far outside a limit [rad or rad/s] comes from encoder noise, not from a fault.
LIMIT_TOLERANCE = 1e-3
# Tries before a sample, or the reachability of a goal, is given up.
MAX_TRIES = 1000
IK_TRIES = 12


class ArmReach(ArmEncoding, Task):
    """A task file of kind `arm_reach`; x = [q, v], u = joint torques. It encodes as `ArmEncoding` says.

    Attributes:
        urdf: The robot description it was read from.
        torque_limit: Largest torques [Nm], (nu,).
    """

    kind = "arm_reach"
    config: ArmConfig

    def __init__(self, config: ArmConfig, urdf: Path, position_limits: bool = False) -> None:
        self.config = config
        self.urdf = urdf
        self._position_limits = position_limits
        self.name = config.name
        robot = Robot.from_urdf(
            urdf,
            config.robot.tool_frame,
            locked_joints=config.robot.locked_joints,
            armature=config.robot.armature,
            collision=config.robot.collision,
        )
        super().__init__(robot, config.problem.horizon)
        self._check_sizes()
        self.dt = config.problem.dt
        self.nu = self.robot.nv
        self.nx = 2 * self.robot.nv
        self.torque_limit = config.problem.torque_scale * self.robot.effort_limit
        self.control_lower, self.control_upper = -self.torque_limit, self.torque_limit
        self._identify(self.robot.hash, VERSION)

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

    def _check_within_limits(self, name: str, q: Array) -> None:
        low, high = self.robot.position_lower - LIMIT_TOLERANCE, self.robot.position_upper + LIMIT_TOLERANCE
        for i in np.flatnonzero((q < low) | (q > high))[:1]:
            joint = self.robot.joint_names[i]
            raise ConfigError(f"{name}: joint {joint} is at {q[i]:g}, outside its limits [{low[i]:.4f}, {high[i]:.4f}]")

    # ---------------------------------------------------------------- optimal control problem

    def make_worker(self) -> _native.Worker:
        """Builds the native problem with a solver of its own."""
        problem = self.config.problem
        spec = _native.ReachSpec()
        spec.horizon, spec.dt, spec.integrator = self.horizon, self.dt, problem.integrator
        spec.actuation = np.eye(self.nu)
        spec.running = self._weights(problem.running, self.dt)
        spec.terminal = self._weights(problem.terminal, 1.0)
        spec.control = _native.Box(-self.torque_limit, self.torque_limit)
        if problem.velocity_limits:
            spec.velocity = _native.Box(-self.robot.velocity_limit, self.robot.velocity_limit)
        if self._position_limits:
            spec.position = _native.Box(self.robot.position_lower, self.robot.position_upper)
        return _native.Worker(self.robot.native, spec)

    def _weights(self, weights: Weights, scale: float) -> _native.ReachWeights:
        out = _native.ReachWeights()
        out.position = np.full(3, scale * weights.position)
        out.state = scale * np.concatenate([np.zeros(self.nu), np.full(self.nu, weights.velocity)])
        out.control = np.full(self.nu, scale * weights.torque)
        out.state_reference, out.control_reference = np.zeros(self.nx), np.zeros(self.nu)
        return out

    def precise(self) -> ArmReach:
        """The same task with a hundred times the terminal position weight: ten times closer or better at the end.

        Near the edge of the workspace holding the arm up can be worth a centimetre to the original one.
        """
        problem = self.config.problem
        terminal = replace(problem.terminal, position=100 * problem.terminal.position)
        return ArmReach(replace(self.config, problem=replace(problem, terminal=terminal)), self.urdf)

    def within_position_limits(self) -> ArmReach:
        """The same task with the position limits as constraints, which few motions come near and all would pay for."""
        return ArmReach(self.config, self.urdf, position_limits=True)

    def distance(self, x: Array, target: Array) -> float:
        """Of the tool [m]."""
        return float(np.linalg.norm(self.robot.tool_position(x[: self.nu]) - target))

    def simulate(self, x0: Array, U: Array) -> Array:
        """States (N+1, nx) that the torques U (N, nu) lead to from x0 (nx,)."""
        return self.robot.simulate(x0, U, self.dt)

    def actions(self, kind: str) -> Actions:
        """Chunks of states, joint positions relative to the present ones; or of torques."""
        if kind != "state":
            return super().actions(kind)
        n = self.nu
        hold = np.diag(np.concatenate([np.ones(n), np.zeros(n)]))
        return StateActions(n, hold, self.state_groups, self._follow)

    def _follow(self, x: Array, desired: Array) -> tuple[Array, Array]:
        return self.robot.track(x, desired, self.dt, self.config.policy.blend)

    # ---------------------------------------------------------------- instances

    def sample(self, rng: np.random.Generator) -> Instance:
        """Draws a start at rest and a target; neither is in self-collision, both are within reach.

        Raises:
            TaskError: No valid configuration was found.
        """
        distribution = self.config.distribution
        if distribution.r_init:
            q = self._sample_configuration(rng, None)
        else:
            q = self._sample_configuration(rng, np.array(distribution.start_centre))
        if distribution.r_tgt:
            target = self.robot.tool_position(self._sample_configuration(rng, None))
        else:
            target = np.array(distribution.target)
        return Instance(np.concatenate([q, np.zeros(self.nu)]), target)

    def _sample_configuration(self, rng: np.random.Generator, centre: Array | None) -> Array:
        """A collision-free configuration, anywhere or in the small area around `centre`."""
        half = self.config.distribution.start_spread if centre is not None else self.config.distribution.range
        middle = np.zeros(self.nu) if centre is None else centre
        lower = np.maximum(self.robot.position_lower, middle - half)
        upper = np.minimum(self.robot.position_upper, middle + half)
        for _ in range(MAX_TRIES):
            q = rng.uniform(lower, upper)
            if self.robot.colliding_pair(q) is None:
                return q
        raise TaskError(f"{MAX_TRIES} configurations of {self.name} were drawn and all are in self-collision")

    def check(self, instance: Instance) -> None:
        """Refuses an instance that cannot be planned for.

        Raises:
            TaskError: Wrong size, NaN, a joint out of its limits, self-collision, or a target out of reach.
        """
        x, target = np.asarray(instance.x0, float), np.asarray(instance.target, float)
        for name, value, shape in (("state", x, (self.nx,)), ("target", target, (3,))):
            if value.shape != shape:
                raise TaskError(f"the {name} has shape {value.shape}, expected {shape}")
            if not np.all(np.isfinite(value)):
                raise TaskError(f"the {name} holds a NaN or an infinity: {value}")
        self._check_limits(x)
        pair = self.robot.colliding_pair(x[: self.nu])
        if pair is not None:
            raise TaskError(f"the start is in self-collision: {pair[0]} touches {pair[1]}")
        if self.reachable_configuration(x[: self.nu], target) is None:
            raise TaskError(f"the target {np.round(target, 4).tolist()} m is out of reach of {self.robot.name}")

    def _check_limits(self, x: Array) -> None:
        q, v = x[: self.nu], x[self.nu :]
        robot = self.robot
        for i, name in enumerate(robot.joint_names):
            low, high = robot.position_lower[i], robot.position_upper[i]
            if not low - LIMIT_TOLERANCE <= q[i] <= high + LIMIT_TOLERANCE:
                raise TaskError(f"joint {name} is at {q[i]:.4f}, outside its limits [{low:.4f}, {high:.4f}]")
            if abs(v[i]) > robot.velocity_limit[i] + LIMIT_TOLERANCE:
                raise TaskError(
                    f"joint {name} moves at {v[i]:.4f}, faster than its limit {robot.velocity_limit[i]:.4f}"
                )

    def reachable_configuration(self, q: Array, target: Array, rng: np.random.Generator | None = None) -> Array | None:
        """A configuration with the tool at the target: near q if there is one, else from other starts; or None.

        With `rng` the search starts at random configurations instead of q.
        """
        random = rng or np.random.default_rng(0)  # fixed, so that a goal is accepted or refused always alike
        start = q if rng is None else self._sample_configuration(random, None)
        for _ in range(IK_TRIES):
            found = inverse_kinematics(self.robot, start, target)
            if found is not None:
                return found
            start = self._sample_configuration(random, None)
        return None

    # ---------------------------------------------------------------- starts of the solver

    def interpolate(self, instance: Instance) -> Guess:
        """Joint interpolation to the nearest inverse-kinematics solution, with the torques it needs.

        Raises:
            TaskError: The target is out of reach.
        """
        q = self.reachable_configuration(instance.x0[: self.nu], instance.target)
        if q is None:
            raise TaskError(f"the target {np.round(instance.target, 4).tolist()} m is out of reach")
        return self._interpolate_to(instance, q)

    def _interpolate_to(self, instance: Instance, q: Array) -> Guess:
        Q, V = minimum_jerk(instance.x0[: self.nu], q, self.horizon, self.dt)
        X, U = self.robot.track(instance.x0, np.hstack([Q, V])[1:], self.dt, 0.0)
        return Guess(X, np.clip(U, -self.torque_limit, self.torque_limit))

    def gravity_rollout(self, instance: Instance) -> Guess:
        """The arm holding its start against gravity."""
        q = instance.x0[: self.nu]
        U = np.tile(np.clip(self.robot.gravity(q), -self.torque_limit, self.torque_limit), (self.horizon, 1))
        return Guess(self.simulate(instance.x0, U), U)

    def starts(self, instance: Instance, n: int, rng: np.random.Generator) -> list[Guess]:
        """n different starts: nearest interpolation, gravity, then interpolations to other, random postures."""
        guesses = [self.interpolate(instance), self.gravity_rollout(instance)][:n]
        while len(guesses) < n:
            q = self.reachable_configuration(instance.x0[: self.nu], instance.target, rng)
            guesses.append(self._interpolate_to(instance, q) if q is not None else guesses[0])
        return guesses
