"""Cost weights from demonstrations: those whose optimal motions are nearest to what was demonstrated.

    min over w of sum_i |q_i*(w) - q_i|^2,    q_i*(w): joint positions of the solution from the i-th start to its goal

by the Levenberg-Marquardt method in log w. The derivative of a solution by a weight is its response to the slope of
what is weighed, by one more Riccati sweep (`Solver.solve_with_adjoint`). Solutions do not change when all weights are
multiplied by the same number, so that of the position along the way keeps its value.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.solver import Guess, Pullback, Solution, Solver, SolverOptions
from sobo_planner.tasks import ArmReach
from sobo_training.imitation.demonstrations import Demonstration

Array = NDArray[np.float64]
Solved = tuple[Solution, Pullback]
logger = logging.getLogger(__name__)

#: What can be learned: sections and weights of a task file's problem. The first one keeps its value.
NAMES = ("running.position", "running.velocity", "running.torque", "terminal.position", "terminal.velocity")
# Solutions are compared: they have to be nearer to the optimum than plans need to be.
EARLY_STOP = 1e-6
# A demonstration whose motions differ this many times more than the median counts less: it may be another optimum.
OUTLIER = 3.0
# Largest change of a log weight in a step, and where the damping begins and ends.
LARGEST, DAMPING, MOST_DAMPING = 1.5, 1e-2, 1e4
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
        self._solver = Solver(task, accurate(task))
        self._native = task.cost_weights()
        self._order = [NAMES.index(name) for name in self._native.names]

    def run(self, progress: Callable[[str], Any] | None = None) -> Fit:
        """Finds the weights.

        Raises:
            SoboError: No demonstration could be followed with the weights at the beginning.
        """
        free, damping = np.zeros(len(NAMES) - 1), DAMPING
        found = self._solve(free)
        residuals, counts = self._residuals(found)
        if not counts.any():
            raise SoboError("no demonstration's instance could be solved with the task's weights")
        errors = [_rms(residuals)]
        for _ in range(self.settings.steps):
            jacobian = self._jacobian(free, found, counts)
            self._follow(found)
            better = False
            while not better and damping < MOST_DAMPING:
                trial = free + _step(residuals, jacobian, free, damping)
                found = self._solve(trial)
                new, counted = self._residuals(found)
                better = _rms(new) < errors[-1]
                damping = damping / 5 if better else damping * 8
            if not better:
                break
            free, residuals, counts = trial, new, counted
            errors.append(_rms(new))
            if progress is not None:
                progress(f"joint error {errors[-1]:.4f} rad")
            if errors[-1] > (1 - self.settings.tolerance) * errors[-2]:
                break
        weights = dict(zip(NAMES, self._weights(free).tolist(), strict=True))
        return Fit(weights, errors, self.solves)

    def _weights(self, free: Array) -> Array:
        return self._base * np.exp(np.concatenate([[0.0], free]))

    def _solve(self, free: Array) -> list[Solved]:
        """Solutions, with what gives their derivatives until the next call."""
        weights = self._native.native(self._weights(free)[self._order])
        self.solves += len(self.demonstrations)
        instances = [each.instance for each in self.demonstrations]
        n, threads = len(instances), self.settings.threads
        return self._solver.solve_each_with_adjoint(instances, self._guesses, threads, weights=[weights] * n)

    def _follow(self, found: Sequence[Solved]) -> None:
        """The next solves begin at these solutions."""
        pairs = zip(found, self._guesses, strict=True)
        self._guesses = [Guess(s.X, s.U) if s.converged else guess for (s, _), guess in pairs]

    def _residuals(self, found: Sequence[Solved]) -> tuple[Array, Array]:
        """Differences (n, T+1, nq) of joint positions, outliers shrunk, and which solutions count."""
        n = self.task.nu
        counts = np.array([solution.converged and pull.exact for solution, pull in found])
        pairs = zip(found, self.demonstrations, counts, strict=True)
        out = np.array([(s.X - d.X)[:, :n] if count else np.zeros_like(d.X[:, :n]) for (s, _), d, count in pairs])
        sizes = np.sqrt((out**2).mean((1, 2)))
        most = OUTLIER * float(np.median(sizes[counts])) if counts.any() else 0.0
        shrunk = np.minimum(1.0, most / np.maximum(sizes, 1e-12)) if len(sizes) > 2 else np.ones(len(sizes))
        return out * np.sqrt(shrunk)[:, None, None], counts

    def _jacobian(self, free: Array, found: Sequence[Solved], counts: Array) -> Array:
        """Derivative of the joint positions by the log weights, (n, T+1, nq, free weights)."""
        n, values = self.task.nu, self._weights(free)
        out = np.zeros((len(found), self.task.horizon + 1, n, len(free)))
        for i in np.flatnonzero(counts).tolist():
            solution, pull = found[i]
            target = self.demonstrations[i].instance.target
            for k, name in enumerate(NAMES[1:], 1):
                column = values[k] * self._native.columns[self._native.names.index(name)]
                out[i, :, :, k - 1] = pull(*slopes(self.task, solution, target, column)).dX[:, :n]
        return out


def slopes(task: ArmReach, solution: Solution, target: Array, column: Array) -> tuple[Array, Array]:
    """Slopes by X (T+1, nx) and U (T, nu) of a part of the cost along a solution.

    Args:
        task: The task, for positions of the tool.
        solution: Where.
        target: Of the tool, (3,).
        column: The solver's weights of this part, (2, 6+nx+nu), of running stages and of the end.
    """
    n, X, U = task.nu, solution.X, solution.U
    position, state, control = column[:, :3], column[:, 6 : 6 + task.nx], column[0, 6 + task.nx :]
    by_state = 2 * np.vstack([X[:-1] * state[0], X[-1:] * state[1]])
    if position.any():
        off = np.asarray(task.robot.tool_positions(X[:, :n])) - target
        pulled = 2 * np.vstack([off[:-1] * position[0], off[-1:] * position[1]])
        jacobians = np.array([task.robot.tool_jacobian(q) for q in X[:, :n]])
        by_state[:, :n] += np.einsum("tai,ta->ti", jacobians, pulled)
    return by_state, 2 * U * control


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
