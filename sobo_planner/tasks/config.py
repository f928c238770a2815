"""A task file as dataclasses that refuse invalid values; `config_reader` fills them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from sobo_planner.errors import ConfigError
from sobo_planner.solver import SolverOptions

#: What the slots of a chunk may be.
ACTIONS = ("state", "control")
#: Ways to get first-order information, see `sobo_training.learning.losses`.
MODES = ("vjp", "jvp", "augment")
#: The mode that suits the number of trajectories, see `sobo_training.config.suitable_mode`.
AUTO = "auto"
OPTIMIZERS = ("muon", "adamw")
#: Steps of a horizon or a chunk; a solver keeps some 50 kB for each.
MOST_STEPS = 10_000
#: Shortest and longest step [s].
SHORTEST, LONGEST = 1e-6, 100.0


def require(condition: bool, message: str) -> None:
    """Raises ConfigError with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def require_weights(weights: Any) -> None:
    """Refuses a dataclass of weights in which one is negative."""
    for name, value in vars(weights).items():
        require(value >= 0, f"weight {name} must not be negative, got {value}")


def require_steps(horizon: int, dt: float) -> None:
    """Refuses a horizon without steps or with more than fit into memory, and steps that are none."""
    require(1 <= horizon <= MOST_STEPS, f"horizon must lie in 1 ... {MOST_STEPS}, got {horizon}")
    require(SHORTEST <= dt <= LONGEST, f"dt must lie in [{SHORTEST:g}, {LONGEST:g}] s, got {dt}")


@dataclass(frozen=True)
class Weights:
    """Weights of squared errors of arms and pendulums; running weights are per second, terminal ones are not.

    Attributes:
        position: Tool position error [1/m^2].
        velocity: Joint velocities [s^2/rad^2].
        torque: Joint torques [1/(Nm)^2].
    """

    position: float
    velocity: float
    torque: float = 0.0

    def __post_init__(self) -> None:
        require_weights(self)


@dataclass(frozen=True)
class PolicyConfig:
    """The diffusion policy.

    Attributes:
        T_h: Prediction horizon: slots of a chunk.
        T_o: Observation history; the first T_o slots are known and inpainted.
        T_a: Action horizon: steps executed before the next chunk.
        K: Denoising steps.
        denoising_steps: How many of them are taken at run time, evenly spaced from the noisiest on; 0: all.
        samples: Noise samples rolled out; the cheapest rollout is kept.
        hidden: Channels of the U-Net's levels.
        blend: Share of the position error that the inverse dynamics corrects within a step.
        action: What a chunk holds: `state` (followed by inverse dynamics) or `control`.
    """

    T_h: int = 32
    T_o: int = 1
    T_a: int = 31
    K: int = 5
    denoising_steps: int = 0
    samples: int = 1
    hidden: tuple[int, ...] = (24, 24, 32, 32)
    blend: float = 0.05
    action: str = "state"

    def __post_init__(self) -> None:
        require(self.T_o == 1, f"T_o must be 1, got {self.T_o}")
        require(2 <= self.T_h <= MOST_STEPS, f"T_h must lie in 2 ... {MOST_STEPS}, got {self.T_h}")
        require(1 <= self.T_a <= self.T_h - self.T_o, f"T_a must lie in 1 ... {self.T_h - self.T_o}, got {self.T_a}")
        for name in ("K", "samples"):
            require(1 <= getattr(self, name) <= 1000, f"{name} must lie in 1 ... 1000, got {getattr(self, name)}")
        steps = self.denoising_steps
        require(0 <= steps <= 1000, f"denoising_steps must lie in 0 ... 1000, got {steps}")
        sizes = len(self.hidden) >= 1 and all(1 <= size <= 4096 for size in self.hidden)
        require(sizes, f"hidden must be one or more sizes in 1 ... 4096, got {list(self.hidden)}")
        require(0 <= self.blend <= 1, f"blend must lie in [0, 1], got {self.blend}")
        require(self.action in ACTIONS, f"action must be one of {', '.join(ACTIONS)}, got {self.action!r}")


