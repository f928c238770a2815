"""Configuration of a training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from sobo_planner.errors import ConfigError
from sobo_planner.tasks.config import ACTIONS, AUTO, check_training

#: Where networks are trained.
DEVICES = ("cpu", "cuda")

_DIRECT = {"network": "mlp", "action": "control", "T_h": 2, "T_a": 1, "K": 1, "hidden": (256, 256, 256)}
#: What is compared in arXiv:2604.19011 (its names: Sob+Diff, Diff, MLP, Sob+MLP), as fields of `TrainConfig`.
METHODS: dict[str, dict[str, Any]] = {
    "sob_diff": {"loss": "sobolev"},
    "diff": {"loss": "diff"},
    "mlp": {"loss": "diff", **_DIRECT},
    "sob_mlp": {"loss": "sobolev", "mode": "vjp", **_DIRECT},
}

#: Trajectories from which `jvp` is the mode to use. In docs/results.md `augment` is much better with up to 10, both are
#: as good with 20, and `augment` is worse from 50 on.
FEW_TRAJECTORIES = 20


def suitable_mode(trajectories: int) -> str:
    """The mode of first-order information that does best with so many trajectories."""
    return "augment" if trajectories < FEW_TRAJECTORIES else "jvp"


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a run, apart from the data.

    Attributes:
        T_h: Slots of a chunk.
        T_o: Slots of history that are inpainted.
        T_a: Slots that are executed before the next prediction.
        K: Denoising steps.
        action: What a chunk holds: `state` or `control`.
        network: `unet`, or `mlp` for a direct policy.
        hidden: Channels of the U-Net's levels, or units of the perceptron's layers.
        loss: `diff` or `sobolev`.
        mode: How the first-order term is computed: `vjp`, `jvp` or `augment` (see `losses`); `auto` for what suits the
            number of trajectories (`suitable_mode`).
        alpha: Weight of the first-order term; 1 weighs both terms equally per element.
        share: Share of the batch on which `jvp` computes the first-order term: less time a step, more noise in it.
        relative: Measure first-order errors relative to large derivatives (see `losses`), so that chunks which depend
            on their start a hundred times as much as others do not dominate the loss.
        emphasis: Share of each batch that is drawn in proportion to how much changes within a chunk; the rest is drawn
            uniformly. In most chunks of a reaching motion little is left to do: drawn uniformly, they keep the network
            from learning the first ones.
        augment_scale: Largest standard deviation of dx for `augment`, in normalised state units: 1 is as far as states
            move within a chunk.
        optimizer: `muon` for the weights of hidden layers and AdamW for the rest, or `adamw` for all.
        lr: Peak learning rate; rises over `warmup` steps, then falls as a cosine to zero.
        warmup: Steps of linear warm-up.
        weight_decay: Decoupled, of Muon (weights) and AdamW (biases, normalisation).
        batch: Chunks per step.
        steps: Gradient steps.
        max_minutes: Wall-clock budget; None for no limit. With a budget the cosine ends when the steps or the
            minutes run out, whichever is first, so the result depends on the machine and is not repeatable
            bit by bit.
        ema: Decay of the averaged weights, which are the ones exported.
        seed: Seeds weights, batches and noise.
        device: `cpu`, or `cuda` for a GPU. Both repeat themselves bit by bit, but not one another.
        log_every: Steps between TensorBoard points.
        checkpoint_every: Steps between checkpoints.
    """

    T_h: int = 32
    T_o: int = 1
    T_a: int = 8
    K: int = 5
    action: str = "state"
    network: str = "unet"
    hidden: tuple[int, ...] = (24, 24, 32, 32)
    loss: str = "sobolev"
    mode: str = AUTO
    alpha: float = 1.0
    share: float = 1.0
    relative: bool = False
    emphasis: float = 0.0
    augment_scale: float = 2.0
    optimizer: str = "muon"
    lr: float = 3e-3
    warmup: int = 100
    weight_decay: float = 1e-4
    batch: int = 128
    steps: int = 4000
    max_minutes: float | None = None
    ema: float = 0.995
    seed: int = 0
    device: str = "cpu"
    log_every: int = 20
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        check_training(self)
        if self.action not in ACTIONS:
            raise ConfigError(f"action={self.action!r} is not one of {', '.join(ACTIONS)}")
        if self.network not in ("unet", "mlp"):
            raise ConfigError(f"network={self.network!r} is neither 'unet' nor 'mlp'")
        for name in ("T_h", "T_o", "T_a", "K", "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("weight_decay", "warmup"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name}={getattr(self, name)} must not be negative")
        if self.T_o + self.T_a > self.T_h:
            raise ConfigError(f"T_o={self.T_o} and T_a={self.T_a} do not fit into T_h={self.T_h}")
        if self.device not in DEVICES:
            raise ConfigError(f"device={self.device!r} is neither {' nor '.join(map(repr, DEVICES))}")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ConfigError(f"max_minutes={self.max_minutes} must be positive")

    @classmethod
    def from_task(cls, task: Any, method: str | None = None, **overrides: Any) -> TrainConfig:
        """Fields that the task's `policy` and `training` sections name, then the method's, then the overrides.

        Among objects first-order errors are `relative`: where one can be passed on either side, derivatives are large.

        Args:
            task: The task.
            method: One of `METHODS`; None for what the task's configuration says.
            overrides: Fields by name.

        Raises:
            ConfigError: An unknown method or override, or a value out of range.
        """
        if method is not None and method not in METHODS:
            raise ConfigError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
        names = {field.name for field in fields(cls)}
        unknown = sorted(set(overrides) - names)
        if unknown:
            raise ConfigError(f"unknown training option {', '.join(unknown)}; known: {', '.join(sorted(names))}")
        values: dict[str, Any] = {}
        for section in (task.config.policy, task.config.training):
            values |= {name: value for name, value in vars(section).items() if name in names}
        if getattr(task, "cell", None) is not None:
            values["relative"] = True
        return cls(**(values | METHODS.get(method or "", {}) | overrides))

    def resolved(self, trajectories: int) -> TrainConfig:
        """With a definite mode, for a number of trajectories."""
        return self if self.mode != AUTO else replace(self, mode=suitable_mode(trajectories))

    def explain_mode(self, trajectories: int) -> str:
        """Which mode is trained with, and why; empty where no first-order information is learned."""
        if self.loss != "sobolev":
            return ""
        if self.mode != AUTO:
            return f"mode {self.mode}, as asked for"
        few = trajectories < FEW_TRAJECTORIES
        reason = f"best with {'fewer than' if few else 'at least'} {FEW_TRAJECTORIES} in docs/results.md"
        return f"mode {suitable_mode(trajectories)} for {trajectories} trajectories: {reason}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored beside a run."""
        return asdict(self) | {"hidden": list(self.hidden)}
