"""What a run of the interplay loop begins with, refused where it cannot work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sobo_planner.errors import ConfigError
from sobo_training.config import TrainConfig
from sobo_training.data.collection import policy_identity
from sobo_training.data.dataset import Dataset, load
from sobo_training.data.logged import identity, split
from sobo_training.export.continuing import load_policy
from sobo_training.interplay.keeping import RATE
from sobo_training.interplay.options import InterplayOptions, gradient_steps
from sobo_training.learning.train import TrainResult, check_device
from sobo_training.networks.network import network

if TYPE_CHECKING:
    from sobo_planner.tasks import Task
    from sobo_planner.tasks.config import InterplayConfig

#: Disk space for a training run, a policy and the figures of one iteration [bytes]; they take a fifth of it.
ITERATION_BYTES = 100e6


@dataclass(frozen=True)
class Setup:
    """What all iterations share.

    Attributes:
        task: The task.
        options: What its file does not say.
        given: The policy to go on from, or None.
        config: Of the training.
        logged: Logged solutions to learn from, or None.
        unseen: Those kept for the evaluation.
    """

    task: Task
    options: InterplayOptions
    given: TrainResult | None
    config: TrainConfig
    logged: Dataset | None = None
    unseen: Dataset | None = None

    @classmethod
    def of(cls, task: Task, options: InterplayOptions) -> Setup:
        """Loads what the options name.

        Raises:
            ConfigError: Settings that cannot work: what cannot be trained is refused before hours of solving.
            PolicyError, DatasetError: The policy or the logged solutions cannot be used.
        """
        if task.cell is not None and (options.from_data or options.executor != "threads"):
            raise ConfigError("in a world a policy learns from instances solved there: no from_data, no other executor")
        given = load_policy(options.policy, task, options.method) if options.policy else None
        config = given.config if given else TrainConfig.from_task(task, options.method)
        check_device(options.device)
        config = replace(config, device=options.device)
        network(task, config)
        gradient_steps(1, 1, task.horizon, config)
        logged, unseen = None, None
        if options.from_data:
            logged, unseen = split(load(options.from_data, task), task.config.interplay.instances)
        if given is not None and logged is not None:
            config = replace(config, lr=RATE * config.lr)
        return cls(task, options, given, config, logged, unseen)

    @property
    def settings(self) -> InterplayConfig:
        """The numbers of the algorithm."""
        return self.task.config.interplay

    @property
    def keeps(self) -> bool:
        """Whether the policy goes on with logged solutions alone, and keeps what it can do elsewhere."""
        return self.given is not None and self.logged is not None

    def identity(self) -> dict[str, Any]:
        """All that the results depend on."""
        task, options = self.task, self.options
        asked = {
            "task_hash": task.hash,
            "robot_hash": task.robot_hash,
            "method": options.method,
            "seed": options.seed,
            "config": task.config.to_dict(),
            "policy": policy_identity(options.policy),
            "from_data": identity(self.logged) if self.logged is not None else None,
            "logged_share": options.logged_share if self.logged is not None else None,
        }
        if task.cell is not None:
            asked["world"] = dict(task.cell)
        if self.logged is not None:
            asked["recombined"] = True  # earlier versions learned from the logged solutions and new instances alone
            asked["kept"] = self.keeps  # earlier versions solved sampled instances besides
        return asked

    def room(self) -> float:
        """Space that a run may need on the disk [bytes]."""
        task, number = self.task, self.settings.iterations
        step = 2 * task.nx + 3 * task.nu + 2 * task.nu * task.ndx + task.ndx**2
        kinds = 2 if self.logged is not None and not self.keeps else 1
        solutions = kinds * sum(self.settings.trajectories_of(i) for i in range(number))
        solutions += number * len(self.logged or ())
        return 8.0 * step * (task.horizon + 1) * solutions + number * ITERATION_BYTES
