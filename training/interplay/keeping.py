"""What a policy that is retrained on logged motions is to keep: its predictions along its own rollouts elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from sobo_planner.errors import PolicyError
from sobo_planner.policy import Policy
from sobo_planner.solver import Instance
from sobo_planner.tasks import Task
from sobo_training.config import TrainConfig
from sobo_training.data.instances import Stream, draw, policy_start
from sobo_training.learning.chunks import Array, TrainingSet
from sobo_training.learning.kept import Kept
from sobo_training.learning.losses import Batch
from sobo_training.learning.train import TrainResult

#: Rollouts for each trajectory to learn from, and chunks taken from each; other numbers were not tried.
ROLLOUTS = 4
CHUNKS = 10
#: Peak learning rate of a policy that goes on, as a share of that of one that begins. With the whole rate the UR5's
#: policy needed 1.14 times the iterations elsewhere (docs/training.md).
RATE = 0.1

Rows = tuple[Array, Array, Array]


def keep(
    task: Task,
    folder: Path,
    given: TrainResult,
    count: int,
    share: float,
    *,
    seed: int,
    progress: bool = True,
) -> Kept:
    """Roll out a policy from sampled instances, without any solutions.

    Args:
        task: The task, whose instances are sampled.
        folder: The policy's artifact.
        given: Its network, scaling and configuration.
        count: How many instances.
        share: Share of each batch for these chunks.
        seed: Of instances, noise, and the chunks taken.
        progress: Show a progress bar.

    Raises:
        PolicyError: No rollout is finite.
    """
    policy, rows = Policy.load(folder, task), []
    for number in tqdm(range(count), "roll out", unit="rollout", disable=not progress, leave=False):
        instance, rng = draw(task, Stream.KEPT, seed, number)
        found = _rolled_out(task, policy, given.config, instance, rng)
        if found is not None:
            rows.append(found)
    if not rows:
        raise PolicyError(f"none of {count} rollouts of {folder} is finite, so that nothing can be kept")
    observation, jacobian, chunk = (np.concatenate(column) for column in zip(*rows, strict=True))
    n = given.normaliser
    scaled = (n.observation(observation), jacobian / n.observation_scale[:, None] * n.state_scale, n.action(chunk))
    seen, slope, predicted = (torch.from_numpy(np.ascontiguousarray(each, np.float32)) for each in scaled)
    unused = torch.zeros(()).expand(*predicted.shape, task.ndx)  # takes no memory
    return Kept(TrainingSet(Batch(seen, slope, predicted, unused), n, len(rows)), given.net, share)


def _rolled_out(
    task: Task, policy: Policy, config: TrainConfig, instance: Instance, rng: np.random.Generator
) -> Rows | None:
    """Observations, their Jacobians and chunks at random steps of a rollout, in physical units; None if not finite."""
    guess, target = policy_start(task, policy, instance, rng), instance.target
    if guess is None:
        return None
    X = np.asarray(guess.X, np.float64)
    chunks = task.actions(config.action).encode(X, np.asarray(guess.U, np.float64), config.T_h)
    steps = rng.choice(len(chunks), min(CHUNKS, len(chunks)), replace=False)
    observation = np.stack([task.observation(X[t], target, int(t)) for t in steps])
    return observation, np.stack([task.observation_jacobian(X[t], target) for t in steps]), chunks[steps]
