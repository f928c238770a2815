"""A task file as dataclasses: read from YAML, validated, overridable key by key."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from sobo_planner.errors import ConfigError
from sobo_planner.solver import SolverOptions

#: What the slots of a chunk may be.
ACTIONS = ("state", "control")


def require(condition: bool, message: str) -> None:
    """Raises ConfigError with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def require_weights(weights: Any) -> None:
    """Refuses a dataclass of weights in which one is negative."""
    for name, value in vars(weights).items():
        require(value >= 0, f"weight {name} must not be negative, got {value}")


def require_steps(horizon: int, dt: float) -> None:
    """Refuses a horizon without steps, or steps without length."""
    require(horizon >= 1, f"horizon must be at least 1, got {horizon}")
    require(dt > 0, f"dt must be positive, got {dt}")


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
        samples: Noise samples rolled out; the cheapest rollout is kept.
        hidden: Channels of the U-Net's levels.
        blend: Share of the position error that the inverse dynamics corrects within a step.
        action: What a chunk holds: `state` (followed by inverse dynamics) or `control`.
    """

    T_h: int = 32
    T_o: int = 1
    T_a: int = 31
    K: int = 5
    samples: int = 1
    hidden: tuple[int, ...] = (24, 24, 32, 32)
    blend: float = 0.05
    action: str = "state"

    def __post_init__(self) -> None:
        require(self.T_o == 1, f"T_o must be 1, got {self.T_o}")
        require(1 <= self.T_a <= self.T_h - self.T_o, f"T_a must lie in 1 ... {self.T_h - self.T_o}, got {self.T_a}")
        require(self.K >= 1, f"K must be at least 1, got {self.K}")
        require(self.samples >= 1, f"samples must be at least 1, got {self.samples}")
        require(0 <= self.blend <= 1, f"blend must lie in [0, 1], got {self.blend}")
        require(self.action in ACTIONS, f"action must be one of {', '.join(ACTIONS)}, got {self.action!r}")


@dataclass(frozen=True)
class TrainingConfig:
    """Defaults of `sobo train` for this task; documented in sobo_training.config.TrainConfig."""

    loss: str = "sobolev"
    mode: str = "jvp"
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


@dataclass(frozen=True)
class InterplayConfig:
    """Defaults of `sobo interplay` for this task: Algorithm 1 of arXiv:2604.19011. No hash depends on them.

    Attributes:
        iterations: Times that solutions are collected and learned from (n_algo).
        trajectories: Solutions collected in each iteration (n_traj); the last number serves for all further ones.
        starts: The task's own starts that an instance is solved from in each iteration, besides the policy's rollout;
            1 is the interpolation alone, as in the paper, more make a better teacher. The last number serves for all
            further iterations.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored beside runs and in artifacts."""
        return json.loads(json.dumps(asdict(self)))

    def digest(self, *sections: str) -> str:
        """sha256 of the named sections."""
        chosen = {name: value for name, value in self.to_dict().items() if name in sections}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def read_config(path: Path, overrides: Mapping[str, Any], kinds: Mapping[str, type[TaskConfig]]) -> TaskConfig:
    """Reads a task file.

    Args:
        path: The YAML file.
        overrides: Values by key: a dotted path (`problem.dt`) or a leaf name that occurs once (`r_init`). Text is
            read as YAML.
        kinds: Configuration of each kind of task.

    Raises:
        ConfigError: The file is unreadable, or a key or value is not allowed.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise ConfigError(f"the task file {path} cannot be read: {e}") from e
    if not isinstance(data, dict):
        raise ConfigError(f"the task file {path} must hold keys and values")
    kind = overrides.get("kind", data.get("kind"))
    if kind not in kinds:
        raise ConfigError(f"{path}: unknown kind of task {kind!r}; known: {', '.join(kinds)}")
    config = kinds[kind]
    keys = _leaves(config, "")
    for key, value in overrides.items():
        _override(data, _resolve(key, keys), yaml.safe_load(value) if isinstance(value, str) else value)
    try:
        return _build(config, data, "")
    except ConfigError as e:
        raise ConfigError(f"{path}: {e}") from e


def _leaves(cls: Any, prefix: str) -> list[str]:
    hints = typing.get_type_hints(cls)
    out: list[str] = []
    for item in fields(cls):
        inner = hints[item.name]
        out += _leaves(inner, f"{prefix}{item.name}.") if is_dataclass(inner) else [prefix + item.name]
    return out


def _resolve(key: str, keys: list[str]) -> str:
    matches = [k for k in keys if k == key or k.rsplit(".", 1)[-1] == key]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(f"the key {key!r} is ambiguous; use one of: {', '.join(matches)}")
    leaves = {each.rsplit(".", 1)[-1]: each for each in keys}
    close = [leaves.get(each, each) for each in get_close_matches(key, [*keys, *leaves])]
    hint = f"did you mean {' or '.join(dict.fromkeys(close))}? The keys are" if close else "the keys are"
    raise ConfigError(f"unknown key {key!r}; {hint}: {', '.join(keys)}")


def _override(data: dict[str, Any], key: str, value: Any) -> None:
    *sections, leaf = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
    data[leaf] = value


def _build(cls: Any, data: Any, where: str) -> Any:
    """Turns mappings into dataclasses, refusing unknown, missing and mistyped keys."""
    require(isinstance(data, dict), f"{where or 'the file'} must be a mapping, got {data!r}")
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(data) - set(hints))
    require(not unknown, f"unknown key {where}{unknown[0] if unknown else ''}; known: {', '.join(hints)}")
    values = {}
    for item in fields(cls):
        key = where + item.name
        if item.name in data:
            values[item.name] = _convert(hints[item.name], data[item.name], key)
        else:
            missing = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
            require(not missing, f"the key {key} is missing")
    return cls(**values)


def _convert(hint: Any, value: Any, key: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value, f"{key}.")
    origin = typing.get_origin(hint)
    if origin is tuple:
        require(isinstance(value, (list, tuple)), f"{key} must be a list, got {value!r}")
        return tuple(_convert(typing.get_args(hint)[0], entry, key) for entry in value)
    if origin is dict:
        require(isinstance(value, dict), f"{key} must be a mapping, got {value!r}")
        return {str(k): _convert(typing.get_args(hint)[1], v, f"{key}.{k}") for k, v in value.items()}
    if hint is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        require(number and abs(value) < float("inf"), f"{key} must be a finite number, got {value!r}")
        return float(value)
    if hint is int and isinstance(value, bool):
        value = int(value)
    require(isinstance(value, hint), f"{key} must be of type {hint.__name__}, got {value!r}")
    return value
