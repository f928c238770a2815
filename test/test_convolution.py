"""The compiled convolutions against those of PyTorch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sobo_training.networks.convolution import Convolve
from sobo_training.networks.kernels import library

pytestmark = pytest.mark.skipif(library() is None, reason="no C compiler on this machine")


def reference(x: Tensor, weight: Tensor, left: int, right: int) -> Tensor:
    """By F.conv1d in double precision."""
    taps = left + 1 + right
    kernel = weight.view(len(weight), taps, -1).transpose(1, 2)
    return F.conv1d(F.pad(x.permute(2, 1, 0), (left, right)), kernel).permute(2, 1, 0)


@settings(deadline=None, max_examples=60)
@given(
    T=st.integers(1, 9),
    C=st.integers(1, 26),
    outputs=st.integers(1, 26),
    B=st.integers(1, 70),
    share=st.sampled_from((0.0, 0.5, 1.0)),
    left=st.integers(0, 2),
    right=st.integers(0, 2),
    seed=st.integers(0, 1000),
)
def test_values_and_gradients(
    T: int, C: int, outputs: int, B: int, share: float, left: int, right: int, seed: int
) -> None:
    """Any sizes, also those that fill no tile, with tangents of none, some or all samples."""
    generator = torch.Generator().manual_seed(seed)
    D = round(share * B)
    shapes = [(T, C, B), (outputs, (left + 1 + right) * C), (T, outputs, B)] + (
        [(T, C, D), (T, outputs, D)] if D else []
    )
    exact = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    x, weight, g, *tangent = [each.float() for each in exact]
    inputs = [each.requires_grad_() for each in (x, weight, *tangent[:1])]
    results = Convolve.apply(x, tangent[0] if D else None, weight, left, right)
    loss = (results[0] * g).sum() + ((results[1] * tangent[1]).sum() if D else 0.0)
    gradients = torch.autograd.grad(loss, inputs)

    x, weight, g, *tangent = exact
    inputs = [each.requires_grad_() for each in (x, weight, *tangent[:1])]
    expected = [reference(each, weight, left, right) for each in (x, *tangent[:1])]
    loss = (expected[0] * g).sum() + ((expected[1] * tangent[1]).sum() if D else 0.0)
    torch.testing.assert_close(results[0].double(), expected[0], rtol=1e-4, atol=1e-4)
    if D:
        torch.testing.assert_close(results[1].double(), expected[1], rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(gradients, torch.autograd.grad(loss, inputs), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-3)


def test_neighbours_are_left_alone() -> None:
    """Sizes that fill no tile read nothing beside their arrays: NaN around the input stays outside."""
    outside = torch.full((7, 3, 34), torch.nan)
    outside[1:6] = 1.0
    weight = torch.ones(5, 9)
    result, _ = Convolve.apply(outside[1:6], None, weight, 1, 1)
    assert result[0, 0, 0] == 6.0 and result[2, 4, 33] == 9.0 and bool(result.isfinite().all())
