"""A cost of where the tool is, a network, learned from demonstrations.

    c(p) = 1/2 |f(p; phi)|^2 per second,    p = tool position

The network stays in torch. Along a trajectory its cost becomes stage terms, its model of second order; the problem is
solved with them, and again with those about its solution. Where that changes nothing any more, the solution is one of
the problem with the network itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.solver import Guess, Instance, Pullback, Solution, Solver, StageTerms
from sobo_planner.tasks import ArmReach
from sobo_training.imitation.demonstrations import Demonstration
from sobo_training.imitation.weights import accurate

Array = NDArray[np.float64]
# Size of the first outputs, relative to the usual one.
BEGIN = 0.3
# A demonstration that is this many times farther off than the median counts less: it may be another local optimum.
OUTLIER = 3.0
# Of a solve in training; from the last solution most take less than ten.
MOST_ITERATIONS = 30


@dataclass(frozen=True)
class ToolCostSettings:
    """Settings of the network and of its training.

    Attributes:
        width: Units of each of the two hidden layers.
        residuals: Outputs; the cost is half the sum of their squares.
        steps: Gradient steps, each with all demonstrations.
        lr: Learning rate at the beginning; it falls to zero as a cosine.
        rounds: Solves of an instance in each step of training.
        exact: Take the whole Hessian of the cost: gradients are exact, but some problems have no minimum then.
        seed: Of the weights.
        threads: Solver threads; the result does not depend on it.
    """

    width: int = 32
    residuals: int = 3
    steps: int = 100
    lr: float = 0.005
    rounds: int = 1
    exact: bool = False
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        for name in ("width", "residuals", "steps", "rounds", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")


class ToolCost(nn.Module):
    """The network.

    Args:
        centre: Mean position (3,) [m].
        spread: Standard deviation of positions [m].
        settings: Sizes and seed.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, centre: Array, spread: float, settings: ToolCostSettings) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(settings.seed)
            width, outputs = settings.width, settings.residuals
            layers = [nn.Linear(3, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)]
            self.layers = nn.Sequential(*layers).double()
        with torch.no_grad():
            list(self.layers.parameters())[-2].mul_(BEGIN)  # the problem begins near the task's own
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.double))
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.double))

    def forward(self, positions: Tensor) -> Tensor:
        """Residuals (n, k) at tool positions (n, 3)."""
        found: Tensor = self.layers((positions - self.centre) / self.spread)
        return found

    def value(self, positions: Tensor) -> Tensor:
        """Costs (n,) per second."""
        found: Tensor = 0.5 * (self(positions) ** 2).sum(-1)
        return found

    def model(self, positions: Array) -> tuple[Array, Array, Array]:
        """Costs (n,), gradients (n, 3) and Hessians (n, 3, 3)."""
        p = torch.from_numpy(positions).requires_grad_()
        values = self.value(p)
        (gradient,) = torch.autograd.grad(values.sum(), p, create_graph=True)
        rows = [torch.autograd.grad(column.sum(), p, retain_graph=True)[0] for column in gradient.unbind(-1)]
        return values.detach().numpy(), gradient.detach().numpy(), torch.stack(rows, 1).numpy()


def terms_about(cost: ToolCost, task: ArmReach, X: Array, U: Array, exact: bool = False) -> StageTerms:
    """The cost as terms about a trajectory X (T+1, nx), U (T, nu); the end has none.

    Args:
        cost: The network.
        task: The task.
        X: States.
        U: Controls.
        exact: With the whole Hessian, with which the problem may have no minimum; else without its negative part.
    """
    n, steps = task.nu, len(U)
    positions, jacobians = tool_along(task, X[:-1])
    values, slope, curvature = cost.model(positions)
    gradients, hessians = np.zeros((steps, task.nx + n)), np.zeros((steps, task.nx + n, task.nx + n))
    gradients[:, :n] = task.dt * np.einsum("tai,ta->ti", jacobians, slope)
    hessian = np.einsum("tai,tab,tbj->tij", jacobians, curvature, jacobians) + _bending(task, X[:-1, :n], slope)
    if not exact:
        eigenvalues, vectors = np.linalg.eigh(hessian)
        hessian = (vectors * np.maximum(eigenvalues, 0.0)[:, None, :]) @ vectors.swapaxes(1, 2)
    hessians[:, :n, :n] = task.dt * hessian
    return StageTerms.about(X, U, gradients, hessians, task.dt * values)


def _bending(task: ArmReach, Q: Array, slope: Array, step: float = 1e-5) -> Array:
    """Second derivatives (n, nq, nq) by the joints of slope' p, p the tool's position, by differences."""
    columns = []
    for moved in step * np.eye(Q.shape[1]):
        ahead, behind = (np.array([task.robot.tool_jacobian(q) for q in Q + sign * moved]) for sign in (1, -1))
        columns.append(np.einsum("tai,ta->ti", ahead - behind, slope) / (2 * step))
    found = np.stack(columns, -1)
    out: Array = 0.5 * (found + found.swapaxes(1, 2))
    return out


