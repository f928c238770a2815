"""Algorithm 1 of arXiv:2604.19011: collect solutions with the policy's help, train on them, and repeat.

    folder/config.json           the arguments; a call with other arguments is refused
    folder/status.json           the current phase, and the figures of every finished iteration
    folder/iteration-01/data         solutions of sampled instances (shards)
                       /logged       logged solutions, where there are any, improved with the policy's help
                       /recombined   and solutions of new pairs of their starts and goals
                       /run          training run (checkpoint)
                       /policy       policy artifact
                       /evaluation.json, logged.json   on held-out instances, sampled and logged
    folder/iteration-00              the policy that the run goes on from, and its evaluations
    folder/policy                the last iteration's policy, once all is done
    folder/tensorboard           the figures as curves

A policy that goes on with logged solutions learns from these and their new pairs alone: there is no `data`. What it can
do elsewhere it keeps by predicting what it did before (`keeping`).

Every phase reads from its own folder what is left to do. The same call therefore resumes where a killed one stopped,
and ends with the same policies bit by bit.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter

from sobo_planner.errors import PolicyError, SoboError
from sobo_planner.files import write_json
from sobo_planner.policy.artifact import Artifact
from sobo_training.data.dataset import Dataset, locked
from sobo_training.evaluation.evaluate import evaluate
from sobo_training.evaluation.options import EvaluateOptions
from sobo_training.export.exporter import export, load_run
from sobo_training.export.placing import FILES, place
from sobo_training.interplay.figures import figures_of
from sobo_training.interplay.keeping import ROLLOUTS, keep
from sobo_training.interplay.options import InterplayOptions, gradient_steps, seed_of
from sobo_training.interplay.record import Record, read_json
from sobo_training.interplay.setup import Setup
from sobo_training.interplay.solutions import Solutions
from sobo_training.interplay.verdicts import EVALUATIONS, findings
from sobo_training.learning.chunks import Part
from sobo_training.learning.kept import Kept
from sobo_training.learning.train import TrainResult, train

if TYPE_CHECKING:
    from sobo_planner.tasks import Task

#: Steps of a training run that a kill may cost.
CHECKPOINT_EVERY = 100


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
        self.setup = Setup.of(task, options)
        self.solutions = Solutions(self.setup, self.place, progress)

    # ---------------------------------------------------------------- Algorithm 1

    def run(self) -> dict[str, Any]:
        """All iterations that are not finished yet; returns the status."""
        todo = range(len(self.record.status["iterations"]), self.settings.iterations)
        with SummaryWriter(str(self.folder / "tensorboard"), purge_step=todo.start + 1) as curves:
            self.begin()
            for iteration in todo:
                summary = self.record.phase("collect", self.solutions.collect, iteration)
                data, parts = self.solutions.buffer(iteration)
                result = self.record.phase("train", self.train, iteration, data, parts)
                self.record.phase("export", self.export, iteration, result)
                report = self.record.phase("evaluate", self.evaluate, iteration)
                figures = figures_of(summary, data, result.summary, report, len(self.setup.logged or ()))
                told = {"verdict": findings(self.folder, iteration + 1), "seconds": self.record.status["seconds"]}
                self.record.finish({"iteration": iteration + 1, **figures, **told}, curves)
        self.publish()
        self.record.say(state="finished", phase=None)
        return self.record.status

    def begin(self) -> None:
        """Copies and evaluates the policy that the run goes on from."""
        if self.options.policy is None:
            return
        place({name: (self.options.policy / name).read_bytes() for name in FILES}, self.place(-1, "policy"))
        if not all(self.place(-1, name).exists() for name in self.evaluations):
            self.record.phase("evaluate", self.evaluate, -1)

    @property
    def evaluations(self) -> dict[str, Dataset | None]:
        """The evaluations of each policy, by file: the logged instances that they are on, or None for sampled ones."""
        sampled, logged = EVALUATIONS
        unseen = self.setup.unseen
        return {sampled: None} | ({logged: unseen} if unseen is not None and len(unseen) else {})

    def train(self, iteration: int, data: Dataset, parts: tuple[Part, ...]) -> TrainResult:
        """Continues with the weights of the last iteration, with a new optimiser and schedule."""
        config = replace(
            self.setup.config,
            seed=seed_of(self.options.seed, iteration),
            checkpoint_every=CHECKPOINT_EVERY,
            steps=gradient_steps(self.settings.epochs, len(data), self.task.horizon, self.setup.config),
        )
        previous = load_run(self.place(iteration - 1, "run"), self.task) if iteration else self.setup.given
        run = self.place(iteration, "run")
        kept = self.kept(len(data))
        return train(data, self.task, run, config, progress=self.progress, previous=previous, parts=parts, kept=kept)

    def kept(self, learned: int) -> Kept | None:
        """What the given policy does on sampled instances; None where nothing is to be kept."""
        given, options = self.setup.given, self.options
        if not self.setup.keeps or given is None:
            return None
        policy, count, share = self.place(-1, "policy"), ROLLOUTS * learned, 1.0 - options.logged_share
        return keep(self.task, policy, given, count, share, seed=options.seed, progress=self.progress)

    def export(self, iteration: int, result: TrainResult) -> None:
        """Makes the policy artifact, where it is not there whole."""
        folder = self.place(iteration, "policy")
        try:
            Artifact.load(folder)
        except PolicyError:
            export(result, self.task, folder)

    def evaluate(self, iteration: int) -> dict[str, dict[str, Any]]:
        """Costs and iterations on held-out instances, the same ones in every iteration; reports by file."""
        options = EvaluateOptions(
            instances=self.settings.instances, seed=self.options.seed, starts=0, threads=self.options.threads
        )
        for name, data in self.evaluations.items():
            path = self.place(iteration, name)
            if not path.exists():
                policy = self.place(iteration, "policy")
                write_json(path, evaluate(self.task, policy, options, self.progress, data))
        return {name: read_json(self.place(iteration, name)) for name in self.evaluations}

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
        self.record.claim(self.setup.identity(), self.setup.room())


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
