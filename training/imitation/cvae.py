"""Demonstrations with several modes: a conditional variational auto-encoder, whose decoder solves a control problem.

As in DiffTORI (arXiv:2402.05421, imitation): the encoder sees a demonstration and gives a latent vector z; the decoder
turns the instance and z into a cost, here slopes of the states along the way, and the answer is the trajectory that
minimises it together with the task's own cost. Sampling z from its prior gives one of the ways that were demonstrated,
where a cost without z would give an average of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sobo_planner.errors import ConfigError
from sobo_training.optimal_layer import OptimalLayer, Terms

#: From contexts (n, c) and slopes of the states (n, T, nx) to states (n, T+1, nx), differentiable by the slopes.
Plan = Callable[[Tensor, Tensor], Tensor]
# Every so many states are seen by the encoder.
STRIDE = 5


@dataclass(frozen=True)
class CvaeSettings:
    """Settings of the networks and of their training.

    Attributes:
        latents: Entries of z; 0 leaves it out.
        width: Units of each of the two hidden layers.
        knots: Points in time between which slopes are linear.
        beta: Weight of the Kullback-Leibler divergence, at the end; it rises over the first half of training.
        steps: Gradient steps.
        batch: Demonstrations of each.
        lr: Learning rate at the beginning; it falls to zero as a cosine.
        seed: Of weights, batches and noise.
    """

    latents: int = 2
    width: int = 64
    knots: int = 10
    beta: float = 1e-2
    steps: int = 600
    batch: int = 32
    lr: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("latents", 0), ("width", 1), ("knots", 2), ("steps", 1), ("batch", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)}")


class TrajectoryCvae(nn.Module):
    """Encoder, and the network that makes slopes.

    Args:
        context: Entries of what describes an instance, such as its initial state.
        horizon: Steps T.
        states: Entries nx of a state.
        settings: Sizes and seed.
    """

    spacing: Tensor

    def __init__(self, context: int, horizon: int, states: int, settings: CvaeSettings) -> None:
        super().__init__()
        self.settings, self._states = settings, states
        seen = len(range(0, horizon + 1, STRIDE)) * states
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(settings.seed)
            self.encoder = _network(context + seen, settings.width, 2 * settings.latents) if settings.latents else None
            self.decoder = _network(context + settings.latents, settings.width, settings.knots * states)
        place = torch.linspace(0, settings.knots - 1, horizon, dtype=torch.double)
        knots = torch.arange(settings.knots, dtype=torch.double)
        self.register_buffer("spacing", (1 - (place[:, None] - knots).abs()).clamp_min(0))

    def encode(self, context: Tensor, X: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of variances (n, latents) of z, for demonstrations X (n, T+1, nx)."""
        if self.encoder is None:
            return context.new_zeros(len(X), 0), context.new_zeros(len(X), 0)
        seen = torch.cat([context, X[:, ::STRIDE].flatten(1)], 1)
        mean, logarithm = self.encoder(seen).chunk(2, 1)
        return mean, logarithm.clamp(-10, 4)

    def slopes(self, context: Tensor, z: Tensor) -> Tensor:
        """Slopes (n, T, nx) of the states' cost."""
        knots = self.decoder(torch.cat([context, z], 1)).reshape(len(z), -1, self._states)
        return torch.einsum("tk,nkx->ntx", self.spacing, knots)

    @torch.no_grad()
    def sample(self, context: Tensor, plan: Plan, generator: torch.Generator) -> Tensor:
        """States (n, T+1, nx) of one trajectory for each context, z drawn from its prior."""
        z = torch.randn(len(context), self.settings.latents, dtype=context.dtype, generator=generator)
        return plan(context, self.slopes(context, z))


def _network(inputs: int, width: int, outputs: int) -> nn.Sequential:
    layers = [nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)]
    return nn.Sequential(*layers).double()


def train_cvae(context: Tensor, X: Tensor, plan: Plan, settings: CvaeSettings | None = None) -> TrajectoryCvae:
    """Learns from demonstrations.

    Args:
        context: What describes the instances, (n, c), in double precision.
        X: Their states, (n, T+1, nx).
        plan: Solves the problem with added slopes.
        settings: Of networks and training.
    """
    settings = settings or CvaeSettings()
    net = TrajectoryCvae(context.shape[1], X.shape[1] - 1, X.shape[2], settings)
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    unit = (X - X.mean(0)).pow(2).mean((0, 1)).sqrt().clamp_min(1e-6)
    for step in range(settings.steps):
        rows = torch.randint(len(X), (settings.batch,), generator=generator)
        mean, logarithm = net.encode(context[rows], X[rows])
        noise = torch.randn(mean.shape, dtype=mean.dtype, generator=generator)
        found = plan(context[rows], net.slopes(context[rows], mean + noise * (0.5 * logarithm).exp()))
        divergence = 0.5 * (mean**2 + logarithm.exp() - logarithm - 1).sum(1).mean()
        share = min(1.0, 2 * step / settings.steps)
        loss = (((found - X[rows]) / unit) ** 2).mean() + settings.beta * share * divergence
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


def plan_with(layer: OptimalLayer, controls: int) -> Plan:
    """Solves a problem without targets, whose contexts are initial states, with slopes added to its cost.

    Args:
        layer: The problem; an instance begins at the layer's usual start.
        controls: Entries of a control, which get no slopes.
    """

    def plan(x0: Tensor, slopes: Tensor) -> Tensor:
        none = slopes.new_zeros(*slopes.shape[:2], controls)
        return layer(x0, terms=Terms(g=torch.cat([slopes, none], -1))).X

    return plan


def nearest_modes(found: Tensor, modes: Tensor) -> tuple[Tensor, Tensor]:
    """How near trajectories come to the nearest of two ways.

    Args:
        found: Trajectories (n, T+1, nx).
        modes: The two ways (2, T+1, nx) of the same instance.

    Returns:
        Mean square distance to the nearer one, in units of that between the two, (n,); and which it is, (n,).
    """
    between = ((modes[0] - modes[1]) ** 2).mean()
    distances = ((found[:, None] - modes) ** 2).mean((2, 3)) / between
    nearest = distances.min(1)
    return nearest.values, nearest.indices
