"""Instances and starts that depend on the seed and the instance's number alone.

Instance `i` of seed `s` is drawn from its own generator, seeded by (stream, s, i): the result depends neither
on threads, nor on interruptions, nor on how many instances were asked for. Collection and evaluation use
different streams, so no instance of the one is ever an instance of the other, whatever the seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from sobo_planner.errors import SoboError, TaskError
from sobo_planner.solver import Instance

if TYPE_CHECKING:
    from sobo_planner.policy import Policy
    from sobo_planner.sampling import Sampled, SamplingSettings
    from sobo_planner.solver import Guess
    from sobo_planner.tasks import Task
    from sobo_training.data.dataset import Dataset

#: Gives instances by number, each with the generator that its starts are drawn from.
InstanceSource = Callable[[int], tuple[Instance, np.random.Generator]]


class Stream(IntEnum):
    """What the instances are drawn for."""

    COLLECT = 1
    EVALUATE = 2
    LOGGED = 3
    RECOMBINED = 4
    KEPT = 5


def generator(stream: Stream, seed: int, index: int) -> np.random.Generator:
    """The generator of one instance."""
    return np.random.default_rng([int(stream), seed, index])


def draw(task: Task, stream: Stream, seed: int, index: int) -> tuple[Instance, np.random.Generator]:
    """Draw an instance.

    Returns:
        The instance, and its generator to draw the starts from.
    """
    rng = generator(stream, seed, index)
    return task.sample(rng), rng


def held_out(task: Task, seed: int) -> InstanceSource:
    """Instances to evaluate on, which collection never draws."""
    return lambda index: draw(task, Stream.EVALUATE, seed, index)


def logged(data: Dataset, seed: int) -> InstanceSource:
    """The instances of stored solutions, in their order."""

    def source(index: int) -> tuple[Instance, np.random.Generator]:
        return Instance(data.x0[index], data.target[index]), generator(Stream.LOGGED, seed, index)

    return source


def draw_starts(
    task: Task, instance: Instance, count: int, rng: np.random.Generator, policy: Policy | None = None
) -> list[Guess]:
    """Different starts for one instance.

    Args:
        task: The task.
        instance: The instance.
        count: Number of starts of the task's own.
        rng: The instance's generator.
        policy: Adds its rollout, the cheapest of as many samples as the task file says, unless none is finite.

    Returns:
        `count` starts, without those that diverged, and the policy's behind them.
    """
    guesses = [guess for guess in task.starts(instance, count, rng) if guess.finite]
    if policy is not None:
        guess = policy_start(task, policy, instance, rng, samples=task.config.policy.samples)
        if guess is not None:
            guesses.append(guess)
    return guesses


def policy_start(
    task: Task,
    policy: Policy,
    instance: Instance,
    rng: np.random.Generator,
    action_horizon: int | None = None,
    samples: int = 1,
) -> Guess | None:
    """The policy's rollout through the true dynamics, or None where it is not finite."""
    from sobo_planner.policy.rollout import rollout

    try:
        guess = rollout(task, policy, instance, T_a=action_horizon, rng=rng, samples=samples)
    except SoboError:
        return None
    return guess if guess.finite else None


def sampled_start(
    task: Task,
    instance: Instance,
    rng: np.random.Generator,
    settings: SamplingSettings | None = None,
    threads: int = 1,
) -> Sampled | None:
    """A start by sampling (`sobo_planner.sampling.diffuse`), or None where there is none.

    Args:
        task: The task.
        instance: The instance.
        rng: Source of the noise.
        settings: What is sampled; by default what suits the task.
        threads: Of the rollouts; the result does not depend on their number.

    Raises:
        ConfigError: The settings do not fit the task.
    """
    from sobo_planner.sampling import diffuse

    try:
        return diffuse(task, instance, settings, rng=rng, threads=threads)
    except TaskError:
        return None
