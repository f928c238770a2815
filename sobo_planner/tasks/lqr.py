"""`lqr`: a linear system with bounded controls, brought to rest at the origin (arXiv:2209.09006, section V-A).

The problem is convex: from every start the solver finds the only optimum, with which policies can be compared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.solver import Guess, Instance, LinearQuadratic
from sobo_planner.tasks.base import Task
from sobo_planner.tasks.batch import BatchCosts, Reference, check_batch, settled
from sobo_planner.tasks.config import TaskConfig, require, require_steps
from sobo_planner.tasks.features import TIME, time_left

Array = NDArray[np.float64]
Matrix = tuple[tuple[float, ...], ...]

# To be raised with every change of what an observation means.
VERSION = 1


@dataclass(frozen=True)
class LqrProblem:
    """min 1/2 sum (x'Qx + u'Ru) + 1/2 x_T' Qf x_T with x' = A x + B u and bounds on u; Q, R, Qf are diagonal.

    Attributes:
        horizon: Steps T.
        dt: Step [s]; informative, A and B are discrete already.
        A: Rows of A, (nx, nx).
        B: Rows of B, (nx, nu).
        Q: Diagonal of Q, (nx,).
        R: Diagonal of R, (nu,).
        Qf: Diagonal of Qf, (nx,).
        control_limit: Largest magnitude of each control.
    """

    horizon: int
    dt: float
    A: Matrix
    B: Matrix
    Q: tuple[float, ...]
    R: tuple[float, ...]
    Qf: tuple[float, ...]
    control_limit: float

    def __post_init__(self) -> None:
        nx, nu = len(self.A), len(self.R)
        require_steps(self.horizon, self.dt)
        require(self.control_limit > 0, f"control_limit must be positive, got {self.control_limit}")
        require(nx >= 1 and nu >= 1, f"A and R need at least one row, got {nx} and {nu}")
        for name, rows, columns in (("A", nx, nx), ("B", nx, nu)):
            lengths = [len(row) for row in getattr(self, name)]
            shape = f"{rows} rows of {columns}, the sizes of A and R"
            require(lengths == [columns] * rows, f"{name} needs {shape}; got rows of {lengths}")
        for name, size in (("Q", nx), ("Qf", nx)):
            require(len(getattr(self, name)) == size, f"{name} needs {size} entries, got {len(getattr(self, name))}")
        require(min((*self.Q, *self.Qf)) >= 0, "Q and Qf must not be negative")
        require(min(self.R) > 0, f"R must be positive, got {self.R}")


@dataclass(frozen=True)
class Cube:
    """Starts: anywhere in a cube around the origin.

    Attributes:
        half_width: Largest magnitude of each state.
    """

    half_width: float = 1.0

    def __post_init__(self) -> None:
        require(self.half_width >= 0, f"half_width must not be negative, got {self.half_width}")


@dataclass(frozen=True, kw_only=True)
class LqrConfig(TaskConfig):
    """A task file of kind `lqr`."""

    problem: LqrProblem
    distribution: Cube


class Lqr(Task):
    """A task file of kind `lqr`. Instances have no target of their own: it is zeros (3,).

    The observation is [x, time left].
    """

    kind = "lqr"
    success_distance = 0.05
    config: LqrConfig

    def __init__(self, config: LqrConfig) -> None:
        self.config, self.name = config, config.name
        problem = config.problem
        self.horizon, self.dt = problem.horizon, problem.dt
        self.A, self.B = np.array(problem.A), np.array(problem.B)
        self.nx, self.nu = self.B.shape
        self.control_upper = np.full(self.nu, problem.control_limit)
        self.control_lower = -self.control_upper
        self.obs_dim = self.nx + TIME
        self.observation_groups = (slice(0, self.nx), slice(self.nx, self.obs_dim))
        self.state_groups = (slice(0, self.nx),)
        self._identify(hashlib.sha256(repr((problem.A, problem.B)).encode()).hexdigest(), VERSION)

    @cached_property
    def linear_quadratic(self) -> LinearQuadratic:
        """The problem in matrices."""
        problem = self.config.problem
        return LinearQuadratic(
            horizon=self.horizon,
            A=self.A,
            B=self.B,
            c=np.zeros(self.nx),
            Q=np.diag(problem.Q),
            R=np.diag(problem.R),
            q=np.zeros(self.nx),
            r=np.zeros(self.nu),
            Qf=np.diag(problem.Qf),
            qf=np.zeros(self.nx),
            control_bounds=(self.control_lower, self.control_upper),
        )

    def make_worker(self) -> _native.Worker:
        """Builds the native problem with a solver of its own."""
        return self.linear_quadratic.make_worker()

    def simulate(self, x0: Array, U: Array) -> Array:
        """States (N+1, nx) that the controls U (N, nu) lead to from x0 (nx,)."""
        X = np.empty((len(U) + 1, self.nx))
        X[0] = x0
        for t, u in enumerate(U):
            X[t + 1] = self.A @ X[t] + self.B @ u
        return X

    def batch_costs(
        self, instance: Instance, controls: Array, *, threads: int = 1, reference: Reference | None = None
    ) -> BatchCosts:
        """See `Task.batch_costs`; on one thread."""
        if reference is not None:
            return super().batch_costs(instance, controls, reference=reference)
        U, problem = check_batch(controls, self.horizon, self.nu), self.config.problem
        x = np.tile(np.asarray(instance.x0, float), (len(U), 1))
        cost = 0.5 * (U**2 @ np.array(problem.R)).sum(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            for t in range(self.horizon):
                cost += 0.5 * x**2 @ np.array(problem.Q)
                x = x @ self.A.T + U[:, t] @ self.B.T
            cost += 0.5 * x**2 @ np.array(problem.Qf)
        over = np.maximum(np.abs(U) - self.control_upper, 0.0) / self.control_upper
        return settled(cost, (over**2).sum(axis=(1, 2)), np.zeros(len(U)))

    def distance(self, x: Array, target: Array) -> float:
        """Of the whole state from the origin."""
        return float(np.linalg.norm(x))

    def sample(self, rng: np.random.Generator) -> Instance:
        """Draws a start."""
        half = self.config.distribution.half_width
        return Instance(rng.uniform(-half, half, self.nx), np.zeros(3))

    def interpolate(self, instance: Instance) -> Guess:
        """Straight line to the origin, without controls."""
        share = np.linspace(1.0, 0.0, self.horizon + 1)[:, None]
        return Guess(share * instance.x0, np.zeros((self.horizon, self.nu)))

    def gravity_rollout(self, instance: Instance) -> Guess:
        """The system without controls."""
        U = np.zeros((self.horizon, self.nu))
        return Guess(self.simulate(instance.x0, U), U)

    def starts(self, instance: Instance, n: int, rng: np.random.Generator) -> list[Guess]:
        """n different starts: interpolation, no controls, then random controls."""
        guesses = [self.interpolate(instance), self.gravity_rollout(instance)][:n]
        while len(guesses) < n:
            U = rng.uniform(self.control_lower, self.control_upper, (self.horizon, self.nu))
            guesses.append(Guess(self.simulate(instance.x0, U), U))
        return guesses

    def observation(self, x: Array, target: Array, t: int = 0) -> Array:
        """Observation (obs_dim,) at state x (nx,) and step t of the horizon."""
        return np.concatenate([x, time_left(t, self.horizon)])

    def observation_jacobian(self, x: Array, target: Array) -> Array:
        """d observation / d x, shape (obs_dim, nx)."""
        return np.vstack([np.eye(self.nx), np.zeros((TIME, self.nx))])
