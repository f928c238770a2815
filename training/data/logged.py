"""Logged instances: those of stored solutions, solved once more with a policy's help, and new pairs of their starts and
goals."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from sobo_planner.policy import Policy
from sobo_planner.solver import Instance, Solution, Solver
from sobo_planner.tasks import Task
from sobo_training.data.collection import CollectOptions, CollectSummary, resolved_config
from sobo_training.data.collector import SOLUTION_TENSORS, Collector, Outcome, cheapest
from sobo_training.data.dataset import Dataset
from sobo_training.data.filling import fill
from sobo_training.data.instances import Stream, generator, logged, policy_start

#: Largest share of the logged instances that is kept for evaluation.
HELD_OUT = 0.2
#: Number of the start of a solution that replaces a logged one.
IMPROVED = -1


@dataclass(frozen=True)
class Stored:
    """A row of a dataset, where a solution is asked for."""

    data: Dataset
    row: int

    def __getattr__(self, name: str) -> Any:
        if name not in SOLUTION_TENSORS:
            raise AttributeError(name)
        return getattr(self.data, name)[self.row]


@dataclass
class Improver(Collector):
    """Solves stored instances again from the policy's rollout, and keeps the cheaper solution.

    Attributes:
        data: The stored solutions. A solution that is kept also keeps the number of its start; that of a new one is
            `IMPROVED`.
    """

    data: Dataset | None = None

    def solve(self, numbers: list[int]) -> list[Outcome]:
        """Improve some of the stored solutions; no instance is rejected."""
        assert self.data is not None
        source, samples = logged(self.data, self.options.seed), self.task.config.policy.samples
        instances, rows, guesses = [], [], []
        for number in numbers if self.policy is not None else ():
            instance, rng = source(number)
            guess = policy_start(self.task, cast(Policy, self.policy), instance, rng, samples=samples)
            if guess is not None:
                instances.append(instance)
                rows.append(number)
                guesses.append(guess)
        solved = self.solver.solve_batch(instances, guesses, threads=self.options.threads) if guesses else []
        return [self._better(number, dict(zip(rows, solved, strict=True)).get(number)) for number in numbers]

    def _better(self, number: int, solution: Solution | None) -> Outcome:
        assert self.data is not None
        instance, _ = logged(self.data, self.options.seed)(number)
        usable = solution is not None and cheapest([solution])[0] is not None
        if solution is not None and usable and solution.cost < self.data.cost[number]:
            return Outcome(number, instance, IMPROVED, solution, ())
        kept = cast(Solution, Stored(self.data, number))
        return Outcome(number, instance, int(self.data.start[number]), kept, ())


@dataclass
class Recombiner(Collector):
    """Solves instances that pair the start of one stored solution with the goal of another.

    A log of n motions holds n instances, but n^2 pairs: motions as they may be asked for where the log was recorded.

    Attributes:
        data: The stored solutions.
    """

    label: ClassVar[str] = "recombine"

    data: Dataset | None = None

    def drawn(self, number: int) -> tuple[Instance, np.random.Generator]:
        """A start and a goal, each drawn from all stored ones, and the generator to draw the solver's starts from."""
        assert self.data is not None
        rng = generator(Stream.RECOMBINED, self.options.seed, number)
        first, second = rng.integers(len(self.data), size=2)
        return Instance(self.data.x0[first], self.data.target[second]), rng


def recombine(
    data: Dataset, task: Task, folder: Path, options: CollectOptions, policy_folder: Path | None, progress: bool = True
) -> CollectSummary:
    """Store solutions of instances that pair starts and goals of stored ones, or go on with that.

    Args:
        data: The stored solutions.
        task: Their task.
        folder: Dataset folder to write.
        options: How many, and how they are solved.
        policy_folder: Policy whose rollout is one more start.
        progress: Show a progress bar.

    Raises:
        DatasetError: Too few pairs can be solved, or the folder holds something else.
    """
    config = resolved_config(task, options, policy_folder) | {"recombined": identity(data)}
    policy = None if policy_folder is None else Policy.load(policy_folder, task)
    return fill(folder, Recombiner(task, Solver(task), options, policy, data), config, progress=progress)


def improve(
    data: Dataset, task: Task, folder: Path, policy_folder: Path | None, seed: int, threads: int, progress: bool = True
) -> CollectSummary:
    """Store solutions in a folder, each solved again from a policy's rollout, or go on with that.

    Args:
        data: The solutions.
        task: Their task.
        folder: Dataset folder to write.
        policy_folder: The policy; None to store the solutions as they are.
        seed: Of the policy's noise.
        threads: Solver threads.
        progress: Show a progress bar.
    """
    options = CollectOptions(count=len(data), seed=seed, threads=threads, starts=1)
    config = resolved_config(task, options, policy_folder) | {"logged": identity(data)}
    policy = None if policy_folder is None else Policy.load(policy_folder, task)
    return fill(folder, Improver(task, Solver(task), options, policy, data), config, progress=progress)


def identity(data: Dataset) -> str:
    """A hash of the instances and costs of stored solutions."""
    sha = hashlib.sha256()
    for name in ("x0", "target", "cost"):
        sha.update(np.ascontiguousarray(getattr(data, name)).tobytes())
    return sha.hexdigest()


def split(data: Dataset, most: int) -> tuple[Dataset, Dataset]:
    """Solutions to learn from, and others to evaluate on: a fifth of all, at most so many; always the same ones."""
    held = min(most, int(HELD_OUT * len(data)))
    order = generator(Stream.LOGGED, 0, 0).permutation(len(data))
    return data.select(np.sort(order[held:])), data.select(np.sort(order[:held]))
