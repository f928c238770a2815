"""Conditional 1-D U-Net that predicts a clean chunk from a noised one.

After the temporal U-Nets of Diffuser (arXiv:2205.09991) and Diffusion Policy (arXiv:2303.04137): residual
blocks of convolution, group normalisation and Mish, modulated (FiLM) by the denoising step and the
observation, with down- and up-sampling over time and skip connections. The hidden sizes (24, 24, 32, 32) of
arXiv:2604.19011 give about 300 k parameters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from sobo_planner.errors import ConfigError
from sobo_training.networks.ops import BatchMajorOps, FusedDualOps, PlainOps, dual_ops, plain_ops


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of the network.

    Attributes:
        action_dim: Channels d_a of a chunk.
        obs_dim: Size d_o of the observation.
        horizon: Slots T_h of a chunk; a multiple of 2 ** (number of levels - 1).
        hidden: Channels of each level.
        kernel: Taps of the convolutions, odd.
        groups: Groups of each normalisation; divides every hidden size.
        cond_dim: Size of the conditioning vector.
        step_dim: Size of the sinusoidal code of the denoising step, even.
        diffusion_steps: Number K of denoising steps.
    """

    action_dim: int
    obs_dim: int
    horizon: int = 32
    hidden: tuple[int, ...] = (24, 24, 32, 32)
    kernel: int = 5
    groups: int = 8
    cond_dim: int = 128
    step_dim: int = 32
    diffusion_steps: int = 5

    def __post_init__(self) -> None:
        if len(self.hidden) < 2 or any(h < 1 or h % self.groups for h in self.hidden):
            raise ConfigError(f"hidden={self.hidden}: needs two or more multiples of groups={self.groups}")
        shrink = 2 ** (len(self.hidden) - 1)
        if self.horizon < 1 or self.horizon % shrink:
            raise ConfigError(f"T_h={self.horizon} must be a multiple of {shrink} for hidden={self.hidden}")
        if self.horizon // shrink * self.hidden[-1] // self.groups < 4:
            # Normalising fewer values removes nearly all information, and derivatives explode.
            raise ConfigError(f"T_h={self.horizon} is too short for hidden={self.hidden}: use fewer levels")
        if self.kernel % 2 == 0 or self.step_dim % 2:
            raise ConfigError(f"kernel={self.kernel} must be odd and step_dim={self.step_dim} even")
        if min(self.action_dim, self.obs_dim, self.diffusion_steps) < 1:
            raise ConfigError(f"action_dim, obs_dim and diffusion_steps must be positive: {self}")


class ConvBlock(nn.Module):
    """Convolution (no bias: the normalisation follows), group normalisation, Mish."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, config.kernel, padding=config.kernel // 2, bias=False)
        self.norm = nn.GroupNorm(config.groups, outputs)

    def run(self, ops: Any, x: Any, film: Any = None) -> Any:
        return ops.activate(ops.conv(x, self.conv), self.norm, film)


class ResidualBlock(nn.Module):
    """Two convolution blocks with FiLM between them and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__()
        self.outputs = outputs
        self.first = ConvBlock(inputs, outputs, config)
        self.second = ConvBlock(outputs, outputs, config)
        self.shortcut = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None

    def run(self, ops: Any, x: Any, film: Any) -> Any:
        h = self.second.run(ops, self.first.run(ops, x, film))
        return ops.add(h, x if self.shortcut is None else ops.conv(x, self.shortcut))