def tool_along(task: ArmReach, X: Array) -> tuple[Array, Array]:
    """Tool positions (n, 3) and their Jacobians (n, 3, nq) by the joints, at states (n, nx)."""
    Q = X[:, : task.nu]
    return np.asarray(task.robot.tool_positions(Q)), np.array([task.robot.tool_jacobian(q) for q in Q])


def solve(task: ArmReach, solver: Solver, cost: ToolCost, instance: Instance, guess: Guess, rounds: int) -> Solution:
    """Solves an instance with the network's cost: with terms about a guess, then about each solution."""
    solution = solver.solve(instance, guess, terms=terms_about(cost, task, guess.X, guess.U))
    for _ in range(rounds - 1):
        if not solution.converged:
            break
        terms = terms_about(cost, task, solution.X, solution.U)
        solution = solver.solve(instance, Guess(solution.X, solution.U), terms=terms)
    return solution


@dataclass
class ToolFit:
    """A learned cost.

    Attributes:
        cost: The network.
        errors: Root mean square distance of the tool [m] along a demonstration, the median, before each step.
    """

    cost: ToolCost
    errors: list[float] = field(default_factory=list)


class ToolCostFit:
    """Training on demonstrations.

    Args:
        task: The task, whose own cost stays.
        demonstrations: What to imitate.
        settings: Of network and training.
    """

    def __init__(
        self, task: ArmReach, demonstrations: Sequence[Demonstration], settings: ToolCostSettings | None = None
    ) -> None:
        self.task, self.demonstrations = task, list(demonstrations)
        self.settings = settings or ToolCostSettings()
        self._shown = [np.asarray(task.robot.tool_positions(each.X[:, : task.nu])) for each in demonstrations]
        visited = np.concatenate(self._shown)
        self.cost = ToolCost(visited.mean(0), float(visited.std(0).mean()), self.settings)
        # Where there is no minimum, a solve would go on for long.
        self._solver = Solver(task, replace(accurate(task), max_iterations=MOST_ITERATIONS, retry=False))
        self._guesses = [each.guess for each in demonstrations]

    def run(self, progress: Callable[[str], Any] | None = None) -> ToolFit:
        """Trains the network.

        Raises:
            SoboError: No instance could be solved.
        """
        settings, fit = self.settings, ToolFit(self.cost)
        optimizer = torch.optim.Adam(self.cost.parameters(), lr=settings.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
        for step in range(settings.steps):
            optimizer.zero_grad()
            fit.errors.append(self._gradient())
            optimizer.step()
            schedule.step()
            if progress is not None and step % 10 == 9:
                progress(f"step {step + 1}: tool error {fit.errors[-1]:.4f} m")
        return fit

    def _gradient(self) -> float:
        """Adds the gradient of the mean square distance to that of the network; returns the distance."""
        instances = [each.instance for each in self.demonstrations]
        for _ in range(self.settings.rounds):
            found = self._solve(instances)
        squares, losses = [], []
        for (solution, pull), shown in zip(found, self._shown, strict=True):
            if not (solution.converged and pull.exact):
                continue
            positions, jacobians = tool_along(self.task, solution.X)
            off = positions - shown
            slope = np.zeros_like(solution.X)
            slope[:, : self.task.nu] = np.einsum("tai,ta->ti", jacobians, off) * (2 / len(off))
            response = pull(slope, np.zeros_like(solution.U)).dX
            squares.append(float((off**2).sum(1).mean()))
            losses.append(self._surrogate(positions[:-1], jacobians[:-1], response[:-1]))
        if not losses:
            raise SoboError("no demonstration's instance could be solved with the network's cost")
        errors = np.sqrt(squares)
        shares = np.minimum(1.0, OUTLIER * np.median(errors) / np.maximum(errors, 1e-12)) / len(errors)
        (torch.stack(losses) @ torch.from_numpy(shares)).backward()
        return float(np.median(errors))

    def _solve(self, instances: Sequence[Instance]) -> list[tuple[Solution, Pullback]]:
        """Solves all with terms about the last solutions, which become the new ones."""
        exact, threads = self.settings.exact, self.settings.threads
        terms = [terms_about(self.cost, self.task, guess.X, guess.U, exact) for guess in self._guesses]
        found = self._solver.solve_each_with_adjoint(instances, self._guesses, threads, terms=terms)
        pairs = zip(found, self._guesses, strict=True)
        self._guesses = [Guess(s.X, s.U) if s.converged else guess for (s, _), guess in pairs]
        return found

    def _surrogate(self, positions: Array, jacobians: Array, response: Array) -> Tensor:
        """Its derivative by the parameters is that of the loss: dX' d2c/dX dphi, with dX the adjoint trajectory."""
        moved = np.einsum("tai,ti->ta", jacobians, response[:, : self.task.nu])
        p = torch.from_numpy(positions).requires_grad_()
        cost = self.task.dt * self.cost.value(p).sum()
        (gradient,) = torch.autograd.grad(cost, p, create_graph=True)
        return (gradient * torch.from_numpy(moved)).sum()
