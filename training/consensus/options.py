"""What a run of consensus learning is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from sobo_planner.errors import ConfigError

#: Methods that use the model, and what they do.
MODEL_BASED = {
    "pddp": "solve, then fit the policy to the solutions (algorithm 1)",
    "plal": "the same with an augmented Lagrangian between both (algorithm 2)",
    "dpl": "state copies and a fixed quadratic penalty on the disagreement, as the paper describes its reference 18",
    "pods": "Gauss-Newton steps from the policy's rollout, without bounds, as the paper describes its reference 21",
}
#: References from reinforcement learning.
MODEL_FREE = {"ppo": "proximal policy optimisation", "sac": "soft actor-critic"}
METHODS = MODEL_BASED | MODEL_FREE


def check_method(method: str) -> None:
    """Refuses a method that is not one of `METHODS`."""
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}; known: {', '.join(METHODS)}")


@dataclass(frozen=True)
class ConsensusOptions:
    """Everything that determines a run, apart from the task. `METHODS` says what the methods are.

    Attributes:
        method: One of `MODEL_BASED`.
        sobolev: The fit also compares the policy's derivative with the solver's gains (+S).
        shooting: PLAL's policy is evaluated at copies of the states (+M).
        bounds: The trajectory step knows the bounds of the controls (without: -C); the policy always does.
        mu: Weight of the augmented Lagrangian: mu / 2 is what it costs in a step to be a typical size of a control
            (the first trajectories' standard deviation) away from the policy.
        warm_steps: Steps of PDDP at the beginning, before there is a disagreement worth pricing.
        steps: Steps in all: trajectories, then policy, then multipliers.
        instances: Instances that are learned from, the same in all steps.
        starts: The task's own starts that each instance is solved from in the first step.
        relinearise: How often PLAL's trajectory step linearises the policy.
        hidden: Units of each hidden layer.
        gradient_steps: Gradient steps of a fit.
        batch: Points in each.
        lr: Learning rate at the beginning of a fit; it falls as a cosine to zero.
        alpha: Weight of the Sobolev term beside the error in the controls, both in units of typical sizes.
        evaluate: Held-out instances that the policy is rolled out on after each step.
        seed: Seed of instances, starts, weights and batches.
        threads: Solver threads; no result depends on it.
    """

    method: str = "plal"
    sobolev: bool = True
    shooting: bool = False
    bounds: bool = True
    mu: float = 1.0
    warm_steps: int = 3
    steps: int = 10
    instances: int = 10
    starts: int = 1
    relinearise: int = 2
    hidden: tuple[int, ...] = (64, 64)
    gradient_steps: int = 300
    batch: int = 256
    lr: float = 3e-3
    alpha: float = 0.1
    evaluate: int = 20
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        check_method(self.method)
        if self.method not in MODEL_BASED:
            raise ConfigError(f"{self.method} learns without the model: use sobo_training.reinforcement.learn")
        for name in ("steps", "instances", "starts", "relinearise", "gradient_steps", "batch", "evaluate", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("warm_steps", "seed", "alpha"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be finite and not negative, got {getattr(self, name)}")
        for name in ("mu", "lr"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be positive and finite, got {getattr(self, name)}")
        if not all(1 <= units <= 4096 for units in self.hidden):
            raise ConfigError(f"hidden must be sizes in 1 ... 4096, got {list(self.hidden)}")
        if self.shooting and self.method != "plal":
            raise ConfigError(f"shooting is a variant of plal; {self.method} has none")
        if self.method == "pods" and (self.sobolev or self.bounds):
            raise ConfigError("pods knows neither gains nor bounds: switch sobolev and bounds off")

    @property
    def copies(self) -> bool:
        """Whether the policy is evaluated at copies of the states."""
        return self.shooting or self.method == "dpl"

    @property
    def label(self) -> str:
        """The method's name as in the paper: PLAL+M+S-C."""
        name = self.method.upper() + ("+M" if self.shooting else "") + ("+S" if self.sobolev else "")
        return name + ("" if self.bounds or self.method == "pods" else "-C")
