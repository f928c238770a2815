"""One shard of a dataset: a safetensors file that is written whole or not at all, and checked when read.

safetensors has no checksum, so the metadata carries a SHA-256 of every tensor and every other metadata entry.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from sobo_planner.errors import DatasetError, SoboError
from sobo_planner.files import write_bytes

FORMAT_VERSION = 1

#: Tensors of a shard and their shapes: n solutions, T stages, ndx tangent dimensions of the state.
LAYOUT: dict[str, tuple[str | int, ...]] = {
    "X": ("n", "T+1", "nx"),
    "U": ("n", "T", "nu"),
    "K": ("n", "T", "nu", "ndx"),
    "k": ("n", "T", "nu"),
    "A": ("n", "T", "ndx", "ndx"),
    "B": ("n", "T", "ndx", "nu"),
    "x0": ("n", "nx"),
    "target": ("n", 3),
    "cost": ("n",),
    "iterations": ("n",),
    "start": ("n",),
}
INTEGERS = ("iterations", "start")


@dataclass(frozen=True)
class ShardInfo:
    """What a shard's metadata says about where its solutions come from.

    Attributes:
        task: Name of the task.
        task_hash: Hash of the task that was solved.
        robot_hash: Hash of the robot that was solved for.
        seed: Seed of the instances.
        indices: Instance index of each stored solution, `[n]`.
        rejected: Instances for which every start failed, with the causes, by instance index.
        config: Resolved configuration of the collection, JSON-serialisable.
        seconds: Wall time spent on solving [s].
        sha256: Checksum of the shard; empty before it is written.
    """

    task: str
    task_hash: str
    robot_hash: str
    seed: int
    indices: tuple[int, ...]
    rejected: dict[int, list[str]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    sha256: str = field(default="", compare=False)

    def to_metadata(self) -> dict[str, str]:
        """Encode as the string-to-string metadata of a safetensors file."""
        return {
            "format_version": str(FORMAT_VERSION),
            "task": self.task,
            "task_hash": self.task_hash,
            "robot_hash": self.robot_hash,
            "seed": str(self.seed),
            "indices": json.dumps(self.indices),
            "rejected": json.dumps(self.rejected, sort_keys=True),
            "config": json.dumps(self.config, sort_keys=True),
            "seconds": repr(float(self.seconds)),
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> ShardInfo:
        """Decode what `to_metadata` made.

        Raises:
            KeyError, ValueError: An entry is missing or malformed.
        """
        return cls(
            task=metadata["task"],
            task_hash=metadata["task_hash"],
            robot_hash=metadata["robot_hash"],
            seed=int(metadata["seed"]),
            indices=tuple(int(i) for i in json.loads(metadata["indices"])),
            rejected={int(i): list(causes) for i, causes in json.loads(metadata["rejected"]).items()},
            config=json.loads(metadata["config"]),
            seconds=float(metadata["seconds"]),
            sha256=metadata["sha256"],
        )


def digest(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> str:
    """SHA-256 over names, shapes, types and bytes of the tensors, and over the metadata but its own entry."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.tobytes())
    for key in sorted(metadata):
        if key != "sha256":
            sha.update(f"{key}={metadata[key]}\n".encode())
    return sha.hexdigest()


def check_tensors(tensors: dict[str, np.ndarray], count: int) -> dict[str, int]:
    """Check that the tensors are those of a shard: names, agreeing shapes, finite numbers.

    Args:
        tensors: Arrays named as in `LAYOUT`.
        count: Number of solutions they should hold.

    Returns:
        The size behind each symbol of `LAYOUT`.

    Raises:
        DatasetError: What is wrong, with both sides.
    """
    if set(tensors) != set(LAYOUT):
        missing, unknown = sorted(set(LAYOUT) - set(tensors)), sorted(set(tensors) - set(LAYOUT))
        raise DatasetError(f"tensors missing: {missing}, tensors unknown: {unknown}")
    sizes: dict[str, int] = {"n": count}
    for name, symbols in LAYOUT.items():
        array = tensors[name]
        if array.ndim != len(symbols):
            raise DatasetError(f"{name} has shape {array.shape}, expected the dimensions {symbols}")
        for symbol, size in zip(symbols, array.shape, strict=True):
            key, value = ("T", size - 1) if symbol == "T+1" else (str(symbol), size)
            wanted = symbol if isinstance(symbol, int) else sizes.setdefault(key, value)
            if value != wanted:
                where = "" if isinstance(symbol, int) else f" ({key} elsewhere in the shard)"
                raise DatasetError(f"{name} has shape {array.shape}: a size is {value}, not {wanted}{where}")
        if not np.isfinite(array).all():
            raise DatasetError(f"{name} holds values that are not finite")
    return sizes


def write_shard(path: Path, tensors: dict[str, np.ndarray], info: ShardInfo) -> None:
    """Write a shard under a temporary name, flush it to the disk, then give it its name.

    Args:
        path: Final name; nothing may exist there.
        tensors: Arrays named as in `LAYOUT`.
        info: Origin of the solutions.

    Raises:
        DatasetError: The tensors are not those of a shard, the name is taken, or the disk refused.
    """
    typed = {
        name: np.ascontiguousarray(array, dtype=np.int64 if name in INTEGERS else np.float64)
        for name, array in tensors.items()
    }
    try:
        check_tensors(typed, len(info.indices))
    except DatasetError as error:
        raise DatasetError(f"shard {path} was not written: {error}") from error
    if path.exists():
        raise DatasetError(f"shard {path} exists already; shards are never overwritten")
    metadata = info.to_metadata()
    metadata["sha256"] = digest(typed, metadata)
    try:
        write_bytes(path, serialise(typed, metadata))
    except SoboError as error:
        raise DatasetError(f"{error}; earlier shards are intact") from error


def read_shard(path: Path) -> tuple[dict[str, np.ndarray], ShardInfo]:
    """Read and check a shard.

    Returns:
        Its tensors, named and shaped as in `LAYOUT`, and where they come from.

    Raises:
        DatasetError: The file is damaged or of another format; the message names it and says why.
    """
    try:
        content = path.read_bytes()
        tensors, metadata = parse(content), _metadata(content)
        version = metadata.get("format_version")
        if version != str(FORMAT_VERSION):
            raise DatasetError(f"format version is {version}, this program reads {FORMAT_VERSION}")
        if metadata.get("sha256") != digest(tensors, metadata):
            raise DatasetError("checksum does not match the content")
        info = ShardInfo.from_metadata(metadata)
        check_tensors(tensors, len(info.indices))
    except (OSError, SafetensorError, DatasetError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DatasetError(f"shard {path} is damaged: {reason}") from error
    return tensors, info


def _metadata(content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata
