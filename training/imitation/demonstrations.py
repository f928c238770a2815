"""Demonstrations: motions of an arm, from datasets or bags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import DatasetError
from sobo_planner.solver import Guess, Instance
from sobo_planner.tasks import ArmReach
from sobo_training.bags.candidates import Filters
from sobo_training.bags.conversion import BagOptions, survey
from sobo_training.bags.selection import Selection
from sobo_training.data.dataset import load, shard_paths

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Demonstration:
    """A motion to a goal.

    Attributes:
        instance: Start and target.
        X: States at the task's knots, (T+1, nx).
        guess: From where the solver finds motions like it.
    """

    instance: Instance
    X: Array
    guess: Guess


def read_demonstrations(paths: Sequence[Path], task: ArmReach) -> list[Demonstration]:
    """The motions of dataset folders and bags; a dataset may have been made with other weights than the task's.

    Raises:
        DatasetError: There is no motion, or one of another robot or horizon.
    """
    found: list[Demonstration] = []
    for path in paths:
        if not path.exists():
            raise DatasetError(f"{path} does not exist; name a dataset folder or a bag")
        found += of_dataset(path, task) if path.is_dir() and shard_paths(path) else of_bag(path, task)
    if not found:
        raise DatasetError(f"no motion to learn from in {', '.join(map(str, paths))}")
    return found


def of_dataset(folder: Path, task: ArmReach) -> list[Demonstration]:
    """The solutions in a dataset folder.

    Raises:
        DatasetError: It cannot be read, or belongs to another robot or horizon.
    """
    data = load(folder)
    if data.robot_hash != task.robot_hash:
        raise DatasetError(f"{folder} holds motions of another robot than that of task {task.name}")
    if data.X.shape[1:] != (task.horizon + 1, task.nx):
        steps = data.X.shape[1] - 1
        raise DatasetError(f"{folder} holds motions of {steps} steps, the task has {task.horizon}; set problem.horizon")
    columns = zip(data.x0, data.target, data.X, data.U, strict=True)
    return [Demonstration(Instance(x0, target), X, Guess(X, U)) for x0, target, X, U in columns]


def of_bag(path: Path, task: ArmReach) -> list[Demonstration]:
    """The motions and plans in a bag, as they were recorded.

    Raises:
        DatasetError: There is no bag.
        ConfigError: `rosbags` is not installed.
    """
    selection = Selection(task, Filters())
    for contents in survey([path], task, BagOptions(), progress=False):
        selection.add(contents)
    found = []
    for candidate in selection.found.candidates:
        states = candidate.states
        if states is None:
            continue
        X, U = task.track(candidate.instance.x0, states[1:], task.config.policy.blend)
        guess = Guess(X, np.clip(U, task.control_lower, task.control_upper))
        found.append(Demonstration(candidate.instance, states, guess))
    return found
