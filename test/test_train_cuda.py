"""Training on a GPU, and what is said where there is none."""

from pathlib import Path

import pytest
import torch
from toy_task import ToyTask

from sobo_planner.errors import ConfigError
from sobo_planner.tasks import load_task
from sobo_training.config import TrainConfig
from sobo_training.interplay import loop
from sobo_training.interplay import setup as interplay_setup
from sobo_training.interplay.loop import interplay
from sobo_training.interplay.options import InterplayOptions
from sobo_training.learning.chunks import TrainingSet, build
from sobo_training.learning.train import train
from sobo_training.learning.trainer import Trainer, read_checkpoint
from sobo_training.networks.ops import DualOps, FusedDualOps, FusedOps, PlainOps, dual_ops, plain_ops

has_gpu = torch.cuda.is_available()
needs_gpu = pytest.mark.skipif(not has_gpu, reason="PyTorch finds no GPU")


@pytest.fixture(scope="module")
def task() -> ToyTask:
    return ToyTask()


@pytest.fixture(scope="module")
def data(task: ToyTask) -> TrainingSet:
    return build(task.solutions(4), task, 8)


def config_of(task: ToyTask, **options: object) -> TrainConfig:
    return TrainConfig.from_task(task, **{"warmup": 5, "mode": "jvp", **options})


def test_another_device_is_refused(task: ToyTask) -> None:
    with pytest.raises(ConfigError, match="device='tpu' is neither 'cpu' nor 'cuda'"):
        config_of(task, device="tpu")
    with pytest.raises(ConfigError, match="unknown device 'tpu'; known: cpu, cuda"):
        InterplayOptions(device="tpu")


@pytest.mark.skipif(has_gpu, reason="PyTorch finds a GPU")
def test_without_a_gpu_nothing_is_written(task: ToyTask, data: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PyTorch finds no GPU"):
        train(data, task, tmp_path / "run", config_of(task, device="cuda", steps=2), progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(has_gpu, reason="PyTorch finds a GPU")
def test_the_loop_is_refused_before_anything_is_solved(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PyTorch finds no GPU"):
        interplay(load_task("lqr"), tmp_path / "loop", InterplayOptions(device="cuda"), progress=False)
    assert not list(tmp_path.rglob("shard-*"))


def test_the_loop_trains_where_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interplay_setup, "check_device", lambda device: None)
    run = loop.Interplay(load_task("lqr"), tmp_path, InterplayOptions(device="cuda"))
    assert run.setup.config.device == "cuda"
    assert loop.Interplay(load_task("lqr"), tmp_path, InterplayOptions()).setup.config.device == "cpu"


def test_compiled_kernels_are_for_the_cpu_alone() -> None:
    elsewhere = torch.empty(1, device="meta")
    assert plain_ops(elsewhere) is PlainOps and dual_ops(elsewhere) is DualOps
    double = torch.empty(1, dtype=torch.float64)
    assert plain_ops(double) is PlainOps and dual_ops(double) is DualOps
    assert plain_ops(torch.empty(1)) in (FusedOps, PlainOps) and dual_ops(torch.empty(1)) in (FusedDualOps, DualOps)


@needs_gpu
@pytest.mark.parametrize("mode", ["jvp", "vjp", "augment"])
def test_the_graph_gives_the_loss_and_gradient_of_the_steps(task: ToyTask, data: TrainingSet, mode: str) -> None:
    trainer = Trainer(data, task, config_of(task, device="cuda", mode=mode))
    for _ in range(3):
        trainer.advance()
        batch, sample = trainer.sample()
        loss, _ = trainer._gradient(batch, sample)
        replayed = [parameter.grad.clone() for parameter in trainer.net.parameters()]
        trainer.net.zero_grad(set_to_none=True)
        total, eager, _ = trainer._loss(batch, sample)
        expected = torch.autograd.grad(total, list(trainer.net.parameters()))
        assert torch.allclose(loss, eager, rtol=1e-4)
        for mine, theirs in zip(replayed, expected, strict=True):
            assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-5)
        trainer.graph = None  # the gradients' memory is no longer the graph's


@needs_gpu
def test_what_a_gpu_has_trained_is_used_without_one(task: ToyTask, data: TrainingSet, tmp_path: Path) -> None:
    whole = train(data, task, tmp_path / "whole", config_of(task, device="cuda", steps=60), progress=False)
    assert whole.summary["loss"] < 0.5 and next(whole.net.parameters()).device.type == "cpu"
    state = read_checkpoint(tmp_path / "whole/checkpoint.pt")
    assert all(value.device.type == "cpu" for value in state["average"].values())
