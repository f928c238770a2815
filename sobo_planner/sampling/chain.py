"""The loop of a sampling planner: draw, roll out, weigh, move on; the best sample is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError
from sobo_planner.sampling.demonstrations import Demonstration, mixed
from sobo_planner.sampling.schedule import noise_levels
from sobo_planner.sampling.spaces import Space
from sobo_planner.sampling.updates import UPDATES, Drawn, log_likelihoods, weights_of
from sobo_planner.solver import UNLIMITED, Budget
from sobo_planner.tasks.batch import BatchCosts

Array = NDArray[np.float64]

# Excess that does not count where bounds are an indicator.
FEASIBLE = 1e-9
# Least cost whose logarithm is taken.
LEAST_COST = 1e-12


@dataclass(frozen=True)
class ChainSettings:
    """How samples are drawn and weighed.

    Attributes:
        update: Name of the planner: `mbd`, `mppi`, `cem` or `cma-es`.
        samples: Samples of each step; the mean and the best sample so far are among them.
        steps: Steps.
        temperature: Of the weights, in units of the standard deviation of the logarithms of costs.
        noise: Standard deviation of the first samples, in units of half the box.
        excess: Weight of what samples exceed their bounds by; infinite: those that do have no weight (p_g as an
            indicator), unless all do.
    """

    update: str = "mbd"
    samples: int = 128
    steps: int = 40
    temperature: float = 0.1
    noise: float = 0.8
    excess: float = 3.0

    def __post_init__(self) -> None:
        if self.update not in UPDATES:
            raise ConfigError(f"unknown update {self.update!r}; use {', '.join(UPDATES)}")
        if self.samples < 3 or self.steps < 1:
            raise ConfigError(f"needed are 3 samples and 1 step, got {self.samples} and {self.steps}")
        if not self.temperature > 0.0:
            raise ConfigError(f"temperature must be positive, got {self.temperature:g}")
        if not self.excess >= 0.0:
            raise ConfigError(f"excess must not be negative, got {self.excess:g}")
        if not self.noise > 0.0 or (self.noise >= 1.0 and self.update == "mbd"):
            raise ConfigError(f"noise must lie in (0, 1) for a schedule and be positive for others, got {self.noise:g}")

    def levels(self) -> Array:
        """Noise of the schedule at each step; the first one throughout for planners without a schedule."""
        return noise_levels(self.steps, self.noise) if self.update == "mbd" else np.full(self.steps, self.noise)


@dataclass(frozen=True)
class Link:
    """One step of a chain.

    Attributes:
        noise: Standard deviation of its samples.
        mean: Mean that it leads to, (size,).
        samples: Its samples, (N, size).
        loss: Median of their losses.
        best: Loss of the best sample so far.
    """

    noise: float
    mean: Array
    samples: Array
    loss: float
    best: float


@dataclass(frozen=True)
class Chain:
    """What sampling leads to.

    Attributes:
        best: The best sample, (size,).
        cost: What it costs.
        excess: By how much it exceeds its bounds, see `BatchCosts`.
        links: The steps.
    """

    best: Array
    cost: float
    excess: float
    links: tuple[Link, ...]


class _Best:
    """The best sample so far: one within its bounds before others where bounds are an indicator."""

    def __init__(self, start: Array) -> None:
        self.y, self.rank, self.cost, self.excess = start, (True, np.inf), np.inf, np.inf

    def take(self, Y: Array, losses: Array, costs: BatchCosts, indicator: bool) -> None:
        k = int(np.argmin(losses))
        rank = (indicator and costs.excess[k] > FEASIBLE, float(losses[k]))
        if rank < self.rank:
            self.y, self.rank, self.cost, self.excess = Y[k], rank, float(costs.cost[k]), float(costs.excess[k])


def run(
    space: Space,
    settings: ChainSettings,
    rng: np.random.Generator,
    *,
    demonstration: Demonstration | None = None,
    threads: int = 1,
    budget: Budget = UNLIMITED,
) -> Chain:
    """Samples trajectories of one instance.

    Args:
        space: What samples stand for.
        settings: How they are drawn and weighed.
        rng: Source of the noise; fixes the result, whatever the threads.
        demonstration: Samples near it are weighed as it is, where that is more.
        threads: Of the rollouts.
        budget: Looked at before each step.

    Raises:
        DeadlineError: The budget ran out.
        PlanInterruptedError: Planning was interrupted.
    """
    levels = [*settings.levels().tolist(), LEAST_COST]
    mean, best, noise, links = space.start, _Best(space.start), levels[0], []
    reference = None if demonstration is None else demonstration.reference
    update: Callable[[Drawn], tuple[Array, float]] = UPDATES[settings.update]
    for scheduled in levels[1:]:
        budget.check("sampling")
        Y = np.clip(mean + noise * rng.standard_normal((settings.samples, len(mean))), -1.0, 1.0)
        Y[0], Y[1] = mean, best.y
        costs = space.costs(Y, threads, reference)
        losses = losses_of(costs, settings.excess)
        best.take(Y, losses, costs, np.isinf(settings.excess))
        logarithms = log_likelihoods(losses, settings.temperature)
        if demonstration is not None:
            logarithms = mixed(losses, costs.away, np.log(demonstration.cost), settings.temperature)
        drawn = Drawn(Y, losses, weights_of(logarithms), mean, noise, levels[0], scheduled)
        mean, noise = update(drawn)
        links.append(Link(drawn.noise, mean, Y, float(np.median(losses)), best.rank[1]))
    last = space.costs(mean[None], 1, None)
    best.take(mean[None], losses_of(last, settings.excess), last, np.isinf(settings.excess))
    return Chain(best.y, best.cost, best.excess, tuple(links))


def losses_of(costs: BatchCosts, weight: float) -> Array:
    """Losses of samples, (N,): logarithms of costs, to which the weighted excess is added.

    With an infinite weight samples beyond their bounds have an infinite loss; if all are, only the excess counts.
    """
    if np.isfinite(weight):
        return _logarithm(costs.cost + weight * costs.excess)
    within = costs.excess <= FEASIBLE
    return np.where(within, _logarithm(costs.cost), np.inf) if within.any() else _logarithm(costs.excess)


def _logarithm(values: Array) -> Array:
    return np.log(np.maximum(values, LEAST_COST))
