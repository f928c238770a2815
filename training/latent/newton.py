"""Planning by Newton's method, and its derivative: the differentiable planner of DiffTORI (arXiv:2402.05421).

The paper's implementation takes up to 100 steps of Levenberg-Marquardt on one residual, which are scaled gradient
steps, and differentiates through the last five. Here a few damped Newton steps on the H nu actions within their bounds
do, and the derivative is that of the optimum by the implicit function theorem: with F(a, p) the negated return and Hs
its Hessian in the actions that are not at a bound,

    dL/dp = -w' d2F/da dp,    Hs w = dL/da.

Actions that a bound holds do not move with the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sobo_training.latent.model import LatentModel

#: How close to a bound an action counts as being there.
AT_BOUND = 1e-4
SHARES = (1.0, 0.4, 0.1)


@dataclass(frozen=True)
class Local:
    """The negated return around actions.

    Attributes:
        gradient: (n, m), with m = H nu.
        free: (n, m): whether an action is not held by a bound.
        inverse: (n, m, m): inverse of the damped Hessian of the free actions; 0 for the others.
    """

    gradient: Tensor
    free: Tensor
    inverse: Tensor


def local(model: LatentModel, state: Tensor, actions: Tensor, damping: float) -> Local:
    """Gradient and Hessian at actions (n, H, nu); all rows of the Hessians are found in one backward pass."""
    n, m = len(actions), actions[0].numel()
    flat = actions.detach().flatten(1)
    copies = flat.repeat_interleave(m, 0).requires_grad_()
    wide = state.detach().repeat_interleave(m, 0)
    total = -model.returns(wide, copies.reshape(-1, *actions.shape[1:])).sum()
    (gradient,) = torch.autograd.grad(total, copies, create_graph=True)
    row = torch.eye(m, dtype=flat.dtype).repeat(n, 1)
    (hessian,) = torch.autograd.grad((gradient * row).sum(), copies)
    g, H = gradient.detach()[::m], hessian.reshape(n, m, m)
    free = ~(((flat > 1 - AT_BOUND) & (g < 0)) | ((flat < -1 + AT_BOUND) & (g > 0)))
    mask = free.to(flat.dtype)
    H = 0.5 * (H + H.mT) * mask[:, :, None] * mask[:, None, :]
    values, vectors = torch.linalg.eigh(H)
    inverse = (vectors / values.abs().clamp_min(damping)[:, None, :]) @ vectors.mT
    return Local(g, free, inverse * mask[:, :, None] * mask[:, None, :])


def refine(model: LatentModel, state: Tensor, actions: Tensor, steps: int, damping: float) -> tuple[Tensor, Tensor]:
    """Damped Newton steps within the bounds; a step that does not increase the return is not taken.

    Args:
        model: What returns are predicted with.
        state: Latent states (n, latent).
        actions: Starts (n, H, nu).
        steps: How many.
        damping: Least curvature.

    Returns:
        Actions (n, H, nu) and their returns (n,).
    """
    n, shape = len(actions), actions.shape
    shares = torch.tensor((0.0, *SHARES), dtype=actions.dtype)[:, None, None]
    wide = state.detach().repeat(len(shares), 1)
    scores = torch.zeros(n)
    for _ in range(steps):
        around = local(model, state, actions, damping)
        step = -(around.inverse @ around.gradient[..., None])[..., 0]
        candidates = (actions.flatten(1) + shares * step).clamp(-1, 1)
        with torch.no_grad():
            found = model.returns(wide, candidates.reshape(-1, *shape[1:])).reshape(len(shares), n)
        scores, best = found.max(0)
        actions = candidates[best, torch.arange(n)].reshape(shape)
    return actions.detach(), scores


def plan_newton(model: LatentModel, state: Tensor, starts: Tensor, steps: int, damping: float) -> tuple[Tensor, Tensor]:
    """The best of several starts, each refined.

    Args:
        model: What returns are predicted with.
        state: Latent states (n, latent).
        starts: (n, k, H, nu).
        steps: Newton steps.
        damping: Least curvature.

    Returns:
        Actions (n, H, nu), and their returns (n,).
    """
    n, k = starts.shape[:2]
    refined, scores = refine(model, state.repeat_interleave(k, 0), starts.flatten(0, 1), steps, damping)
    best = scores.reshape(n, k).argmax(1)
    chosen = torch.arange(n) * k + best
    return refined[chosen], scores[chosen]


def optimum(model: LatentModel, state: Tensor, actions: Tensor, damping: float) -> Tensor:
    """Optimal actions (n, H, nu) as a function of `state` and of the model's parameters.

    The values are `actions`, which have to be optimal. Gradients of what is made of them reach encoder, dynamics,
    rewards and values.
    """
    around = local(model, state, actions, damping)
    fixed = actions.detach().requires_grad_()
    total = -model.returns(state, fixed).sum()
    (gradient,) = torch.autograd.grad(total, fixed, create_graph=True)
    # Its value is `actions`; its derivative is -inverse(Hessian) d(gradient)/dp.
    moving = (around.inverse @ (gradient - gradient.detach()).flatten(1)[..., None])[..., 0]
    return actions.detach() - moving.reshape(actions.shape)
