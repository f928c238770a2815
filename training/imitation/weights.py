"""Cost weights from demonstrations: those whose optimal motions are nearest to what was demonstrated.

    min over w of sum_i |q_i*(w) - q_i|^2,    q_i*(w): joint positions of the solution from the i-th start to its goal

by the Levenberg-Marquardt method in log w. Solutions do not change when all weights are multiplied by the same number,
so that of the position along the way keeps its value.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.solver import Guess, Solution, Solver, SolverOptions
from sobo_planner.tasks import ArmReach
from sobo_training.imitation.demonstrations import Demonstration

Array = NDArray[np.float64]
logger = logging.getLogger(__name__)

#: What can be learned: sections and weights of a task file's problem. The first one keeps its value.
NAMES = ("running.position", "running.velocity", "running.torque", "terminal.position", "terminal.velocity")
# Solutions are compared: they have to be nearer to the optimum than plans need to be.
EARLY_STOP = 1e-6
# A demonstration whose motions differ this many times more than the median counts less: it may be another optimum.
OUTLIER = 3.0
# Largest change of a log weight in a step, and where the damping begins and ends.
LARGEST, DAMPING, MOST_DAMPING = 1.5, 1e-2, 1e4
DIFFERENCE = 0.03
# What a change of a weight by a factor e costs, in joint errors [rad]: terminal weights hardly change motions.
PRIOR = 1e-3


@dataclass(frozen=True)
class FitSettings:
    """Settings of the search.

    Attributes:
        steps: Most steps.
        tolerance: Ends when a step lowers the error by less than this share.
        threads: Solver threads; the result does not depend on it.
    """

    steps: int = 15
    tolerance: float = 1e-3
    threads: int = 2

    def __post_init__(self) -> None:
        if self.steps < 1 or self.threads < 1:
            raise ConfigError(f"steps and threads must be at least 1, got {self.steps} and {self.threads}")


@dataclass
class Fit:
    """Learned weights.

    Attributes:
        weights: By name, see `NAMES`.
        errors: Root mean square errors of the joints [rad], before each step and after the last.
        solves: How many instances were solved.
    """

    weights: dict[str, float]
    errors: list[float] = field(default_factory=list)
    solves: int = 0

    def overrides(self) -> dict[str, float]:
        """Keys of the task's configuration, for `--set`."""
        return {f"problem.{name}": value for name, value in self.weights.items()}


def weights_of(task: ArmReach) -> Array:
    """A task's weights, in the order of `NAMES`."""
    return np.array([getattr(getattr(task.config.problem, part), name) for part, name in _pairs()])


def with_weights(task: ArmReach, weights: Array) -> ArmReach:
    """The task with other weights, in the order of `NAMES`."""
    problem = task.config.problem
    for (part, name), value in zip(_pairs(), weights, strict=True):
        changed = replace(getattr(problem, part), **{name: float(value)})
        problem = replace(problem, **{part: changed})
    return ArmReach(replace(task.config, problem=problem), task.robot, task.goal_type)


def _pairs() -> list[tuple[str, str]]:
    return [(part, name) for part, _, name in (each.partition(".") for each in NAMES)]


def accurate(task: ArmReach) -> SolverOptions:
    """Settings with which solutions can be compared."""
    return replace(task.solver_options, early_stop=EARLY_STOP)


def joint_error(task: ArmReach, X: Array, Y: Array) -> float:
    """Root mean square difference of joint positions [rad] along two motions (T+1, nx)."""
    return float(np.sqrt(np.mean((X[:, : task.nu] - Y[:, : task.nu]) ** 2)))


