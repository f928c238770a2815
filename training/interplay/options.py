"""What a run of the interplay loop is asked for, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sobo_planner.errors import ConfigError
from sobo_training.config import DEVICES, METHODS, TrainConfig

EXECUTORS = ("threads", "ray")
#: Share of each batch that is drawn from logged solutions, where there are any.
LOGGED_SHARE = 0.5


@dataclass(frozen=True)
class InterplayOptions:
    """What the task file does not say.

    Attributes:
        method: One of `METHODS`; None for what the task's configuration says.
        seed: Seed of instances, starts, weights, batches and noise.
        threads: Solver threads; no result depends on it.
        executor: Where instances are solved: `threads`, or `ray`; no result depends on it.
        device: Where networks are trained: `cpu` or `cuda`.
        policy: Artifact of the policy to go on from; None to begin with random weights.
        from_data: Dataset folders of logged solutions, to learn from.
        logged_share: Share of each batch that is drawn from the logged solutions and new pairs of their starts and
            goals.
    """

    method: str | None = None
    seed: int = 0
    threads: int = 2
    executor: str = "threads"
    device: str = "cpu"
    policy: Path | None = None
    from_data: tuple[Path, ...] = ()
    logged_share: float = LOGGED_SHARE

    def __post_init__(self) -> None:
        for name, lowest in (("seed", 0), ("threads", 1)):
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        for name, known in (("method", (None, *METHODS)), ("executor", EXECUTORS), ("device", DEVICES)):
            if getattr(self, name) not in known:
                raise ConfigError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(map(str, known))}")
        if not 0 < self.logged_share < 1:
            raise ConfigError(f"logged_share must lie in (0, 1), got {self.logged_share}")


def gradient_steps(epochs: int, trajectories: int, horizon: int, config: TrainConfig) -> int:
    """Gradient steps that a number of epochs takes, with the size of an epoch of section 4.1.

    An epoch takes one step at least, also where it holds less than a batch.

    Raises:
        ConfigError: The horizon holds no whole chunk, by which epochs are counted.
    """
    if config.network == "mlp":
        size = float(trajectories * horizon)
    elif horizon > config.T_h:
        size = trajectories * (horizon - config.T_h) / config.T_h
    else:
        raise ConfigError(f"epochs are counted in chunks: T_h={config.T_h} must be below the horizon of {horizon}")
    return math.ceil(epochs * max(size, config.batch) / config.batch)


def seed_of(seed: int, iteration: int) -> int:
    """Seed of an iteration: no two iterations share instances, batches or noise."""
    return int(np.random.SeedSequence([seed, iteration]).generate_state(1)[0])
