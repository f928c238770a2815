"""Plans on test instances: what is proposed for each, what the solver makes of it, and what that takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sobo_planner.errors import SoboError
from sobo_planner.sampling import Sampled
from sobo_planner.solver import Guess, Instance, Solver

#: A trajectory that was not solved for is within its limits if the squares of its excesses sum up to less: ten steps
#: that exceed a limit by 1 % of it, or that lie 1 cm deep in a column.
WITHIN = 1e-3

#: Proposes a trajectory, or None where there is none.
Propose = Callable[[Instance, np.random.Generator], Guess | Sampled | None]


@dataclass(frozen=True)
class Plan:
    """What a planner found for one instance.

    Attributes:
        cost: Cost of the trajectory; None where there is none, or the solver did not converge.
        valid: Whether it converged or, if it was not solved for, is within its limits.
        solved: Whether it is valid and ends at the target (`Task.success_distance`).
        cpu_ms: Processor time of planning, all starts included [ms].
        calls: Simulator calls of planning.
        iterations: Solver iterations.
    """

    cost: float | None
    valid: bool
    solved: bool
    cpu_ms: float
    calls: int
    iterations: int = 0


def solve(task: Any, solver: Solver, instance: Instance, guesses: Sequence[Guess], spent: Plan) -> Plan:
    """The cheapest solution from several starts.

    Args:
        task: The task.
        solver: Its solver.
        instance: The instance.
        guesses: The starts.
        spent: What the starts took.
    """
    began, solutions = time.process_time(), []
    for guess in guesses:
        try:
            solutions.append(solver.solve(instance, guess))
        except SoboError:  # a start that is not finite
            continue
    cpu_ms = spent.cpu_ms + 1e3 * (time.process_time() - began)
    iterations = sum(int(each.iterations) for each in solutions)
    calls = spent.calls + task.horizon * iterations
    good = [each for each in solutions if each.converged and np.isfinite(each.cost)]
    if not good:
        return Plan(None, False, False, cpu_ms, calls, iterations)
    best = min(good, key=lambda each: each.cost)
    reached = task.final_error(best.X, instance.target) < task.success_distance
    return Plan(float(best.cost), True, bool(reached), cpu_ms, calls, iterations)


def from_starts(task: Any, instances: Sequence[Instance], count: int, seed: int) -> list[dict[str, Any]]:
    """Plans of the solver from the task's own starts, the interpolation first."""
    solver, plans = Solver(task), []
    solver.solve(instances[0], task.interpolate(instances[0]))  # first calls allocate; what follows is timed
    for number, instance in enumerate(instances):
        began = time.process_time()
        guesses = task.starts(instance, count, np.random.default_rng([11, seed, number]))
        spent = Plan(None, False, False, 1e3 * (time.process_time() - began), 0)
        plans.append(asdict(solve(task, solver, instance, guesses, spent)))
    return plans


def proposed(
    task: Any, instances: Sequence[Instance], propose: Propose, calls: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Proposals as they are (`alone`), and the solver's plans from them (`refined`).

    Args:
        task: The task.
        instances: The test instances.
        propose: Makes proposals.
        calls: Simulator calls of one.
        seed: Of its noise.
    """
    solver = Solver(task)
    plans: dict[str, list[dict[str, Any]]] = {"alone": [], "refined": []}
    propose(instances[0], np.random.default_rng(0))  # as above
    solver.solve(instances[0], task.interpolate(instances[0]))
    for number, instance in enumerate(instances):
        rng, began = np.random.default_rng([7, seed, number]), time.process_time()
        found = propose(instance, rng)
        cpu_ms = 1e3 * (time.process_time() - began)
        alone = judged(task, instance, found, Plan(None, False, False, cpu_ms, calls))
        guess = found.guess if isinstance(found, Sampled) else found
        plans["alone"].append(asdict(alone))
        plans["refined"].append(asdict(solve(task, solver, instance, [] if guess is None else [guess], alone)))
    return plans


def judged(task: Any, instance: Instance, found: Guess | Sampled | None, spent: Plan) -> Plan:
    """A proposal as a plan of its own."""
    if found is None:
        return spent
    if isinstance(found, Sampled):
        guess, cost, excess = found.guess, found.chain.cost, found.chain.excess
    else:
        guess, cost = found, task.cost(found.X, found.U, instance.target)
        excess = float(task.batch_costs(instance, found.U[None]).excess[0])
    if not np.isfinite(cost):
        return spent
    valid = bool(excess <= WITHIN)
    reached = task.final_error(guess.X, instance.target) < task.success_distance
    return Plan(float(cost), valid, bool(valid and reached), spent.cpu_ms, spent.calls)
