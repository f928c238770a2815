"""Networks with random weights, and their native counterparts."""

from __future__ import annotations

import contextlib
import dataclasses
import functools

import numpy as np
import torch

from sobo_planner import _native
from sobo_planner.errors import PolicyError
from sobo_training.networks.unet import UNet, UNetConfig

Inputs = tuple[np.ndarray, np.ndarray, np.ndarray]
SMALL = UNetConfig(action_dim=3, obs_dim=4, horizon=8, hidden=(8, 16), cond_dim=16, step_dim=8)


@functools.cache
def processors() -> tuple[str, ...]:
    """Kernels that run here, the default first."""
    tensors, found = make(SMALL)[1], list[str]()
    for name in ("", "avx512", "avx2", "baseline"):
        with contextlib.suppress(PolicyError):  # this processor does not have it
            found.append(native(SMALL, tensors, name).processor)
    return tuple(dict.fromkeys(found))


def make(config: UNetConfig, seed: int = 0) -> tuple[UNet, dict[str, np.ndarray]]:
    """A network with random weights, norms and biases included, and its tensors."""
    torch.manual_seed(seed)
    net = UNet(config)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn_like(p)
    return net.eval(), {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def native(config: UNetConfig, tensors: dict[str, np.ndarray], processor: str = "") -> _native.UNet:
    return _native.UNet(tensors, **dataclasses.asdict(config), processor=processor)


def draw(config: UNetConfig, batch: int, seed: int = 0) -> Inputs:
    """Sample, denoising step and observation."""
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((batch, config.horizon, config.action_dim), np.float32),
        rng.integers(0, config.diffusion_steps, batch),
        rng.standard_normal((batch, config.obs_dim), np.float32),
    )
