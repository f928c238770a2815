"""What a network is to keep: its predictions are to stay those of another one, the teacher, on given chunks.

A network that learns from motions of one part of the workspace gets worse in the others. Where there are no solutions
of those, the predictions of the network as it was can stand for them (distillation).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sobo_planner.errors import ConfigError
from sobo_training.config import TrainConfig
from sobo_training.learning.chunks import TrainingSet
from sobo_training.learning.diffusion import Noiser
from sobo_training.learning.losses import Batch, Draw, apply
from sobo_training.networks.network import Network


@dataclass(frozen=True)
class Kept:
    """Chunks on which a network is to predict what a teacher does.

    Attributes:
        data: The chunks that are noised; their Jacobians are not used.
        teacher: The network to agree with.
        share: Share of each batch that is drawn from these chunks, in (0, 1).
    """

    data: TrainingSet
    teacher: Network
    share: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ConfigError(f"the share of kept chunks must lie in (0, 1), got {self.share}")

    def to(self, device: torch.device) -> Kept:
        """The same on a device, with a teacher that does not learn."""
        teacher = copy.deepcopy(self.teacher).to(device).eval().requires_grad_(False)
        return replace(self, data=self.data.to(device), teacher=teacher)

    def rows(self, batch: int) -> int:
        """How many chunks of a batch are drawn from these: one at least, and one is left for the others.

        Raises:
            ConfigError: The batch holds a single chunk.
        """
        if batch < 2:
            raise ConfigError(f"batch must be at least 2 where chunks are kept, got {batch}")
        return min(max(1, round(self.share * batch)), batch - 1)


def kept_terms(
    net: Network, teacher: Network, noiser: Noiser, batch: Batch, sample: Draw, config: TrainConfig
) -> tuple[Tensor, Tensor | None]:
    """How far a network is from its teacher: in its predictions, and in their derivatives for mode `jvp`.

    The derivatives are those as the state moves, with the history in the chunk held fixed. Mode `augment` compares
    predictions at observations of moved states instead; with mode `vjp` and without first-order terms in the loss,
    predictions are compared where they are.

    Returns:
        Terms of zeroth and first order, both means over batch and elements as in `losses`.
    """
    noised, observation = noiser(batch.chunk, sample.noise, sample.step), batch.observation
    mode = config.mode if config.loss == "sobolev" else None
    if mode == "jvp":
        n = max(1, round(config.share * len(noised)))
        moved = apply(batch.observation_jacobian[:n], sample.direction[:n])
        arguments = (noised, torch.zeros_like(noised[:n]), sample.step, observation, moved)
        with torch.no_grad():
            target, slope = teacher.forward_dual(*arguments)
        prediction, tangent = net.forward_dual(*arguments)
        return (prediction - target).square().mean(), (tangent - slope).square().mean()
    if mode == "augment":
        observation = observation + apply(batch.observation_jacobian, config.augment_scale * sample.direction)
    with torch.no_grad():
        target = teacher(noised, sample.step, observation)
    return (net(noised, sample.step, observation) - target).square().mean(), None
