"""How a policy is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from sobo_planner.errors import ConfigError


@dataclass(frozen=True)
class EvaluateOptions:
    """How a policy is evaluated.

    Attributes:
        instances: Number of held-out instances.
        seed: Seed of the instances; their stream is disjoint from that of collected data.
        starts: Starts per instance of the best-of-starts reference; 0 leaves it out.
        action_horizon: Steps executed of each chunk; the artifact's if None.
        samples: Noise samples per rollout, the cheapest kept; the task file's number if None.
        threads: Solver threads of the best-of-starts reference, which is not timed.
        planner: Plan as at run time, too.
    """

    instances: int = 50
    seed: int = 0
    starts: int = 6
    action_horizon: int | None = None
    samples: int | None = None
    threads: int = 2
    planner: bool = True

    def __post_init__(self) -> None:
        for name, lowest in (("instances", 1), ("seed", 0), ("starts", 0), ("samples", 1), ("threads", 1)):
            if getattr(self, name) is not None and getattr(self, name) < lowest:
                raise ConfigError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        if self.action_horizon is not None and self.action_horizon < 1:
            raise ConfigError(f"action_horizon must be at least 1, got {self.action_horizon}")
