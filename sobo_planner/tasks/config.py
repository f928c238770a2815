"""A task file as dataclasses: read from YAML, validated, overridable key by key."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from sobo_planner.errors import ConfigError
from sobo_planner.solver import SolverOptions


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class RobotConfig:
    """The arm.

    Attributes:
        urdf: Path of the URDF: absolute, beside the task file, or among the shipped files.
        tool_frame: Link or frame that is brought to the target.
        base_frame: Frame that goals are given in (the URDF's root link).
        locked_joints: Joints to freeze and their positions [rad or m].
        armature: Rotor inertia of each joint seen through its gear [kg m^2]; empty for none.
        collision: Read collision geometry, to refuse starts and targets in self-collision.
        home: A configuration to start from when none is given [rad], (nq,).
    """

    urdf: str
    tool_frame: str
    home: tuple[float, ...]
    base_frame: str = "base_link"
    locked_joints: dict[str, float] = field(default_factory=dict)
    armature: tuple[float, ...] = ()
    collision: bool = True


@dataclass(frozen=True)
class Weights:
    """Weights of squared errors; running weights are per second, terminal ones are not.

    Attributes:
        position: Tool position error [1/m^2].
        velocity: Joint velocities [s^2/rad^2].
        torque: Joint torques [1/(Nm)^2].
    """

    position: float
    velocity: float
    torque: float = 0.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            _require(value >= 0, f"weight {item.name} must not be negative, got {value}")


@dataclass(frozen=True)
class ProblemConfig:
    """The optimal control problem.

    Attributes:
        horizon: Steps T.
        dt: Step [s].
        running: Weights along the way; multiplied by dt.
        terminal: Weights at the end.
        integrator: `semi_implicit_euler` or `rk2`. Rollouts use semi-implicit Euler.
        torque_scale: Torque limits as a share of the URDF's.
        velocity_limits: Bound the joint velocities by the URDF's limits.
    """

    horizon: int
    dt: float
    running: Weights
    terminal: Weights
    integrator: str = "semi_implicit_euler"
    torque_scale: float = 1.0
    velocity_limits: bool = False

    def __post_init__(self) -> None:
        _require(self.horizon >= 1, f"horizon must be at least 1, got {self.horizon}")
        _require(self.dt > 0, f"dt must be positive, got {self.dt}")
        _require(0 < self.torque_scale <= 1, f"torque_scale must lie in (0, 1], got {self.torque_scale}")
        _require(
            self.integrator in ("semi_implicit_euler", "rk2"),
            f"integrator {self.integrator!r} is neither semi_implicit_euler nor rk2",
        )


@dataclass(frozen=True)
class Distribution:
    """Which instances occur (the distribution of xi).

    Attributes:
        r_init: 1 = start anywhere, 0 = start near `start_centre`.
        r_tgt: 1 = any reachable target, 0 = always `target`.
        start_centre: Centre of the small start area [rad], (nq,).
        start_spread: Half its width for each joint [rad].
        target: The fixed target [m], (3,).
        range: Joint range "anywhere" draws from, within the limits [rad].
    """

    start_centre: tuple[float, ...]
    target: tuple[float, float, float]
    r_init: int = 1
    r_tgt: int = 1
    start_spread: float = 0.3
    range: float = 3.14159

    def __post_init__(self) -> None:
        for name in ("r_init", "r_tgt"):
            _require(getattr(self, name) in (0, 1), f"{name} must be 0 or 1, got {getattr(self, name)}")
        _require(self.start_spread >= 0, f"start_spread must not be negative, got {self.start_spread}")
        _require(self.range > 0, f"range must be positive, got {self.range}")
        _require(len(self.target) == 3, f"target needs 3 coordinates, got {len(self.target)}")


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
    """

    T_h: int = 32
    T_o: int = 1
    T_a: int = 31
    K: int = 5
    samples: int = 1
    hidden: tuple[int, ...] = (24, 24, 32, 32)
    blend: float = 0.05

    def __post_init__(self) -> None:
        _require(self.T_o == 1, f"T_o must be 1, got {self.T_o}")
        _require(1 <= self.T_a <= self.T_h - self.T_o, f"T_a must lie in 1 ... {self.T_h - self.T_o}, got {self.T_a}")
        _require(self.K >= 1, f"K must be at least 1, got {self.K}")
        _require(self.samples >= 1, f"samples must be at least 1, got {self.samples}")
        _require(0 <= self.blend <= 1, f"blend must lie in [0, 1], got {self.blend}")


@dataclass(frozen=True)
class TrainingConfig:
    """Defaults of `sobo train` for this task; documented in sobo_training.config.TrainConfig."""

    loss: str = "sobolev"
    mode: str = "jvp"
    alpha: float = 1.0
    lr: float = 3e-3
    batch: int = 128
    steps: int = 4000
    ema: float = 0.995


@dataclass(frozen=True)
class TaskConfig:
    """A task file.

    Attributes:
        name: Name of the task.
        kind: Kind of task; `arm_reach`.
    """

    name: str
    kind: str
    robot: RobotConfig
    problem: ProblemConfig
    distribution: Distribution
    solver: SolverOptions = SolverOptions()
    policy: PolicyConfig = PolicyConfig()
    training: TrainingConfig = TrainingConfig()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored beside runs and in artifacts."""
        return json.loads(json.dumps(asdict(self)))

    def digest(self, *sections: str) -> str:
        """sha256 of the named sections."""
        chosen = {name: value for name, value in self.to_dict().items() if name in sections}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def read_config(path: Path, overrides: Mapping[str, Any]) -> TaskConfig:
    """Reads a task file.

    Args:
        path: The YAML file.
        overrides: Values by key: a dotted path (`problem.dt`) or a leaf name that occurs once (`r_init`). Text is
            read as YAML.

    Raises:
        ConfigError: The file is unreadable, or a key or value is not allowed.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise ConfigError(f"the task file {path} cannot be read: {e}") from e
    if not isinstance(data, dict):
        raise ConfigError(f"the task file {path} must hold keys and values")
    keys = _leaves(TaskConfig, "")
    for key, value in overrides.items():
        _override(data, _resolve(key, keys), yaml.safe_load(value) if isinstance(value, str) else value)
    try:
        return _build(TaskConfig, data, "")
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
    raise ConfigError(f"unknown key {key!r}; the keys are: {', '.join(keys)}")


def _override(data: dict[str, Any], key: str, value: Any) -> None:
    *sections, leaf = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
    data[leaf] = value


def _build(cls: Any, data: Any, where: str) -> Any:
    """Turns mappings into dataclasses, refusing unknown, missing and mistyped keys."""
    _require(isinstance(data, dict), f"{where or 'the file'} must be a mapping, got {data!r}")
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(data) - set(hints))
    _require(not unknown, f"unknown key {where}{unknown[0] if unknown else ''}; known: {', '.join(hints)}")
    values = {}
    for item in fields(cls):
        key = where + item.name
        if item.name in data:
            values[item.name] = _convert(hints[item.name], data[item.name], key)
        else:
            missing = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
            _require(not missing, f"the key {key} is missing")
    return cls(**values)


def _convert(hint: Any, value: Any, key: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value, f"{key}.")
    origin = typing.get_origin(hint)
    if origin is tuple:
        _require(isinstance(value, (list, tuple)), f"{key} must be a list, got {value!r}")
        return tuple(_convert(typing.get_args(hint)[0], entry, key) for entry in value)
    if origin is dict:
        _require(isinstance(value, dict), f"{key} must be a mapping, got {value!r}")
        return {str(k): _convert(typing.get_args(hint)[1], v, f"{key}.{k}") for k, v in value.items()}
    if hint is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        _require(number and abs(value) < float("inf"), f"{key} must be a finite number, got {value!r}")
        return float(value)
    if hint is int and isinstance(value, bool):
        value = int(value)
    _require(isinstance(value, hint), f"{key} must be of type {hint.__name__}, got {value!r}")
    return value
