"""Direct policies: a multilayer perceptron from the observation to the next controls.

PDDP of arXiv:2209.09006 behind the interface of the U-Net: a chunk of one known slot and the controls to predict, no
noise, one denoising step. The same losses, engines and rollouts therefore work for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sobo_planner.errors import ConfigError


@dataclass(frozen=True)
class MLPConfig:
    """Sizes of the network.

    Attributes:
        action_dim: Channels d_a of a chunk.
        obs_dim: Size d_o of the observation.
        horizon: Slots T_h of a chunk, the known one included.
        hidden: Units of each hidden layer.
        diffusion_steps: 1: a direct policy does not denoise.
    """

    action_dim: int
    obs_dim: int
    horizon: int = 2
    hidden: tuple[int, ...] = (256, 256, 256)
    diffusion_steps: int = 1

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError(f"hidden={self.hidden} needs at least one layer of at least one unit")
        if self.horizon < 2:
            raise ConfigError(f"T_h={self.horizon} must be at least 2: one known slot and one to predict")
        if self.diffusion_steps != 1:
            raise ConfigError(f"K={self.diffusion_steps} must be 1 for a network that does not denoise")
        if min(self.action_dim, self.obs_dim) < 1:
            raise ConfigError(f"action_dim and obs_dim must be positive: {self}")


class MLP(nn.Module):
    """Linear layers with Mish between them, in normalised units; signatures as in `UNet`."""

    def __init__(self, config: MLPConfig) -> None:
        super().__init__()
        self.config = config
        sizes = (config.obs_dim, *config.hidden, (config.horizon - 1) * config.action_dim)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))

    @property
    def output_layer(self) -> nn.Linear:
        """The last layer."""
        return cast("nn.Linear", self.layers[-1])

    def step_table(self) -> Tensor:
        """Nothing depends on the denoising step, [1, 0]."""
        return torch.zeros(1, 0)

    def forward(self, sample: Tensor, step: Tensor, observation: Tensor, twice_differentiable: bool = False) -> Tensor:
        """Predict the clean chunk.

        Args:
            sample: Chunk whose slot 0 is known, [B, T_h, d_a]; the others are not read.
            step: Not read.
            observation: [B, d_o].
            twice_differentiable: Always true here.

        Returns:
            [B, T_h, d_a], slot 0 as given.
        """
        h = observation
        for layer in self.layers[:-1]:
            h = F.mish(layer(h))
        # The size of the batch must not be read here: the exporter would take it for a constant.
        actions = self.layers[-1](h).view(-1, self.config.horizon - 1, self.config.action_dim)
        return torch.cat((sample[:, :1], actions), 1)

    def forward_dual(
        self, sample: Tensor, d_sample: Tensor, step: Tensor, observation: Tensor, d_observation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict the clean chunk, and its derivative along the tangents of the first samples, as `UNet` does."""
        n = len(d_sample)
        inputs, tangents = (sample[:n], observation[:n]), (d_sample, d_observation)
        prediction, tangent = torch.func.jvp(lambda s, o: self(s, step, o), inputs, tangents)[:2]
        rest = self(sample[n:], step[n:], observation[n:])
        return torch.cat((prediction, rest)), tangent

    def forward_reference(
        self, sample: Tensor, step: Tensor, observation: Tensor, table: Tensor | None = None
    ) -> Tensor:
        """`forward`, for export."""
        return self(sample, step, observation)
