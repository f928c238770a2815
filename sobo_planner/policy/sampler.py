"""Denoising diffusion sampling with inpainting, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sobo_planner.policy.engines.base import PolicyEngine, SamplingEngine

Floats = NDArray[np.float32]


class Sampler:
    """Reverse diffusion of arXiv:2604.19011, Algorithm 2, with the posterior of eq. (4)-(5).

    In eq. (5) the factor of tau_k is sqrt(alpha_k) = sqrt(1 - beta_k); the paper prints alpha-bar there,
    which would not be the posterior of eq. (3).

    The network predicts the clean chunk from any step, so that steps may be left out: the posterior is then that of a
    process with the steps that are taken.

    Args:
        alphas_cumprod: alpha-bar of each of the K steps, least noisy first.
        taken: How many of the steps are taken; 0 and all numbers above K: all.

    Attributes:
        steps: Those steps, [S], least noisy first; the noisiest is always among them.
        weights: Of prediction, noised chunk and fresh noise in each of them, [S, 3].
    """

    def __init__(self, alphas_cumprod: Sequence[float], taken: int = 0) -> None:
        K = len(alphas_cumprod)
        S = min(taken, K) or K
        self.steps = [-(-K * (s + 1) // S) - 1 for s in range(S)]
        alpha_bar = np.asarray(alphas_cumprod, np.float64)[self.steps]
        previous = np.concatenate(([1.0], alpha_bar[:-1]))
        alpha = alpha_bar / previous
        self.clean_weight = np.sqrt(previous) * (1 - alpha) / (1 - alpha_bar)
        self.noised_weight = np.sqrt(alpha) * (1 - previous) / (1 - alpha_bar)
        self.deviation = np.sqrt((1 - previous) / (1 - alpha_bar) * (1 - alpha))
        self.weights = np.stack((self.clean_weight, self.noised_weight, self.deviation), 1).astype(np.float32)

    def noise(self, shape: tuple[int, int, int], rng: np.random.Generator) -> Floats:
        """Every random number of one call of `sample`, [S, B, T_h, d_a]: the start, then one draw a step."""
        return rng.standard_normal((len(self.clean_weight), *shape), np.float32)

    def sample(self, engine: PolicyEngine, observation: Floats, history: Floats, noise: Floats) -> Floats:
        """Draw chunks, in a single call of an engine that can (`SamplingEngine`).

        Args:
            engine: Runs the network.
            observation: Normalised, [B, d_o].
            history: Normalised known leading slots, [B, T_o, d_a].
            noise: [S, B, T_h, d_a] (`noise`).

        Returns:
            Normalised chunks whose first T_o slots are `history`, [B, T_h, d_a].
        """
        if hasattr(engine, "sample"):
            return cast(SamplingEngine, engine).sample(self.weights, observation, history, noise, self.steps)
        return self.step_by_step(engine, observation, history, noise)

    def step_by_step(self, engine: PolicyEngine, observation: Floats, history: Floats, noise: Floats) -> Floats:
        """`sample` with one call of the network a denoising step."""
        known = history.shape[1]
        steps, batch = noise.shape[:2]
        chunk = noise[0].copy()
        for k in reversed(range(steps)):
            chunk[:, :known] = history
            clean = engine.denoise(chunk, np.full(batch, self.steps[k], np.int64), observation)
            mean = np.float32(self.clean_weight[k]) * clean + np.float32(self.noised_weight[k]) * chunk
            chunk = mean + np.float32(self.deviation[k]) * noise[steps - k] if k else mean
        chunk[:, :known] = history
        return chunk
