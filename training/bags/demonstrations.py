"""Instances from bags solved with the present task, from its own starts and from what was recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, ClassVar

import numpy as np

from sobo_planner.solver import Guess, Instance, Solution, Solver
from sobo_planner.tasks import ArmReach
from sobo_training.bags.candidates import Candidate
from sobo_training.bags.joint_states import Array
from sobo_training.bags.worlds import Views
from sobo_training.data.collection import CollectOptions, resolved_config
from sobo_training.data.collector import Collector, Outcome, cause_of_failure
from sobo_training.data.instances import Stream, generator

#: Number of the start that was recorded; the task's own are 1, 2, ...
RECORDED = 0
# How far a step of a plan may miss the next state, by what share solving it again may lower the cost, and by what share
# of the largest gain it may change gains.
FEASIBLE, SAME_COST, SAME_GAINS = 1e-3, 1e-3, 0.1


class LoggedCollector(Collector):
    """Solves candidates instead of instances that are drawn.

    Args:
        task: The present task.
        candidates: What to solve, by number.
        options: As for a collection; `count` is the number of candidates.
        tool_error: Solutions that end farther from the target [m] are not kept.
    """

    label: ClassVar[str] = "solve"

    def __init__(
        self, task: ArmReach, candidates: Sequence[Candidate], options: CollectOptions, tool_error: float
    ) -> None:
        super().__init__(task, Solver(task), options)
        self._arm, self._candidates, self._tool_error = task, candidates, tool_error
        self._alone, self._views = self.solver, Views(task)

    def solve(self, numbers: list[int]) -> list[Outcome]:
        """Solves some candidates, each in its world; the recorded start has number `RECORDED`."""
        outcomes: list[Outcome] = []
        for _, same in groupby(numbers, lambda number: self._candidates[number].world):
            outcomes += self._solve_among(list(same))
        self.task = self._views.of(None)  # shards are of it
        return outcomes

    def _solve_among(self, numbers: list[int]) -> list[Outcome]:
        """Solves candidates that share a world."""
        world = self._candidates[numbers[0]].world
        self._arm = self.task = self._views.of(world)
        self.solver = self._alone if world is None else Solver(self._arm)
        outcomes = []
        for outcome in super().solve(numbers):
            shift = 0 if self._candidates[outcome.number].states is not None else 1
            start = None if outcome.start is None else outcome.start + shift
            outcomes.append(replace(outcome, start=start))
        return outcomes

    def drawn(self, number: int) -> tuple[Instance, np.random.Generator]:
        """The candidate of a number."""
        return self._candidates[number].instance, generator(Stream.LOGGED, self.options.seed, number)

    def starts(self, number: int, instance: Instance, rng: np.random.Generator) -> list[Guess]:
        """The recorded motion, and the task's own starts."""
        candidate = self._candidates[number]
        recorded = [] if candidate.states is None else [self._recorded(candidate)]
        if not all(guess.finite for guess in recorded):
            recorded = [self._arm.gravity_rollout(instance)]  # keeps the numbers of the others
        return recorded + super().starts(number, instance, rng)

    def objection(self, instance: Instance, solution: Solution) -> str | None:
        """Why a solution is not kept."""
        cause = cause_of_failure(solution)
        if cause is None and self._arm.final_error(solution.X, instance.target) > self._tool_error:
            return f"ends more than {self._tool_error:g} m from the goal"
        if cause is None and self._arm.robot.world.everything and _touches(self._arm, solution):
            return "touches something in its world"
        return cause

    def _recorded(self, candidate: Candidate) -> Guess:
        """The recorded states as they are where they belong to this problem, or as the limits allow to follow them."""
        task, states = self._arm, candidate.states
        assert states is not None
        if candidate.controls is not None:
            return Guess(states, np.clip(candidate.controls, task.control_lower, task.control_upper))
        X, U = task.track(candidate.instance.x0, states[1:], task.config.policy.blend)
        return Guess(X, np.clip(U, task.control_lower, task.control_upper))


def _touches(task: ArmReach, solution: Solution) -> bool:
    time = task.dt * np.arange(len(solution.X), dtype=np.float64)
    return task.robot.first_contact(time, solution.X[:, : task.nu], solution.X[:, task.nu :]) is not None


def config_of(
    task: ArmReach, candidates: Sequence[Candidate], options: CollectOptions, tool_error: float
) -> dict[str, Any]:
    """All that the solutions depend on, as for a collection."""
    keys = "".join(candidate.key for candidate in candidates)
    logged = {"candidates": hashlib.sha256(keys.encode()).hexdigest(), "tool_error": tool_error}
    return resolved_config(task, options, None) | {"bags": logged}


def stays_optimal(candidate: Candidate, cost: float, gains: Array, task: ArmReach) -> bool:
    """Whether a recorded plan fits the present task.

    It has to follow the task's dynamics, and solving it again may hardly lower its cost or change its gains.

    Args:
        candidate: The plan.
        cost: Of the solution that was found from there.
        gains: Of that solution, (T, nu, nx).
        task: The present task, in the world of the plan.
    """
    states, controls = candidate.states, candidate.controls
    if states is None or controls is None:
        return False
    how = task.config.problem.integrator
    steps = [task.robot.simulate(x, u[None, :], task.dt, how)[-1] for x, u in zip(states, controls, strict=False)]
    follows = bool(np.abs(np.array(steps) - states[1:]).max() <= FEASIBLE)
    recorded = task.cost(states, controls, candidate.instance.target)
    known = candidate.gains is None or np.abs(candidate.gains - gains).max() <= SAME_GAINS * np.abs(gains).max()
    return follows and bool(known) and abs(recorded - cost) <= SAME_COST * abs(cost)
