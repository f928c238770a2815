"""Planning by sampling, as TD-MPC does."""

from __future__ import annotations

import torch
from torch import Tensor

from sobo_training.latent.model import LatentModel
from sobo_training.latent.settings import AgentSettings


@torch.no_grad()
def plan_mppi(
    model: LatentModel,
    state: Tensor,
    previous: Tensor,
    settings: AgentSettings,
    noise: float,
    generator: torch.Generator,
    explore: bool,
) -> tuple[Tensor, Tensor]:
    """Improves sequences of actions, for several environments at once.

    Args:
        model: What returns are predicted with.
        state: Latent states (n, latent).
        previous: Means (n, H, nu) to start from: those of the last step, shifted.
        settings: Numbers of samples and rounds.
        noise: Least standard deviation.
        generator: Source of random numbers.
        explore: Add noise to the action.

    Returns:
        Actions (n, nu), and the last means (n, H, nu).
    """
    n, (_, horizon, nu) = len(state), previous.shape
    count, total = settings.proposals, settings.samples
    wide = state.repeat_interleave(total, 0)
    few = state.repeat_interleave(count, 0)
    drawn = noise * torch.randn(len(few), horizon, nu, generator=generator)
    proposed = model.propose(few, drawn).reshape(n, count, horizon, nu)
    mean, std = previous, torch.ones(n, horizon, nu)
    for _ in range(settings.iterations):
        drawn = torch.randn(n, total - count, horizon, nu, generator=generator)
        sampled = (mean[:, None] + std[:, None] * drawn).clamp(-1, 1)
        candidates = torch.cat([sampled, proposed], 1)
        scores = model.returns(wide, candidates.flatten(0, 1)).reshape(n, total)
        best, index = scores.topk(settings.elites, dim=1)
        elites = candidates.gather(1, index[..., None, None].expand(-1, -1, horizon, nu))
        weights = torch.softmax((best - best[:, :1]) / settings.temperature, 1)[..., None, None]
        mean = (weights * elites).sum(1)
        std = (weights * (elites - mean[:, None]) ** 2).sum(1).sqrt().clamp(noise, 1.0)
    if not explore:
        return mean[:, 0], mean
    chosen = torch.multinomial(weights[:, :, 0, 0], 1, generator=generator)[:, 0]
    action = elites[torch.arange(n), chosen, 0]
    return (action + std[:, 0] * torch.randn(n, nu, generator=generator)).clamp(-1, 1), mean
