"""The arguments of a collection, the contents of its folder, and whether they match."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sobo_planner.errors import ConfigError, DatasetError, PolicyError
from sobo_planner.tasks.settings import changes
from sobo_training.data.dataset import shard_paths
from sobo_training.data.shards import ShardInfo, read_shard

if TYPE_CHECKING:
    from sobo_planner.tasks import Task


#: Sections of a task's configuration on which solutions do not depend.
IRRELEVANT = ("policy", "training", "interplay", "tracking")


@dataclass(frozen=True)
class CollectOptions:
    """What is collected.

    Attributes:
        count: Instances to draw; instance numbers are 0 .. count-1.
        seed: Seed of the instances.
        starts: Different starts per instance.
        threads: Solver threads; the result does not depend on it.
        shard_size: Instances a shard.
        sampled: Starts by sampling (`sobo_planner.sampling`) per instance, behind the others.
        wanted: Stop when so many solutions are stored; `count` is then the largest number of instances. An instance for
            which every start failed is replaced by a further one. None: as many as the instances give.
    """

    count: int = 50
    seed: int = 0
    starts: int = 6
    threads: int = 2
    shard_size: int = 10
    sampled: int = 0
    wanted: int | None = None

    def __post_init__(self) -> None:
        for name, lowest in (
            ("count", 1),
            ("seed", 0),
            ("starts", 1),
            ("threads", 1),
            ("shard_size", 1),
            ("sampled", 0),
        ):
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        if self.wanted is not None and self.wanted < 1:
            raise ConfigError(f"wanted must be at least 1, got {self.wanted}")

    def remaining(self, done: set[int], stored: int) -> list[int]:
        """Instances to solve next, never more than may still be needed: so the data is the same however the work was
        distributed or interrupted."""
        todo = [number for number in range(self.count) if number not in done]
        return todo if self.wanted is None else todo[: max(0, self.wanted - stored)]


@dataclass
class CollectSummary:
    """What a folder holds, over all calls that filled it.

    Attributes:
        folder: The dataset.
        attempted: Instances drawn.
        collected: Solutions stored.
        rejected: Instances for which every start failed.
        causes: Of the rejected instances' starts, how many failed for which cause.
        resumed: Instances that earlier calls had done.
        mean_cost: Mean cost of the stored solutions.
        mean_iterations: Mean solver iterations of the stored solutions.
        winners: How often each start gave the stored solution, by index; the policy's comes behind the task's own,
            and those by sampling come last.
        seconds: Wall time spent on solving [s].
    """

    folder: str
    attempted: int = 0
    collected: int = 0
    rejected: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    resumed: int = 0
    mean_cost: float | None = None
    mean_iterations: float | None = None
    winners: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, tensors: dict[str, np.ndarray], info: ShardInfo) -> None:
        """Add a shard to the counts."""
        before, count = self.collected, len(info.indices)
        self.collected += count
        self.rejected += len(info.rejected)
        self.attempted += count + len(info.rejected)
        self.seconds += info.seconds
        causes = Counter(cause for each in info.rejected.values() for cause in each)
        self.causes = dict(Counter(self.causes) + causes)
        self.winners = dict(sorted((Counter(self.winners) + Counter(tensors["start"].tolist())).items()))
        if count:
            weight = before / self.collected
            self.mean_cost = _mix(self.mean_cost, tensors["cost"], weight)
            self.mean_iterations = _mix(self.mean_iterations, tensors["iterations"], weight)

    def render(self) -> str:
        """The summary as text."""
        lines = [
            f"{self.folder}: {self.collected} solutions of {self.attempted} instances",
            f"{self.resumed} instances done by earlier calls, rejected {self.rejected}",
        ]
        if self.causes:
            causes = ", ".join(f"{cause} {count}" for cause, count in sorted(self.causes.items()))
            lines[-1] += f"; causes of their failed starts: {causes}"
        if self.mean_cost is not None:
            lines.append(f"mean cost {self.mean_cost:.4g}, mean iterations {self.mean_iterations:.1f}")
            winners = ", ".join(f"start {start}: {count}" for start, count in self.winners.items())
            lines.append(f"cheapest solution by {winners}")
        lines.append(f"solved in {self.seconds:.1f} s")
        return "\n".join(lines)


def _mix(mean: float | None, values: np.ndarray, weight: float) -> float:
    return (mean or 0.0) * weight + float(values.mean()) * (1.0 - weight)


def policy_identity(folder: str | Path | None) -> str | None:
    """A hash of a policy artifact's files, or None without a policy."""
    if folder is None:
        return None
    sha = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        path = Path(folder) / name
        if not path.is_file():
            raise PolicyError(f"no policy at {folder}: {name} is missing")
        sha.update(path.read_bytes())
    return sha.hexdigest()


def resolved_config(task: Task, options: CollectOptions, policy: str | Path | None) -> dict[str, Any]:
    """All that the solutions depend on, as JSON values; calls that differ in it do not share a folder."""
    config = {name: value for name, value in dataclasses.asdict(task.config).items() if name not in IRRELEVANT}
    raw = {
        "task": task.name,
        "task_hash": task.hash,
        "robot_hash": task.robot_hash,
        "seed": options.seed,
        "starts": options.starts,
        "policy": policy_identity(policy),
        "samples": None if policy is None else task.config.policy.samples,
        "config": config,
    }
    if task.cell is not None:
        raw |= {"world": task.cell, "starts": None}
    if options.sampled:
        raw["sampled"] = options.sampled
    resolved: dict[str, Any] = json.loads(json.dumps(raw, sort_keys=True, default=_plain))
    return resolved


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def differences(stored: Any, asked: Any) -> list[str]:
    """Where two resolved configurations differ, both sides named; hashes only where no setting explains them."""
    found = list(changes(stored, asked))
    hashes = ("task_hash", "robot_hash")
    named = [each for each in found if each[0] not in hashes] or found
    return [f"{key}: the folder has {there!r}, this call asks for {here!r}" for key, there, here in named]


def _relevant(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored configuration without the sections that earlier versions stored in vain."""
    kept = {name: each for name, each in stored.get("config", {}).items() if name not in IRRELEVANT}
    return {name: kept if name == "config" else each for name, each in stored.items()}


def finished(folder: Path, config: dict[str, Any], summary: CollectSummary) -> set[int]:
    """Read what a folder holds already, and add it to the summary.

    Returns:
        The instances done, solved or rejected.

    Raises:
        DatasetError: A shard is damaged, or was collected with other arguments.
    """
    done: set[int] = set()
    for path in shard_paths(folder):
        tensors, info = read_shard(path)
        conflicts = differences(_relevant(info.config), config)
        if conflicts:
            raise DatasetError(f"{folder} was collected with other arguments: {'; '.join(conflicts)}")
        summary.add(tensors, info)
        done.update(info.indices, info.rejected)
    summary.resumed = summary.attempted
    return done
