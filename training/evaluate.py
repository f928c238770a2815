"""Evaluate a policy on held-out instances: alone, as a warm start, and beside the solver with a naive start.

    naive start ---------> solver = cold     (both naive starts; the better one on average is called `cold`)
    policy rollout ------> cost of the policy alone
    policy rollout ------> solver = refined
    several starts ------> solver, the cheapest converged solution = best of starts

Everything that is timed runs one instance at a time on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from sobo_planner.errors import ConfigError, SoboError
from sobo_training.collect import cheapest
from sobo_training.instances import Stream, draw, draw_starts, policy_start

if TYPE_CHECKING:
    from sobo_planner.policy import Policy
    from sobo_planner.solver import Guess, Instance, Solver
    from sobo_planner.tasks import Task

#: A rollout or a plan succeeds when it ends closer to the target than this [m].
SUCCESS_DISTANCE = 0.01


@dataclass(frozen=True)
class EvaluateOptions:
    """How a policy is evaluated.

    Attributes:
        instances: Number of held-out instances.
        seed: Seed of the instances; their stream is disjoint from that of collected data.
        starts: Starts per instance of the best-of-starts reference; 0 leaves it out.
        action_horizon: Steps executed of each chunk; the artifact's if None.
        samples: Noise samples per rollout, the cheapest kept.
        threads: Solver threads of the best-of-starts reference, which is not timed.
    """

    instances: int = 50
    seed: int = 0
    starts: int = 6
    action_horizon: int | None = None
    samples: int = 1
    threads: int = 2

    def __post_init__(self) -> None:
        for name, lowest in (("instances", 1), ("seed", 0), ("starts", 0), ("samples", 1), ("threads", 1)):
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        if self.action_horizon is not None and self.action_horizon < 1:
            raise ConfigError(f"action_horizon must be at least 1, got {self.action_horizon}")


@dataclass(frozen=True)
class Attempt:
    """A trajectory for one instance.

    Attributes:
        status: `converged` or how the solver failed; `valid` or `invalid` for a policy's rollout.
        cost: Cost of the trajectory, None if there is none.
        iterations: Solver iterations; 0 for a rollout.
        time_ms: Time of the solve, or of the policy's rollout [ms].
        start_ms: Time to make the naive start [ms]; not part of `time_ms`.
        error_m: Final distance of the tool from the target [m], None if there is no trajectory.
    """

    status: str
    cost: float | None = None
    iterations: int = 0
    time_ms: float | None = None
    start_ms: float = 0.0
    error_m: float | None = None

    @property
    def good(self) -> bool:
        """Whether the trajectory is a converged solution or a valid rollout."""
        return self.status in ("converged", "valid")

    @property
    def usable_cost(self) -> float | None:
        """The cost, if the trajectory is good."""
        return self.cost if self.good else None

    @property
    def success(self) -> bool:
        """Whether it is good and ends at the target."""
        return self.good and self.error_m is not None and self.error_m < SUCCESS_DISTANCE


@dataclass(frozen=True)
class Row:
    """All attempts at one instance.

    Attributes:
        index: Number of the instance.
        x0: Initial state.
        target: Tool target [m].
        interpolation: Solve from the joint interpolation to an IK solution.
        gravity: Solve from the gravity-torque rollout.
        policy: The policy's rollout.
        refined: Solve from the policy's rollout.
        best_of_starts: Cheapest cost over the different starts, None if not asked for or none converged.
        best_start: Which start that was.
    """

    index: int
    x0: list[float]
    target: list[float]
    interpolation: Attempt
    gravity: Attempt
    policy: Attempt
    refined: Attempt
    best_of_starts: float | None
    best_start: int | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


class Evaluator:
    """Makes the rows of an evaluation.

    Args:
        task: The task.
        policy: The policy.
        solver: Solver of the task.
        options: How to evaluate.
    """

    def __init__(self, task: Task, policy: Policy, solver: Solver, options: EvaluateOptions) -> None:
        self.task, self.policy, self.solver, self.options = task, policy, solver, options

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
        """Let the policy alone act."""
        options = self.options
        began = time.perf_counter()
        guess = policy_start(self.task, self.policy, instance, rng, options.action_horizon, options.samples)
        elapsed = 1e3 * (time.perf_counter() - began)
        if guess is None:
            return Attempt("invalid", time_ms=elapsed), None
        cost = _finite(self.task.cost(guess.X, guess.U, instance.target))
        error = _finite(self.task.final_error(guess.X, instance.target))
        return Attempt("invalid" if cost is None else "valid", cost, 0, elapsed, 0.0, error), guess

    def best(self, instance: Instance, rng: np.random.Generator) -> tuple[float | None, int | None]:
        """Cheapest converged cost over the different starts, and which start gave it."""
        if not self.options.starts:
            return None, None
        guesses = draw_starts(self.task, instance, self.options.starts, rng)
        solutions = self.solver.solve_batch([instance] * len(guesses), guesses, threads=self.options.threads)
        index, _ = cheapest(solutions)
        return (None, None) if index is None else (float(solutions[index].cost), index)

    def row(self, index: int) -> Row:
        """Evaluate on one held-out instance."""
        instance, rng = draw(self.task, Stream.EVALUATE, self.options.seed, index)
        best, best_start = self.best(instance, rng)
        policy, guess = self.roll_out(instance, rng)
        return Row(
            index=index,
            x0=np.asarray(instance.x0).tolist(),
            target=np.asarray(instance.target).tolist(),
            interpolation=self.solve_from(instance, self.task.interpolate),
            gravity=self.solve_from(instance, self.task.gravity_rollout),
            policy=policy,
            refined=self.solve(instance, guess),
            best_of_starts=best,
            best_start=best_start,
        )


def evaluate(
    task: Task, policy_folder: str | Path, options: EvaluateOptions | None = None, progress: bool = True
) -> dict[str, Any]:
    """Evaluate a policy artifact.

    Args:
        task: The task, in the variant to evaluate on.
        policy_folder: The artifact.
        options: How to evaluate.
        progress: Show a progress bar on stderr.

    Returns:
        The report; see `sobo_training.report.report`.

    Raises:
        SoboError: The policy does not fit the task.
    """
    from sobo_planner.policy import Policy
    from sobo_planner.solver import Solver
    from sobo_training.report import report

    options = options or EvaluateOptions()
    policy = Policy.load(policy_folder, task)
    evaluator = Evaluator(task, policy, Solver(task), options)
    evaluator.row(0)  # first calls allocate; what follows is timed
    rows = [
        evaluator.row(index) for index in tqdm(range(options.instances), unit="inst", disable=not progress)
    ]
    horizon = options.action_horizon or policy.T_a
    return report(task, policy_folder, options, horizon, rows)
