"""From solver solutions to normalised training samples (chunks with their Jacobians)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sobo_planner.errors import DatasetError
from sobo_planner.policy.normaliser import Normaliser
from sobo_planner.tasks.actions import Actions
from sobo_training.learning.jacobians import chunk_transitions, closed_loop
from sobo_training.learning.losses import Batch
from sobo_training.memory import require_memory

Array = NDArray[np.floating]

SCALE_FLOOR = 0.2
"""Smallest standard deviation, as a share of the largest in its group. A joint that hardly moves would
otherwise get a tiny scale, and its rows of the normalised Jacobian would dominate the loss."""

SLICE = 1000
"""Chunks that are looked at together."""

Part = tuple[int, float]
"""So many consecutive trajectories, or chunks, and the share of each batch that is drawn from them."""


class ChunkTask(Protocol):
    """What chunking needs from a task."""

    observation_groups: Sequence[slice]
    state_groups: Sequence[slice]

    def observation(self, x: Array, target: Array, t: int) -> Array: ...
    def observation_jacobian(self, x: Array, target: Array) -> Array: ...
    def actions(self, kind: str) -> Actions: ...


@dataclass(frozen=True)
class TrainingSet:
    """All chunks of a dataset, normalised, as float32 tensors in memory (about 18 kB a chunk for a six-joint
    arm).

    Attributes:
        samples: One `Batch` that holds every chunk.
        normaliser: The scaling used.
        trajectories: Trajectories that the chunks are cut from.
        parts: Numbers of consecutive chunks, and the share of each batch that is drawn from them; empty for all chunks
            alike.
    """

    samples: Batch
    normaliser: Normaliser
    trajectories: int
    parts: tuple[Part, ...] = ()

    def __len__(self) -> int:
        return len(self.samples.chunk)

    def to(self, device: torch.device) -> TrainingSet:
        """The same on a device."""
        return replace(self, samples=self.samples.to(device))

    def batch(self, index: Tensor) -> Batch:
        """Chunks at `index` [B] int64."""
        return self.samples.rows(index)

    def trust(self) -> Tensor:
        """How far each chunk's first-order model is trusted: 1 / sqrt(1 + |J|_F^2 / n) for n elements, [N]."""
        n = self.samples.chunk[0].numel()
        squares = [each.square().sum((1, 2, 3)) for each in self.samples.chunk_jacobian.split(SLICE)]
        return (1.0 + torch.cat(squares) / n).rsqrt()

    def motion(self) -> Tensor:
        """How much changes within each chunk: root mean square distance of its slots from the first, [N]."""
        return (self.samples.chunk - self.samples.chunk[:, :1]).square().mean((1, 2)).sqrt()


def floored_scale(values: Array, groups: Sequence[slice]) -> Array:
    """Standard deviation of each column, at least `SCALE_FLOOR` times the largest of its group.

    Args:
        values: [N, d].
        groups: Slices that together cover 0 .. d.

    Returns:
        [d], positive; 1 in a group that never varies.
    """
    scale = values.std(0)
    covered = np.zeros(scale.shape, bool)
    for group in groups:
        largest = scale[group].max(initial=0.0)
        scale[group] = np.maximum(scale[group], SCALE_FLOOR * largest) if largest > 1e-9 else 1.0
        covered[group] = True
    if not covered.all():
        raise DatasetError(f"columns {np.flatnonzero(~covered).tolist()} belong to no group")
    return scale


def _sensitivities(solutions: Any, actions: Actions, horizon: int) -> Array:
    """Chunk Jacobians in physical units, [n, T, T_h, d_a, ndx] float32, one trajectory at a time."""
    n, T, _, ndx = solutions.K.shape
    out = np.empty((n, T, horizon, actions.dim, ndx), np.float32)  # gigabytes where there are many
    for rows, A, B, K in zip(out, solutions.A, solutions.B, solutions.K, strict=True):
        loop, gains = actions.prolong(np.asarray(closed_loop(A, B, K), np.float64), K, horizon - 2)
        phi = chunk_transitions(loop[None], horizon)[0]
        for t, p in enumerate(phi):
            rows[t] = actions.jacobian(p, gains[t : t + horizon - 1])
    return out


