"""What the sub-commands of training do; they need the extra `train`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sobo_planner.cli.plan import arm_of, parse_overrides, shipped_policy, task_of
from sobo_planner.errors import ConfigError, PolicyError
from sobo_planner.files import write_json
from sobo_planner.tasks import load_task

if TYPE_CHECKING:
    from sobo_planner.cli import commands

#: Options of `sobo train` that override the task's configuration of training.
TRAIN_OPTIONS = ("method", "mode", "steps", "batch", "lr", "seed", "max_minutes")
#: File in a run's folder that says what was trained; `sobo export` reads it.
RUN_RECORD = "run.json"


@contextmanager
def training_extra() -> Iterator[None]:
    """Say how to install what training needs, where it is missing.

    Raises:
        ConfigError: A module outside this project cannot be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("sobo_planner", "sobo_training"):
            raise ConfigError(f"{error.name} is not part of this installation") from error
        hint = 'training needs more packages; install them with: pip install "sobo_planner[train]"'
        raise ConfigError(f"cannot import {missing}: {hint}") from error


def collect(command: commands.Collect) -> int:
    """Collect solutions and print the summary."""
    with training_extra():
        from sobo_training.data.collect import collect as run
        from sobo_training.data.collection import CollectOptions

    options = CollectOptions(
        count=command.instances,
        seed=command.seed,
        starts=command.starts,
        threads=command.threads,
        shard_size=command.shard_size,
    )
    summary = run(task_of(command), command.out, options, command.policy)
    print(json.dumps(asdict(summary), indent=1) if command.json else summary.render())
    return 0


def train(command: commands.Train) -> int:
    """Train and print where the run lies."""
    with training_extra():
        from sobo_training.config import TrainConfig
        from sobo_training.data.dataset import load
        from sobo_training.learning.train import train as run

    if command.limit is not None and command.limit < 1:
        raise ConfigError(f"limit must be at least 1, got {command.limit}")
    task = task_of(command)
    given = {name: getattr(command, name) for name in TRAIN_OPTIONS}
    config = TrainConfig.from_task(task, **{name: value for name, value in given.items() if value is not None})
    data = load(command.data, task).select(slice(command.limit))
    record = {
        "task": command.task,
        "overrides": parse_overrides(command.overrides),
        "data": [str(folder) for folder in command.data],
        "solutions": len(data),
    }
    write_json(command.out / RUN_RECORD, record)
    result = run(data, task, command.out, config)
    figures = ", ".join(f"{name} {value:.4g}" for name, value in result.summary.items())
    print(f"trained on {len(data)} solutions: {figures}\nrun: {command.out}")
    return 0


def export(command: commands.Export) -> int:
    """Export the artifact of a run and print where it lies."""
    with training_extra():
        from sobo_training.export.exporter import export as run
        from sobo_training.export.exporter import load_run

    record = read_run(command.run_folder)
    task = load_task(record["task"], **record["overrides"])
    artifact = run(load_run(command.run_folder, task), task, command.out)
    print(f"policy: {artifact.folder}")
    return 0


def read_run(folder: Path) -> dict[str, Any]:
    """What `sobo train` wrote about a run.

    Raises:
        PolicyError: The folder holds no training run.
    """
    path = folder / RUN_RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"task": str(record["task"]), "overrides": dict(record["overrides"])}
    except OSError as error:
        raise PolicyError(f"no training run at {folder}: cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"{path} is damaged: {error!r}") from error


def evaluate(command: commands.Evaluate) -> int:
    """Evaluate a policy, print the table, store the report if asked."""
    with training_extra():
        from sobo_training.evaluation.evaluate import EvaluateOptions
        from sobo_training.evaluation.evaluate import evaluate as run
        from sobo_training.evaluation.report import render

    options = EvaluateOptions(
        instances=command.instances,
        seed=command.seed,
        starts=command.starts,
        action_horizon=command.action_horizon,
        samples=command.samples,
        threads=command.threads,
    )
    report = run(task_of(command), command.policy, options)
    if command.json is not None:
        write_json(command.json, report)
    print(render(report))
    return 0


def bench(command: commands.Bench) -> int:
    """Measure, print the table, store the report if asked."""
    with training_extra():
        from sobo_planner.policy import Policy
        from sobo_training.bench import BenchOptions, render
        from sobo_training.bench import bench as run

    options = BenchOptions(rounds=command.rounds, instances=command.instances, seed=command.seed)
    task = arm_of(command)
    if command.policy is not None:
        Policy.load(command.policy, task)  # before minutes of other measurements
    report = run(task, command.policy or shipped_policy(task), options)
    if command.json is not None:
        write_json(command.json, report)
    print(render(report))
    return 0
