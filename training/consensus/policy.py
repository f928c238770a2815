"""Direct policies as in arXiv:2209.09006: a perceptron whose output a hyperbolic tangent keeps within the bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sobo_training.consensus.terms import Ranges

if TYPE_CHECKING:
    from sobo_planner.tasks import Task
    from sobo_training.consensus.options import ConsensusOptions

Array = NDArray[np.float64]
#: Smallest standard deviation of an observation that it is divided by.
LEAST_SPREAD = 1e-3


class Learner(Protocol):
    """A policy class that trajectories can be brought into agreement with."""

    def act(self, x: Array, targets: Array, t: int) -> Array:
        """Controls (n, nu) at states (n, nx) with targets (n, 3), at a step of the horizon."""
        ...

    def controls(self, X: Array, targets: Array) -> Array:
        """Controls (n, T, nu) along states (n, T, nx) with targets (n, 3)."""
        ...

    def jacobians(self, X: Array, targets: Array) -> Array:
        """Derivatives of `controls` by the states, (n, T, nu, nx)."""
        ...

    def fit(self, X: Array, targets: Array, wanted: Array, gains: Array | None, ranges: Ranges, seed: int) -> float:
        """Fits the policy to controls (n, T, nu) wanted at states (n, T, nx), and to gains; returns the mean loss."""
        ...


class Perceptron(nn.Module):
    """Linear layers with ELU between them, in double precision; the output lies within the bounds.

    ELU instead of the paper's ReLU: the Sobolev term needs a derivative that changes with the weights everywhere.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], lower: Array, upper: Array) -> None:
        super().__init__()
        sizes = (inputs, *hidden, len(lower))
        self.layers = nn.ModuleList(
            nn.Linear(a, b, dtype=torch.float64) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.middle: Tensor
        self.scale: Tensor
        self.offset: Tensor
        self.gain: Tensor
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("middle", torch.from_numpy(0.5 * (lower + upper)))
        self.register_buffer("scale", torch.from_numpy(0.5 * (upper - lower)))
        self.register_buffer("offset", torch.zeros(len(lower), dtype=torch.float64))
        self.register_buffer("gain", torch.ones(len(lower), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(inputs, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(inputs, dtype=torch.float64))

    def forward(self, observation: Tensor) -> Tensor:
        """Controls (..., nu) at observations (..., obs_dim)."""
        h = (observation - self.mean) / self.spread
        for layer in self.layers[:-1]:
            h = F.elu(layer(h))
        return self.middle + self.scale * torch.tanh(self.offset + self.gain * self.layers[-1](h))

    def jacobian(self, observation: Tensor) -> Tensor:
        """d controls / d observation, (n, nu, obs_dim), at observations (n, obs_dim)."""
        h, slopes = (observation - self.mean) / self.spread, []
        for layer in self.layers[:-1]:
            before = layer(h)
            slopes.append(torch.where(before > 0, 1.0, before.clamp(max=0.0).exp()))
            h = F.elu(before)
        output = torch.tanh(self.offset + self.gain * self.layers[-1](h))
        outer = self.scale * self.gain * (1.0 - output.square())
        weights = [cast("nn.Linear", layer).weight for layer in self.layers]
        out = outer[:, :, None] * weights[-1]
        for slope, weight in zip(reversed(slopes), reversed(weights[:-1]), strict=True):
            out = (out * slope[:, None]) @ weight
        return out / self.spread


class NetworkPolicy:
    """A perceptron on what the policies of a task observe.

    Args:
        task: The task.
        options: Sizes, and how it is fitted.
    """

    def __init__(self, task: Task, options: ConsensusOptions) -> None:
        self.task, self.options = task, options
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.net = Perceptron(task.obs_dim, options.hidden, task.control_lower, task.control_upper)
        self._scaled = False

    def act(self, x: Array, targets: Array, t: int) -> Array:
        """See `Learner.act`."""
        seen = [self.task.observation(each, target, t) for each, target in zip(x, targets, strict=True)]
        with torch.no_grad():
            return self.net(torch.from_numpy(np.array(seen))).numpy()

    def controls(self, X: Array, targets: Array) -> Array:
        """See `Learner.controls`."""
        with torch.no_grad():
            return self.net(torch.from_numpy(self._observe(X, targets))).numpy()

    def jacobians(self, X: Array, targets: Array) -> Array:
        """See `Learner.jacobians`."""
        seen = torch.from_numpy(self._observe(X, targets))
        with torch.no_grad():
            by_observation = self.net.jacobian(seen.reshape(-1, seen.shape[-1]))
        inner = self._observation_jacobians(X, targets)
        out: Array = by_observation.numpy().reshape(*X.shape[:2], -1, seen.shape[-1]) @ inner
        return out

    def look(self, X: Array, targets: Array) -> None:
        """Takes the scale of the observations from states (n, T, nx)."""
        self._set_scale(torch.from_numpy(self._observe(X, targets).reshape(-1, self.task.obs_dim)))

    def fit(self, X: Array, targets: Array, wanted: Array, gains: Array | None, ranges: Ranges, seed: int) -> float:
        """See `Learner.fit`. The first fit sets the scales of observations and controls, unless `look` has."""
        options = self.options
        seen = torch.from_numpy(self._observe(X, targets).reshape(-1, self.task.obs_dim))
        if not self._scaled:
            self._set_scale(seen)
            half = self.net.scale.numpy()
            share = (wanted.reshape(len(seen), -1).mean(axis=0) - self.net.middle.numpy()) / half
            self.net.offset.copy_(torch.from_numpy(np.arctanh(np.clip(share, -0.9, 0.9))))
            self.net.gain.copy_(torch.from_numpy(ranges.control / half))
        points = {"seen": seen, "wanted": torch.from_numpy(wanted.reshape(len(seen), -1) / ranges.control)}
        if gains is not None:
            inner = self._observation_jacobians(X, targets) * ranges.state
            scaled = gains * ranges.state / ranges.control[:, None]
            points["inner"] = torch.from_numpy(inner.reshape(len(seen), *inner.shape[2:]))
            points["gains"] = torch.from_numpy(scaled.reshape(len(seen), *scaled.shape[2:]))
        optimiser = torch.optim.Adam(self.net.parameters(), lr=options.lr)
        rng, losses = torch.Generator().manual_seed(seed), []
        for step in range(options.gradient_steps):
            share = step / options.gradient_steps
            optimiser.param_groups[0]["lr"] = 0.5 * options.lr * (1.0 + math.cos(math.pi * share))
            chosen = torch.randint(len(seen), (min(options.batch, len(seen)),), generator=rng)
            loss = self._loss({name: each[chosen] for name, each in points.items()}, ranges, rng)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses[-max(1, len(losses) // 10) :]))

    def _loss(self, batch: Mapping[str, Tensor], ranges: Ranges, rng: torch.Generator) -> Tensor:
        """Eq. (7), or (8) with one random direction of the controls for each point."""
        seen = batch["seen"].requires_grad_("gains" in batch)
        predicted = self.net(seen) / torch.from_numpy(ranges.control)
        loss = 0.5 * (predicted - batch["wanted"]).square().sum(1).mean()
        if "gains" in batch:
            v = torch.randn(predicted.shape, generator=rng, dtype=predicted.dtype)
            v = v / v.norm(dim=1, keepdim=True)
            (slope,) = torch.autograd.grad((v * predicted).sum(), seen, create_graph=True)
            error = torch.einsum("bo,box->bx", slope, batch["inner"]) - torch.einsum("bu,bux->bx", v, batch["gains"])
            loss = loss + 0.5 * self.options.alpha * error.square().sum(1).mean()
        return loss

    def _set_scale(self, seen: Tensor) -> None:
        self.net.mean.copy_(seen.mean(0))
        self.net.spread.copy_(seen.std(0).clamp(min=LEAST_SPREAD))
        self._scaled = True

    def _observe(self, X: Array, targets: Array) -> Array:
        """What the policy sees along states (n, T, nx), (n, T, obs_dim)."""
        see = self.task.observation
        return np.array([[see(x, target, t) for t, x in enumerate(xs)] for xs, target in zip(X, targets, strict=True)])

    def _observation_jacobians(self, X: Array, targets: Array) -> Array:
        see = self.task.observation_jacobian
        return np.array([[see(x, target) for x in xs] for xs, target in zip(X, targets, strict=True)])

    def state(self) -> dict[str, Any]:
        """All that was learned, as arrays by name."""
        return {name: value.numpy() for name, value in self.net.state_dict().items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Takes up what `state` gave."""
        self.net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
        self._scaled = True
