"""One training run with its evaluation, and its name.

The name holds a hash of all settings, those of the task and the training included. So scripts that need the same cell
share it, and what was computed with other settings is not taken for it. Changes of the code need another folder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from originals import paper_task

from sobo_training.config import TrainConfig


@dataclass(frozen=True)
class Cell:
    """One training run and its evaluation.

    Attributes:
        task: Name of the task file.
        overrides: Keys of the task's configuration that differ, as pairs.
        method: One of `sobo_training.config.METHODS`.
        trajectories: Solutions to learn from: the first ones that cells of one seed share.
        starts: Starts of the teacher, the cheapest solution kept; 1 = interpolation alone.
        seed: Seed of weights, batches and noise, and of the data.
        train: Fields of `TrainConfig` that differ, as sorted pairs.
        T_a: Steps executed of each chunk, several to compare.
        instances: Held-out instances, the same for all cells of a task.
        samples: Noise samples a rollout, the cheapest kept; several to compare.
        goal: First-order information in the goal, too.
        refine: Solve from the rollouts, too.
        time_alone: Time the solver alone, too, in the same process: what else the machine does slows both down.
        keep_paths: Rollouts of which the first two states are stored, for pictures.
    """

    task: str
    method: str
    trajectories: int
    seed: int
    overrides: tuple[tuple[str, Any], ...] = ()
    starts: int = 4
    train: tuple[tuple[str, Any], ...] = ()
    T_a: tuple[int, ...] = ()
    instances: int = 50
    samples: tuple[int, ...] = (1,)
    goal: bool = False
    refine: bool = False
    time_alone: bool = False
    keep_paths: int = 0

    def load_task(self) -> Any:
        """The task, in the cell's variant."""
        return paper_task(self.task, **dict(self.overrides))

    def config(self, task: Any) -> TrainConfig:
        """The training run."""
        mode = {"mode": "jvp"} if self.method == "sob_diff" else {}
        return TrainConfig.from_task(task, self.method, seed=self.seed, **(mode | dict(self.train)))

    def name(self, task: Any) -> str:
        """Readable, and unique by a hash of every setting."""
        own = {key: value for key, value in asdict(self).items() if key != "train"}  # the configuration tells it whole
        digest = fingerprint(problem_of(task), policy_of(task), own, self.config(task).to_dict())
        return f"{self.task}-{self.method}-{self.trajectories}-s{self.seed}-{digest}"


def problem_of(task: Any) -> Any:
    """What solutions depend on."""
    unrelated = ("policy", "training", "interplay")
    return [task.hash, {name: each for name, each in task.config.to_dict().items() if name not in unrelated}]


def policy_of(task: Any) -> Any:
    """What a policy and its rollouts depend on, besides."""
    return [task.policy_hash, task.config.to_dict()["policy"]]


def fingerprint(*values: Any) -> str:
    """A short hash of JSON values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]


def data_folder(cell: Cell, folder: Path) -> Path:
    """Where the trajectories of a cell lie; cells of one seed share them."""
    return folder / "data" / f"{cell.task}-starts{cell.starts}-s{cell.seed}-{fingerprint(problem_of(cell.load_task()))}"