def _displacements(X: Array, horizon: int) -> Array:
    """How far states move within a chunk, [N, nx]: the range where a chunk's first-order model is to hold.

    The standard deviation of the states is not suitable: with starts in the whole workspace, it is several times as
    large as the motion within a chunk, and the first-order term would outweigh the other one by the square of that.
    """
    starts = X.shape[1] + 1 - horizon
    moves = [X[:, t : t + horizon] - X[:, t : t + 1] for t in range(starts)]
    return np.concatenate(moves).reshape(-1, X.shape[-1])


def build(
    solutions: Any,
    task: ChunkTask,
    horizon: int,
    action: str = "state",
    normaliser: Normaliser | None = None,
    parts: Sequence[Part] = (),
) -> TrainingSet:
    """Cut trajectories into chunks, one from each step, and normalise them.

    Args:
        solutions: Has X [n, T+1, nx], U [n, T, nu], K [n, T, nu, ndx], A [n, T, ndx, ndx], B [n, T, ndx, nu],
            target [n, ...] (`dataset.Dataset`).
        task: Encodes observations and chunks.
        horizon: Slots T_h of a chunk.
        action: What the slots hold: `state` or `control`.
        normaliser: Scaling to use; by default it is measured on these chunks.
        parts: Consecutive trajectories, and the share of each batch that is drawn from them.

    Raises:
        DatasetError: Empty, shorter than a chunk, not finite, or more than fits into memory.
    """
    X = np.asarray(solutions.X, np.float64)
    if not len(X):
        raise DatasetError("no trajectories to train on")
    if X.shape[1] < horizon:
        raise DatasetError(f"trajectories of {X.shape[1]} states are shorter than a chunk of {horizon}")
    actions = task.actions(action)
    first = task.observation(X[0, 0], solutions.target[0], 0)
    n, T, ndx = len(X), X.shape[1] - 1, solutions.K.shape[-1]
    require_memory(4 * n * T * (horizon * actions.dim + len(first)) * (ndx + 1), f"{n} trajectories to train on")
    jacobian = _sensitivities(solutions, actions, horizon)
    o, do = np.empty((n, T, len(first))), np.empty((n, T, len(first), ndx), np.float32)
    chunk = []
    for i, (states, controls, target) in enumerate(zip(X, solutions.U, solutions.target, strict=True)):
        o[i] = [task.observation(x, target, t) for t, x in enumerate(states[:-1])]
        do[i] = [task.observation_jacobian(x, target) for x in states[:-1]]
        chunk.append(actions.encode(states, np.asarray(controls, np.float64), horizon))
    a = np.concatenate(chunk)
    o, do, jacobian = (each.reshape(-1, *each.shape[2:]) for each in (o, do, jacobian))
    _require_finite({"observation": o, "observation Jacobian": do, "chunk": a, "chunk Jacobian": jacobian})
    if normaliser is None:
        flat = a.reshape(-1, a.shape[-1])
        normaliser = Normaliser(
            observation_mean=o.mean(0),
            observation_scale=floored_scale(o, task.observation_groups),
            action_mean=flat.mean(0),
            action_scale=floored_scale(flat, actions.groups),
            state_scale=floored_scale(_displacements(X, horizon), task.state_groups),
        )
    samples = _normalise(o, do, a, jacobian, normaliser)
    chunks = len(o) // len(X)
    return TrainingSet(samples, normaliser, len(X), tuple((count * chunks, share) for count, share in parts))


def _normalise(o: Array, do: Array, a: Array, J: Array, n: Normaliser) -> Batch:
    """Scale values, and Jacobians by diag(1 / s_out) J diag(s_x)."""
    for slopes, scale in ((J, n.action_scale), (do, n.observation_scale)):  # in place: gigabytes where there are many
        slopes /= scale[:, None].astype(np.float32)
        slopes *= n.state_scale.astype(np.float32)
    arrays = n.observation(o), do, n.action(a), J
    return Batch(*(torch.from_numpy(np.ascontiguousarray(value, np.float32)) for value in arrays))


def _require_finite(arrays: dict[str, Array]) -> None:
    for name, value in arrays.items():
        bad = sum(int((~np.isfinite(part).reshape(len(part), -1).all(1)).sum()) for part in _parts_of(value))
        if bad:
            raise DatasetError(f"{bad} of {len(value)} chunks have a {name} that is not finite")


def _parts_of(value: Array) -> Iterator[Array]:
    for begin in range(0, len(value), SLICE):
        yield value[begin : begin + SLICE]
