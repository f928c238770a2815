"""What every task offers: an optimal control problem, a distribution of instances, starts, and an encoding."""

from __future__ import annotations

import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native
from sobo_planner.errors import TaskError
from sobo_planner.solver import Guess, Instance, SolverOptions
from sobo_planner.tasks.actions import Actions, ControlActions
from sobo_planner.tasks.batch import BatchCosts, Reference, check_batch, one_by_one
from sobo_planner.tasks.config import TaskConfig
from sobo_planner.tasks.weights import CostWeights

Array = NDArray[np.float64]
#: Bounds on controls that no solution comes near.
UNBOUNDED = 1e6


class Task(ABC):
    """A task file, ready to use. States live in vector spaces: ndx = nx.

    A kind of task sets the attributes below in its constructor, `_identify` last.

    Attributes:
        config: The resolved task file.
        name: Name of the task.
        horizon: Steps T.
        dt: Step [s].
        nx: Size of a state.
        nu: Size of a control.
        control_lower: Smallest controls, (nu,).
        control_upper: Largest controls, (nu,).
        obs_dim: Size of an observation.
        observation_groups: Entries of like unit, which share a normalisation floor.
        state_groups: The same for states.
        robot_hash: Identifies the system that moves.
        hash: Identifies everything that shapes stored solutions: robot, problem, distribution.
        policy_hash: Identifies what a policy depends on: robot, problem, encoding.
        cell: The world that its policies are to know: `name`, `hash`, `margin` [m]; None for a task without one.
    """

    kind: ClassVar[str]
    #: A trajectory succeeds when it ends closer to the target than this.
    success_distance: ClassVar[float] = 0.01

    config: TaskConfig
    name: str
    horizon: int
    dt: float
    nx: int
    nu: int
    control_lower: Array
    control_upper: Array
    obs_dim: int
    observation_groups: tuple[slice, ...]
    state_groups: tuple[slice, ...]
    robot_hash: str
    hash: str
    policy_hash: str
    cell: Mapping[str, Any] | None = None
    _recipe: functools.partial[Any]

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Keeps what the task is made from: its native parts cannot be pickled, and are built again instead."""
        task = super().__new__(cls)
        task._recipe = functools.partial(cls, *arguments, **named)
        return task

    def __reduce__(self) -> tuple[Any, ...]:
        return self._recipe, ()

    @property
    def ndx(self) -> int:
        """Size of a state's change."""
        return self.nx

    @property
    def denoising_steps(self) -> int:
        """How many of a policy's denoising steps are taken; 0: all."""
        return self.config.policy.denoising_steps

    @property
    def solver_options(self) -> SolverOptions:
        """The task file's solver settings."""
        return self.config.solver

    def _identify(self, robot_hash: str, encoding_version: int) -> None:
        """Sets the hashes."""
        self.robot_hash = robot_hash
        identity = robot_hash + self.config.digest("problem")
        self.policy_hash = hashlib.sha256(f"{identity} encoding {encoding_version}".encode()).hexdigest()
        self.hash = hashlib.sha256((identity + self.config.digest("distribution")).encode()).hexdigest()

    # ---------------------------------------------------------------- optimal control problem

    def without_control_bounds(self) -> Any:
        """The same task with controls that may be as large as they like: for comparison, not for robots.

        What its policies see, and its instances, are the same.
        """
        return _unbounded(self._recipe)

    @abstractmethod
    def make_worker(self) -> _native.Worker:
        """Builds the native problem with a solver of its own."""

    @abstractmethod
    def simulate(self, x0: Array, U: Array) -> Array:
        """States (N+1, nx) that the controls U (N, nu) lead to from x0 (nx,)."""

    @cached_property
    def _evaluator(self) -> _native.Worker:
        return self.make_worker()

    def cost(self, X: ArrayLike, U: ArrayLike, target: ArrayLike) -> float:
        """Total cost of a trajectory X (T+1, nx), U (T, nu) towards the target (3,) [m]."""
        X = np.asarray(X, float)
        start = _native.Start(X[0], np.asarray(target, float), X, np.asarray(U, float))
        return float(self._evaluator.cost(start))

    def cost_weights(self) -> CostWeights:
        """The weights of its cost, by name.

        Raises:
            TaskError: The cost is given in matrices.
        """
        raise TaskError(f"{self.name} has a cost in matrices, without named weights")

    def batch_costs(
        self, instance: Instance, controls: Array, *, threads: int = 1, reference: Reference | None = None
    ) -> BatchCosts:
        """What rollouts from an instance's initial state cost; the interpreter lock is released where that is native.

        Args:
            instance: Initial state and target.
            controls: Controls of each, (N, T, nu); they are not clipped.
            threads: On which they are computed; the result does not depend on their number.
            reference: Positions to compare with.

        Raises:
            TaskError: Wrong shapes, or a reference for a task without positions.
        """
        if reference is not None:
            raise TaskError(f"{self.name} has no positions that a reference could be compared with")
        return one_by_one(self, instance, check_batch(controls, self.horizon, self.nu))

    def motion_costs(
        self, instance: Instance, velocities: Array, *, threads: int = 1, reference: Reference | None = None
    ) -> BatchCosts:
        """The same for motions of the joints with the torques that they take, whether there are such or not.

        Args:
            instance: Initial state and target.
            velocities: Of the joints after each step, (N, T, nv); positions follow from them.
            threads: As above.
            reference: As above.

        Raises:
            TaskError: The task has no joints, or as above.
        """
        raise TaskError(f"{self.name} has no joints whose motions could be compared")

    @abstractmethod
    def distance(self, x: Array, target: Array) -> float:
        """How far the state x (nx,) is from the target (3,) [m]."""

    def final_error(self, X: ArrayLike, target: ArrayLike) -> float:
        """Distance to the target at the end of X (T+1, nx)."""
        return self.distance(np.asarray(X, float)[-1], np.asarray(target, float))

    def violation(self, X: Array) -> float:
        """How far [m] a trajectory X (N, nx) enters obstacles; 0 where there are none."""
        return 0.0

    # ---------------------------------------------------------------- instances and starts

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Instance:
        """Draws an instance.

        Raises:
            TaskError: No valid one was found.
        """

    @abstractmethod
    def interpolate(self, instance: Instance) -> Guess:
        """The usual start of the solver: from the initial state straight to the target.

        Raises:
            TaskError: There is none.
        """

    @abstractmethod
    def gravity_rollout(self, instance: Instance) -> Guess:
        """The system holding its start against gravity, as far as its controls can."""

    @abstractmethod
    def starts(self, instance: Instance, n: int, rng: np.random.Generator) -> list[Guess]:
        """n different starts, the interpolation first."""

    # ---------------------------------------------------------------- what the policy observes and predicts

    @abstractmethod
    def observation(self, x: Array, target: Array, t: int = 0) -> Array:
        """Observation (obs_dim,) at state x (nx,) and step t of the horizon with the target (3,) [m]."""

    @abstractmethod
    def observation_jacobian(self, x: Array, target: Array) -> Array:
        """d observation / d x, the same at every step, shape (obs_dim, nx)."""

    def actions(self, kind: str) -> Actions:
        """How trajectories and chunks translate.

        Args:
            kind: `state` or `control`.

        Raises:
            TaskError: The task has no actions of this kind.
        """
        if kind == "control":
            return ControlActions(self.control_lower, self.control_upper, self.simulate)
        raise TaskError(f"{self.name} has no actions of kind {kind!r}; use control")


def _unbounded(recipe: functools.partial[Any]) -> Any:
    task = recipe()
    task.control_lower, task.control_upper = np.full(task.nu, -UNBOUNDED), np.full(task.nu, UNBOUNDED)
    task.hash = hashlib.sha256(f"{task.hash} without control bounds".encode()).hexdigest()
    task._recipe = functools.partial(_unbounded, recipe)
    return task
