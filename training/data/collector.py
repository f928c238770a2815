"""Instances solved from several starts, the cheapest converged solution of each kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sobo_planner.errors import SoboError
from sobo_planner.solver import Solver
from sobo_training.data.collection import CollectOptions
from sobo_training.data.instances import Stream, draw, draw_starts, sampled_start
from sobo_training.data.shards import LAYOUT, ShardInfo

if TYPE_CHECKING:
    from sobo_planner.policy import Policy
    from sobo_planner.solver import Guess, Instance, Solution
    from sobo_planner.tasks import Task

logger = logging.getLogger(__name__)

#: Tensors of a shard that are attributes of a solution.
SOLUTION_TENSORS = ("X", "U", "K", "k", "A", "B", "cost", "iterations")


@dataclass(frozen=True)
class Outcome:
    """Result of one instance.

    Attributes:
        number: Its number.
        instance: Initial state and target.
        start: Index of the winning start, or None if every start failed.
        solution: The cheapest converged solution, or None.
        causes: Causes of the failed starts; `no_start` if there was none to solve from.
    """

    number: int
    instance: Instance
    start: int | None
    solution: Solution | None
    causes: tuple[str, ...]


def cause_of_failure(solution: Solution) -> str | None:
    """Why a solution is not to be learned from, or None if it is."""
    if not solution.converged:
        return str(solution.status.value)
    values = (getattr(solution, name) for name in SOLUTION_TENSORS)
    return None if all(np.isfinite(value).all() for value in values) else "not_finite"


def cheapest(
    solutions: list[Solution], objection: Callable[[Solution], str | None] = cause_of_failure
) -> tuple[int | None, tuple[str, ...]]:
    """Index of the cheapest usable solution, None if there is none, and the causes of the others (`objection`)."""
    causes = [objection(solution) for solution in solutions]
    usable = [index for index, cause in enumerate(causes) if cause is None]
    best = min(usable, key=lambda index: solutions[index].cost) if usable else None
    return best, tuple(cause for cause in causes if cause is not None)


@dataclass
class Collector:
    """Solves instances of a task, in batches on the solver's threads.

    Attributes:
        task: The task.
        solver: Its solver.
        options: What to collect.
        policy: Gives one more start, if any.
    """

    label: ClassVar[str] = "collect"

    task: Task
    solver: Solver
    options: CollectOptions
    policy: Policy | None = None

    @property
    def batch_size(self) -> int:
        """Instances solved at once: enough to keep the threads busy.

        Python sees Ctrl-C between batches only, and the progress bar moves then, so batches are not larger.
        """
        return 2 * self.options.threads

    def solve(self, numbers: list[int]) -> list[Outcome]:
        """Solve some instances, all starts of all of them in one native batch."""
        drawn = [self.drawn(number) for number in numbers]
        starts = [self.starts(number, *each) for number, each in zip(numbers, drawn, strict=True)]
        instances = [each for (each, _), guesses in zip(drawn, starts, strict=True) for _ in guesses]
        flat = [guess for guesses in starts for guess in guesses]
        solved = iter(self.solver.solve_batch(instances, flat, threads=self.options.threads))
        outcomes = []
        for number, (instance, _), guesses in zip(numbers, drawn, starts, strict=True):
            solutions = [next(solved) for _ in guesses]
            start, causes = cheapest(solutions, partial(self.objection, instance))
            best = None if start is None else solutions[start]
            causes = causes if solutions else ("no_start",)
            outcomes.append(Outcome(number, instance, start, best, causes))
        return outcomes

    def drawn(self, number: int) -> tuple[Instance, np.random.Generator]:
        """The instance of a number, and the generator to draw its starts from."""
        return draw(self.task, Stream.COLLECT, self.options.seed, number)

    def objection(self, instance: Instance, solution: Solution) -> str | None:
        """Why a solution of an instance is not kept, or None if it may be."""
        return cause_of_failure(solution)

    def starts(self, number: int, instance: Instance, rng: np.random.Generator) -> list[Guess]:
        """What the instance of a number is solved from."""
        guesses = []
        try:
            guesses = draw_starts(self.task, instance, self.options.starts, rng, self.policy)
        except SoboError as error:
            logger.warning("no start for the instance %s: %s", instance, error)
        found = [
            sampled_start(self.task, instance, rng, threads=self.options.threads) for _ in range(self.options.sampled)
        ]
        return guesses + [each.guess for each in found if each is not None]

    def solve_shards(self, shards: list[list[int]], advance: Callable[[int], Any]) -> Iterator[list[Outcome]]:
        """Solve the instances of several shards, batch by batch; `advance` is called with the size of every batch."""
        for numbers in shards:
            outcomes: list[Outcome] = []
            for part in split(numbers, self.batch_size):
                batch = self.solve(part)
                outcomes.extend(batch)
                advance(len(batch))
            yield outcomes

    def tensors(self, outcomes: list[Outcome]) -> dict[str, np.ndarray]:
        """The tensors of a shard, from the outcomes that have a solution; shapes as in `shards.LAYOUT`."""
        task, kept = self.task, [each for each in outcomes if each.solution is not None]
        if not kept:
            sizes = {"n": 0, "T": task.horizon, "T+1": task.horizon + 1}
            sizes |= {"nx": task.nx, "ndx": task.ndx, "nu": task.nu}
            return {
                name: np.zeros([s if isinstance(s, int) else sizes[s] for s in symbols])
                for name, symbols in LAYOUT.items()
            }
        tensors = {
            name: np.stack([np.asarray(getattr(each.solution, name)) for each in kept]) for name in SOLUTION_TENSORS
        }
        tensors["x0"] = np.stack([each.instance.x0 for each in kept])
        tensors["target"] = np.stack([each.instance.target for each in kept])
        tensors["start"] = np.array([each.start for each in kept])
        return tensors

    def info(self, outcomes: list[Outcome], config: dict[str, Any], seconds: float) -> ShardInfo:
        """The metadata of a shard."""
        return ShardInfo(
            task=self.task.name,
            task_hash=self.task.hash,
            robot_hash=self.task.robot_hash,
            seed=self.options.seed,
            indices=tuple(each.number for each in outcomes if each.solution is not None),
            rejected={each.number: list(each.causes) for each in outcomes if each.solution is None},
            config=config,
            seconds=seconds,
        )


def split(numbers: list[int], size: int) -> list[list[int]]:
    """Cut a list into parts of one size, the last of which may be smaller."""
    return [numbers[first : first + size] for first in range(0, len(numbers), size)]
