"""Trajectory optimisation as a differentiable layer of torch (docs/differentiable.md)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sobo_planner import _native
from sobo_planner.errors import SolverError
from sobo_planner.solver import (
    Guess,
    Instance,
    Problem,
    Pullback,
    Pullbacks,
    Solution,
    Solver,
    SolverOptions,
    StageTerms,
)
from sobo_planner.solver.adjoint import symmetric_products
from sobo_planner.tasks import Task
from sobo_planner.tasks.weights import CostWeights


@dataclass(frozen=True)
class Terms:
    """`StageTerms` as tensors, of each instance or without the first dimension of all; None for no such term.

    Attributes:
        H: Hessians, (B, T, nx+nu, nx+nu).
        g: Gradients, (B, T, nx+nu).
        last_H: Hessian at the end, (B, nx, nx).
        last_g: Gradient at the end, (B, nx).
    """

    H: Tensor | None = None
    g: Tensor | None = None
    last_H: Tensor | None = None
    last_g: Tensor | None = None


@dataclass(frozen=True)
class Optima:
    """What the layer returns.

    Attributes:
        X: States, (B, T+1, nx), differentiable.
        U: Controls, (B, T, nu), differentiable.
        valid: Whether an instance converged and has derivatives, (B,); the gradient of the others is zero.
        solutions: What the solver returned.
    """

    X: Tensor
    U: Tensor
    valid: Tensor
    solutions: list[Solution]

    @property
    def guesses(self) -> list[Guess]:
        """Where to start after a small change of the parameters."""
        return [Guess(solution.X, solution.U) for solution in self.solutions]


@dataclass(frozen=True)
class _Batch:
    """Numbers of one call, and how the solver gets them."""

    instances: list[Instance]
    terms: list[StageTerms | None]
    weights: list[np.ndarray | None]

    def solve(self, solver: Solver, guesses: Sequence[Guess], threads: int) -> list[tuple[Solution, Pullback]]:
        return solver.solve_each_with_adjoint(self.instances, guesses, threads, terms=self.terms, weights=self.weights)


class OptimalLayer(torch.nn.Module):
    """Solves a batch of instances; its gradients are those of the solutions. All in double precision, on the CPU.

    Every instance of a batch gets a native problem of its own, which takes megabytes (8 on the UR5).

    Args:
        problem: A task, or `LinearQuadratic`.
        options: Solver settings; the task's own with `early_stop` 1e-6 by default: gradients are as exact as solutions.
        threads: On which instances are solved at once.
    """

    def __init__(self, problem: Problem, options: SolverOptions | None = None, *, threads: int = 2) -> None:
        super().__init__()
        own = getattr(problem, "solver_options", None) or SolverOptions()
        self._problem, self._threads = problem, threads
        self._solver = Solver(problem, options or SolverOptions(**(vars(own) | {"early_stop": 1e-6})))
        self._calls = 0

    @functools.cached_property
    def weights(self) -> CostWeights:
        """The task's named weights: `names`, and its own `values`.

        Raises:
            TaskError: The cost is given in matrices.
        """
        task: Any = self._problem
        weights: CostWeights = task.cost_weights()
        return weights

    def forward(
        self,
        x0: Tensor,
        target: Tensor | None = None,
        *,
        weights: Tensor | None = None,
        terms: Terms | None = None,
        guesses: Sequence[Guess] | None = None,
    ) -> Optima:
        """Solves a batch.

        Args:
            x0: Initial states, (B, nx).
            target: Targets, (B, m); None for problems without.
            weights: Values of the named weights, (k,) of all instances or (B, k); None for the task's own.
            terms: What is added to the cost.
            guesses: Where to start; the task's interpolation by default.

        Raises:
            SolverError: Wrong shapes, a NaN or an infinity.
        """
        worker = self._solver._worker()
        if x0.ndim != 2 or x0.shape[1] != worker.nx:
            raise SolverError(f"x0 has shape {tuple(x0.shape)}, expected (B, {worker.nx})")
        target = torch.zeros(len(x0), 3) if target is None else target
        terms = terms or Terms()
        parts = [getattr(terms, field.name) for field in fields(terms)]
        inputs = [None if each is None else each.double() for each in (x0, target, weights, *parts)]
        whole = [_of_each(each, len(x0), n) for each, n in zip(inputs, (2, 2, 2, 4, 3, 3, 2), strict=True)]
        call = _Call(self)
        X, U, valid = _Optimum.apply(call, guesses, *whole)
        return Optima(X, U, valid, call.solutions)

    def _guesses(self, instances: list[Instance], guesses: Sequence[Guess] | None) -> Sequence[Guess]:
        if guesses is not None:
            return guesses
        if not isinstance(self._problem, Task):
            raise SolverError("a problem in matrices needs guesses")
        return [self._problem.interpolate(instance) for instance in instances]


def _of_each(value: Tensor | None, size: int, dimensions: int) -> Tensor | None:
    """Repeats what all instances share."""
    if value is None or value.ndim == dimensions:
        return value
    return value.expand(size, *value.shape)


class _Call:
    """One forward pass, and what its backward pass needs."""

    def __init__(self, layer: OptimalLayer) -> None:
        self._layer = layer
        self.solutions: list[Solution] = []

    def solve(self, guesses: Sequence[Guess] | None, arrays: list[np.ndarray | None]) -> None:
        x0, target, weights, *terms = arrays
        assert x0 is not None and target is not None
        n, layer = len(x0), self._layer
        native: list[np.ndarray | None] = [None] * n
        if weights is not None:
            native = [layer.weights.native(each) for each in weights]
        instances = [Instance(*each) for each in zip(x0, target, strict=True)]
        self._batch = _Batch(instances, [self._terms(terms, i) for i in range(n)], native)
        self._run(layer._guesses(instances, guesses))

    def _run(self, guesses: Sequence[Guess]) -> None:
        layer = self._layer
        layer._calls += 1
        self._number = layer._calls
        pairs = self._batch.solve(layer._solver, guesses, layer._threads)
        self.solutions = [solution for solution, _ in pairs]
        self.valid = [solution.converged and pullback.exact for solution, pullback in pairs]
        self._kept = np.flatnonzero(self.valid)
        self._pullbacks = Pullbacks([pairs[i][1] for i in self._kept], layer._threads, costates=False)

    def _terms(self, parts: list[np.ndarray | None], i: int) -> StageTerms | None:
        if all(each is None for each in parts):
            return None
        H, g, last_H, last_g = (None if each is None else each[i] for each in parts)
        if H is None and g is None:
            T, size = self._sizes
            H, g = np.zeros((T, size, size)), np.zeros((T, size))
        elif H is None:
            assert g is not None
            H = np.zeros((*g.shape, g.shape[-1]))
        elif g is None:
            g = np.zeros(H.shape[:-1])
        return StageTerms(H, g, None, last_H, last_g)

    @property
    def _sizes(self) -> tuple[int, int]:
        worker = self._layer._solver._worker()
        return worker.horizon, worker.nx + worker.nu

    def pull(self, by_state: np.ndarray, by_control: np.ndarray) -> tuple[np.ndarray, _native.Adjoints | None]:
        """Which instances have derivatives, and those of the loss by them.

        The workers may have solved other batches since; they find these solutions again then.
        """
        if self._number != self._layer._calls:
            self._run([Guess(solution.X, solution.U) for solution in self.solutions])
        kept = self._kept
        if len(kept) == 0:
            return kept, None
        if len(kept) < len(by_state):
            by_state, by_control = by_state[kept], by_control[kept]
        return kept, self._pullbacks(by_state, by_control)

    def trajectories(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X and U of some solutions."""
        chosen = [self.solutions[i] for i in kept]
        return np.array([each.X for each in chosen]), np.array([each.U for each in chosen])


