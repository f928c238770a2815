"""Noising of chunks, with diffusers' DDPM schedule.

Steps are counted as diffusers does: k = 0 is the least noisy, K - 1 the most (the paper's k minus one).
"""

from __future__ import annotations

import torch
from diffusers import DDPMScheduler
from torch import Tensor


def make_scheduler(steps: int) -> DDPMScheduler:
    """Squared-cosine schedule with `steps` denoising steps, the network predicting the clean sample.

    Diffusers' clipping of samples is off: normalised states are not bounded by one.
    """
    return DDPMScheduler(
        num_train_timesteps=steps,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=False,
    )


def alphas_cumprod(steps: int) -> list[float]:
    """The K constants alpha-bar that determine the run-time sampler, least noisy first."""
    return [float(a) for a in make_scheduler(steps).alphas_cumprod]


class Noiser:
    """Eq. (3) of arXiv:2604.19011 followed by inpainting of the history slots.

    Args:
        steps: Number K of denoising steps.
        history: Number T_o of leading slots that are known and never noised.
    """

    def __init__(self, steps: int, history: int) -> None:
        self.scheduler = make_scheduler(steps)
        self.steps = steps
        self.history = history

    def __call__(self, chunk: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Noised chunk tau_k with the history written back.

        Args:
            chunk: Clean chunk tau_0, [B, T_h, d_a].
            noise: Standard normal, same shape.
            step: [B] int64 in 0 .. K - 1.
        """
        noised = self.scheduler.add_noise(chunk, noise, step)
        noised[:, : self.history] = chunk[:, : self.history]
        return noised

    def tangent(self, d_chunk: Tensor) -> Tensor:
        """Derivative of tau_k as the state moves: only the inpainted history follows it."""
        result = torch.zeros_like(d_chunk)
        result[:, : self.history] = d_chunk[:, : self.history]
        return result
