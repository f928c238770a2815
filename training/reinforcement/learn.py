"""PPO and SAC of stable-baselines3 on a task: references for methods that know the model. They need the extra `rl`.

    folder/config.json    the arguments; a call with other arguments is refused
    folder/status.json    the figures of every part of the run
    folder/agent.zip      the agent after the last finished part, with scale.pkl and, for SAC, its replay buffer

Simulator calls are steps of the environment. A call with the same arguments goes on after the last finished part; what
the agent does then is not what it would have done without the interruption, as its random numbers are drawn anew.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sobo_planner.errors import ConfigError, SoboError
from sobo_training.data.dataset import locked
from sobo_training.evaluation.closed_loop import Act
from sobo_training.interplay.record import Record
from sobo_training.reinforcement.environment import TaskEnvironment, scaled

if TYPE_CHECKING:
    from sobo_planner.tasks import Task

logger = logging.getLogger(__name__)
Array = NDArray[np.float64]
AGENTS: dict[str, Any] = {"ppo": PPO, "sac": SAC}


@dataclass(frozen=True)
class ReferenceOptions:
    """Everything that determines a run, apart from the task; what is not named is the default of stable-baselines3.

    Attributes:
        method: One of `AGENTS`.
        calls: Simulator calls in all.
        every: Simulator calls between evaluations.
        hidden: Units of each hidden layer.
        gamma: Discount. The problems have a finite horizon and none.
        seed: Seed of instances, weights and noise.
    """

    method: str = "ppo"
    calls: int = 300_000
    every: int = 10_000
    hidden: tuple[int, ...] = (64, 64)
    gamma: float = 0.99
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in AGENTS:
            raise ConfigError(f"unknown method {self.method!r}; known: {', '.join(AGENTS)}")
        for name in ("calls", "every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        if not 0 < self.gamma <= 1:
            raise ConfigError(f"gamma must lie in (0, 1], got {self.gamma}")
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError(f"hidden needs at least one layer of at least one unit, got {list(self.hidden)}")


#: Measures a policy: figures of it on held-out instances.
Measure = Callable[[Act], dict[str, Any]]


class Reference:
    """One run.

    Args:
        task: The task.
        folder: Its folder.
        options: Method and settings.
    """

    def __init__(self, task: Task, folder: Path, options: ReferenceOptions) -> None:
        self.task, self.folder, self.options = task, folder, options
        about = {"task": task.name, "method": options.method.upper()}
        self.record = Record(folder, -(-options.calls // options.every), about, "consensus")
        self.scale = VecNormalize(DummyVecEnv([lambda: TaskEnvironment(task)]), gamma=options.gamma)
        self.scale.seed(options.seed)
        self.agent = AGENTS[options.method](
            "MlpPolicy",
            self.scale,
            gamma=options.gamma,
            seed=options.seed,
            device="cpu",
            policy_kwargs={"net_arch": list(options.hidden)},
        )

    def claim(self) -> None:
        """Takes the folder; see `Record.claim`."""
        settings = asdict(self.options) | {"hidden": list(self.options.hidden)}
        self.record.claim({"task_hash": self.task.hash, "robot_hash": self.task.robot_hash} | settings, 5e8)

    def run(self, measure: Measure, reference: dict[str, Any]) -> dict[str, Any]:
        """All parts that are not finished yet; returns the status."""
        entries = list(self.record.status["iterations"])
        if (self.folder / "agent.zip").exists():
            self.resume()
        self.record.say(state="running", reference=reference)
        while not entries or entries[-1]["calls"] < self.options.calls:
            began = time.process_time()
            if self.agent.num_timesteps <= (entries[-1]["calls"] if entries else 0):  # else kept, but not measured
                self.agent.learn(self.options.every, reset_num_timesteps=False)
                self.keep()
            seconds = {"learning": time.process_time() - began}
            entry: dict[str, Any] = {"iteration": len(entries) + 1, "calls": int(self.agent.num_timesteps)}
            entry |= {"seconds": seconds, **measure(self.act)}
            entries.append(entry)
            self.record.say(iterations=entries)
            cost = "diverged" if entry["cost"] is None else f"cost {entry['cost']:.4g}"
            logger.info("%s, %d simulator calls: %s", self.options.method.upper(), entry["calls"], cost)
        self.record.say(state="finished")
        return self.record.status

    def act(self, x: Array, targets: Array, t: int) -> Array:
        """The agent's mean controls (n, nu) at states (n, nx)."""
        pairs = zip(x, targets, strict=True)
        seen = np.array([self.task.observation(each, target, t) for each, target in pairs], np.float32)
        actions, _ = self.agent.predict(self.scale.normalize_obs(seen), deterministic=True)
        return scaled(self.task, np.asarray(actions, float))

    def keep(self) -> None:
        """Writes the agent, each file under another name first."""
        for name, save in self._files().items():
            path = self.folder / name
            try:
                save(path.with_name(f".new-{name}"))
                path.with_name(f".new-{name}").replace(path)
            except OSError as error:
                raise SoboError(f"cannot write {path}: {error.strerror or error}") from error

    def resume(self) -> None:
        """Takes up the agent of an earlier call.

        Raises:
            ConfigError: It is damaged.
        """
        try:
            venv = self.scale.venv
            self.scale = VecNormalize.load(str(self.folder / "scale.pkl"), venv)
            self.agent = AGENTS[self.options.method].load(self.folder / "agent.zip", env=self.scale, device="cpu")
            if "buffer.pkl" in self._files():
                self.agent.load_replay_buffer(self.folder / "buffer.pkl")
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
            raise ConfigError(f"the agent in {self.folder} is damaged or missing: {error}") from error

    def _files(self) -> dict[str, Callable[[Path], None]]:
        files: dict[str, Callable[[Path], None]] = {
            "agent.zip": self.agent.save,
            "scale.pkl": lambda path: self.scale.save(str(path)),
        }
        if hasattr(self.agent, "save_replay_buffer"):
            files["buffer.pkl"] = self.agent.save_replay_buffer
        return files


def learn(
    task: Task, folder: str | Path, options: ReferenceOptions, measure: Measure, reference: dict[str, Any]
) -> dict[str, Any]:
    """Learn a policy without the model, or go on with a run that was stopped.

    Args:
        task: The task.
        folder: Receives everything; see the head of this file.
        options: Method and settings.
        measure: Figures of a policy on held-out instances, among them `cost`.
        reference: Recorded in the status beside them.

    Returns:
        The status, as in status.json.

    Raises:
        ConfigError: A folder that holds something else, or a damaged agent.
        SoboError: The disk refused.
    """
    folder = Path(folder)
    with locked(folder):
        run = Reference(task, folder, options)
        run.claim()
        try:
            return run.run(measure, reference)
        except SoboError as error:
            with contextlib.suppress(SoboError):
                run.record.say(state="failed", error=str(error))
            raise
