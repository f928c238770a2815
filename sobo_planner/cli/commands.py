"""The sub-commands of `sobo`: what each accepts on the command line.

A class here declares arguments only; its `run` imports what does the work, so that `sobo --help` starts at
once and the run-time commands never import torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

Flag = FlagCreatePairsOff[bool]
TaskName = Annotated[Positional[str], arg(metavar="TASK")]
Overrides = Annotated[UseAppendAction[tuple[str, ...]], arg(name="set", metavar="KEY=VALUE")]


@dataclass(kw_only=True)
class Command:
    """What every sub-command accepts."""

    debug: Flag = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Do the work; returns the exit code."""
        raise NotImplementedError


@dataclass(kw_only=True)
class TaskCommand(Command):
    """What every sub-command on a task accepts."""

    task: TaskName
    """Name of a shipped task, such as ur5, or path of a task's YAML file."""
    overrides: Overrides = field(default_factory=tuple)
    """Override a key of the task's configuration, such as r_init=1; may be repeated."""


@dataclass(kw_only=True)
class Collect(TaskCommand):
    """Solve random instances of a task and store the solutions, for training.

    The same call again goes on where an interrupted one stopped.
    """

    out: Path
    """Dataset folder; created if it does not exist."""
    instances: Annotated[int, arg(aliases=("-n",))] = 50
    """Instances to solve; a larger number later extends the dataset."""
    seed: int = 0
    """Seed of the instances."""
    starts: int = 6
    """Different starts per instance, of which the cheapest converged solution is kept."""
    threads: int = 2
    """Solver threads; the data does not depend on it."""
    policy: Path | None = None
    """Policy artifact whose rollout is one more start."""
    shard_size: int = 10
    """Instances per file."""
    json: Flag = False
    """Print the summary as JSON."""

    def run(self) -> int:
        """Collect, then print the summary."""
        from sobo_planner.cli.training import collect

        return collect(self)


@dataclass(kw_only=True)
class Train(TaskCommand):
    """Train a diffusion policy on collected solutions and their feedback gains."""

    data: Annotated[tuple[Path, ...], arg(metavar="DIR ...")]
    """Dataset folder, or several."""
    out: Path
    """Folder of the run: configuration, checkpoints, TensorBoard log; a stopped run in it is resumed."""
    method: Literal["sob_diff", "diff", "mlp", "sob_mlp"] | None = None
    """sob_diff: diffusion, on trajectories and first-order information; diff: on trajectories alone; mlp, sob_mlp: the
    same for a direct policy. Default: the task's configuration."""
    mode: Literal["vjp", "jvp", "augment"] | None = None
    """How sob_diff and sob_mlp get first-order information: double backward, forward mode, or data augmentation."""
    steps: int | None = None
    """Gradient steps."""
    batch: int | None = None
    """Chunks per gradient step."""
    lr: float | None = None
    """Peak learning rate."""
    seed: int | None = None
    """Seed of the weights and batches."""
    max_minutes: float | None = None
    """Stop, with a finished schedule, after this time [min]."""
    limit: int | None = None
    """Train on the first solutions only, this many."""

    def run(self) -> int:
        """Train, with a progress bar."""
        from sobo_planner.cli.training import train

        return train(self)


@dataclass(kw_only=True)
class Interplay(TaskCommand):
    """Collect solutions with the policy's help and train on them, in turns (Algorithm 1 of arXiv:2604.19011).

    The section `interplay` of the task file says how often and how much; --set changes it, such as --set iterations=2.
    The same call again goes on where an interrupted one stopped.
    """

    out: Path
    """Folder of the run: status.json, one folder an iteration, the final policy."""
    method: Literal["sob_diff", "diff", "mlp", "sob_mlp"] | None = None
    """What is trained, as in `sobo train`. Default: the task's configuration."""
    seed: int = 0
    """Seed of instances, weights, batches and noise."""
    threads: int = 2
    """Solver threads; no result depends on it."""
    executor: Literal["threads", "ray"] = "threads"
    """Where instances are solved: on threads of this process, or in a Ray cluster; the data is the same."""
    json: Flag = False
    """Print the status as JSON."""

    def run(self) -> int:
        """Run the loop, then print its figures."""
        from sobo_planner.cli.interplay import interplay

        return interplay(self)


@dataclass(kw_only=True)
class Export(Command):
    """Write the policy artifact of a training run, after checking that its engine agrees with torch."""

    run_folder: Annotated[Path, arg(name="run")]
    """Folder of a training run."""
    out: Path
    """Folder of the artifact."""

    def run(self) -> int:
        """Export."""
        from sobo_planner.cli.training import export

        return export(self)


@dataclass(kw_only=True)
class Evaluate(TaskCommand):
    """Evaluate a policy on held-out instances: alone, as a warm start, and beside the naive start."""

    policy: Path
    """Policy artifact."""
    instances: Annotated[int, arg(aliases=("-n",))] = 50
    """Number of held-out instances; never instances of collected data, whatever the seeds."""
    seed: int = 0
    """Seed of the instances."""
    starts: int = 6
    """Different starts per instance of the best-of-starts reference; 0 leaves it out."""
    action_horizon: int | None = None
    """Steps executed of each chunk. Default: the artifact's."""
    samples: int | None = None
    """Noise samples per rollout, of which the cheapest is kept. Default: the task's configuration."""
    threads: int = 2
    """Solver threads of the best-of-starts reference; what is timed runs on one."""
    json: Path | None = None
    """File for the whole report, with one row per instance."""

    def run(self) -> int:
        """Evaluate, then print the table."""
        from sobo_planner.cli.training import evaluate

        return evaluate(self)


@dataclass(kw_only=True)
class Plan(TaskCommand):
    """Plan one motion: policy rollout, then refinement by the solver."""

    goal: Annotated[tuple[float, ...], arg(metavar="X Y Z [QX QY QZ QW]")]
    """Tool position to reach, in the base frame [m]; with a unit quaternion, the pose."""
    start: Annotated[tuple[float, ...], arg(metavar="Q1 ... QN")] = ()
    """Joint positions to start from, at rest [rad]. Default: the task's home configuration."""
    policy: Annotated[str, arg(metavar="DIR|none")] = "shipped"
    """Policy artifact, or "none". By default the task's shipped policy, if there is one."""
    deadline: float | None = None
    """Time limit [s]."""
    json: Flag = False
    """Print the result as JSON."""
    out: Path | None = None
    """File for the whole trajectory with its gains: .json or .npz."""

    def run(self) -> int:
        """Plan, then print the result."""
        from sobo_planner.cli.plan import plan

        return plan(self)


@dataclass(kw_only=True)
class Bench(TaskCommand):
    """Measure the planner beside its alternatives, as ratios."""

    policy: Path | None = None
    """Policy artifact. Default: the task's shipped policy."""
    rounds: int = 3
    """Repetitions of every timing; more are less noisy."""
    instances: Annotated[int, arg(aliases=("-n",))] = 30
    """Number of held-out instances that are solved and planned for."""
    seed: int = 0
    """Seed of the instances."""
    json: Path | None = None
    """File for the report."""

    def run(self) -> int:
        """Measure, then print the table."""
        from sobo_planner.cli.training import bench

        return bench(self)
