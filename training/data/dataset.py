"""Datasets of solver solutions: a folder of append-only shards.

    folder/shard-00000.safetensors, shard-00001.safetensors, ...

A shard appears under its name only when it is complete, so a killed writer leaves at most a temporary file
behind, which nobody reads. See `sobo_training.data.shards` for what a shard holds.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from sobo_planner.errors import DatasetError, SoboError
from sobo_planner.locks import lock
from sobo_planner.tasks.settings import DATA_SECTIONS, changes, explain
from sobo_training.data.shards import LAYOUT, ShardInfo, read_shard, write_shard

if TYPE_CHECKING:
    from sobo_planner.tasks import Task

logger = logging.getLogger(__name__)

SHARD_NAME = re.compile(r"shard-(\d{5,})\.safetensors")


@dataclass(frozen=True)
class Dataset:
    """Solutions of many instances of one task, stacked; states in [rad, rad/s], controls in [N m].

    Attributes:
        X: States, `[n, T+1, nx]`.
        U: Controls, `[n, T, nu]`.
        K: Feedback gains du/dx, `[n, T, nu, ndx]`.
        k: Feedforward, `[n, T, nu]`.
        A: Derivatives of the dynamics by the state, `[n, T, ndx, ndx]`.
        B: Derivatives of the dynamics by the control, `[n, T, ndx, nu]`.
        x0: Initial states, `[n, nx]`.
        target: Tool targets [m], `[n, 3]`.
        cost: Costs, `[n]`.
        iterations: Solver iterations, `[n]`.
        start: Index of the start that gave the solution, `[n]`.
        shards: Where the solutions come from, one entry a shard.
        skipped: Damaged shards that were left out, with the reasons.
    """

    X: np.ndarray
    U: np.ndarray
    K: np.ndarray
    k: np.ndarray
    A: np.ndarray
    B: np.ndarray
    x0: np.ndarray
    target: np.ndarray
    cost: np.ndarray
    iterations: np.ndarray
    start: np.ndarray
    shards: tuple[ShardInfo, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.X)

    @property
    def task_hash(self) -> str:
        """Hash of the task that all solutions belong to."""
        return self.shards[0].task_hash

    @property
    def robot_hash(self) -> str:
        """Hash of the robot that all solutions belong to."""
        return self.shards[0].robot_hash

    def select(self, rows: np.ndarray | slice | Sequence[int]) -> Dataset:
        """The dataset of some of the solutions, for example `select(slice(20))`."""
        arrays = {name: getattr(self, name)[rows] for name in LAYOUT}
        return Dataset(**arrays, shards=self.shards, skipped=self.skipped)


def _lock(folder: Path) -> int:
    try:
        return lock(folder)
    except SoboError as error:
        raise DatasetError(str(error)) from error


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Keeps other processes out of a folder; made if it does not exist.

    Raises:
        DatasetError: The folder cannot be made, or another process is writing there.
    """
    descriptor = _lock(Path(folder))
    try:
        yield
    finally:
        os.close(descriptor)


class ShardWriter:
    """Appends shards to a folder; one writer a folder at a time.

    Use as a context manager: the lock on the folder is released at its end, or when the process dies.

    Args:
        folder: Created if it does not exist.

    Raises:
        DatasetError: The folder cannot be made, or another process is writing there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = _lock(self.folder)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def write(self, tensors: dict[str, np.ndarray], info: ShardInfo) -> Path:
        """Append a shard under the next free number.

        Args:
            tensors: Arrays named and shaped as in `sobo_training.data.shards.LAYOUT`.
            info: Where they come from.

        Returns:
            The new file.

        Raises:
            DatasetError: The tensors are not those of a shard, or the disk refused (full, read-only).
        """
        numbers = [shard_number(path) for path in shard_paths(self.folder)]
        path = self.folder / f"shard-{max(numbers, default=-1) + 1:05d}.safetensors"
        write_shard(path, tensors, info)
        return path


def shard_number(path: Path) -> int:
    """Number in the name of a shard."""
    match = SHARD_NAME.fullmatch(path.name)
    if match is None:
        raise DatasetError(f"{path} is not named like a shard")
    return int(match.group(1))


def shard_paths(folder: str | Path) -> list[Path]:
    """The finished shards of a folder, in the order they were written; temporary files are left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"no dataset at {folder}: not a folder")
    return sorted((path for path in folder.iterdir() if SHARD_NAME.fullmatch(path.name)), key=shard_number)