class _Optimum(torch.autograd.Function):
    """Solutions of x0, target, weights, H, g, last_H, last_g."""

    @staticmethod
    def forward(ctx: Any, call: _Call, guesses: Sequence[Guess] | None, *inputs: Tensor | None) -> Any:
        call.solve(guesses, [None if each is None else each.detach().numpy() for each in inputs])
        ctx.call, ctx.shapes = call, [None if each is None else each.shape for each in inputs]
        X, U = (torch.tensor(np.array([getattr(each, name) for each in call.solutions])) for name in ("X", "U"))
        valid = torch.tensor(call.valid)
        ctx.mark_non_differentiable(valid)
        ctx.set_materialize_grads(False)
        ctx.sizes = X.shape, U.shape
        return X, U, valid

    @staticmethod
    def backward(ctx: Any, by_state: Tensor | None, by_control: Tensor | None, _: None) -> Any:
        call: _Call = ctx.call
        X, U = ctx.sizes
        kept, found = call.pull(
            np.zeros(X) if by_state is None else by_state.numpy(),
            np.zeros(U) if by_control is None else by_control.numpy(),
        )
        needed = ctx.needs_input_grad[2:]
        values = None if found is None else _derivatives(call, kept, found, needed)
        out: list[Tensor | None] = [None, None]
        for i, shape in enumerate(ctx.shapes):
            out.append(_of_all(shape, None if values is None else values[i], kept) if needed[i] else None)
        return tuple(out)


def _of_all(shape: torch.Size, values: np.ndarray | None, kept: np.ndarray) -> Tensor:
    """Derivatives of a whole batch from those of some instances; zero for the others, and where there are no values."""
    if values is not None and len(kept) == shape[0]:
        return torch.from_numpy(values)
    out = np.zeros(shape)
    if values is not None:
        out[kept] = values
    return torch.from_numpy(out)


def _by_target(targets: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """By the numbers of targets, (N, m): those of a pose's quaternion move along the unit sphere."""
    if gradients.shape == targets.shape:
        return gradients
    axes, w, turns = targets[:, 3:6], targets[:, 6:], gradients[:, 3:]
    along = -2.0 * (axes * turns).sum(axis=1, keepdims=True)
    return np.concatenate([gradients[:, :3], 2.0 * (w * turns + np.cross(axes, turns)), along], axis=1)


def _derivatives(
    call: _Call, kept: np.ndarray, found: _native.Adjoints, needed: Sequence[bool]
) -> list[np.ndarray | None]:
    """Those of some instances by x0, target, weights, H, g, last_H, last_g, as far as they are needed and not zero."""
    x0, target, weights, *parts = needed
    out: list[np.ndarray | None] = [None] * len(needed)
    if x0:
        out[0] = found.x0[:, 0]
    if target and found.target.size > 0:
        targets = np.array([call._batch.instances[i].target for i in kept])
        out[1] = _by_target(targets, found.target[:, 0])
    if weights:
        out[2] = call._layer.weights.pull(found.weights)
    if not any(parts):
        return out
    H, g, last_H, last_g = parts
    (X, U), dX = call.trajectories(kept), found.X
    dz = np.concatenate([dX[:, :-1], found.U], axis=2)
    if H:
        out[3] = symmetric_products(dz, np.concatenate([X[:, :-1], U], axis=2))
    if g:
        out[4] = dz
    if last_H:
        out[5] = symmetric_products(dX[:, -1], X[:, -1])
    if last_g:
        out[6] = dX[:, -1]
    return out
