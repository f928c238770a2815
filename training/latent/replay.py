"""Episodes from which an agent learns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Replay:
    """All steps so far, as sequences.

    Args:
        observations: Entries of an observation.
        actions: Entries of an action.
    """

    def __init__(self, observations: int, actions: int) -> None:
        self.observations: list[Tensor] = []
        self.actions: list[Tensor] = []
        self.rewards: list[Tensor] = []
        self._sizes = (observations, actions)
        self._joined: tuple[Tensor, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        """Steps."""
        return sum(len(rewards) for rewards in self.rewards)

    def add(self, observations: Tensor, actions: Tensor, rewards: Tensor) -> None:
        """An episode: observations (L + 1, ..), actions (L, nu), rewards (L,)."""
        if (observations.shape[1], actions.shape[1]) != self._sizes or len(observations) != len(rewards) + 1:
            raise ValueError(f"not an episode: {observations.shape}, {actions.shape}, {rewards.shape}")
        self.observations.append(observations)
        self.actions.append(actions)
        self.rewards.append(rewards)
        self._joined = None

    def sample(self, batch: int, horizon: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Sequences: observations (H + 1, batch, ..), actions (H, batch, nu), rewards (H, batch).

        Raises:
            ValueError: No episode is that long.
        """
        usable = [i for i, rewards in enumerate(self.rewards) if len(rewards) >= horizon]
        if not usable:
            raise ValueError(f"no episode of {horizon} steps")
        if self._joined is None:
            self._joined = torch.cat(self.observations), torch.cat(self.actions), torch.cat(self.rewards)
        lengths = torch.tensor([len(self.rewards[i]) - horizon + 1 for i in usable])
        begins = torch.tensor([0, *(len(rewards) for rewards in self.rewards)]).cumsum(0)[usable]
        place = torch.randint(int(lengths.sum()), (batch,), generator=generator)
        ends = lengths.cumsum(0)
        episode = torch.searchsorted(ends, place, right=True)
        first = begins[episode] + place - (ends - lengths)[episode]
        steps = torch.arange(horizon)[:, None]
        observations, actions, rewards = self._joined
        # Each episode has one observation more than it has steps.
        shift = torch.tensor(usable)[episode]
        rows = (first + shift)[None] + torch.arange(horizon + 1)[:, None]
        return observations[rows], actions[first[None] + steps], rewards[first[None] + steps]

    def state_dict(self) -> dict[str, Any]:
        """Everything, as a checkpoint holds it."""
        return {"observations": self.observations, "actions": self.actions, "rewards": self.rewards}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue with what a checkpoint holds."""
        self.observations, self.actions, self.rewards = (list(state[n]) for n in ("observations", "actions", "rewards"))
        self._joined = None
