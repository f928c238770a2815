"""The folder that holds a trained policy, and the checks on it.

    config.json          what the policy is: format, task, robot, sizes, schedule, scaling, how it was trained
    model.safetensors    weights
    step.onnx            one network call: (sample [B, T_h, d_a], step [B] int64, observation [B, d_o])
                         -> prediction [B, T_h, d_a]

config.json also holds the SHA-256 of the two other files, so a damaged or half-copied folder is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from sobo_planner.errors import PolicyError
from sobo_planner.policy.normaliser import Normaliser
from sobo_planner.tasks.settings import explain

FORMAT = "sobo-policy"
VERSION = 2
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
NETWORK_FILE = "step.onnx"
#: Entry of `training` that holds the task's settings; artifacts of older versions have none.
SETTINGS = "settings"
SIZES = ("action_dim", "observation_dim", "state_dim", "T_h", "T_o", "T_a", "K")


@dataclass(frozen=True)
class PolicySpec:
    """Contents of config.json.

    Timeline of a chunk of states that starts at time t (T_o = 1):

        slot     0 (history, inpainted)   1   2   ...   T_a   ...   T_h - 1
        time     t                        t+1 t+2       t+T_a       t+T_h-1
                                          |--- executed ---|

    Attributes:
        task: Name of the task.
        task_hash: Hash of what the policy depends on in the task (`Task.policy_hash`).
        robot_hash: Hash of the robot description.
        action: What a slot holds: `state` or `control` (`sobo_planner.tasks.actions`).
        action_dim: d_a, channels of a slot.
        observation_dim: d_o.
        state_dim: ndx, size of a state change.
        T_h: Slots of a chunk.
        T_o: Slots of history.
        T_a: Slots executed before the next prediction.
        K: Denoising steps.
        alphas_cumprod: Noise schedule, K numbers that fall from below 1, least noisy first.
        normaliser: Scaling of observations and actions.
        network: Sizes of the network, as needed to rebuild it from the weights.
        files: SHA-256 of the other files by name.
        training: How it was trained; informative.
        world: The world whose objects it knows (`Task.cell`): `name`, `hash`, `margin`; None for most.
    """

    task: str
    task_hash: str
    robot_hash: str
    action: str
    action_dim: int
    observation_dim: int
    state_dim: int
    T_h: int
    T_o: int
    T_a: int
    K: int
    alphas_cumprod: tuple[float, ...]
    normaliser: Normaliser
    network: Mapping[str, Any]
    files: Mapping[str, str]
    training: Mapping[str, Any]
    world: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("task", "task_hash", "robot_hash", "action"):
            if not isinstance(getattr(self, name), str):
                raise PolicyError(f"{name} must be text, got {getattr(self, name)!r}")
        for name in SIZES:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise PolicyError(f"{name} must be a positive integer, got {value!r}")
        if self.T_o + self.T_a > self.T_h:
            raise PolicyError(f"T_o={self.T_o} and T_a={self.T_a} do not fit into T_h={self.T_h}")
        for name in ("network", "files", "training"):
            if not isinstance(getattr(self, name), Mapping):
                raise PolicyError(f"{name} must be a mapping, got {getattr(self, name)!r}")
        if self.world is not None and not (isinstance(self.world, Mapping) and isinstance(self.world.get("hash"), str)):
            raise PolicyError(f"world must be a mapping with a hash, got {self.world!r}")
        self._check_schedule()
        self._check_scaling()

    def _check_schedule(self) -> None:
        alphas = self.alphas_cumprod
        ok = isinstance(alphas, (list, tuple)) and all(isinstance(a, float) for a in alphas)
        if not ok or len(alphas) != self.K:
            raise PolicyError(f"alphas_cumprod must be K={self.K} numbers, got {alphas!r}")
        if not all(1 > a > b for a, b in zip(alphas, (*alphas[1:], 0.0), strict=True)):
            raise PolicyError(f"alphas_cumprod must fall strictly from below 1 to above 0, got {alphas}")
        object.__setattr__(self, "alphas_cumprod", tuple(alphas))

    def _check_scaling(self) -> None:
        normaliser = self.normaliser
        found = {
            "observation_dim": normaliser.observation_mean.size,
            "action_dim": normaliser.action_mean.size,
            "state_dim": normaliser.state_scale.size,
        }
        for name, size in found.items():
            if size != getattr(self, name):
                raise PolicyError(f"{name} is {getattr(self, name)}, but the normaliser has {size} entries")

    def to_json(self) -> str:
        """Text of config.json."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.world is None:  # as in artifacts of earlier versions
            del values["world"]
        values["normaliser"] = self.normaliser.to_dict()
        return json.dumps({"format": FORMAT, "version": VERSION, **values}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> PolicySpec:
        """Inverse of `to_json`.

        Raises:
            PolicyError: Not JSON, another format or version, a field missing, unknown or out of range.
        """
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise PolicyError(f"not JSON: {error}") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise PolicyError(f"not a policy: format is not {FORMAT!r}")
        if data.get("version") != VERSION:
            raise PolicyError(f"format version {data.get('version')!r}; this program reads version {VERSION}")
        values = {name: value for name, value in data.items() if name not in ("format", "version")}
        names = {field.name for field in fields(cls)}
        missing = sorted(each.name for each in fields(cls) if each.default is MISSING and each.name not in values)
        unknown = sorted(set(values) - names)
        if missing or unknown:
            raise PolicyError(f"fields missing: {missing}, unknown: {unknown}")
        values["normaliser"] = Normaliser.from_dict(values["normaliser"])
        return cls(**values)


@dataclass(frozen=True)
class Artifact:
    """A checked policy folder."""

    folder: Path
    spec: PolicySpec

    @classmethod
    def load(cls, folder: str | Path) -> Artifact:
        """Read config.json and verify the other files against it.

        Raises:
            PolicyError: Missing, damaged, or of another format; the message names the file.
        """
        folder = Path(folder)
        path = folder / CONFIG_FILE
        try:
            spec = PolicySpec.from_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"cannot read {path}: {error}") from error
        except PolicyError as error:
            raise PolicyError(f"{path}: {error}") from error
        artifact = cls(folder, spec)
        artifact.check_files()
        return artifact

    @property
    def knows(self) -> str:
        """The world that the policy knows, for messages; empty if it knows none."""
        world = self.spec.world
        return "" if world is None else f"the world {world.get('name') or 'without a name'} (hash {world['hash']})"

    def check_files(self) -> None:
        """Compare the other files with the checksums of config.json.

        Raises:
            PolicyError: One is missing, damaged, or of another policy; the message names it.
        """
        for name in (WEIGHTS_FILE, NETWORK_FILE):
            _verify(self.folder / name, self.spec.files.get(name))

    def check_task(self, task: Any) -> None:
        """Refuse a task or robot that the policy was not made for.

        Raises:
            PolicyError: Names both sides.
        """
        spec = self.spec

        def require_same(what: str, mine: object, theirs: object, hint: str = "") -> None:
            if mine != theirs:
                raise PolicyError(f"{self.folder} was trained for {what} {mine}, but here it is {theirs}{hint}")

        require_same("task", spec.task, task.name)
        if spec.world is not None and not getattr(task, "sees_all", False):
            raise PolicyError(f"{self.folder} was trained for {self.knows}; name a world")
        if spec.world is None and getattr(task, "sees_all", False):
            raise PolicyError(f"{self.folder} was trained without a world; leave the world away")
        if (spec.robot_hash, spec.task_hash) != (task.robot_hash, task.policy_hash):
            recorded = spec.training.get(SETTINGS)
            reason = explain(recorded if isinstance(recorded, Mapping) else {}, task, spec.robot_hash)
            if reason:
                raise PolicyError(f"{self.folder} was trained with other settings: {reason}")
        hint = "; which setting it is was not recorded"
        require_same("robot", spec.robot_hash, task.robot_hash, hint)
        require_same("task settings", spec.task_hash, task.policy_hash, hint)
        require_same("action size", spec.action_dim, task.actions(spec.action).dim)
        require_same("observation size", spec.observation_dim, task.obs_dim)
        require_same("state size", spec.state_dim, task.ndx)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _verify(path: Path, expected: object) -> None:
    try:
        found = file_hash(path)
    except OSError as error:
        raise PolicyError(f"cannot read {path}: {error}") from error
    if found != expected:
        raise PolicyError(f"{path} is damaged or of another policy: SHA-256 {found}, in files {expected!r:.80}")
