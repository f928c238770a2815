"""A demonstration, good or bad, and how samples near it are weighed (eq. (13) of arXiv:2407.01573)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError
from sobo_planner.sampling.updates import log_likelihoods, standardised
from sobo_planner.solver import Guess
from sobo_planner.tasks import QuadrotorReach, Task
from sobo_planner.tasks.batch import Reference

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Demonstration:
    """A way to the target that somebody has shown.

    Attributes:
        reference: Where the tool, or the centre, was.
        cost: What it cost, p_J(Y_demo); what it may have exceeded does not count.
    """

    reference: Reference
    cost: float

    def __post_init__(self) -> None:
        if not self.cost > 0.0 or not np.isfinite(self.cost):
            raise ConfigError(f"the cost of a demonstration must be positive, got {self.cost}")

    @staticmethod
    def of(task: Task, guess: Guess, target: Array, reach: float = 0.5) -> Demonstration:
        """The demonstration that a trajectory is.

        Raises:
            ConfigError: The task has no positions, or the trajectory another size or a NaN.
        """
        if guess.X.shape != (task.horizon + 1, task.nx) or guess.U.shape != (task.horizon, task.nu) or not guess.finite:
            raise ConfigError(
                f"a demonstration for {task.name} needs {task.horizon} steps of {task.nx} states and {task.nu} "
                f"controls, all finite; got {guess.X.shape} and {guess.U.shape}"
            )
        return Demonstration(Reference(_positions(task, guess.X[1:]), reach), task.cost(guess.X, guess.U, target))


def _positions(task: Task, X: Array) -> Array:
    if isinstance(task, QuadrotorReach):
        return X[:, :3].copy()
    robot = getattr(task, "robot", None)
    if robot is None:
        raise ConfigError(f"{task.name} has no positions to demonstrate")
    return np.array([robot.tool_position(x[: task.nu]) for x in X])


def mixed(losses: Array, away: Array, loss: float, temperature: float) -> Array:
    """Log-likelihoods of samples: the larger one of the model's, and of the demonstration's where they are near it.

    The two are standardised once more, as the reference implementation does.

    Args:
        losses: Of the samples, (N,).
        away: How far each is from the demonstration, from 0 to 1, (N,).
        loss: Of the demonstration.
        temperature: Of the likelihoods.
    """
    _, mean, spread = standardised(losses)
    near = np.where(np.isfinite(away), away, 1.0)
    shown = (near.min() - near - loss + mean) / spread / temperature
    return log_likelihoods(-np.maximum(log_likelihoods(losses, temperature), shown), temperature)
