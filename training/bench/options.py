"""What the parts of the benchmark share: its budget, and the reason why a part cannot run."""

from __future__ import annotations

from dataclasses import dataclass

from sobo_planner.errors import ConfigError, SoboError


class NotMeasured(SoboError):
    """A part of the benchmark cannot run here; the message says why and how to change that."""


@dataclass(frozen=True)
class BenchOptions:
    """Budget of a benchmark.

    Attributes:
        rounds: Repetitions of every timing. Contenders take turns within each round, so that varying load affects them
            equally.
        instances: Held-out instances that are solved and planned for.
        seed: Seed of the instances; their stream is that of `sobo evaluate`, disjoint from collected data.
    """

    rounds: int = 3
    instances: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        for name, lowest in (("rounds", 1), ("instances", 1), ("seed", 0)):
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
