"""One gradient step after another, and the state that a run needs to continue exactly."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sobo_planner.errors import PolicyError, SoboError
from sobo_planner.files import write_bytes
from sobo_training.config import TrainConfig
from sobo_training.learning.chunks import TrainingSet
from sobo_training.learning.diffusion import Noiser
from sobo_training.learning.graph import GradientGraph
from sobo_training.learning.kept import Kept, kept_terms
from sobo_training.learning.losses import Batch, Draw, diff_loss, draw, sobolev_terms
from sobo_training.learning.muon import Muon
from sobo_training.networks.network import Network, network

CHECKPOINT = "checkpoint.pt"
WALL_BUDGET_FIELDS = ("device", "steps", "max_minutes", "log_every", "checkpoint_every")


class TrainingDiverged(SoboError):
    """The loss is not finite; the message names the file that holds the offending batch."""


class Trainer:
    """State of a run and its single step.

    The random numbers of step i depend on (seed, i) alone, so a resumed run needs no generator state to
    repeat an uninterrupted one bit by bit.
    """

    def __init__(
        self,
        data: TrainingSet,
        task: Any,
        config: TrainConfig,
        weights: Mapping[str, Tensor] | None = None,
        kept: Kept | None = None,
    ) -> None:
        """Starts from the given weights, or from random ones; `kept` is what the network is to keep."""
        self.config = config = config.resolved(data.trajectories)
        self.device = torch.device(config.device)
        self.data = data = data.to(self.device)
        self.net = network(task, config).to(self.device)
        self.average = network(task, config).to(self.device)
        if weights is not None:
            self.net.load_state_dict(weights)
            self.average.load_state_dict(weights)
        self.unit = data.trust() if config.relative else None
        self.cumulative = _cumulative(data, config.emphasis)
        self.kept = kept.to(self.device) if kept else None
        self.learned = config.batch - (kept.rows(config.batch) if kept else 0)
        self.noiser = Noiser(config.K, config.T_o)
        self.graph: GradientGraph | None = None
        self.optimizers = _optimizers(self.net, config)
        self.step = 0
        self.seconds = 0.0
        self.means: dict[str, float] = {}

    def progress(self) -> float:
        """Share of the run that is done, 0 .. 1, in steps or in wall-clock time, whichever is further."""
        done = self.step / self.config.steps
        if self.config.max_minutes is not None:
            done = max(done, self.seconds / (60 * self.config.max_minutes))
        return min(done, 1.0)

    def learning_rate(self) -> float:
        """Linear warm-up, then cosine to zero over the run's progress."""
        warm = min(1.0, (self.step + 1) / (self.config.warmup + 1))
        return self.config.lr * warm * 0.5 * (1 + math.cos(math.pi * self.progress()))

    def sample(self) -> tuple[Batch, Draw]:
        """Batch and random numbers of the current step."""
        config = self.config
        generator = torch.Generator(self.device).manual_seed(config.seed * 1_000_003 + self.step)
        place = torch.rand(self.learned, generator=generator, dtype=torch.float64, device=self.device)
        index = torch.searchsorted(self.cumulative, place)
        batch = self.data.batch(index)
        if self.unit is not None:
            batch = batch.in_units(self.unit[index])
        if self.kept is not None:
            size = (config.batch - self.learned,)
            index = torch.randint(len(self.kept.data), size, generator=generator, device=self.device)
            batch = batch.joined(self.kept.data.batch(index))
        return batch, draw(batch, config.K, config.mode, generator)

    def advance(self) -> tuple[Tensor, Tensor | None]:
        """One gradient step.

        Returns:
            Zeroth- and first-order terms of the loss, detached; the latter None where there is none.

        Raises:
            TrainingDiverged: The loss is not finite. The weights have not been touched by it.
        """
        start = time.monotonic()
        batch, sample = self.sample()
        loss, first_order = self._gradient(batch, sample)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate()
            optimizer.step()
        with torch.no_grad():
            # Early averages would remember the random initialisation; the ramp forgets it.
            decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.net.parameters()), 1 - decay)
        self.step += 1
        self.seconds += time.monotonic() - start
        return loss.detach().clone(), None if first_order is None else first_order.detach().clone()

    def _gradient(self, batch: Batch, sample: Draw) -> tuple[Tensor, Tensor | None]:
        """The terms of the loss; its gradients are left in the parameters."""
        if self.device.type == "cuda":
            self.graph = self.graph or GradientGraph(self.net, self._loss, batch, sample)
            total, loss, first_order = self.graph(batch, sample)
        else:
            total, loss, first_order = self._loss(batch, sample)
        if not torch.isfinite(total):
            raise TrainingDiverged(f"loss {total.item()} at step {self.step}")
        if self.device.type != "cuda":
            self.net.zero_grad(set_to_none=True)
            total.backward()
        return loss, first_order

    def _loss(self, batch: Batch, sample: Draw) -> tuple[Tensor, Tensor, Tensor | None]:
        """The loss, and its terms of zeroth and first order."""
        loss, first_order = self._terms(batch, sample)
        return loss if first_order is None else loss + self.config.alpha * first_order, loss, first_order

    def _terms(self, batch: Batch, sample: Draw) -> tuple[Tensor, Tensor | None]:
        """Means over the batch, of which the first `learned` chunks are learned from, and the others kept."""
        if self.kept is None:
            return self._learned_terms(batch, sample)
        first, others, part = slice(self.learned), slice(self.learned, None), self.learned / self.config.batch
        loss, slope = self._learned_terms(batch.rows(first), sample.rows(first))
        rest = batch.rows(others), sample.rows(others)
        loss_kept, slope_kept = kept_terms(self.net, self.kept.teacher, self.noiser, *rest, self.config)
        loss = part * loss + (1.0 - part) * loss_kept
        if slope is None:
            return loss, None
        return loss, part * slope if slope_kept is None else part * slope + (1.0 - part) * slope_kept

    def _learned_terms(self, batch: Batch, sample: Draw) -> tuple[Tensor, Tensor | None]:
        config = self.config
        if config.loss == "diff":
            return diff_loss(self.net, self.noiser, batch, sample), None
        return sobolev_terms(self.net, self.noiser, batch, sample, config.mode, config.augment_scale, config.share)

    def summary(self) -> dict[str, Any]:
        """Summary of the run so far."""
        minutes = round(self.seconds / 60, 2)
        return {"steps": self.step, "minutes": minutes, "chunks": len(self.data), **self.means}

    def save(self, path: Path) -> None:
        """Write a checkpoint; a reader sees the old one or the new one, never half of one.

        Raises:
            SoboError: The disk refused; the old checkpoint is intact.
        """
        state = {
            "config": self.config.to_dict(),
            "normaliser": self.data.normaliser.to_dict(),
            "chunks": len(self.data),
            "summary": self.summary(),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
        }
        store(state, path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            PolicyError: Damaged, or made with another configuration or other data.
        """
        state = read_checkpoint(path)
        old, new = state["config"], self.config.to_dict()
        changed = [n for n in new if old.get(n) != new[n] and n not in WALL_BUDGET_FIELDS]
        if changed:
            pairs = ", ".join(f"{n}: {old.get(n)} there, {new[n]} now" for n in changed)
            raise PolicyError(f"{path} has another configuration ({pairs}); keep it or use a new folder")
        if state["normaliser"] != self.data.normaliser.to_dict() or state["chunks"] != len(self.data):
            raise PolicyError(f"{path} was trained on other data ({state['chunks']} chunks, now {len(self.data)})")
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        for optimizer, content in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(content)
        self.step, self.seconds = state["step"], state["seconds"]
        self.means = {name: v for name, v in state["summary"].items() if name in ("loss", "first_order")}


def _optimizers(net: Network, config: TrainConfig) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the weights of hidden layers, AdamW for the rest; or AdamW for all.

    For the output layer as well, Muon leaves more noise: after 500 steps a denoising error of 0.27 instead of 0.18.
    """
    lr, decay = config.lr, config.weight_decay
    if config.optimizer == "adamw":
        return (torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=decay, fused=True),)
    last = net.output_layer.weight
    hidden = [p for p in net.parameters() if p.ndim > 1 and p is not last]
    rest = [p for p in net.parameters() if p.ndim <= 1 or p is last]
    return Muon(hidden, lr=lr, weight_decay=decay), torch.optim.AdamW(rest, lr=lr, weight_decay=decay, fused=True)


def _cumulative(data: TrainingSet, emphasis: float) -> Tensor:
    """Upper ends, but for the last, of the intervals in 0 .. 1 that stand for the chunks."""
    motion = data.motion().double()
    parts, weights = data.parts or ((len(data), 1.0),), []
    for (count, share), part in zip(parts, motion.split([count for count, _ in parts]), strict=True):
        even, total = torch.full_like(part, 1.0 / count), part.sum()
        weights.append(share * (torch.lerp(even, part / total, emphasis) if total > 0 else even))
    return torch.cat(weights).cumsum(0)[:-1]


def store(state: dict[str, Any], path: Path) -> None:
    """Write what torch can load, whole or not at all.

    Raises:
        SoboError: The disk refused; what was there before is intact.
    """
    content = io.BytesIO()  # torch reports a full disk as an error of its own, without the reason
    torch.save(state, content)
    write_bytes(path, content.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Contents of a checkpoint.

    Raises:
        PolicyError: Missing or damaged.
    """
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError as error:
        raise PolicyError(f"no checkpoint at {path}") from error
    except Exception as error:  # torch.load raises many kinds on a damaged file
        raise PolicyError(f"checkpoint {path} is damaged: {error}") from error
