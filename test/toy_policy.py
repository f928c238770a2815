"""An untrained but complete policy for `ToyTask`, exported once per test session."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path

import torch
from toy_task import ToyTask

from sobo_training.config import TrainConfig
from sobo_training.export.exporter import export
from sobo_training.learning.chunks import build
from sobo_training.learning.train import TrainResult
from sobo_training.networks.network import network


@functools.cache
def result() -> TrainResult:
    """Network with random weights and the scaling of a small dataset."""
    task = ToyTask()
    config = TrainConfig.from_task(task)
    net = network(task, config)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0))
    data = build(task.solutions(3), task, config.T_h)
    return TrainResult(net.eval(), data.normaliser, config, {"steps": 0})


@functools.cache
def _exported() -> tempfile.TemporaryDirectory:
    folder = tempfile.TemporaryDirectory(prefix="toy-policy-")
    export(result(), ToyTask(), Path(folder.name) / "policy")
    return folder


def copy_to(folder: Path) -> Path:
    """Writable copy of the artifact."""
    return Path(shutil.copytree(Path(_exported().name) / "policy", folder / "policy"))
