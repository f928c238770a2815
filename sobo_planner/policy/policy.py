"""A trained policy, ready to predict chunks."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PolicyError
from sobo_planner.policy.artifact import Artifact
from sobo_planner.policy.engines.base import PolicyEngine, select_engine
from sobo_planner.policy.sampler import Sampler
from sobo_planner.tasks.actions import Actions

Array = NDArray[np.floating]

DEFAULT_ENGINES = ("native", "onnxruntime")


class Policy:
    """Chunks from states and targets. Used by one thread at a time.

    Attributes:
        artifact: Where it came from, and `artifact.spec`, what it is.
        engine: Runs the network.
        task: Encodes states; None if only `sample_chunk` is used.
    """

    def __init__(self, artifact: Artifact, engine: PolicyEngine, task: Any | None = None) -> None:
        self.artifact = artifact
        self.engine = engine
        self.task: Any = task
        self._actions: Actions | None = None if task is None else task.actions(artifact.spec.action)
        self.sampler = Sampler(artifact.spec.alphas_cumprod, getattr(task, "denoising_steps", 0))

    @classmethod
    def load(cls, folder: str | Path, task: Any | None = None, engines: Sequence[str] = DEFAULT_ENGINES) -> Policy:
        """Open a policy folder.

        Args:
            folder: Policy artifact.
            task: The task it is to serve; hashes and sizes are compared. A policy that knows a world serves the task in
                any.
            engines: Engine names, tried in order.

        Raises:
            PolicyError: Damaged folder, another task or robot, or no engine works.
        """
        artifact = Artifact.load(folder)
        if task is not None:
            task = _seen(task, artifact)
            artifact.check_task(task)
        engine = select_engine(artifact, engines)
        artifact.check_files()  # again: an export may have replaced them while the engine read them
        return cls(artifact, engine, task)

    def serving(self, task: Any) -> Policy:
        """The same policy for a view of its task at another pace."""
        other, task = copy.copy(self), _seen(task, self.artifact)
        other.task, other._actions = task, task.actions(self.artifact.spec.action)
        return other

    @property
    def world(self) -> Mapping[str, Any] | None:
        """The world that it knows: `name`, `hash`, `margin`; None for most policies."""
        return self.artifact.spec.world

    @property
    def actions(self) -> Actions:
        """What chunks mean.

        Raises:
            PolicyError: No task was given at load time.
        """
        if self._actions is None:
            raise PolicyError("this policy was loaded without a task and cannot encode states")
        return self._actions

    @property
    def T_h(self) -> int:
        """Slots of a chunk."""
        return self.artifact.spec.T_h

    @property
    def T_o(self) -> int:
        """Slots of history."""
        return self.artifact.spec.T_o

    @property
    def T_a(self) -> int:
        """Slots executed before the next prediction, unless the caller decides otherwise."""
        return self.artifact.spec.T_a

    @property
    def K(self) -> int:
        """Denoising steps."""
        return self.artifact.spec.K

    def sample(
        self,
        x: Array,
        target: Array,
        rng: np.random.Generator,
        samples: int = 1,
        t: int = 0,
        controls: Array | None = None,
    ) -> Array:
        """Predict chunks that start at `x`.

        Args:
            x: One state [nx], or one a chunk [B, nx].
            target: One target [3], or one a chunk [B, 3].
            rng: Source of the diffusion noise; fixes the result.
            samples: Chunks for a single state; B = samples then.
            t: Step of the task's horizon at which the chunks start.
            controls: Controls of the step before, one a chunk [B, nu]; zeros at the start of the horizon.

        Returns:
            Actions in the task's units, slot 0 the history, [B, T_h, d_a] float64.

        Raises:
            PolicyError: No task was given at load time, wrong shapes, or the prediction is not finite.
        """
        actions = self.actions
        states = np.asarray(x, np.float64)
        if not (np.isfinite(states).all() and np.isfinite(target).all()):
            raise PolicyError(f"state and target must be finite, got {states} and {target}")
        if states.ndim == 1:
            # Encoded once for all samples: kinematics cost more than copying.
            observation = np.asarray(self.task.observation(states, np.asarray(target), t))
            history = np.asarray(actions.history(states, np.zeros(self.task.nu)))
            observation, history = observation[None].repeat(samples, 0), history[None].repeat(samples, 0)
            return self.sample_chunk(observation, history, rng)
        if states.ndim != 2 or samples != 1:
            raise PolicyError(f"x must be [nx], or [B, nx] with samples=1; got {states.shape}, {samples}")
        targets = np.broadcast_to(target, (len(states), np.shape(target)[-1]))
        pairs = list(zip(states, targets, strict=True))
        observation = np.stack([self.task.observation(*pair, t) for pair in pairs])
        before = np.zeros((len(states), self.task.nu)) if controls is None else controls
        history = np.stack([actions.history(state, u) for state, u in zip(states, before, strict=True)])
        return self.sample_chunk(observation, history, rng)

    def sample_chunk(self, observation: Array, history: Array, rng: np.random.Generator) -> Array:
        """Predict chunks from encoded observations.

        Args:
            observation: [B, d_o], in the task's units.
            history: Known leading slots [B, T_o, d_a], in the task's units.
            rng: Source of the diffusion noise.

        Returns:
            [B, T_h, d_a] float64, in the task's units.

        Raises:
            PolicyError: Wrong shapes, or values that are not finite going in or coming out.
        """
        spec = self.artifact.spec
        batch = len(observation)
        for name, value, shape in (
            ("observation", observation, (batch, spec.observation_dim)),
            ("history", history, (batch, spec.T_o, spec.action_dim)),
        ):
            if value.shape != shape:
                raise PolicyError(f"{name} has shape {value.shape}, the policy expects {shape}")
            if not np.isfinite(value).all():
                raise PolicyError(f"{name} is not finite: {value}")
        noise = self.sampler.noise((batch, spec.T_h, spec.action_dim), rng)
        chunk = self.sampler.sample(
            self.engine,
            spec.normaliser.observation(observation).astype(np.float32),
            spec.normaliser.action(history).astype(np.float32),
            noise,
        )
        if not np.isfinite(chunk).all():
            raise PolicyError("the policy predicts values that are not finite")
        return spec.normaliser.restore_action(chunk.astype(np.float64))


def _seen(task: Any, artifact: Artifact) -> Any:
    """The task as the policy encodes it."""
    everything = artifact.spec.world is not None
    return task if getattr(task, "sees_all", everything) == everything else task.seeing(everything)
