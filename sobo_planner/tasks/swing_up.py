"""`swing_up`: bring the tip of a pendulum chain upright, and hold it there (arXiv:2604.19011, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.robot import SEMI_IMPLICIT_EULER, Robot
from sobo_planner.solver import Guess, Instance
from sobo_planner.tasks.base import Task
from sobo_planner.tasks.batch import BatchCosts, Reference, arm_costs
from sobo_planner.tasks.config import TaskConfig, Weights, require, require_steps
from sobo_planner.tasks.features import TIME, time_left
from sobo_planner.tasks.weights import CostWeights, flat, named_weights

Array = NDArray[np.float64]

# To be raised with every change of what an observation means.
VERSION = 1
# Turns of a joint that starts for the solver may end with: the other way up, or once more around.
TURNS = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class PendulumConfig:
    """The pendulum.

    Attributes:
        urdf: Path of the URDF: a chain of revolute joints, upright at zero.
        tip_frame: Link or frame that is brought to the top.
    """

    urdf: str
    tip_frame: str = "tip"

    def load(self, urdf: Path) -> Robot:
        """Reads the pendulum from its URDF.

        Raises:
            RobotError: The description cannot be used.
        """
        return Robot.from_urdf(urdf, self.tip_frame, collision=False)


@dataclass(frozen=True)
class SwingUpProblem:
    """The optimal control problem.

    Attributes:
        horizon: Steps T.
        dt: Step [s].
        torque_limit: Largest torque of each joint [Nm].
        running: Weights along the way; multiplied by dt.
        terminal: Weights at the end.
    """

    horizon: int
    dt: float
    torque_limit: float
    running: Weights
    terminal: Weights

    def __post_init__(self) -> None:
        require_steps(self.horizon, self.dt)
        require(self.torque_limit > 0, f"torque_limit must be positive, got {self.torque_limit}")


@dataclass(frozen=True)
class Hanging:
    """Starts: hanging down, at rest.

    Attributes:
        spread: Largest angle of each joint from hanging straight [rad].
    """

    spread: float = 0.5

    def __post_init__(self) -> None:
        require(self.spread >= 0, f"spread must not be negative, got {self.spread}")


@dataclass(frozen=True, kw_only=True)
class SwingUpConfig(TaskConfig):
    """A task file of kind `swing_up`."""

    robot: PendulumConfig
    problem: SwingUpProblem
    distribution: Hanging


class SwingUp(Task):
    """A task file of kind `swing_up`; x = [q, v], u = joint torques, the target is the tip's upright position.

    The observation is [cos q, sin q, v, time left].
    """

    kind = "swing_up"
    success_distance = 0.1
    integrator = SEMI_IMPLICIT_EULER
    config: SwingUpConfig

    def __init__(self, config: SwingUpConfig, robot: Robot) -> None:
        self.config, self.name = config, config.name
        self.horizon, self.dt = config.problem.horizon, config.problem.dt
        self.robot = robot
        n = self.nu = self.robot.nv
        self.nx = 2 * n
        self.control_upper = np.full(n, config.problem.torque_limit)
        self.control_lower = -self.control_upper
        self.obs_dim = 3 * n + TIME
        self.observation_groups = (slice(0, 2 * n), slice(2 * n, 3 * n), slice(3 * n, self.obs_dim))
        self.state_groups = (slice(0, n), slice(n, 2 * n))
        self.upright = self.robot.tool_position(np.zeros(n))
        self._identify(self.robot.hash, VERSION)

    # ---------------------------------------------------------------- optimal control problem

    def make_worker(self) -> _native.Worker:
        """Builds the native problem with a solver of its own."""
        return _native.Worker(self.robot.native, self._spec())

    def _spec(self) -> _native.ReachSpec:
        spec = _native.ReachSpec()
        spec.horizon, spec.dt, spec.integrator = self.horizon, self.dt, self.integrator
        spec.actuation = np.eye(self.nu)
        spec.running = self._weights(self.config.problem.running, self.dt)
        spec.terminal = self._weights(self.config.problem.terminal, 1.0)
        spec.control = _native.Box(self.control_lower, self.control_upper)
        return spec

    def _weights(self, weights: Weights, scale: float) -> _native.ReachWeights:
        n, out = self.nu, _native.ReachWeights()
        out.position = np.full(3, scale * weights.position)
        out.state = scale * np.concatenate([np.zeros(n), np.full(n, weights.velocity)])
        out.control = np.full(n, scale * weights.torque)
        out.state_reference, out.control_reference = np.zeros(2 * n), np.zeros(n)
        return out

    def cost_weights(self) -> CostWeights:
        """The weights of its cost, by name."""
        problem = self.config.problem
        return named_weights(problem.running, problem.terminal, self._flat_weights)

    def _flat_weights(self, running: Weights, terminal: Weights) -> Array:
        return np.array([flat(self._weights(running, self.dt)), flat(self._weights(terminal, 1.0))])

    def simulate(self, x0: Array, U: Array) -> Array:
        """States (N+1, nx) that the torques U (N, nu) lead to from x0 (nx,)."""
        return self.robot.simulate(x0, U, self.dt)

    def batch_costs(
        self, instance: Instance, controls: Array, *, threads: int = 1, reference: Reference | None = None
    ) -> BatchCosts:
        """See `Task.batch_costs`."""
        return arm_costs(self.robot, self._spec(), instance, controls, False, threads, reference)

    def motion_costs(
        self, instance: Instance, velocities: Array, *, threads: int = 1, reference: Reference | None = None
    ) -> BatchCosts:
        """See `Task.motion_costs`."""
        return arm_costs(self.robot, self._spec(), instance, velocities, True, threads, reference)

    def distance(self, x: Array, target: Array) -> float:
        """Of the tip [m]."""
        return float(np.linalg.norm(self.robot.tool_position(x[: self.nu]) - target))

    # ---------------------------------------------------------------- instances and starts

    def sample(self, rng: np.random.Generator) -> Instance:
        """Draws a start at rest: the first joint around pi, the others around zero, angles in (-pi, pi]."""
        spread = self.config.distribution.spread
        q = rng.uniform(-spread, spread, self.nu)
        q[0] -= np.pi * np.copysign(1.0, q[0])
        return Instance(np.concatenate([q, np.zeros(self.nu)]), self.upright)

    def interpolate(self, instance: Instance) -> Guess:
        """Straight line of the angles to upright with its velocities, and its torques as far as the bounds let them."""
        return self._line_to(instance, np.zeros(self.nu))

    def _line_to(self, instance: Instance, q: Array) -> Guess:
        share = np.linspace(0.0, 1.0, self.horizon + 1)[:, None]
        Q = (1.0 - share) * instance.x0[: self.nu] + share * q
        V = np.vstack([instance.x0[self.nu :], np.diff(Q, axis=0) / self.dt])
        A = np.diff(V, axis=0) / self.dt
        torques = [self.robot.inverse_dynamics(*each) for each in zip(Q[:-1], V[:-1], A, strict=True)]
        return Guess(np.hstack([Q, V]), np.clip(torques, self.control_lower, self.control_upper))

    def gravity_rollout(self, instance: Instance) -> Guess:
        """The pendulum held where it starts."""
        torque = np.clip(self.robot.gravity(instance.x0[: self.nu]), self.control_lower, self.control_upper)
        U = np.tile(torque, (self.horizon, 1))
        return Guess(self.simulate(instance.x0, U), U)

    def starts(self, instance: Instance, n: int, rng: np.random.Generator) -> list[Guess]:
        """n different starts: interpolation, holding, then lines to upright with other numbers of turns."""
        guesses = [self.interpolate(instance), self.gravity_rollout(instance)][:n]
        while len(guesses) < n:
            guesses.append(self._line_to(instance, 2.0 * np.pi * rng.choice(TURNS, self.nu)))
        return guesses

    # ---------------------------------------------------------------- what the policy observes

    def observation(self, x: Array, target: Array, t: int = 0) -> Array:
        """Observation (obs_dim,) at state x (nx,) and step t of the horizon; the target is always the same."""
        q, v = x[: self.nu], x[self.nu :]
        return np.concatenate([np.cos(q), np.sin(q), v, time_left(t, self.horizon)])

    def observation_jacobian(self, x: Array, target: Array) -> Array:
        """d observation / d x, shape (obs_dim, nx)."""
        n, q = self.nu, x[: self.nu]
        out = np.zeros((self.obs_dim, self.nx))
        out[:n, :n], out[n : 2 * n, :n] = -np.diag(np.sin(q)), np.diag(np.cos(q))
        out[2 * n : 3 * n, n:] = np.eye(n)
        return out
