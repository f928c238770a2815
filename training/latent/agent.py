"""An agent: acts by planning with its model, and learns the model from what it has seen."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sobo_training.latent.losses import Losses, actor_loss, model_losses, observed_value_loss
from sobo_training.latent.model import LatentModel, TwinValues, follow, target_of
from sobo_training.latent.mppi import plan_mppi
from sobo_training.latent.newton import plan_newton
from sobo_training.latent.replay import Replay
from sobo_training.latent.settings import AgentSettings
from sobo_training.learning.trainer import TrainingDiverged

#: Largest norm of a gradient; as in TD-MPC.
CLIP = 10.0


class Agent:
    """TD-MPC, or DiffTORI, for several environments at once.

    Args:
        observations: Entries of an observation.
        actions: Entries of an action; each lies in -1 .. 1.
        settings: What kind of agent.
        seed: Of weights, batches and noise.
    """

    def __init__(self, observations: int, actions: int, settings: AgentSettings, seed: int) -> None:
        self.settings = settings
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.model = LatentModel(observations, actions, settings)
            # A critic on what was observed, which the actor's loss is measured by (section 4.1 of the paper).
            self.critic = TwinValues(observations + actions, settings.width)
        self.target = target_of(self.model)
        self.critic_target = target_of(self.critic)
        actor = list(self.model.actor.parameters())
        others = [p for name, p in self.model.named_parameters() if not name.startswith("actor.")]
        self.optimizers = [torch.optim.Adam(group, lr=settings.lr) for group in (others, actor)]
        self.optimizers.append(torch.optim.Adam(self.critic.parameters(), lr=settings.lr))
        self.generator = torch.Generator().manual_seed(seed)
        self.replay = Replay(observations, actions)
        self.updates = 0
        self._plan: Tensor | None = None

    @property
    def through_planner(self) -> bool:
        """Whether the actor's loss is used."""
        return self.settings.planner == "difftori" and self.settings.actor_loss

    def begin(self) -> None:
        """Episodes begin: there is no plan to go on from."""
        self._plan = None

    def act(self, observation: Tensor, noise: float, explore: bool = True) -> Tensor:
        """Actions (n, nu) for observations (n, ..)."""
        settings = self.settings
        with torch.no_grad():
            state = self.model.encode(observation)
        shape = (len(state), settings.horizon, self.model.nu)
        previous = torch.zeros(shape) if self._plan is None else _shift(self._plan)
        if settings.planner == "mppi":
            action, self._plan = plan_mppi(self.model, state, previous, settings, noise, self.generator, explore)
            return action
        starts = torch.cat([self._starts(state, noise), previous[:, None]], 1)
        self._plan, _ = plan_newton(self.model, state, starts, settings.newton_steps, settings.damping)
        action = self._plan[:, 0]
        if explore:
            action = action + noise * torch.randn(action.shape, generator=self.generator)
        return action.clamp(-1, 1)

    @torch.no_grad()
    def _starts(self, state: Tensor, noise: float) -> Tensor:
        """Proposals (n, k, H, nu) of the policy; all but the first with noise."""
        settings, n = self.settings, len(state)
        drawn = torch.randn(n, settings.proposals, settings.horizon, self.model.nu, generator=self.generator)
        drawn[:, 0] = 0
        proposed = self.model.propose(state.repeat_interleave(settings.proposals, 0), noise * drawn.flatten(0, 1))
        return proposed.reshape(drawn.shape)

    def update(self) -> Losses:
        """One gradient step of everything.

        Returns:
            The terms of the loss.

        Raises:
            TrainingDiverged: The loss is not finite. The weights have not been touched by it.
        """
        settings = self.settings
        observations, actions, rewards = self.replay.sample(settings.batch, settings.horizon, self.generator)
        losses = model_losses(self.model, self.target, observations, actions, rewards, settings, self.generator)
        total = losses.total + losses.policy
        if self.through_planner:
            following = (self.model, self.critic, self.critic_target)
            total = total + observed_value_loss(*following, observations, actions, rewards, settings)
        if not torch.isfinite(total):
            raise TrainingDiverged(f"loss {total.item()} at update {self.updates}; use a lower learning rate")
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        total.backward()
        if self.through_planner and self.updates % settings.actor_every == 0:
            some = observations[0, : settings.actor_batch]
            losses.actor = self._actor_step(some)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                torch.nn.utils.clip_grad_norm_(group["params"], CLIP)
            optimizer.step()
        follow(self.target, self.model, settings.target_rate)
        follow(self.critic_target, self.critic, settings.target_rate)
        self.updates += 1
        return losses

    def _actor_step(self, observation: Tensor) -> float:
        """Adds the gradient of the actor's loss to that of encoder, dynamics and values."""
        parameters = self.optimizers[0].param_groups[0]["params"]
        loss = actor_loss(self.model, self.critic, observation, self.settings)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None and torch.isfinite(gradient).all():
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return loss.item()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the agent needs to continue exactly."""
        return {
            "modules": [module.state_dict() for module in self._modules()],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "generator": self.generator.get_state(),
            "replay": self.replay.state_dict(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from there."""
        for module, content in zip(self._modules(), state["modules"], strict=True):
            module.load_state_dict(content)
        for optimizer, content in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(content)
        self.generator.set_state(state["generator"])
        self.replay.load_state_dict(state["replay"])
        self.updates = state["updates"]

    def _modules(self) -> tuple[torch.nn.Module, ...]:
        return self.model, self.target, self.critic, self.critic_target


def _shift(plan: Tensor) -> Tensor:
    """A plan (n, H, nu) one step later."""
    return torch.cat([plan[:, 1:], plan[:, -1:]], 1)
