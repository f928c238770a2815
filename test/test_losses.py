"""The first-order terms against the exact Jacobian of the network, in double precision."""

import math

import pytest
import torch
from torch import Tensor

from sobo_planner.errors import ConfigError
from sobo_training.learning.diffusion import Noiser
from sobo_training.learning.losses import Batch, Draw, apply, diff_loss, draw, sobolev_terms
from sobo_training.networks.unet import UNet, UNetConfig

B, T_H, D_A, D_O, NDX = 2, 8, 3, 4, 5
N = T_H * D_A
NOISER = Noiser(5, 1)


@pytest.fixture(scope="module")
def net() -> UNet:
    torch.manual_seed(0)
    return UNet(UNetConfig(D_A, D_O, horizon=T_H, hidden=(8, 8), cond_dim=8, step_dim=8)).double()


@pytest.fixture(scope="module")
def batch() -> Batch:
    torch.manual_seed(1)
    shapes = (B, D_O), (B, D_O, NDX), (B, T_H, D_A), (B, T_H, D_A, NDX)
    return Batch(*(torch.randn(shape, dtype=torch.float64) for shape in shapes))


@pytest.fixture(scope="module")
def fixed(batch: Batch) -> Draw:
    return draw(batch, 5, "jvp", torch.Generator().manual_seed(2))


def exact_jacobian(net: UNet, batch: Batch, sample: Draw) -> Tensor:
    """d prediction / dx, [B, T_h, d_a, ndx], by torch.func.jacrev."""
    noised = NOISER(batch.chunk, sample.noise, sample.step)

    def predict(dx: Tensor) -> Tensor:
        history = noised[:, :1] + apply(batch.chunk_jacobian[:, :1], dx)
        inputs = torch.cat((history, noised[:, 1:]), 1)
        return net.forward_reference(inputs, sample.step, batch.observation + apply(batch.observation_jacobian, dx))

    full = torch.func.jacrev(predict)(torch.zeros(B, NDX, dtype=torch.float64))
    return torch.stack([full[b, :, :, b] for b in range(B)])


@pytest.fixture(scope="module")
def exact(net: UNet, batch: Batch, fixed: Draw) -> float:
    """The first-order term: squared Frobenius norm a chunk element."""
    error = batch.chunk_jacobian - exact_jacobian(net, batch, fixed)
    return float(error.detach().square().sum((1, 2, 3)).mean() / N)


def first_order(net: UNet, batch: Batch, fixed: Draw, mode: str, direction: Tensor) -> float:
    _, term = sobolev_terms(net, NOISER, batch, Draw(fixed.step, fixed.noise, direction), mode)
    assert term is not None
    return float(term.detach())


def test_jvp_term_is_the_exact_norm_in_expectation(net: UNet, batch: Batch, fixed: Draw, exact: float) -> None:
    """E |D dx|^2 over normal dx is the sum over any orthonormal basis."""
    basis = torch.linalg.qr(torch.randn(NDX, NDX, dtype=torch.float64))[0]
    total = sum(first_order(net, batch, fixed, "jvp", e.expand(B, NDX)) for e in basis)
    assert total == pytest.approx(exact, rel=1e-9)


def test_vjp_term_is_the_exact_norm_in_expectation(net: UNet, batch: Batch, fixed: Draw, exact: float) -> None:
    """E |v'D|^2 over the unit sphere of R^n is the mean over any orthonormal basis."""
    basis = torch.linalg.qr(torch.randn(N, N, dtype=torch.float64))[0].view(N, 1, T_H, D_A)
    total = sum(first_order(net, batch, fixed, "vjp", e.expand(B, T_H, D_A)) for e in basis)
    assert total / N == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(("mode", "draws"), [("jvp", 400), ("vjp", 400)])
def test_drawn_directions_give_the_exact_norm(
    net: UNet, batch: Batch, fixed: Draw, exact: float, mode: str, draws: int
) -> None:
    """Monte Carlo with the directions that training draws, in one large batch, within 5 standard errors."""
    copies = [t.repeat(draws, *[1] * (t.ndim - 1)) for t in vars(batch).values()]
    large = Batch(*copies)
    directions = draw(large, 5, mode, torch.Generator().manual_seed(3)).direction
    values = []
    for part in range(0, draws * B, 10 * B):
        rows = slice(part, part + 10 * B)
        piece = Batch(*(t[rows] for t in copies))
        sample = Draw(fixed.step.repeat(10), fixed.noise.repeat(10, 1, 1), directions[rows])
        values.append(sobolev_terms(net, NOISER, piece, sample, mode)[1].detach())
    spread = float(torch.stack(values).std()) / math.sqrt(len(values))
    assert float(torch.stack(values).mean()) == pytest.approx(exact, abs=5 * spread)
    assert spread < 0.1 * exact