class UNet(nn.Module):
    """tau_theta(tau_k, k, o) of eq. (6) of arXiv:2604.19011, in normalised units."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        sizes = (config.action_dim, *config.hidden)
        self.down_blocks = nn.ModuleList()
        self.down_samplers = nn.ModuleList()
        for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
            self.down_blocks.append(self._pair(inputs, outputs))
        for width in config.hidden[:-1]:
            self.down_samplers.append(nn.Conv1d(width, width, 3, stride=2, padding=1, bias=False))
        self.middle_blocks = self._pair(config.hidden[-1], config.hidden[-1])
        self.up_blocks = nn.ModuleList()
        self.up_samplers = nn.ModuleList()
        for outputs, inputs in reversed(list(zip(config.hidden[:-1], config.hidden[1:], strict=True))):
            self.up_blocks.append(self._pair(2 * inputs, outputs))
            self.up_samplers.append(nn.ConvTranspose1d(outputs, outputs, 4, stride=2, padding=1, bias=False))
        self.final_block = ConvBlock(config.hidden[0], config.hidden[0], config)
        self.final_conv = nn.Conv1d(config.hidden[0], config.action_dim, 1)

        dim = config.cond_dim
        self.observation_encoder = nn.ModuleList((nn.Linear(config.obs_dim, dim), nn.Linear(dim, dim)))
        self.step_encoder = nn.Sequential(nn.Linear(config.step_dim, dim), nn.Mish(), nn.Linear(dim, dim))
        self.film_sizes = [size for block in self._blocks() for size in (block.outputs, block.outputs)]
        self.film = nn.Linear(dim, sum(self.film_sizes))
        code = _sinusoid(config.diffusion_steps, config.step_dim)
        self.register_buffer("step_code", code, persistent=False)

    def _pair(self, inputs: int, outputs: int) -> nn.ModuleList:
        first = ResidualBlock(inputs, outputs, self.config)
        return nn.ModuleList((first, ResidualBlock(outputs, outputs, self.config)))

    def _blocks(self) -> list[ResidualBlock]:
        pairs = [*self.down_blocks, self.middle_blocks, *self.up_blocks]
        return [block for pair in pairs for block in cast("Iterable[ResidualBlock]", pair)]

    @property
    def output_layer(self) -> nn.Conv1d:
        """The last layer."""
        return self.final_conv

    def step_table(self) -> Tensor:
        """Encoding of every denoising step, [K, cond_dim]."""
        return self.step_encoder(self.step_code)

    def _condition(self, ops: Any, observation: Any, step: Any) -> list[Any]:
        first, second = self.observation_encoder
        encoded = ops.linear(ops.mish(ops.linear(observation, first)), second)
        return ops.split(ops.linear(ops.mish(ops.add(encoded, step)), self.film), self.film_sizes)

    def _trunk(self, ops: Any, x: Any, film: list[Any]) -> Any:
        blocks = iter(zip(self._blocks(), zip(film[::2], film[1::2], strict=True), strict=True))

        def run_pair(x: Any) -> Any:
            for block, modulation in itertools.islice(blocks, 2):
                x = block.run(ops, x, modulation)
            return x

        skips = []
        for sampler in self.down_samplers:
            x = run_pair(x)
            skips.append(x)
            x = ops.down(x, sampler)
        x = run_pair(x)
        skips.append(x)
        x = run_pair(x)
        for sampler in self.up_samplers:
            # As in the networks above, the skip of the finest level is not used.
            x = ops.up(run_pair(ops.join(x, skips.pop())), sampler)
        return ops.conv(self.final_block.run(ops, x), self.final_conv)

    def forward(self, sample: Tensor, step: Tensor, observation: Tensor, twice_differentiable: bool = False) -> Tensor:
        """Predict the clean chunk.

        Args:
            sample: Noised chunk tau_k, [B, T_h, d_a].
            step: Denoising step counted from 0 (diffusers' numbering, k - 1 in the paper's), [B] int64.
            observation: [B, d_o].
            twice_differentiable: Allow a backward pass through the backward pass, which is slower.

        Returns:
            [B, T_h, d_a].
        """
        ops = PlainOps if twice_differentiable else plain_ops(sample)
        film = self._condition(ops, observation.t(), self.step_table()[step].t())
        return self._trunk(ops, _to_time_major(sample), film).permute(2, 0, 1)

    def forward_dual(
        self, sample: Tensor, d_sample: Tensor, step: Tensor, observation: Tensor, d_observation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict the clean chunk and its derivative along (d_sample, d_observation).

        Both results can be back-propagated to the parameters (once).

        Args:
            sample: As in `forward`.
            d_sample: Tangents of the first D <= B samples, [D, T_h, d_a].
            step: As in `forward`.
            observation: As in `forward`.
            d_observation: Tangents of the first D observations, [D, d_o].

        Returns:
            Prediction [B, T_h, d_a] and tangent [D, T_h, d_a].
        """
        ops, table, n = dual_ops(sample), self.step_table()[step].t(), len(d_sample)
        if n < len(sample) and not issubclass(ops, FusedDualOps):
            y, dy = self.forward_dual(sample[:n], d_sample, step[:n], observation[:n], d_observation)
            return torch.cat((y, self(sample[n:], step[n:], observation[n:]))), dy
        film = self._condition(ops, (observation.t(), d_observation.t()), (table, torch.zeros_like(table[:, :n])))
        x = (_to_time_major(sample), _to_time_major(d_sample))
        y, dy = self._trunk(ops, x, film)
        return y.permute(2, 0, 1), dy.permute(2, 0, 1)

    def forward_reference(
        self, sample: Tensor, step: Tensor, observation: Tensor, table: Tensor | None = None
    ) -> Tensor:
        """Same function as `forward` out of stock PyTorch layers: for export and as a test's reference.

        Args:
            sample: As in `forward`.
            step: As in `forward`.
            observation: As in `forward`.
            table: Result of `step_table`, to avoid computing it again.
        """
        table = self.step_table() if table is None else table
        film = self._condition(BatchMajorOps, observation, table[step])
        return self._trunk(BatchMajorOps, sample.transpose(1, 2), film).transpose(1, 2)


def _to_time_major(x: Tensor) -> Tensor:
    return x.permute(1, 2, 0).contiguous()


def _sinusoid(steps: int, size: int) -> Tensor:
    """Sinusoidal code of the integers 0 .. steps - 1, [steps, size]."""
    frequency = torch.exp(-math.log(1e4) * torch.arange(size // 2) / (size // 2 - 1))
    phase = torch.arange(steps)[:, None] * frequency
    return torch.cat((phase.sin(), phase.cos()), 1)
