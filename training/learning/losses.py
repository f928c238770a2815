r"""Training losses: plain diffusion and Sobolev diffusion.

All quantities are normalised (`chunks.py`): chunk tau_0 [B, T_h, d_a], observation o [B, d_o], state change
dx [B, ndx], Jacobians J = d tau_0 / dx [B, T_h, d_a, ndx] and O = d o / dx [B, d_o, ndx]. J_theta is the
derivative of the network's prediction in x, through the observation (O dx) and through the inpainted history
(J[:T_o] dx); the other slots of tau_k and the noise are held fixed.

**What alpha means.** Both terms are means over the batch and over the n = T_h d_a elements of a chunk:

    loss = mean_b |tau_0 - tau_theta|^2 / n  +  alpha * mean_b |J - J_theta|_F^2 / n

so with alpha = 1 an element's error weighs as much as the squared norm of its gradient error (in normalised
state units, summed over the ndx directions). Every mode estimates this same first-order term without bias:

- `vjp`: v uniform on the unit sphere of R^n gives E |v'(J - J_theta)|^2 = |J - J_theta|_F^2 / n: eq. (11) of
  arXiv:2604.19011 as printed. The literal sums of that equation, divided by n, have alpha_here = alpha_paper
  / n.
- `jvp`: dx standard normal in R^ndx gives E |(J - J_theta) dx|^2 / n = |J - J_theta|_F^2 / n.
- `augment` has no alpha: plain diffusion on the sample moved by dx = s r e, tau_0 + J dx, with e standard normal in
  R^ndx and r uniform in 0 .. 1 for each sample, so that near and far are both seen. To second order in s this adds
  s^2 / 3 |J - J_theta|_F^2 / n, which is alpha = s^2 / 3. With s around 1 it is more than that: the network is taught
  the linearised closed loop as far as states move within a chunk, not its slope alone.

**Relative errors.** Near states from which an obstacle can be passed on either side, optimal chunks have derivatives a
hundred times as large as usual. Their squares dominate the loss, although such a derivative is valid for tiny changes
only. With `relative`, dx is measured in units of its own for each chunk, 1 / sqrt(1 + |J|_F^2 / n), which turns the
first-order term into |J - J_theta|_F^2 / (n + |J|_F^2): the error in small derivatives, the relative one in large ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sobo_planner.errors import ConfigError
from sobo_planner.tasks.config import MODES
from sobo_training.learning.diffusion import Noiser
from sobo_training.networks.network import Network


@dataclass(frozen=True)
class Batch:
    """Normalised training samples.

    Attributes:
        observation: o, [B, d_o].
        observation_jacobian: O = do/dx, [B, d_o, ndx].
        chunk: tau_0, [B, T_h, d_a].
        chunk_jacobian: J = d tau_0 / dx, [B, T_h, d_a, ndx].
    """

    observation: Tensor
    observation_jacobian: Tensor
    chunk: Tensor
    chunk_jacobian: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})

    def rows(self, which: slice | Tensor) -> Batch:
        """Some of the samples."""
        return Batch(**{name: value[which] for name, value in vars(self).items()})

    def joined(self, other: Batch) -> Batch:
        """These samples, and others after them."""
        return Batch(**{name: torch.cat((value, getattr(other, name))) for name, value in vars(self).items()})

    def in_units(self, unit: Tensor) -> Batch:
        """The same with dx measured in other units, one a sample: [B]."""
        seen, said = unit[:, None, None], unit[:, None, None, None]
        return Batch(self.observation, self.observation_jacobian * seen, self.chunk, self.chunk_jacobian * said)


@dataclass(frozen=True)
class Draw:
    """Random numbers of one step.

    Attributes:
        step: Denoising step, [B] int64 in 0 .. K - 1.
        noise: Standard normal, [B, T_h, d_a].
        direction: Standard normal: dx [B, ndx] for jvp, v [B, T_h, d_a] (any length) for vjp. For augment dx / s.
    """

    step: Tensor
    noise: Tensor
    direction: Tensor

    def rows(self, which: slice) -> Draw:
        """Those of some samples."""
        return Draw(**{name: value[which] for name, value in vars(self).items()})


def draw(batch: Batch, steps: int, mode: str, generator: torch.Generator) -> Draw:
    """Sample the random numbers of one step. `mode` is one of `MODES` or `none` (plain diffusion)."""
    chunk = batch.chunk
    size, device = len(chunk), chunk.device
    step = torch.randint(0, steps, (size,), generator=generator, device=device)
    noise = torch.randn(chunk.shape, generator=generator, dtype=chunk.dtype, device=device)
    shape = chunk.shape if mode == "vjp" else (size, batch.chunk_jacobian.shape[-1])
    direction = torch.randn(shape, generator=generator, dtype=chunk.dtype, device=device)
    if mode == "augment":
        direction *= torch.rand((size, 1), generator=generator, dtype=chunk.dtype, device=device)
    return Draw(step, noise, direction)


def diff_loss(net: Network, noiser: Noiser, batch: Batch, sample: Draw) -> Tensor:
    """Eq. (6) of arXiv:2604.19011, averaged over batch and elements."""
    noised = noiser(batch.chunk, sample.noise, sample.step)
    return (net(noised, sample.step, batch.observation) - batch.chunk).square().mean()


def apply(jacobian: Tensor, dx: Tensor) -> Tensor:
    """Directional derivative: [B, ..., ndx] times [B, ndx] -> [B, ...]."""
    flat = jacobian.reshape(len(dx), -1, dx.shape[-1])
    return torch.bmm(flat, dx[:, :, None]).view(jacobian.shape[:-1])


def jvp_terms(net: Network, noiser: Noiser, batch: Batch, sample: Draw, share: float = 1.0) -> tuple[Tensor, Tensor]:
    """Zeroth- and first-order terms by forward mode (`UNet.forward_dual`), the latter on a share of the batch."""
    noised = noiser(batch.chunk, sample.noise, sample.step)
    n = max(1, round(share * len(noised)))
    dx = sample.direction[:n]
    target = apply(batch.chunk_jacobian[:n], dx)
    prediction, tangent = net.forward_dual(
        noised, noiser.tangent(target), sample.step, batch.observation, apply(batch.observation_jacobian[:n], dx)
    )
    return (prediction - batch.chunk).square().mean(), (tangent - target).square().mean()


def vjp_terms(net: Network, noiser: Noiser, batch: Batch, sample: Draw) -> tuple[Tensor, Tensor]:
    """Zeroth- and first-order terms by reverse mode and a second backward pass, as in eq. (11)."""
    v = sample.direction / sample.direction.flatten(1).norm(dim=1)[:, None, None]
    dx = torch.zeros_like(batch.chunk_jacobian[:, 0, 0]).requires_grad_()
    observation = batch.observation + apply(batch.observation_jacobian, dx)
    history = noiser.history
    noised = noiser(batch.chunk, sample.noise, sample.step)
    moved = noised[:, :history] + apply(batch.chunk_jacobian[:, :history], dx)
    noised = torch.cat((moved, noised[:, history:]), 1)
    prediction = net(noised, sample.step, observation, twice_differentiable=True)
    (projected,) = torch.autograd.grad(prediction, dx, v, create_graph=True)
    target = torch.einsum("bta,btax->bx", v, batch.chunk_jacobian)
    return (prediction - batch.chunk).square().mean(), (projected - target).square().sum(1).mean()


def augment_loss(net: Network, noiser: Noiser, batch: Batch, sample: Draw, scale: float) -> Tensor:
    """Plain diffusion on samples moved along the linearised closed loop."""
    dx = scale * sample.direction
    moved = Batch(
        batch.observation + apply(batch.observation_jacobian, dx),
        batch.observation_jacobian,
        batch.chunk + apply(batch.chunk_jacobian, dx),
        batch.chunk_jacobian,
    )
    return diff_loss(net, noiser, moved, sample)


def sobolev_terms(
    net: Network, noiser: Noiser, batch: Batch, sample: Draw, mode: str, augment_scale: float = 2.0, share: float = 1.0
) -> tuple[Tensor, Tensor | None]:
    """Zeroth- and first-order terms of eq. (11); the latter is None for `augment`, whose one term holds both.

    Raises:
        ConfigError: Unknown mode.
    """
    if mode == "jvp":
        return jvp_terms(net, noiser, batch, sample, share)
    if mode == "vjp":
        return vjp_terms(net, noiser, batch, sample)
    if mode == "augment":
        return augment_loss(net, noiser, batch, sample, augment_scale), None
    raise ConfigError(f"mode {mode!r} is not one of {', '.join(MODES)}")
