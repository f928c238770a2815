"""`quadrotor_reach`: fly to a position between columns (arXiv:2604.19011, sections 4.2 and 4.5)."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.errors import TaskError
from sobo_planner.solver import Guess, Instance
from sobo_planner.tasks.actions import Actions, StateActions
from sobo_planner.tasks.base import Task
from sobo_planner.tasks.batch import BatchCosts, Reference, flight_costs
from sobo_planner.tasks.features import TIME, saturated, saturation_jacobian, time_left
from sobo_planner.tasks.quadrotor.columns import PER_COLUMN, column_features, column_jacobian
from sobo_planner.tasks.quadrotor.config import FlightConfig, FlightWeights
from sobo_planner.tasks.weights import CostWeights, flat, named_weights

Array = NDArray[np.float64]

# To be raised with every change of what an observation or an action means.
VERSION = 2
GRAVITY = 9.81
MAX_TRIES = 1000
# Largest sideways bend [m] of the lines that starts for the solver follow.
BEND = 1.5
# Sign of each rotor's contribution to total thrust and to the torques about x, y, z.
ROTORS = np.array([[1, 1, 1, 1], [1, -1, -1, 1], [-1, -1, 1, 1], [1, -1, 1, -1]], float)


class QuadrotorReach(Task):
    """A task file of kind `quadrotor_reach`.

    x = [p, theta, v, omega]: position, rotation vector (attitude in the tangent space at level), velocity in the world,
    angular velocity in the body, (12,). u = thrusts of the four rotors [N].

    Floor, ceiling and columns are constraints along the way, but not at the last step, where the quadrotor hovers at
    its target.

    The observation is [target - position, the same saturated, theta, v, omega, time left]; where there are columns, the
    position and the columns in the way (`columns.column_features`) come before that.

    Attributes:
        columns: x, y, radius of the columns in the way [m], (n, 3).
        hover: Thrusts that hold it in the air [N], (4,).
    """

    kind = "quadrotor_reach"
    success_distance = 0.05
    config: FlightConfig

    def __init__(self, config: FlightConfig) -> None:
        self.config, self.name = config, config.name
        problem, robot = config.problem, config.robot
        self.horizon, self.dt, self.nx, self.nu = problem.horizon, problem.dt, 12, 4
        self.columns = np.array(problem.layout[: problem.columns], float).reshape(-1, 3)
        self.hover = np.full(4, robot.mass * GRAVITY / 4)
        self.control_lower, self.control_upper = np.zeros(4), np.full(4, robot.thrust_limit)
        sizes = [3, PER_COLUMN * problem.columns] if problem.columns else []
        ends = np.cumsum([0, *sizes, *[3] * 5, TIME]).tolist()
        self.obs_dim = ends[-1]
        self.observation_groups = tuple(slice(a, b) for a, b in itertools.pairwise(ends))
        self.state_groups = tuple(slice(i, i + 3) for i in range(0, 12, 3))
        self._spec = self._make_spec()
        self._identify(config.digest("robot"), VERSION)

    # ---------------------------------------------------------------- optimal control problem

    def _make_spec(self) -> _native.QuadrotorSpec:
        problem, robot = self.config.problem, self.config.robot
        spec = _native.QuadrotorSpec()
        spec.horizon, spec.dt, spec.mass, spec.gravity = self.horizon, self.dt, robot.mass, GRAVITY
        spec.inertia = np.array(robot.inertia)
        arm = robot.arm / np.sqrt(2.0)
        spec.actuation = np.array([1.0, arm, arm, robot.drag_ratio])[:, None] * ROTORS
        spec.running = self._weights(problem.running, self.dt)
        spec.terminal = self._weights(problem.terminal, 1.0)
        spec.control = _native.Box(self.control_lower, self.control_upper)
        spec.height = _native.Box(np.array([problem.floor]), np.array([problem.ceiling]))
        spec.columns = self.columns
        return spec

    def _weights(self, weights: FlightWeights, scale: float) -> _native.ReachWeights:
        out = _native.ReachWeights()
        out.position = np.full(3, scale * weights.position)
        out.state = scale * np.repeat([0.0, weights.attitude, weights.velocity, weights.velocity], 3)
        out.control = np.full(4, scale * weights.thrust)
        out.state_reference, out.control_reference = np.zeros(12), self.hover
        return out

    def cost_weights(self) -> CostWeights:
        """The weights of its cost, by name."""
        problem = self.config.problem
        return named_weights(problem.running, problem.terminal, self._flat_weights)

    def _flat_weights(self, running: FlightWeights, terminal: FlightWeights) -> Array:
        return np.array([flat(self._weights(running, self.dt)), flat(self._weights(terminal, 1.0))])

    def make_worker(self) -> _native.Worker:
        """Builds the native problem with a solver of its own."""
        return _native.Worker(self._spec)

    def simulate(self, x0: Array, U: Array) -> Array:
        """States (N+1, 12) that the thrusts U (N, 4) lead to from x0 (12,)."""
        return _native.quadrotor_simulate(self._spec, x0, np.asarray(U, float))

    def batch_costs(
        self, instance: Instance, controls: Array, *, threads: int = 1, reference: Reference | None = None
    ) -> BatchCosts:
        """See `Task.batch_costs`."""
        return flight_costs(self._spec, instance, controls, threads, reference)

    def distance(self, x: Array, target: Array) -> float:
        """Of the centre [m]."""
        return float(np.linalg.norm(x[:3] - target))

    def violation(self, X: Array) -> float:
        """How deep [m] a trajectory X (N, 12) enters columns, floor or ceiling; 0 if it does not."""
        return max(0.0, -float(self.clearances(X).min()))

    def clearances(self, X: Array) -> Array:
        """Distances [m] of positions X (N, 12) to floor, ceiling and every column's surface, (N, 2 + columns)."""
        z, problem = X[:, 2:3], self.config.problem
        away = np.linalg.norm(X[:, None, :2] - self.columns[None, :, :2], axis=2) - self.columns[:, 2]
        return np.hstack([z - problem.floor, problem.ceiling - z, away])

    # ---------------------------------------------------------------- instances and starts

    def sample(self, rng: np.random.Generator) -> Instance:
        """Draws a start and a target.

        Raises:
            TaskError: The columns leave no space for them.
        """
        distribution = self.config.distribution
        for _ in range(MAX_TRIES):
            start, target = self._sample_position(rng), self._sample_position(rng)
            if np.linalg.norm(target - start) >= distribution.distance:
                return Instance(np.concatenate([start, np.zeros(9)]), target)
        raise TaskError(f"distribution: no start and target {distribution.distance} m apart in {MAX_TRIES} tries")

    def _sample_position(self, rng: np.random.Generator) -> Array:
        distribution = self.config.distribution
        for _ in range(MAX_TRIES):
            p = np.append(rng.uniform(-distribution.half_width, distribution.half_width, 2), distribution.height)
            if self.clearances(np.append(p, np.zeros(9))[None])[0, 2:].min(initial=np.inf) >= distribution.clearance:
                return p
        raise TaskError(f"distribution: no position {distribution.clearance} m from the columns in {MAX_TRIES} tries")

    def interpolate(self, instance: Instance) -> Guess:
        """Straight line to the target at constant speed, level, with the thrusts of hovering."""
        return self._line(instance, 0.0)

    def _line(self, instance: Instance, bend: float) -> Guess:
        """A line bent sideways by so much [m] in its middle."""
        share = np.linspace(0.0, 1.0, self.horizon + 1)[:, None]
        start, way = instance.x0[:3], instance.target - instance.x0[:3]
        aside = np.array([-way[1], way[0], 0.0]) / max(float(np.linalg.norm(way[:2])), 1e-9)
        P = start + share * way + bend * np.sin(np.pi * share) * aside
        X = np.zeros((self.horizon + 1, 12))
        X[:, :3], X[:-1, 6:9] = P, np.diff(P, axis=0) / self.dt
        X[0] = instance.x0
        return Guess(X, np.tile(self.hover, (self.horizon, 1)))

    def gravity_rollout(self, instance: Instance) -> Guess:
        """Hovering at the start."""
        U = np.tile(self.hover, (self.horizon, 1))
        return Guess(self.simulate(instance.x0, U), U)

    def starts(self, instance: Instance, n: int, rng: np.random.Generator) -> list[Guess]:
        """n different starts: straight, hovering, then lines bent to either side."""
        guesses = [self.interpolate(instance), self.gravity_rollout(instance)][:n]
        while len(guesses) < n:
            side = 1.0 if len(guesses) % 2 else -1.0
            guesses.append(self._line(instance, side * rng.uniform(0.2, 1.0) * BEND))
        return guesses

    # ---------------------------------------------------------------- what the policy observes and predicts

    def observation(self, x: Array, target: Array, t: int = 0) -> Array:
        """Observation (obs_dim,) at state x (12,) and step t of the horizon with the target (3,) [m]."""
        error = target - x[:3]
        around = (x[:3], column_features(x[:2], target[:2], self.columns)) if len(self.columns) else ()
        return np.concatenate([*around, error, saturated(error), x[3:], time_left(t, self.horizon)])

    def observation_jacobian(self, x: Array, target: Array) -> Array:
        """d observation / d x, shape (obs_dim, 12)."""
        rows = np.zeros((self.obs_dim, 12))
        error, near, moving = (slice(i, i + n) for i, n in ((-15 - TIME, 3), (-12 - TIME, 3), (-9 - TIME, 9)))
        rows[error, :3] = -np.eye(3)
        rows[near, :3] = -saturation_jacobian(target - x[:3])
        rows[moving, 3:] = np.eye(9)
        if len(self.columns):
            rows[:3, :3] = np.eye(3)
            rows[3 : error.start, :2] = column_jacobian(x[:2], target[:2], self.columns)
        return rows

    def actions(self, kind: str) -> Actions:
        """Chunks of states, positions relative to the present one; or of thrusts."""
        if kind != "state":
            return super().actions(kind)
        hold = np.diag(np.repeat([1.0, 0.0], [3, 9]))
        return StateActions(3, hold, self.state_groups, self.track)

    def track(self, x: Array, desired: Array) -> tuple[Array, Array]:
        """Follows desired states (N, 12) from x (12,) within the limits: X (N+1, 12), U (N, 4)."""
        blend = self.config.policy.blend
        return _native.quadrotor_track(self._spec, x, desired, blend, self.control_lower, self.control_upper)
