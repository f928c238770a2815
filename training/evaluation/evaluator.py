"""The rows of an evaluation: a policy, the solver and the planner on one instance after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.planning.planner import Planner, PlanStatus
from sobo_planner.planning.starters import SamplingStarter
from sobo_planner.policy import Policy
from sobo_planner.sampling import SamplingSettings
from sobo_planner.sampling.chain import FEASIBLE
from sobo_planner.solver import Solver
from sobo_planner.tasks import ArmReach
from sobo_training.data.collector import cheapest
from sobo_training.data.instances import InstanceSource, draw_starts, policy_start, sampled_start
from sobo_training.evaluation.attempts import Attempt, Row
from sobo_training.evaluation.options import EvaluateOptions

if TYPE_CHECKING:
    from sobo_planner.solver import Guess, Instance
    from sobo_planner.tasks import Task


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


class Evaluator:
    """Makes the rows of an evaluation.

    Args:
        task: The task.
        policy: The policy, or what is sampled in its place.
        options: How to evaluate.

    Raises:
        ConfigError: The action horizon is longer than a chunk.
    """

    def __init__(self, task: Task, policy: Policy | SamplingSettings, options: EvaluateOptions) -> None:
        self.task, self.policy, self.options = task, policy, options
        self.solver = Solver(task)
        self.action_horizon, self.samples, self.planner = self._prepare(policy)

    def _prepare(self, policy: Policy | SamplingSettings) -> tuple[int | None, int, Planner | None]:
        """Action horizon, samples, and the planner of a task that can be planned for."""
        options = self.options
        arm = self.task if options.planner and isinstance(self.task, ArmReach) else None
        if isinstance(policy, SamplingSettings):
            if options.action_horizon is not None or options.samples is not None:
                raise ConfigError("action_horizon and samples are those of a policy; sampling has its own settings")
            starters = [SamplingStarter(options.seed, policy)]
            return None, policy.chain.samples, None if arm is None else Planner(arm, starters=starters)
        longest, horizon = policy.T_h - policy.T_o, options.action_horizon or policy.T_a
        if horizon > longest:
            raise ConfigError(f"action_horizon must be at most {longest}, got {horizon}")
        samples = options.samples or self.task.config.policy.samples
        return horizon, samples, None if arm is None else Planner(arm, policy, samples=samples)

    def solve(self, instance: Instance, guess: Guess | None, start_ms: float = 0.0) -> Attempt:
        """Solve from a start."""
        if guess is None:
            return Attempt("failed")
        solution = self.solver.solve(instance, guess)
        return Attempt(
            status=str(solution.status.value),
            cost=_finite(solution.cost),
            iterations=int(solution.iterations),
            time_ms=float(solution.time_ms),
            start_ms=start_ms,
            error_m=_finite(self.task.final_error(solution.X, instance.target)),
        )

    def solve_from(self, instance: Instance, start: Callable[[Instance], Guess]) -> Attempt:
        """Make a naive start and solve from it."""
        began = time.perf_counter()
        try:
            guess = start(instance)
        except SoboError:
            return Attempt("failed")
        return self.solve(instance, guess, 1e3 * (time.perf_counter() - began))

    def roll_out(self, instance: Instance, rng: np.random.Generator) -> tuple[Attempt, Guess | None]:
        """Roll out the policy, or sample, without refinement; what exceeds its bounds is not valid."""
        began = time.perf_counter()
        if isinstance(self.policy, SamplingSettings):
            found = sampled_start(self.task, instance, rng, self.policy)
            elapsed = 1e3 * (time.perf_counter() - began)
            if found is None:
                return Attempt("invalid", time_ms=elapsed), None
            status = "valid" if found.chain.excess <= FEASIBLE else "invalid"
            distance = _finite(self.task.final_error(found.guess.X, instance.target))
            return Attempt(status, _finite(found.chain.cost), 0, elapsed, 0.0, distance), found.guess
        guess = policy_start(self.task, self.policy, instance, rng, self.action_horizon, self.samples)
        elapsed = 1e3 * (time.perf_counter() - began)
        if guess is None:
            return Attempt("invalid", time_ms=elapsed), None
        cost = _finite(self.task.cost(guess.X, guess.U, instance.target))
        error = _finite(self.task.final_error(guess.X, instance.target))
        return Attempt("invalid" if cost is None else "valid", cost, 0, elapsed, 0.0, error), guess

    def plan(self, instance: Instance) -> tuple[Attempt | None, str | None]:
        """Plan as the planner does at run time, and say which start it used; None for tasks that it does not plan."""
        if self.planner is None:
            return None, None
        try:
            plan = self.planner.plan(instance.x0, instance.target)
        except SoboError:
            return Attempt("failed"), None
        total = plan.phases_ms["total"]
        status = "converged" if plan.status is PlanStatus.CONVERGED else "valid"
        return Attempt(status, plan.cost, plan.iterations, total, 0.0, plan.tool_error), plan.source

    def best(self, instance: Instance, rng: np.random.Generator) -> tuple[float | None, int | None]:
        """Cheapest converged cost over the different starts, and which start gave it."""
        if not self.options.starts:
            return None, None
        guesses = draw_starts(self.task, instance, self.options.starts, rng)
        solutions = self.solver.solve_batch([instance] * len(guesses), guesses, threads=self.options.threads)
        index, _ = cheapest(solutions)
        return (None, None) if index is None else (float(solutions[index].cost), index)

    def row(self, index: int, source: InstanceSource) -> Row:
        """Evaluate on one instance."""
        instance, rng = source(index)
        best, best_start = self.best(instance, rng)
        policy, guess = self.roll_out(instance, rng)
        planner, planner_source = self.plan(instance)
        return Row(
            index=index,
            x0=np.asarray(instance.x0).tolist(),
            target=np.asarray(instance.target).tolist(),
            interpolation=self.solve_from(instance, self.task.interpolate),
            gravity=self.solve_from(instance, self.task.gravity_rollout),
            policy=policy,
            refined=self.solve(instance, guess),
            planner=planner,
            planner_source=planner_source,
            best_of_starts=best,
            best_start=best_start,
        )
