"""Algorithm 1 of arXiv:2604.19011: collect solutions with the policy's help, train on them, and repeat.

    folder/config.json           the arguments; a call with other arguments is refused
    folder/status.json           the current phase, and the figures of every finished iteration
    folder/iteration-01/data         solutions (shards)
                       /run          training run (checkpoint)
                       /policy       policy artifact
                       /evaluation.json
    folder/policy                the last iteration's policy, once all is done
    folder/tensorboard           the figures as curves

Every phase reads from its own folder what is left to do. The same call therefore resumes where a killed one stopped,
and ends with the same policies bit by bit.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from sobo_planner.errors import ConfigError, PolicyError, SoboError
from sobo_planner.files import write_json
from sobo_planner.policy.artifact import Artifact
from sobo_training.config import METHODS, TrainConfig
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions, CollectSummary
from sobo_training.data.dataset import Dataset, load, locked
from sobo_training.evaluation.evaluate import EvaluateOptions, evaluate
from sobo_training.export.exporter import export, load_run
from sobo_training.export.placing import FILES, place
from sobo_training.interplay.record import Record, read_json
from sobo_training.learning.train import TrainResult, train
from sobo_training.networks.network import network

if TYPE_CHECKING:
    from sobo_planner.tasks import Task

EXECUTORS = ("threads", "ray")
#: Instances to try for each solution wanted, before giving up.
ATTEMPTS = 20
#: Steps of a training run that a kill may cost.
CHECKPOINT_EVERY = 100
#: Disk space for a training run, a policy and the figures of one iteration [bytes]; they take a fifth of it.
ITERATION_BYTES = 100e6


@dataclass(frozen=True)
class InterplayOptions:
    """What the task file does not say.

    Attributes:
        method: One of `METHODS`; None for what the task's configuration says.
        seed: Seed of instances, starts, weights, batches and noise.
        threads: Solver threads; no result depends on it.
        executor: Where instances are solved: `threads`, or `ray`; no result depends on it.
    """

    method: str | None = None
    seed: int = 0
    threads: int = 2
    executor: str = "threads"

    def __post_init__(self) -> None:
        for name, lowest in (("seed", 0), ("threads", 1)):
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        for name, known in (("method", (None, *METHODS)), ("executor", EXECUTORS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(map(str, known))}")


def gradient_steps(epochs: int, trajectories: int, horizon: int, config: TrainConfig) -> int:
    """Gradient steps that a number of epochs takes, with the size of an epoch of section 4.1.

    An epoch takes one step at least, also where it holds less than a batch.

    Raises:
        ConfigError: The horizon holds no whole chunk, by which epochs are counted.
    """
    if config.network == "mlp":
        size = float(trajectories * horizon)
    elif horizon > config.T_h:
        size = trajectories * (horizon - config.T_h) / config.T_h
    else:
        raise ConfigError(f"epochs are counted in chunks: T_h={config.T_h} must be below the horizon of {horizon}")
    return math.ceil(epochs * max(size, config.batch) / config.batch)


def seed_of(seed: int, iteration: int) -> int:
    """Seed of an iteration: no two iterations share instances, batches or noise."""
    return int(np.random.SeedSequence([seed, iteration]).generate_state(1)[0])


class Interplay:
    """One run of the algorithm; iterations count from 0 here, from 1 in files.

    Args:
        task: The task; `task.config.interplay` holds the numbers of the algorithm.
        folder: Receives everything.
        options: The rest.
        progress: Show progress bars.
    """

    def __init__(self, task: Task, folder: Path, options: InterplayOptions, progress: bool = True) -> None:
        self.task, self.folder, self.options, self.progress = task, folder, options, progress
        self.settings = task.config.interplay
        self.record = Record(folder, self.settings.iterations, {"task": task.name, "method": options.method})
        config = TrainConfig.from_task(task, options.method)
        network(task, config)  # what cannot be trained is refused before hours of solving
        gradient_steps(1, 1, task.horizon, config)

    # ---------------------------------------------------------------- Algorithm 1

    def run(self) -> dict[str, Any]:
        """All iterations that are not finished yet; returns the status."""
        todo = range(len(self.record.status["iterations"]), self.settings.iterations)
        with SummaryWriter(str(self.folder / "tensorboard"), purge_step=todo.start + 1) as curves:
            for iteration in todo:
                summary = self.record.phase("collect", self.collect, iteration)
                data = self.buffer(iteration)
                result = self.record.phase("train", self.train, iteration, data)
                self.record.phase("export", self.export, iteration, result)
                report = self.record.phase("evaluate", self.evaluate, iteration)
                self.record.finish(self.figures(iteration, summary, data, result, report), curves)
        self.publish()
        self.record.say(state="finished", phase=None)
        return self.record.status

    def collect(self, iteration: int) -> CollectSummary:
        """Solves new instances from the task's starts and from the policy's rollout, and keeps the cheaper solution; an
        instance that cannot be solved is replaced by another."""
        wanted = self.settings.trajectories_of(iteration)
        options = CollectOptions(
            count=ATTEMPTS * wanted,
            wanted=wanted,
            seed=seed_of(self.options.seed, iteration),
            starts=self.settings.starts_of(iteration),
            threads=self.options.threads,
            shard_size=2 * self.options.threads,
        )
        policy = self.place(iteration - 1, "policy") if iteration else None
        return collect(self.task, self.place(iteration, "data"), options, policy, self.progress, self.options.executor)

    def buffer(self, iteration: int) -> Dataset:
        """The solutions to learn from."""
        first = iteration if self.settings.reset else 0
        return load([self.place(i, "data") for i in range(first, iteration + 1)], self.task)

    def train(self, iteration: int, data: Dataset) -> TrainResult:
        """Continues with the weights of the last iteration, with a new optimiser and schedule."""
        config = TrainConfig.from_task(
            self.task,
            self.options.method,
            seed=seed_of(self.options.seed, iteration),
            checkpoint_every=CHECKPOINT_EVERY,
        )
        steps = gradient_steps(self.settings.epochs, len(data), self.task.horizon, config)
        previous = load_run(self.place(iteration - 1, "run"), self.task) if iteration else None
        config = TrainConfig(**(config.to_dict() | {"steps": steps}))
        return train(data, self.task, self.place(iteration, "run"), config, progress=self.progress, previous=previous)

    def export(self, iteration: int, result: TrainResult) -> None:
        """Makes the policy artifact, where it is not there whole."""
        folder = self.place(iteration, "policy")
        try:
            Artifact.load(folder)
        except PolicyError:
            export(result, self.task, folder)

    def evaluate(self, iteration: int) -> dict[str, Any]:
        """Costs and iterations on held-out instances, the same ones in every iteration."""
        path = self.place(iteration, "evaluation.json")
        if not path.exists():
            options = EvaluateOptions(
                instances=self.settings.instances, seed=self.options.seed, starts=0, threads=self.options.threads
            )
            write_json(path, evaluate(self.task, self.place(iteration, "policy"), options, self.progress))
        return read_json(path)

    def publish(self) -> None:
        """Puts the last policy where it is looked for."""
        source = self.place(self.settings.iterations - 1, "policy")
        try:
            place({name: (source / name).read_bytes() for name in FILES}, self.folder / "policy")
        except (OSError, PolicyError) as error:
            raise SoboError(f"{error}; the policy is in {source}") from error

    def place(self, iteration: int, name: str) -> Path:
        """Where an iteration keeps something."""
        return self.folder / f"iteration-{iteration + 1:02d}" / name

    def claim(self) -> None:
        """Takes the folder; see `Record.claim`."""
        task, options, number = self.task, self.options, self.settings.iterations
        step = 2 * task.nx + 3 * task.nu + 2 * task.nu * task.ndx + task.ndx**2
        solutions = sum(self.settings.trajectories_of(i) for i in range(number))
        asked = {
            "task_hash": task.hash,
            "robot_hash": task.robot_hash,
            "method": options.method,
            "seed": options.seed,
            "config": task.config.to_dict(),
        }
        self.record.claim(asked, 8.0 * step * (task.horizon + 1) * solutions + number * ITERATION_BYTES)

    def figures(
        self, iteration: int, summary: CollectSummary, data: Dataset, result: TrainResult, report: dict[str, Any]
    ) -> dict[str, Any]:
        """What the status says about a finished iteration."""
        own = data.select(slice(len(data) - summary.collected, None))
        return {
            "iteration": iteration + 1,
            "trajectories": summary.collected,
            "rejected": summary.rejected,
            "causes": summary.causes,
            "winners": {str(start): count for start, count in summary.winners.items()},
            "teacher": {"cost": float(own.cost.mean()), "iterations": float(own.iterations.mean())},
            "training": {name: value for name, value in result.summary.items() if name != "minutes"},
            "cost": {name: each["mean"] for name, each in report["cost"].items()},
            "iterations": {name: each["mean"] for name, each in report["iterations"].items()},
            "success": report["success"],
            "seconds": self.record.status["seconds"],
        }


def interplay(task: Task, folder: str | Path, options: InterplayOptions, progress: bool = True) -> dict[str, Any]:
    """Run Algorithm 1, or go on with a run that was stopped.

    Args:
        task: The task.
        folder: Receives everything; see the head of this file.
        options: What the task file does not say.
        progress: Show progress bars on stderr.

    Returns:
        The status, as in status.json.

    Raises:
        ConfigError: Settings that cannot work, a folder that holds something else, or a missing package.
        DatasetError: Too few instances can be solved, or stored data is damaged.
        PolicyError: A stored policy or checkpoint is damaged.
        SoboError: The disk refused.
    """
    run = Interplay(task, Path(folder), options, progress)
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(folder))
        run.claim()
        if options.executor == "ray":
            from sobo_training.data.ray_executor import cluster

            stack.enter_context(cluster())
        try:
            return run.run()
        except SoboError as error:
            with contextlib.suppress(SoboError):
                run.record.say(state="failed", error=str(error))
            raise
        except OSError as error:  # of TensorBoard's writer
            raise SoboError(f"cannot write to {folder}: {error.strerror or error}") from error
