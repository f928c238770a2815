"""What weights learned from demonstrations are worth: on demonstrations that were not learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sobo_planner.solver import Solver
from sobo_planner.tasks import ArmReach
from sobo_training.imitation.demonstrations import Demonstration
from sobo_training.imitation.weights import Fit, accurate, joint_error, weights_of, with_weights


@dataclass(frozen=True)
class ImitationReport:
    """Learned weights and how near they come.

    Attributes:
        fit: The weights.
        base: Those of the task.
        learned_from: Demonstrations.
        before: Joint errors [rad] with the task's own weights on the others, one each; NaN where there is no solution.
        after: The same with the learned ones.
    """

    fit: Fit
    base: dict[str, float]
    learned_from: int
    before: list[float]
    after: list[float]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""

        def numbers(errors: list[float]) -> list[float | None]:
            return [error if np.isfinite(error) else None for error in errors]

        return {
            "weights": self.fit.weights,
            "before": self.base,
            "learned_from": self.learned_from,
            "errors": self.fit.errors,
            "solves": self.fit.solves,
            "held_out": {"task": numbers(self.before), "learned": numbers(self.after)},
            "overrides": self.fit.overrides(),
        }

    def render(self) -> str:
        """In words, with the options that make other commands use the weights."""
        errors = self.fit.errors
        lines = [f"{'weight':<20} {'task':>10} {'learned':>10}"]
        lines += [f"{name:<20} {self.base[name]:>10.4g} {value:>10.4g}" for name, value in self.fit.weights.items()]
        lines.append(
            f"{self.learned_from} demonstrations: joint error {errors[0]:.4f} rad before, {errors[-1]:.4f} after"
        )
        if self.after:
            before, after = np.nanmedian(self.before), np.nanmedian(self.after)
            lines.append(f"{len(self.after)} held out: median joint error {before:.4f} rad before, {after:.4f} after")
        pairs = " ".join(f"{key}={value:.6g}" for key, value in self.fit.overrides().items())
        lines.append(f"use them with: --set {pairs}")
        return "\n".join(lines)


def report(task: ArmReach, fit: Fit, learned_from: int, held_out: Sequence[Demonstration]) -> ImitationReport:
    """Compares a task's own weights with learned ones, from the usual start of the solver."""
    base = weights_of(task)
    learned = with_weights(task, np.array([fit.weights[name] for name in fit.weights]))
    before, after = (_errors(each, held_out) for each in (task, learned))
    return ImitationReport(fit, dict(zip(fit.weights, base.tolist(), strict=True)), learned_from, before, after)


def _errors(task: ArmReach, demonstrations: Sequence[Demonstration]) -> list[float]:
    solver, out = Solver(task, accurate(task)), []
    for each in demonstrations:
        solution = solver.solve(each.instance, task.interpolate(each.instance))
        out.append(joint_error(task, solution.X, each.X) if solution.converged else float("nan"))
    return out