@dataclass(frozen=True)
class TrainingConfig:
    """Defaults of `sobo train` for this task; documented in sobo_training.config.TrainConfig."""

    loss: str = "sobolev"
    mode: str = AUTO
    alpha: float = 1.0
    share: float = 1.0
    relative: bool = False
    emphasis: float = 0.0
    augment_scale: float = 2.0
    optimizer: str = "muon"
    lr: float = 3e-3
    batch: int = 128
    steps: int = 4000
    ema: float = 0.995

    def __post_init__(self) -> None:
        check_training(self)


def check_training(config: Any) -> None:
    """Refuses values of a `TrainingConfig` or a `sobo_training.config.TrainConfig` that cannot work."""
    for name, choices in (("loss", ("diff", "sobolev")), ("mode", (AUTO, *MODES)), ("optimizer", OPTIMIZERS)):
        value = getattr(config, name)
        require(value in choices, f"{name}={value!r} is not one of {', '.join(choices)}")
    require(1 <= config.batch <= 100_000, f"batch={config.batch} must lie in 1 ... 100000")
    require(config.steps >= 1, f"steps={config.steps} must be at least 1")
    for name in ("lr", "augment_scale"):
        require(getattr(config, name) > 0, f"{name}={getattr(config, name)} must be positive")
    require(config.alpha >= 0, f"alpha={config.alpha} must not be negative")
    require(0 < config.share <= 1, f"share={config.share} must lie in (0, 1]")
    require(0 <= config.emphasis <= 1, f"emphasis={config.emphasis} must lie in [0, 1]")
    require(0 <= config.ema < 1, f"ema={config.ema} must lie in [0, 1)")


@dataclass(frozen=True)
class InterplayConfig:
    """Defaults of `sobo interplay` for this task: Algorithm 1 of arXiv:2604.19011. No hash depends on them.

    Attributes:
        iterations: Number of iterations: collecting solutions and training on them (n_algo).
        trajectories: Solutions collected in each iteration (n_traj); the last number applies to all further iterations.
        starts: The task's own starts that an instance is solved from in each iteration, besides the policy's rollout;
            1 is the interpolation alone, as in the paper; more give better training data. The last number applies to
            all further iterations.
        reset: Learn from each iteration's solutions alone, not from those of all iterations so far.
        epochs: Passes over the data in each iteration (n_pl). The size of an epoch is the paper's (section 4.1): n T
            gradient samples for direct policies, n (T - T_h) / T_h for those that predict chunks.
        instances: Held-out instances that each iteration's policy is evaluated on.
    """

    iterations: int = 1
    trajectories: tuple[int, ...] = (50,)
    starts: tuple[int, ...] = (1,)
    reset: bool = True
    epochs: int = 1000
    instances: int = 50

    def __post_init__(self) -> None:
        for name in ("iterations", "epochs", "instances"):
            require(getattr(self, name) >= 1, f"interplay.{name} must be at least 1, got {getattr(self, name)}")
        for name in ("trajectories", "starts"):
            given = list(getattr(self, name))
            require(bool(given) and min(given) >= 1, f"interplay.{name} must be numbers from 1 on, got {given}")

    def trajectories_of(self, iteration: int) -> int:
        """Solutions to collect in an iteration, the first of which is 0."""
        return self.trajectories[min(iteration, len(self.trajectories) - 1)]

    def starts_of(self, iteration: int) -> int:
        """The task's own starts in an iteration, the first of which is 0."""
        return self.starts[min(iteration, len(self.starts) - 1)]


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What the task files of all kinds have in common; each kind adds `robot`, `problem` and `distribution`.

    Attributes:
        name: Name of the task.
        kind: Kind of task: `arm_reach`, `swing_up`, `quadrotor_reach` or `lqr`.
    """

    name: str
    kind: str
    solver: SolverOptions = SolverOptions()
    policy: PolicyConfig = PolicyConfig()
    training: TrainingConfig = TrainingConfig()
    interplay: InterplayConfig = InterplayConfig()

    def __post_init__(self) -> None:
        # It names folders.
        plain = re.fullmatch(r"[\w.-]{1,100}", self.name)
        require(plain is not None, f"name must be letters, digits and . _ - alone, got {self.name!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored beside runs and in artifacts."""
        return json.loads(json.dumps(asdict(self)))

    @cached_property
    def _plain(self) -> dict[str, Any]:
        return self.to_dict()

    def digest(self, *sections: str) -> str:
        """sha256 of the named sections."""
        chosen = {name: value for name, value in self._plain.items() if name in sections}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
