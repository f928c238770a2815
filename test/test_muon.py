"""Muon against singular value decompositions and against PyTorch's implementation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sobo_training.learning.muon import COEFFICIENTS, REPETITIONS, Muon, orthogonalise


def polynomial(values: torch.Tensor) -> torch.Tensor:
    """What repeated Newton-Schulz iterations make of singular values."""
    a, b, c = COEFFICIENTS
    for _ in range(REPETITIONS):
        values = a * values + b * values**3 + c * values**5
    return values


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40), st.floats(-6, 6), st.integers(0, 1000))
def test_singular_values_become_about_one(n, rows, columns, exponent, seed):
    generator = torch.Generator().manual_seed(seed)
    matrices = torch.randn(n, rows, columns, generator=generator, dtype=torch.float64)
    matrices *= torch.logspace(0, -4, columns, dtype=torch.float64)  # of very different lengths
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    values /= values.norm(dim=1, keepdim=True)
    expected = left * polynomial(values)[:, None] @ right
    result = orthogonalise((matrices * 10**exponent).float())
    torch.testing.assert_close(result.double(), expected, atol=2e-3, rtol=0)
    large = torch.linalg.svdvals(result.double())[values > 0.01]
    assert large.min() > 0.5 and large.max() < 1.3


def test_zero_stays_zero():
    assert not orthogonalise(torch.zeros(2, 3, 5)).any()


def problem(shapes: list[tuple[int, ...]]) -> tuple[list[torch.nn.Parameter], list[torch.Tensor]]:
    """Parameters, and the targets of a quadratic loss."""
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    return parameters, [torch.randn(shape, generator=generator) for shape in shapes]


def advance(optimizer: torch.optim.Optimizer, parameters: list, targets: list, steps: int) -> None:
    for _ in range(steps):
        loss = sum((0.5 * (p - target).square()).sum() for p, target in zip(parameters, targets, strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_steps_are_those_of_pytorch():
    """Which computes in bfloat16, and so to three digits."""
    shapes = [(24, 40), (40, 24), (24, 40)]
    mine, targets = problem(shapes)
    theirs, _ = problem(shapes)
    settings = {"lr": 3e-2, "momentum": 0.95, "weight_decay": 0.1}
    advance(Muon(mine, **settings), mine, targets, 20)
    advance(torch.optim.Muon(theirs, **settings, adjust_lr_fn="match_rms_adamw"), theirs, targets, 20)
    start, _ = problem(shapes)
    for a, b, s in zip(mine, theirs, start, strict=True):
        assert (a - b).norm() < 0.02 * (a - s).norm()


def test_convolutions_are_matrices_of_their_outputs():
    flat, targets = problem([(8, 15), (8, 15), (6, 4)])
    folded, _ = problem([(8, 15), (8, 15), (6, 4)])
    folded[0] = torch.nn.Parameter(folded[0].detach().view(8, 3, 5))
    advance(Muon(flat, lr=1e-2), flat, targets, 3)
    advance(Muon(folded, lr=1e-2), folded, [targets[0].view(8, 3, 5), *targets[1:]], 3)
    for a, b in zip(flat, folded, strict=True):
        torch.testing.assert_close(a, b.view_as(a))


def test_parameters_without_gradients_are_left_alone():
    parameters, _ = problem([(3, 3), (3, 3)])
    before = parameters[1].detach().clone()
    parameters[0].grad = torch.ones(3, 3)
    Muon(parameters, lr=0.1, weight_decay=0.1).step()
    torch.testing.assert_close(parameters[1], before, atol=0, rtol=0)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_state_continues_exactly(steps):
    whole, targets = problem([(5, 7), (7, 5)])
    advance(Muon(whole, lr=1e-2), whole, targets, steps + 2)
    first, _ = problem([(5, 7), (7, 5)])
    before = Muon(first, lr=1e-2)
    advance(before, first, targets, steps)
    second = [torch.nn.Parameter(p.detach().clone()) for p in first]
    after = Muon(second, lr=1.0)
    after.load_state_dict(before.state_dict())
    advance(after, second, targets, 2)
    for a, b in zip(whole, second, strict=True):
        torch.testing.assert_close(a, b, atol=0, rtol=0)
