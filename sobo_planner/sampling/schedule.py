"""How the noise of samples falls from step to step: the forward process of a diffusion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError

Array = NDArray[np.float64]

# The last beta over the first one, as in the reference implementation (1e-4 to 1e-2).
RATIO = 100.0
BISECTIONS = 60


def betas(steps: int, noise: float) -> Array:
    """Variances added in the forward process, rising linearly, (steps,).

    Args:
        steps: Number of steps N.
        noise: Standard deviation sqrt(1 - abar_N) after all of them. Fewer steps with the same betas would end at less.

    Raises:
        ConfigError: There are no steps, or the noise is not between 0 and 1.
    """
    if steps < 1 or not 0.0 < noise < 1.0:
        raise ConfigError(f"a schedule needs steps and 0 < noise < 1, got {steps} steps and noise {noise:g}")
    low, high = 0.0, 1.0
    shape = np.linspace(1.0 / RATIO, 1.0, steps) if steps > 1 else np.ones(1)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _reached(middle * shape) < noise else (low, middle)
    return high * shape


def _reached(each: Array) -> float:
    return float(np.sqrt(1.0 - np.prod(1.0 - each)))


def noise_levels(steps: int, noise: float) -> Array:
    """Standard deviations sqrt(1 - abar_i) of the samples in the order of the reverse process, largest first."""
    return np.sqrt(1.0 - np.cumprod(1.0 - betas(steps, noise)))[::-1]
