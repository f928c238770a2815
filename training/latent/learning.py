"""The loop: episodes, gradient steps, evaluations, and the record of a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sobo_planner.errors import ConfigError, PolicyError
from sobo_planner.files import write_json
from sobo_training.latent.agent import Agent
from sobo_training.latent.environments import Environments
from sobo_training.latent.settings import AgentSettings
from sobo_training.learning.trainer import CHECKPOINT, read_checkpoint, store

RECORD = "record.json"


@dataclass(frozen=True)
class LearnSettings:
    """A run.

    Attributes:
        episodes: Episodes to learn from.
        random: First of them with random actions.
        parallel: Episodes that run at once.
        updates: Gradient steps for each step of an environment.
        evaluations: Episodes without exploration at the end.
        seed: Of everything.
        max_minutes: Stop after this time; another call goes on. None: do not.
    """

    episodes: int = 40
    random: int = 4
    parallel: int = 4
    updates: float = 1.0
    evaluations: int = 8
    seed: int = 0
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        for name in ("episodes", "random", "parallel", "evaluations"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.episodes % self.parallel or self.random % self.parallel:
            raise ConfigError(f"episodes and random must be multiples of parallel, {self.parallel}")
        if not 0 < self.updates < float("inf"):
            raise ConfigError(f"updates must be positive and finite, got {self.updates}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ConfigError(f"max_minutes must be positive, got {self.max_minutes}")


class Learning:
    """A run, round after round of episodes; stops and resumes between rounds.

    Args:
        environments: Where to act.
        agent: Settings of the agent.
        settings: Of the run.
        folder: For checkpoint and record; None keeps nothing.

    Raises:
        PolicyError: The folder holds another run, or a damaged checkpoint.
    """

    def __init__(
        self, environments: Environments, agent: AgentSettings, settings: LearnSettings, folder: Path | None = None
    ) -> None:
        self.environments, self.settings, self.folder = environments, settings, folder
        self.agent = Agent(environments.observations, environments.actions, agent, settings.seed)
        self.returns: list[float] = []
        self.evaluations: list[float] = []
        self.minutes = 0.0
        if folder is not None and (folder / CHECKPOINT).exists():
            self._load(folder / CHECKPOINT)

    @property
    def done(self) -> bool:
        """Whether all episodes were played and the agent was evaluated."""
        return len(self.returns) >= self.settings.episodes and bool(self.evaluations)

    def run(self, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Learns until all is done or the time is over.

        Args:
            progress: Called after each round with what there is to say.

        Returns:
            The record of the run.
        """
        begin, before = time.monotonic(), self.minutes
        while not self.done:
            if len(self.returns) < self.settings.episodes:
                self._round()
            else:
                self.evaluations = self._evaluate()
            self.minutes = before + (time.monotonic() - begin) / 60
            self._save()
            if progress is not None:
                progress(self.describe())
            limit = self.settings.max_minutes
            if limit is not None and self.minutes - before >= limit:
                break
        return self.record()

    def describe(self) -> str:
        """One line about the last round."""
        latest = self.evaluations or self.returns[-self.settings.parallel :]
        what = "evaluation" if self.evaluations else f"episode {len(self.returns)}"
        return f"{what}: return {np.mean(latest):.0f}, {self.minutes:.1f} min"

    def record(self) -> dict[str, Any]:
        """Settings and figures."""
        episodes = len(self.returns)
        return {
            "task": self.environments.name,
            "agent": self.agent.settings.to_dict(),
            "seed": self.settings.seed,
            "episodes": episodes,
            "frames": episodes * self.environments.frames,
            "updates": self.agent.updates,
            "minutes": round(self.minutes, 2),
            "returns": [round(value, 1) for value in self.returns],
            "evaluations": [round(value, 1) for value in self.evaluations],
            "return": round(float(np.mean(self.evaluations)), 1) if self.evaluations else None,
        }

    def _round(self) -> None:
        """Episodes at once, with gradient steps in between."""
        settings, agent, environments = self.settings, self.agent, self.environments
        first = len(self.returns)
        random = first < settings.random
        observation = environments.reset([self._seed(first + i) for i in range(settings.parallel)])
        agent.begin()
        observed, acted, rewarded = [observation], [], []
        owed = 0.0
        for t in range(environments.steps):
            if random:
                shape = (settings.parallel, environments.actions)
                action = 2 * torch.rand(shape, generator=agent.generator) - 1
            else:
                steps = (first - settings.random) * environments.steps + t * settings.parallel
                action = agent.act(observation, agent.settings.noise_after(steps))
                owed += settings.updates * settings.parallel
            observation, reward = environments.step(action)
            observed.append(observation)
            acted.append(action)
            rewarded.append(reward)
            while owed >= 1:
                agent.update()
                owed -= 1
        X, U, r = torch.stack(observed, 1), torch.stack(acted, 1), torch.stack(rewarded, 1)
        for episode in zip(X, U, r, strict=True):
            agent.replay.add(*episode)
        scale = environments.frames / environments.steps
        self.returns += (scale * r.sum(1)).tolist()

    def _evaluate(self) -> list[float]:
        """Returns without exploration, on starts that were not learned from."""
        count, agent = self.settings.evaluations, self.agent
        observation = self.environments.reset([1_000_000 + i for i in range(count)])
        agent.begin()
        total = torch.zeros(count)
        for _ in range(self.environments.steps):
            action = agent.act(observation, agent.settings.noise[1], explore=False)
            observation, reward = self.environments.step(action)
            total += reward
        agent.begin()
        return list((total * self.environments.frames / self.environments.steps).tolist())

    def _seed(self, episode: int) -> int:
        return 10_000 * self.settings.seed + episode

    def _save(self) -> None:
        if self.folder is None:
            return
        state = {
            "about": self._about(),
            "agent": self.agent.state_dict(),
            "returns": self.returns,
            "evaluations": self.evaluations,
            "minutes": self.minutes,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        store(state, self.folder / CHECKPOINT)
        write_json(self.folder / RECORD, self.record())

    def _about(self) -> dict[str, Any]:
        """What has to be the same for a run to go on."""
        names = ("random", "parallel", "updates", "seed")
        settings = {name: getattr(self.settings, name) for name in names}
        return {"task": self.environments.name, **settings, **self.agent.settings.to_dict()}

    def _load(self, path: Path) -> None:
        state = read_checkpoint(path)
        there, now = state["about"], self._about()
        changed = [f"{name}: {there.get(name)} there, {now[name]} now" for name in now if there.get(name) != now[name]]
        if changed:
            raise PolicyError(f"{path} holds another run ({', '.join(changed)}); name another folder")
        self.agent.load_state_dict(state["agent"])
        self.returns, self.evaluations = list(state["returns"]), list(state["evaluations"])
        self.minutes = state["minutes"]
        if len(self.returns) < self.settings.episodes:
            self.evaluations = []  # of the shorter run
