"""The latent model of TD-MPC (arXiv:2203.04955): encoder, dynamics with reward, value functions and policy.

All activations are tanh: Newton's method on the planned actions needs second derivatives, and those of ELU jump.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from sobo_training.latent.settings import AgentSettings


def perceptron(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)
    )


class TwinValues(nn.Module):
    """Two value functions of (state, action) with weights of their own, evaluated as one."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        sizes = ((inputs, width), (width, width), (width, 1))
        self.weights = nn.ParameterList(_uniform(2, rows, columns, rows) for rows, columns in sizes)
        self.biases = nn.ParameterList(_uniform(2, 1, columns, rows) for rows, columns in sizes)
        self.weights[-1].data.zero_()  # no value is known at first
        self.biases[-1].data.zero_()

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """Values (2, n) of states (n, ..) and actions (n, nu)."""
        hidden = torch.cat([state, action], -1).expand(2, -1, -1)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, torch.tanh(hidden) if layer else hidden, weight)
        return hidden[..., 0]


def _uniform(models: int, rows: int, columns: int, inputs: int) -> nn.Parameter:
    bound = 1 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(models, rows, columns).uniform_(-bound, bound))


class LatentModel(nn.Module):
    """What an agent knows of its environment.

    Args:
        observations: Entries of an observation.
        actions: Entries of an action; each lies in -1 .. 1.
        settings: Sizes.
    """

    def __init__(self, observations: int, actions: int, settings: AgentSettings) -> None:
        super().__init__()
        latent, width = settings.latent, settings.width
        self.nu, self.horizon, self.discount = actions, settings.horizon, settings.discount
        self.encoder = perceptron(observations, width, latent)
        self.dynamics = perceptron(latent + actions, width, latent + 1)
        self.values = TwinValues(latent + actions, width)
        self.actor = perceptron(latent, width, actions)
        with torch.no_grad():
            list(self.actor.parameters())[-2].mul_(0.01)  # actions begin near 0

    def encode(self, observation: Tensor) -> Tensor:
        """Latent states of observations; large entries count by their logarithm."""
        return torch.tanh(self.encoder(torch.asinh(observation)))

    def step(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Next latent state, and reward."""
        out = self.dynamics(torch.cat([state, action], -1))
        return torch.tanh(out[..., :-1]), out[..., -1]

    def policy(self, state: Tensor) -> Tensor:
        """Action in a latent state."""
        return torch.tanh(self.actor(state))

    def propose(self, state: Tensor, noise: Tensor | float = 0.0) -> Tensor:
        """Actions (n, H, nu) of the policy along the model; `noise` (n, H, nu) is added to each."""
        actions = []
        for t in range(self.horizon):
            action = self.policy(state)
            if isinstance(noise, Tensor):
                action = (action + noise[:, t]).clamp(-1, 1)
            actions.append(action)
            if t + 1 < self.horizon:
                state, _ = self.step(state, action)
        return torch.stack(actions, 1)

    def returns(self, state: Tensor, actions: Tensor) -> Tensor:
        """G (n,): discounted rewards of actions (n, H, nu), and the value of where they lead."""
        total = torch.zeros(len(state), dtype=state.dtype)
        factor = 1.0
        for t in range(actions.shape[1]):
            state, reward = self.step(state, actions[:, t])
            total = total + factor * reward
            factor *= self.discount
        return total + factor * self.values(state, self.policy(state)).mean(0)


def target_of(module: nn.Module) -> nn.Module:
    """A copy that follows slowly."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def follow(target: nn.Module, module: nn.Module, rate: float) -> None:
    """Moves a copy towards its original."""
    torch._foreach_lerp_(list(target.parameters()), list(module.parameters()), rate)
