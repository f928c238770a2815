"""Training of the diffusion policy: one process, one thread, exactly resumable."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.files import check_output, write_json
from sobo_planner.locks import locked
from sobo_planner.policy.normaliser import Normaliser
from sobo_planner.tasks import Task
from sobo_training.config import TrainConfig
from sobo_training.learning.chunks import Part, TrainingSet, build
from sobo_training.learning.kept import Kept
from sobo_training.learning.runs import check_run, write_run
from sobo_training.learning.trainer import CHECKPOINT, Trainer, TrainingDiverged, store
from sobo_training.networks.network import Network

logger = logging.getLogger(__name__)

CONFIG = "config.json"


@dataclass(frozen=True)
class TrainResult:
    """Outcome of a run.

    Attributes:
        net: Network with the averaged weights, in eval mode.
        normaliser: Scaling of its inputs and outputs.
        config: The configuration used.
        summary: steps, minutes, chunks, loss and first_order (means over the last logging window).
    """

    net: Network
    normaliser: Normaliser
    config: TrainConfig
    summary: dict[str, Any]


def check_device(device: str) -> None:
    """Refuses a device (`DEVICES`) that is not there.

    Raises:
        ConfigError: There is no GPU to train on.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda: PyTorch finds no GPU; install its build for CUDA, or use device=cpu")


def train(
    dataset: Any,
    task: Any,
    out_dir: str | Path,
    config: TrainConfig,
    resume: bool = True,
    progress: bool = True,
    previous: TrainResult | None = None,
    parts: Sequence[Part] = (),
    kept: Kept | None = None,
    about: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Train a policy; continues from the checkpoint in `out_dir` where there is one.

    Args:
        dataset: Solutions (`dataset.Dataset`), or chunks already built (`chunks.TrainingSet`).
        task: The task they belong to.
        out_dir: Receives run.json, task.yaml, config.json, checkpoint.pt and TensorBoard events.
        config: The run.
        resume: Continue an earlier run; False starts over and overwrites it.
        progress: Show a progress bar.
        previous: Run whose averaged weights and scaling this one starts from; random weights and its own
            scaling if None.
        parts: Consecutive trajectories of the dataset, and the share of each batch that is drawn from them; all alike
            if there are none.
        kept: What the network is to keep; nothing if None.
        about: What `run.json` is to say besides the task.

    Raises:
        TrainingDiverged: The loss is not finite; the batch is stored in out_dir/diverged.pt.
        ConfigError: There is no GPU to train on.
        PolicyError: The checkpoint in `out_dir` is damaged or of another run or task.
        DatasetError: The data cannot be cut into chunks.
        SoboError: Another process is writing to `out_dir`, or the disk refused; an earlier checkpoint is intact.
    """
    check_device(config.device)
    torch.set_num_threads(1)  # more threads are slower at these sizes, and one is repeatable
    out_dir = Path(out_dir)
    with locked(out_dir):
        for name in (CONFIG, CHECKPOINT):
            check_output(out_dir / name)
        if isinstance(task, Task):
            if resume and (out_dir / CHECKPOINT).exists():
                check_run(out_dir, task)
            write_run(out_dir, task, about or {})
        if isinstance(dataset, TrainingSet):
            data = dataset
        else:
            data = build(dataset, task, config.T_h, config.action, previous.normaliser if previous else None, parts)
        return _train(data, task, out_dir, config, resume, progress, previous, kept)


def _train(
    data: TrainingSet,
    task: Any,
    out_dir: Path,
    config: TrainConfig,
    resume: bool,
    progress: bool,
    previous: TrainResult | None,
    kept: Kept | None,
) -> TrainResult:
    if reason := config.explain_mode(data.trajectories):
        logger.info("%s", reason)
    trainer = Trainer(data, task, config, previous.net.state_dict() if previous else None, kept)
    checkpoint = out_dir / CHECKPOINT
    if resume and checkpoint.exists():
        trainer.load(checkpoint)
        logger.info("continuing %s at step %d", out_dir, trainer.step)
    write_json(out_dir / CONFIG, {"task": task.name, **trainer.config.to_dict()})
    try:
        summary = _run(trainer, out_dir, progress)
    except OSError as error:  # of TensorBoard's writer
        raise SoboError(f"cannot write to {out_dir}: {error.strerror or error}") from error
    return TrainResult(trainer.average.cpu().eval(), data.normaliser, trainer.config, summary)


def _run(trainer: Trainer, out_dir: Path, progress: bool) -> dict[str, Any]:
    config = trainer.config
    window: list[tuple[Tensor, Tensor | None]] = []
    bar = tqdm(total=config.steps, initial=trainer.step, disable=not progress, desc="train", unit="step")
    with SummaryWriter(str(out_dir), purge_step=trainer.step) as writer, bar:
        while trainer.progress() < 1:
            try:
                window.append(trainer.advance())
            except TrainingDiverged as error:
                _dump(trainer, out_dir / "diverged.pt", error)
            bar.update()
            if trainer.step % config.log_every == 0:
                _log(trainer, writer, window)
                bar.set_postfix({name: f"{value:.4f}" for name, value in trainer.means.items()})
                window.clear()
            if trainer.step % config.checkpoint_every == 0:
                trainer.save(out_dir / CHECKPOINT)
        if window:
            _log(trainer, writer, window)
    try:
        trainer.save(out_dir / CHECKPOINT)
    except SoboError as error:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in trainer.summary().items())
        raise SoboError(f"{error}; the run ended with {figures}") from error
    return trainer.summary()


def _log(trainer: Trainer, writer: SummaryWriter, window: list[tuple[Tensor, Tensor | None]]) -> None:
    means = {"loss": float(torch.stack([pair[0] for pair in window]).mean())}
    first_order = [pair[1] for pair in window if pair[1] is not None]
    if first_order:
        means["first_order"] = float(torch.stack(first_order).mean())
    for name, value in means.items():
        writer.add_scalar(f"train/{name}", value, trainer.step)
    writer.add_scalar("train/lr", trainer.learning_rate(), trainer.step)
    trainer.means = means


def _dump(trainer: Trainer, path: Path, error: TrainingDiverged) -> NoReturn:
    batch, sample = trainer.sample()
    state = {
        "step": trainer.step,
        "batch": vars(batch),
        "draw": vars(sample),
        "net": trainer.net.state_dict(),
    }
    try:
        store(state, path)
        where = f"batch, noise and weights are in {path}"
    except SoboError as refused:
        where = str(refused)
    raise TrainingDiverged(f"{error}; {where}; try a smaller lr") from error
