"""Weights of a short-horizon problem that is solved again and again, tuned for what the closed loop costs.

    min over w of the mean of log J,    J: cost of the whole motion, by the task's own weights

With a short horizon the task's weights are no longer the best ones: what comes after the horizon is not in the problem.
The gradient of J goes through every solution of the loop (`OptimalLayer`) and through the states between them.
Solutions do not change when all weights are multiplied by the same number, so that the first weight keeps its value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sobo_planner.errors import ConfigError
from sobo_planner.solver import Guess, Instance, Solution
from sobo_planner.tasks import ArmReach
from sobo_training.optimal_layer import OptimalLayer

#: Largest gradient of the mean logarithm that counts: some motions change abruptly with the weights.
LARGEST = 1.0


@dataclass(frozen=True)
class TuningSettings:
    """Settings of the search.

    Attributes:
        steps: Gradient steps, by Adam.
        rate: Step of the logarithms of the weights.
        every: Steps of the motion between two solutions.
        threads: Solver threads.
    """

    steps: int = 30
    rate: float = 0.15
    every: int = 5
    threads: int = 2

    def __post_init__(self) -> None:
        if min(self.steps, self.every, self.threads) < 1:
            raise ConfigError("steps, every and threads must be at least 1")


class _ToolPositions(torch.autograd.Function):
    """Tool positions (N, 3) of joint positions (N, n)."""

    @staticmethod
    def forward(ctx: Any, robot: Any, q: Tensor) -> Tensor:
        ctx.robot = robot
        ctx.save_for_backward(q)
        return torch.from_numpy(robot.tool_positions(q.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        (q,) = ctx.saved_tensors
        jacobians = np.array([ctx.robot.tool_jacobian(each) for each in q.numpy()])
        return None, torch.einsum("nij,ni->nj", torch.from_numpy(jacobians), slopes[0])


class ClosedLoop:
    """An arm that follows solutions of a short horizon, each for some steps.

    Args:
        task: What the whole motion costs, and how long it is.
        short: The same task with a shorter horizon, whose weights are tuned.
        settings: Settings.

    Raises:
        ConfigError: The motion is no whole number of pieces, or a piece is longer than the horizon.
    """

    def __init__(self, task: ArmReach, short: ArmReach, settings: TuningSettings) -> None:
        if task.horizon % settings.every or settings.every > short.horizon:
            needed = f"divide the {task.horizon} steps of the motion and fit into the horizon of {short.horizon}"
            raise ConfigError(f"every must {needed}, got {settings.every}")
        self.task, self.settings = task, settings
        self.layer = OptimalLayer(short, threads=settings.threads)
        named = task.cost_weights()
        self._running, self._terminal = torch.from_numpy(named.native(named.values))

    def costs(self, instances: Sequence[Instance], weights: Tensor) -> tuple[Tensor, Tensor]:
        """What motions cost with these weights (k,) of the short problem.

        Returns:
            Costs (B,), and whether every solution on the way is valid, (B,).
        """
        x = torch.tensor(np.array([each.x0 for each in instances]))
        target = torch.tensor(np.array([each.target for each in instances]))
        total, valid = torch.zeros(len(x), dtype=torch.double), torch.ones(len(x), dtype=torch.bool)
        guesses, every = None, self.settings.every
        for _ in range(self.task.horizon // every):
            optima = self.layer(x, target, weights=weights, guesses=guesses)
            X, U = optima.X[:, :every], optima.U[:, :every]
            total = total + self._cost(X, U, target, self._running)
            valid = valid & optima.valid
            x = optima.X[:, every]
            guesses = [_shifted(solution, every) for solution in optima.solutions]
        return total + self._cost(x[:, None], None, target, self._terminal), valid

    def _cost(self, X: Tensor, U: Tensor | None, target: Tensor, weights: Tensor) -> Tensor:
        n = self.task.nu
        tool: Tensor = _ToolPositions.apply(self.task.robot, X[..., :n].reshape(-1, n))
        error = tool.reshape(*X.shape[:2], 3) - target[:, None]
        position, state, control = weights[:3], weights[6 : 6 + 2 * n], weights[6 + 2 * n :]
        total = (position * error.square()).sum((1, 2)) + (state * X.square()).sum((1, 2))
        return total if U is None else total + (control * U.square()).sum((1, 2))


def _shifted(solution: Solution, steps: int) -> Guess:
    """What is left of a solution, and rest at its end."""
    rest = solution.X[-1].copy()
    rest[len(rest) // 2 :] = 0.0
    X = np.vstack([solution.X[steps:], np.tile(rest, (steps, 1))])
    return Guess(X, np.vstack([solution.U[steps:], np.tile(solution.U[-1], (steps, 1))]))


def tune(
    loop: ClosedLoop, instances: Sequence[Instance], report: Callable[[int, float], None] | None = None
) -> tuple[dict[str, float], list[float]]:
    """Tunes the weights on these instances.

    Args:
        loop: The closed loop.
        instances: Motions to tune for.
        report: Called with the number of each step and the geometric mean of the costs.

    Returns:
        The best weights by name, and the geometric mean of the costs before each step.
    """
    start = torch.tensor(np.log(loop.layer.weights.values))
    change = torch.zeros(len(start) - 1, dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.Adam([change], lr=loop.settings.rate)
    best, means = start.exp(), []
    for step in range(loop.settings.steps):
        weights = (start + torch.cat([torch.zeros(1, dtype=torch.double), change])).exp()
        costs, valid = loop.costs(instances, weights)
        means.append(float(costs.detach().log().mean().exp()))
        if means[-1] <= min(means):
            best = weights.detach()
        if report:
            report(step, means[-1])
        optimiser.zero_grad()
        (costs[valid].log().sum() / len(instances)).backward()
        torch.nn.utils.clip_grad_norm_([change], LARGEST)
        optimiser.step()
    return dict(zip(loop.layer.weights.names, best.tolist(), strict=True)), means