def load(folder: str | Path | Iterable[str | Path], task: Task | None = None, skip_damaged: bool = False) -> Dataset:
    """Load the solutions of one or several folders, those of a folder in the order of their instances.

    Args:
        folder: Folder of shards, or several folders whose solutions are joined. A shard that comes twice, as where a
            folder is named twice, counts once.
        task: The task that the data must belong to; not checked if None.
        skip_damaged: Leave damaged shards out, with a warning and a count, rather than refuse.

    Raises:
        DatasetError: No shard, a damaged shard, or data of another task or robot; names the file and the settings that
            differ.
    """
    folders = [folder] if isinstance(folder, (str, Path)) else list(folder)
    tensors: list[dict[str, np.ndarray]] = []
    infos: list[ShardInfo] = []
    skipped: list[str] = []
    known: dict[str, Path] = {}
    repeated: list[str] = []
    order: list[tuple[int, int]] = []  # folder and instance of each solution
    for place, path in [(place, path) for place, each in enumerate(folders) for path in shard_paths(each)]:
        try:
            content, info = read_shard(path)
        except DatasetError as error:
            if not skip_damaged:
                raise
            skipped.append(str(error))
            continue
        _check_origin(path, info, infos, task)
        first = known.setdefault(info.sha256, path)
        if first is not path:
            repeated.append(f"{path} is {first}")
            continue
        tensors.append(content)
        infos.append(info)
        order += [(place, number) for number in info.indices]
    if skipped:
        logger.warning("skipped %d damaged shards: %s", len(skipped), "; ".join(skipped))
    if repeated:
        logger.warning("%d repeated shards are left out: %s", len(repeated), "; ".join(repeated[:3]))
    dataset = _stack(folders, tensors, infos, skipped)
    return dataset.select(sorted(range(len(order)), key=order.__getitem__))


def _check_origin(path: Path, info: ShardInfo, earlier: list[ShardInfo], task: Task | None) -> None:
    """Refuse a shard of another task or robot than asked for, or than the shards before it."""
    if task is not None and (info.task_hash, info.robot_hash) != (task.hash, task.robot_hash):
        reason = explain(info.config.get("config", {}), task, info.robot_hash, DATA_SECTIONS) or _other_world(
            info, task
        )
        reason = reason or (
            f"task hash {info.task_hash}, robot hash {info.robot_hash}, here task hash {task.hash}, robot hash "
            f"{task.robot_hash}"
        )
        raise DatasetError(f"shard {path} of task {info.task} does not belong to task {task.name}: {reason}")
    if earlier and (info.task_hash, info.robot_hash) != (earlier[0].task_hash, earlier[0].robot_hash):
        pairs = list(changes(info.config.get("config"), earlier[0].config.get("config")))
        reason = "; ".join(f"{key} is {here!r}, {there!r} before" for key, here, there in pairs) or (
            f"task hash {info.task_hash}, robot hash {info.robot_hash}; task hash {earlier[0].task_hash}, robot hash "
            f"{earlier[0].robot_hash} before"
        )
        raise DatasetError(f"shard {path} does not belong with the shards before it: {reason}")


def _other_world(info: ShardInfo, task: Task) -> str:
    """In which world a shard was collected, where that is another one than the task's; empty otherwise."""
    there, here = info.config.get("world"), task.cell
    if there == here:
        return ""
    names = [f"the world {each['name']} ({each['hash']})" if each else "no world" for each in (there, here)]
    return f"it was collected in {names[0]}, the task is in {names[1]}"


def _stack(
    folders: Sequence[str | Path],
    tensors: list[dict[str, np.ndarray]],
    infos: list[ShardInfo],
    skipped: list[str],
) -> Dataset:
    if not sum(len(content["X"]) for content in tensors):
        places = ", ".join(str(each) for each in folders)
        damaged = f" ({len(skipped)} damaged shards skipped)" if skipped else ""
        raise DatasetError(f"no solutions in {places}{damaged}; collect some with `sobo collect`")
    filled = [content for content in tensors if len(content["X"])]
    for name in LAYOUT:
        shapes = {content[name].shape[1:] for content in filled}
        if len(shapes) > 1:
            raise DatasetError(f"shards disagree on the shape of {name}: {sorted(shapes)}")
    arrays = {name: np.concatenate([content[name] for content in filled]) for name in LAYOUT}
    return Dataset(**arrays, shards=tuple(infos), skipped=tuple(skipped))