class WeightFit:
    """The search for the weights of some demonstrations.

    Args:
        task: The task; its weights are where the search begins.
        demonstrations: What to imitate.
        settings: Of the search.

    Raises:
        ConfigError: A weight is zero: its logarithm is not a number to start from.
    """

    def __init__(
        self, task: ArmReach, demonstrations: Sequence[Demonstration], settings: FitSettings | None = None
    ) -> None:
        self.task, self.demonstrations = task, list(demonstrations)
        self.settings = settings or FitSettings()
        self.solves = 0
        self._base = weights_of(task)
        for name, value in zip(NAMES, self._base, strict=True):
            if value <= 0:
                raise ConfigError(f"problem.{name} is 0; learning weights needs a positive one to begin with")
        self._guesses = [each.guess for each in self.demonstrations]

    def run(self, progress: Callable[[str], Any] | None = None) -> Fit:
        """Finds the weights.

        Raises:
            SoboError: No demonstration could be followed with the weights at the beginning.
        """
        free, damping = np.zeros(len(NAMES) - 1), DAMPING
        solutions = self._solve(free)
        residuals, counts = self._residuals(solutions)
        if not counts.any():
            raise SoboError("no demonstration's instance could be solved with the task's weights")
        errors = [_rms(residuals)]
        for _ in range(self.settings.steps):
            jacobian = self._jacobian(free, solutions)
            self._guesses = [
                Guess(s.X, s.U) if s.converged else g for s, g in zip(solutions, self._guesses, strict=True)
            ]
            better = False
            while not better and damping < MOST_DAMPING:
                trial = free + _step(residuals, jacobian, free, damping)
                found = self._solve(trial)
                new, _ = self._residuals(found)
                better = _rms(new) < errors[-1]
                damping = damping / 5 if better else damping * 8
            if not better:
                break
            free, solutions, residuals = trial, found, new
            errors.append(_rms(new))
            if progress is not None:
                progress(f"joint error {errors[-1]:.4f} rad")
            if errors[-1] > (1 - self.settings.tolerance) * errors[-2]:
                break
        weights = dict(zip(NAMES, self._weights(free).tolist(), strict=True))
        return Fit(weights, errors, self.solves)

    def _weights(self, free: Array) -> Array:
        return self._base * np.exp(np.concatenate([[0.0], free]))

    def _solve(self, free: Array) -> list[Solution]:
        task = with_weights(self.task, self._weights(free))
        solver = Solver(task, accurate(task))
        self.solves += len(self.demonstrations)
        instances = [each.instance for each in self.demonstrations]
        return solver.solve_batch(instances, self._guesses, threads=self.settings.threads)

    def _residuals(self, solutions: Sequence[Solution]) -> tuple[Array, Array]:
        """Differences (n, T+1, nq) of joint positions, outliers shrunk, and which solutions count."""
        n = self.task.nu
        counts = np.array([solution.converged for solution in solutions])
        pairs = zip(solutions, self.demonstrations, counts, strict=True)
        out = np.array([(s.X - d.X)[:, :n] if count else np.zeros_like(d.X[:, :n]) for s, d, count in pairs])
        sizes = np.sqrt((out**2).mean((1, 2)))
        most = OUTLIER * float(np.median(sizes[counts])) if counts.any() else 0.0
        shrunk = np.minimum(1.0, most / np.maximum(sizes, 1e-12)) if len(sizes) > 2 else np.ones(len(sizes))
        return out * np.sqrt(shrunk)[:, None, None], counts

    def _jacobian(self, free: Array, solutions: Sequence[Solution]) -> Array:
        """Derivative of the joint positions by the log weights, (n, T+1, nq, free weights)."""
        columns = []
        for step in DIFFERENCE * np.eye(len(free)):
            moved = self._solve(free + step)
            pairs = zip(moved, solutions, strict=True)
            columns.append([(m.X - s.X)[:, : self.task.nu] / DIFFERENCE for m, s in pairs])
        return np.moveaxis(np.array(columns), 0, -1)


def _rms(residuals: Array) -> float:
    return float(np.sqrt(np.mean(residuals**2)))


def _step(residuals: Array, jacobian: Array, free: Array, damping: float) -> Array:
    """A step of the Levenberg-Marquardt method."""
    J, prior = jacobian.reshape(-1, jacobian.shape[-1]), PRIOR**2 * residuals.size
    hessian = J.T @ J + prior * np.eye(len(free))
    gradient = J.T @ residuals.ravel() + prior * free
    step = -np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
    out: Array = np.clip(step, -LARGEST, LARGEST)
    return out
