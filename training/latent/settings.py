"""Settings of an agent and of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from sobo_planner.errors import ConfigError

#: How actions are planned: by sampling (MPPI), or by Newton's method from the policy's proposal.
PLANNERS = ("mppi", "difftori")


@dataclass(frozen=True)
class AgentSettings:
    """Everything that determines an agent, apart from its environment.

    Attributes:
        planner: `mppi` (TD-MPC) or `difftori`.
        actor_loss: Whether `difftori` also learns from the actor's loss, backwards through the planner.
        latent: Latent states.
        width: Units of each of the two hidden layers of every network.
        horizon: Steps H that are planned, and that the model is unrolled in training.
        discount: Of a step.
        batch: Sequences of a gradient step.
        lr: Learning rate.
        rho: Weight of a step of the unrolled model relative to the one before.
        consistency: Weight of the error of latent states.
        reward: Weight of the error of rewards.
        value: Weight of the temporal differences.
        target_rate: How far target networks move in each step.
        noise: Standard deviation of exploration: at first, and at last.
        noise_steps: Steps of all environments over which it falls.
        samples: MPPI: sampled sequences.
        proposals: Sequences of the policy: among MPPI's samples; starts of `difftori`.
        elites: MPPI: sequences that the next mean is made of.
        iterations: MPPI: rounds. Newton's steps of `difftori` are `newton_steps`.
        temperature: MPPI: of the elites' weights.
        newton_steps: `difftori`: steps of Newton's method.
        damping: `difftori`: least curvature that a step assumes.
        actor_every: Gradient steps from one actor's loss to the next.
        actor_batch: Observations of an actor's loss.
        actor_weight: Weight of the actor's loss, in units of the mean absolute value.
    """

    planner: str = "mppi"
    actor_loss: bool = True
    latent: int = 24
    width: int = 96
    horizon: int = 5
    discount: float = 0.98
    batch: int = 128
    lr: float = 1e-3
    rho: float = 0.5
    consistency: float = 2.0
    reward: float = 0.5
    value: float = 0.1
    target_rate: float = 0.01
    noise: tuple[float, float] = (0.5, 0.05)
    noise_steps: int = 5000
    samples: int = 128
    proposals: int = 8
    elites: int = 24
    iterations: int = 4
    temperature: float = 0.5
    newton_steps: int = 3
    damping: float = 0.1
    actor_every: int = 4
    actor_batch: int = 64
    actor_weight: float = 0.1

    def __post_init__(self) -> None:
        if self.planner not in PLANNERS:
            raise ConfigError(f"unknown planner {self.planner!r}; use {', '.join(PLANNERS)}")
        for name in (f.name for f in fields(self) if f.type == "int"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("lr", "rho", "damping", "temperature", "consistency", "reward", "value", "actor_weight"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be positive and finite, got {getattr(self, name)}")
        if not 0 < self.target_rate <= 1:
            raise ConfigError(f"target_rate must lie in (0, 1], got {self.target_rate}")
        if not all(0 <= each < float("inf") for each in self.noise):
            raise ConfigError(f"noise must be finite and not negative, got {self.noise}")
        if not 0 < self.discount < 1:
            raise ConfigError(f"discount must lie between 0 and 1, got {self.discount}")
        if not self.proposals <= self.samples or not self.elites <= self.samples:
            raise ConfigError(f"samples must be at least proposals and elites, got {self.samples}")

    def noise_after(self, steps: int) -> float:
        """Standard deviation of exploration after so many steps of all environments."""
        first, last = self.noise
        return first + (last - first) * min(1.0, steps / self.noise_steps)

    def to_dict(self) -> dict[str, Any]:
        """All settings, as JSON can hold them."""
        return {**asdict(self), "noise": list(self.noise)}
