"""One step of a sampling planner: from samples and their losses to the next mean and noise.

The planners differ in these lines alone. Model-based diffusion takes the reverse step

    score = (-Y + sqrt(abar) Ybar) / (1 - abar),        Y' = (Y + (1 - abar) score) / sqrt(alpha)

with the weighted mean Ybar of samples around Y / sqrt(abar). That is Y' = sqrt(abar') Ybar: in terms of the means it is
the weighted mean of MPPI, and the noise of a schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Losses above this quantile count as that: one rollout that diverges would make the others all alike.
CLIPPED_ABOVE = 0.9
# A spread of losses below this is none.
LEAST_SPREAD = 1e-4
#: Of cross-entropy: how many of the best samples are averaged.
ELITES = 10
#: Of CMA-ES: the least noise.
LEAST_NOISE = 1e-3


@dataclass(frozen=True)
class Drawn:
    """What a step has drawn.

    Attributes:
        Y: Samples, (N, size).
        losses: Their losses, (N,); infinite for those that are not to count.
        weights: Their weights, (N,), which sum to 1.
        mean: Around which they were drawn, (size,).
        noise: With which standard deviation.
        first: With which one in the first step.
        scheduled: The one that the schedule has next.
    """

    Y: Array
    losses: Array
    weights: Array
    mean: Array
    noise: float
    first: float
    scheduled: float

    @property
    def average(self) -> Array:
        """The weighted mean, (size,)."""
        return self.weights @ self.Y

    @property
    def spread(self) -> float:
        """Weighted root of the mean squared distances from the mean, in units of the noise."""
        return float(np.sqrt(self.weights @ ((self.Y - self.mean) ** 2).mean(axis=1))) / self.noise


#: The next mean and noise, by the name of the planner.
UPDATES: dict[str, Callable[[Drawn], tuple[Array, float]]] = {
    "mbd": lambda drawn: (drawn.average, drawn.scheduled),
    "mppi": lambda drawn: (drawn.average, drawn.first),
    "cem": lambda drawn: (drawn.Y[np.argsort(drawn.losses)[:ELITES]].mean(axis=0), drawn.first),
    "cma-es": lambda drawn: (drawn.average, max(drawn.noise * drawn.spread, LEAST_NOISE)),
}


def standardised(losses: Array) -> tuple[Array, float, float]:
    """Losses without their outliers as (losses - mean) / spread, with mean and spread; infinite ones stay so."""
    finite = np.isfinite(losses)
    if not finite.any():
        return np.full(len(losses), np.inf), 0.0, 1.0
    clipped = np.where(finite, np.minimum(losses, np.quantile(losses[finite], CLIPPED_ABOVE, method="lower")), np.inf)
    mean, spread = float(clipped[finite].mean()), float(clipped[finite].std())
    spread = spread if spread >= LEAST_SPREAD else 1.0
    return (clipped - mean) / spread, mean, spread


def log_likelihoods(losses: Array, temperature: float) -> Array:
    """Logarithms of what p_0 is proportional to, (N,); -inf for infinite losses."""
    return -standardised(losses)[0] / temperature


def weights_of(logarithms: Array) -> Array:
    """Weights of samples, (N,); the same for all where none counts."""
    if not np.isfinite(logarithms).any():
        return np.full(len(logarithms), 1.0 / len(logarithms))
    w = np.exp(logarithms - logarithms.max())
    return w / w.sum()
