"""Run by test_full_disk.py with a folder on a small disk: fills it, and checks what is left."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from test_dataset import info, solutions
from test_train import config_of
from toy_task import ToyTask

from sobo_planner.errors import DatasetError, SoboError
from sobo_planner.files import write_bytes
from sobo_training.data.dataset import ShardWriter, load, shard_paths
from sobo_training.learning.chunks import build
from sobo_training.learning.trainer import Trainer, read_checkpoint


def fill(folder: Path) -> str:
    """Writes shards until the disk is full. Returns the error message."""
    stored = 0
    try:
        while True:
            with ShardWriter(folder) as writer:
                writer.write(solutions(count=20, horizon=20), info(tuple(range(20 * stored, 20 * stored + 20))))
            stored += 1
    except DatasetError as error:
        assert stored >= 1 and len(shard_paths(folder)) == stored
        assert len(load(folder)) == 20 * stored, "every shard is read and its checksum right"
        return str(error)


def checkpoints(folder: Path) -> str:
    """Writes a checkpoint, then another one on the full disk. Returns the error message."""
    task = ToyTask()
    trainer = Trainer(build(task.solutions(4), task, 8), task, config_of(task, steps=20), None)
    path = folder / "checkpoint.pt"
    trainer.save(path)
    before = path.read_bytes()
    (folder / "others").write_bytes(bytes(shutil.disk_usage(folder).free - len(before) // 2))
    trainer.advance()
    try:
        trainer.save(path)
    except SoboError as error:
        assert path.read_bytes() == before
        assert read_checkpoint(path)["step"] == 0
        return str(error)
    raise AssertionError("the disk was not full")


if __name__ == "__main__":
    disk = Path(sys.argv[1])
    said = {"shard": fill(disk / "data")}
    for shard in shard_paths(disk / "data"):
        shard.unlink()
    said["checkpoint"] = checkpoints(disk)
    write_bytes(disk / "small", b"what there is room for is written")
    left = [str(path) for path in disk.rglob("*") if path.name.endswith(".tmp")]
    print(json.dumps(said | {"left": left}))
