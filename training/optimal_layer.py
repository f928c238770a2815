"""Trajectory optimisation as a differentiable layer of torch (docs/differentiable.md)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sobo_planner.errors import SolverError
from sobo_planner.solver import (
    Gradients,
    Guess,
    Instance,
    Problem,
    Pullback,
    Solution,
    Solver,
    SolverOptions,
    StageTerms,
)
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
        self._pullbacks = [pullback for _, pullback in pairs]

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

    def valid(self) -> list[bool]:
        pairs = zip(self.solutions, self._pullbacks, strict=True)
        return [solution.converged and pullback.exact for solution, pullback in pairs]

    def pull(self, by_state: np.ndarray, by_control: np.ndarray) -> list[Gradients | None]:
        """Derivatives of the loss by each instance, None for those that have none.

        The workers may have solved other batches since; they find these solutions again then.
        """
        if self._number != self._layer._calls:
            self._run([Guess(solution.X, solution.U) for solution in self.solutions])
        valid = self.valid()
        slopes = zip(self._pullbacks, by_state, by_control, strict=True)
        return [pullback(x, u) if ok else None for ok, (pullback, x, u) in zip(valid, slopes, strict=True)]


class _Optimum(torch.autograd.Function):
    """Solutions of x0, target, weights, H, g, last_H, last_g."""

    @staticmethod
    def forward(ctx: Any, call: _Call, guesses: Sequence[Guess] | None, *inputs: Tensor | None) -> Any:
        call.solve(guesses, [None if each is None else each.detach().numpy() for each in inputs])
        ctx.call, ctx.shapes = call, [None if each is None else each.shape for each in inputs]
        X, U = (torch.tensor(np.array([getattr(each, name) for each in call.solutions])) for name in ("X", "U"))
        valid = torch.tensor(call.valid())
        ctx.mark_non_differentiable(valid)
        return X, U, valid

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        call: _Call = ctx.call
        found = call.pull(slopes[0].numpy(), slopes[1].numpy())
        out = [
            None if shape is None or not needed else torch.zeros(shape, dtype=torch.double)
            for shape, needed in zip(ctx.shapes, ctx.needs_input_grad[2:], strict=True)
        ]
        for i, gradients in enumerate(found):
            if gradients is not None:
                _write(call, gradients, out, i)
        return None, None, *out


def _by_target(target: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """By the numbers of a target: those of a pose's quaternion move along the unit sphere."""
    if len(gradient) == len(target):
        return gradient
    axis, w, turn = target[3:6], target[6], gradient[3:]
    return np.concatenate([gradient[:3], 2.0 * (w * turn + np.cross(axis, turn)), [-2.0 * axis @ turn]])


def _write(call: _Call, gradients: Gradients, out: list[Tensor | None], i: int) -> None:
    """Writes the derivatives by an instance's x0, target, weights and terms."""
    x0, target, weights, *parts = out
    if x0 is not None:
        x0[i] = torch.from_numpy(gradients.x0)
    if target is not None:
        target[i] = torch.from_numpy(_by_target(call._batch.instances[i].target, gradients.target))
    if weights is not None:
        weights[i] = torch.from_numpy(call._layer.weights.pull(gradients.weights))
    if any(each is not None for each in parts):
        terms = gradients.terms()
        for each, value in zip(parts, (terms.H, terms.g, terms.last_H, terms.last_g), strict=True):
            if each is not None and value is not None:
                each[i] = torch.from_numpy(np.ascontiguousarray(value))
