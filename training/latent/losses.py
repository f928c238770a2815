"""The losses of TD-MPC, and DiffTORI's loss of the planned actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from sobo_training.latent.model import LatentModel, TwinValues
from sobo_training.latent.newton import optimum, refine
from sobo_training.latent.settings import AgentSettings


@dataclass
class Losses:
    """The terms of one gradient step.

    Attributes:
        total: Weighted sum of those of the model.
        policy: Negated value of what the policy does.
        consistency: Mean square error of latent states.
        reward: Of rewards.
        value: Of values: temporal differences.
        actor: Loss of the planned actions; None in a step without.
    """

    total: Tensor
    policy: Tensor
    consistency: float
    reward: float
    value: float
    actor: float | None = None


def model_losses(
    model: LatentModel,
    target: Any,
    observations: Tensor,
    actions: Tensor,
    rewards: Tensor,
    settings: AgentSettings,
    generator: torch.Generator,
) -> Losses:
    """Of sequences: observations (H + 1, n, ..), actions (H, n, nu), rewards (H, n)."""
    horizon, n = rewards.shape
    with torch.no_grad():
        ahead = model.encode(observations[1:].flatten(0, 1))
        action = model.policy(ahead)
        jitter = settings.noise[1] * torch.randn(action.shape, generator=generator)
        value = target.values(ahead, (action + jitter).clamp(-1, 1)).min(0).values
        aims = rewards + settings.discount * value.reshape(horizon, n)
        goals = target.encode(observations[1:].flatten(0, 1)).reshape(horizon, n, -1)
    states, predicted = [model.encode(observations[0])], []
    for t in range(horizon):
        state, reward = model.step(states[-1], actions[t])
        states.append(state)
        predicted.append(reward)
    unrolled = torch.stack(states)
    weights = settings.rho ** torch.arange(horizon, dtype=rewards.dtype)
    weights = (weights / weights.sum())[:, None]
    values = model.values(unrolled[:-1].flatten(0, 1), actions.flatten(0, 1)).reshape(2, horizon, n)
    consistency = (weights * ((unrolled[1:] - goals) ** 2).mean(-1)).sum(0).mean()
    reward_error = (weights * (torch.stack(predicted) - rewards) ** 2).sum(0).mean()
    value_error = (weights * ((values - aims) ** 2).sum(0)).sum(0).mean()
    total = settings.consistency * consistency + settings.reward * reward_error + settings.value * value_error
    policy = _policy_loss(model, unrolled.detach().flatten(0, 1))
    return Losses(total, policy, consistency.item(), reward_error.item(), value_error.item())


def _policy_loss(model: LatentModel, states: Tensor) -> Tensor:
    """Negated value of the policy's actions, in units of the mean value; only the policy learns from it."""
    frozen = {name: p.detach() for name, p in model.values.named_parameters()}
    values = functional_call(model.values, frozen, (states, model.policy(states))).min(0).values
    return -values.mean() / values.detach().abs().mean().clamp_min(1.0)


def observed_value_loss(
    model: LatentModel,
    critic: TwinValues,
    target: Any,
    observations: Tensor,
    actions: Tensor,
    rewards: Tensor,
    settings: AgentSettings,
) -> Tensor:
    """Temporal differences of the critic on raw observations."""
    with torch.no_grad():
        ahead = observations[1]
        value = target(torch.asinh(ahead), model.policy(model.encode(ahead))).min(0).values
        aims = rewards[0] + settings.discount * value
    values = critic(torch.asinh(observations[0]), actions[0])
    return ((values - aims) ** 2).sum(0).mean()


def actor_loss(model: LatentModel, critic: TwinValues, observation: Tensor, settings: AgentSettings) -> Tensor:
    """Negated value of the first planned action, as a function of encoder, dynamics, rewards and values.

    The critic is only asked. Actions are planned from the policy's proposal.
    """
    state = model.encode(observation)
    with torch.no_grad():
        proposal = model.propose(state)
    planned, _ = refine(model, state.detach(), proposal, settings.newton_steps, settings.damping)
    first = optimum(model, state, planned, settings.damping)[:, 0]
    frozen = {name: p.detach() for name, p in critic.named_parameters()}
    values = functional_call(critic, frozen, (torch.asinh(observation), first)).min(0).values
    return -settings.actor_weight * values.mean() / values.detach().abs().mean().clamp_min(1.0)