def test_exact_jacobian_equals_finite_differences(net: UNet, batch: Batch, fixed: Draw) -> None:
    noised = NOISER(batch.chunk, fixed.noise, fixed.step)
    jacobian = exact_jacobian(net, batch, fixed)
    h = 1e-5
    for i in range(NDX):
        sides = []
        for sign in (1, -1):
            dx = torch.zeros(B, NDX, dtype=torch.float64)
            dx[:, i] = sign * h
            moved = noised.clone()
            moved[:, :1] += apply(batch.chunk_jacobian[:, :1], dx)
            sides.append(net(moved, fixed.step, batch.observation + apply(batch.observation_jacobian, dx)))
        torch.testing.assert_close(jacobian[..., i], (sides[0] - sides[1]) / (2 * h), atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("mode", ["jvp", "vjp"])
def test_zeroth_order_term_is_the_diffusion_loss(net: UNet, batch: Batch, mode: str) -> None:
    sample = draw(batch, 5, mode, torch.Generator().manual_seed(4))
    zeroth, _ = sobolev_terms(net, NOISER, batch, sample, mode)
    torch.testing.assert_close(zeroth, diff_loss(net, NOISER, batch, sample))


def test_both_modes_have_the_same_gradient_in_expectation(net: UNet, batch: Batch, fixed: Draw) -> None:
    parameters = list(net.parameters())

    def total(mode: str, basis: Tensor, weight: float) -> list[Tensor]:
        terms = [
            sobolev_terms(net, NOISER, batch, Draw(fixed.step, fixed.noise, e.expand(B, *e.shape)), mode)[1]
            for e in basis
        ]
        grads = torch.autograd.grad(weight * sum(terms), parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, grads, strict=True)]

    forward = total("jvp", torch.eye(NDX, dtype=torch.float64), 1.0)
    reverse = total("vjp", torch.eye(N, dtype=torch.float64).view(N, T_H, D_A), 1 / N)
    for a, b in zip(forward, reverse, strict=True):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-6)


def test_augmentation_adds_the_first_order_term(net: UNet, batch: Batch) -> None:
    """It is plain diffusion on the sample moved along the linearised closed loop."""
    sample = draw(batch, 5, "augment", torch.Generator().manual_seed(5))
    plain = diff_loss(net, NOISER, batch, sample)
    still = Draw(sample.step, sample.noise, torch.zeros_like(sample.direction))
    loss, none = sobolev_terms(net, NOISER, batch, still, "augment", 0.3)
    assert none is None
    torch.testing.assert_close(loss, plain)
    moved, _ = sobolev_terms(net, NOISER, batch, sample, "augment", 0.3)
    dx = 0.3 * sample.direction
    by_hand = Batch(
        batch.observation + torch.einsum("box,bx->bo", batch.observation_jacobian, dx),
        batch.observation_jacobian,
        batch.chunk + torch.einsum("btax,bx->bta", batch.chunk_jacobian, dx),
        batch.chunk_jacobian,
    )
    torch.testing.assert_close(moved, diff_loss(net, NOISER, by_hand, sample))


def test_augmentation_moves_near_and_far(batch: Batch) -> None:
    """r e with r uniform and e standard normal: mean square 1/3, mean fourth power 3/5."""
    many = Batch(*(each[:1].expand(20000, *each.shape[1:]) for each in vars(batch).values()))
    direction = draw(many, 5, "augment", torch.Generator().manual_seed(6)).direction
    assert float(direction.square().mean()) == pytest.approx(1 / 3, rel=0.03)
    assert float(direction.pow(4).mean()) == pytest.approx(3 / 5, rel=0.1)
    # One radius a sample: its components are near or far together, E x^2 y^2 = E r^4 = 1/5.
    assert float((direction[:, 0] * direction[:, 1]).square().mean()) == pytest.approx(1 / 5, rel=0.1)


def test_unknown_mode(net: UNet, batch: Batch, fixed: Draw) -> None:
    with pytest.raises(ConfigError, match="mode 'hessian' is not one of vjp, jvp, augment"):
        sobolev_terms(net, NOISER, batch, fixed, "hessian")
