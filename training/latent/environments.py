"""What an agent acts in: the control suite of dm_control, several episodes at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sobo_planner.errors import ConfigError

#: Tasks that were tried; each action is applied so many times. An episode has 1000 frames.
ACTION_REPEAT = {"pendulum-swingup": 4, "cartpole-swingup": 4, "reacher-easy": 4}
FRAMES = 1000


class Environments(Protocol):
    """Several environments of one kind that take their steps together; all episodes have the same length.

    Attributes:
        name: What is to be done in them.
        observations: Entries of an observation.
        actions: Entries of an action; each lies in -1 .. 1.
        steps: Steps of an episode.
        frames: Frames of an episode: steps of the simulator.
    """

    name: str
    observations: int
    actions: int
    steps: int
    frames: int

    def reset(self, seeds: list[int]) -> Tensor:
        """Begins an episode for each seed; observations (n, ..)."""
        ...

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Takes a step; observations (n, ..) and rewards (n,), the mean over the step's frames."""
        ...


class ControlSuite:
    """Tasks of dm_control from their states.

    Args:
        name: Domain and task, such as cartpole-swingup.

    Raises:
        ConfigError: Unknown task, or dm_control is missing or does not fit the installed MuJoCo.
    """

    def __init__(self, name: str) -> None:
        if name not in ACTION_REPEAT:
            raise ConfigError(f"unknown task {name!r}; use {', '.join(ACTION_REPEAT)}")
        self.name, self._load = name, _loader(name)
        self._open: list[Any] = []
        first = self._load(0)
        time_step = first.reset()
        self._low, self._high = first.action_spec().minimum, first.action_spec().maximum
        self.observations = len(_flat(time_step.observation))
        self.actions = len(self._low)
        self._repeat, self.frames = ACTION_REPEAT[name], FRAMES
        self.steps = FRAMES // self._repeat

    def reset(self, seeds: list[int]) -> Tensor:
        """See `Environments`."""
        self._open = [self._load(seed) for seed in seeds]
        return _tensor([_flat(environment.reset().observation) for environment in self._open])

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """See `Environments`."""
        observed, rewards = [], []
        for environment, action in zip(self._open, actions.double().numpy(), strict=True):
            scaled = self._low + 0.5 * (action + 1) * (self._high - self._low)
            reward = 0.0
            for _ in range(self._repeat):
                time_step = environment.step(scaled)
                reward += time_step.reward or 0.0
            observed.append(_flat(time_step.observation))
            rewards.append(reward / self._repeat)
        return _tensor(observed), _tensor(rewards)


def _loader(name: str) -> Callable[[int], Any]:
    """What makes a task's environment for a seed."""
    os.environ.setdefault("MUJOCO_GL", "disable")  # nothing is drawn
    try:
        from dm_control import suite
    except ModuleNotFoundError as error:
        hint = 'in an environment of its own: pip install "sobo_planner[train,control-suite]"'
        raise ConfigError(f"cannot import {error.name}: the tasks of dm_control need more packages, {hint}") from error
    domain, _, task = name.partition("-")

    def load(seed: int) -> Any:
        try:
            return suite.load(domain, task, task_kwargs={"random": seed})
        except AttributeError as error:
            reason = f"dm_control does not fit the installed MuJoCo: {error}"
            raise ConfigError(f"{reason}; use mujoco==3.17.0, in an environment of its own") from error

    return load


def _flat(observation: Any) -> np.ndarray:
    return np.concatenate([np.ravel(part) for part in observation.values()])


def _tensor(values: list[Any]) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32))
