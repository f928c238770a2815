import math

import pytest
import torch

from sobo_training.learning.diffusion import Noiser, alphas_cumprod


def test_schedule_is_the_squared_cosine() -> None:
    steps = 5

    def bar(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    expected, product = [], 1.0
    for i in range(steps):
        product *= 1 - min(1 - bar((i + 1) / steps) / bar(i / steps), 0.999)
        expected.append(product)
    assert alphas_cumprod(steps) == pytest.approx(expected, rel=1e-4)  # single precision, and the last factor is 0.001


@pytest.mark.parametrize("history", [1, 2])
def test_noising_follows_eq_3_and_keeps_the_history(history: int) -> None:
    torch.manual_seed(0)
    chunk, noise = torch.randn(4, 6, 3), torch.randn(4, 6, 3)
    step = torch.tensor([0, 1, 3, 4])
    noised = Noiser(5, history)(chunk, noise, step)
    bar = torch.tensor(alphas_cumprod(5))[step][:, None, None]
    expected = bar.sqrt() * chunk + (1 - bar).sqrt() * noise
    torch.testing.assert_close(noised[:, history:], expected[:, history:])
    torch.testing.assert_close(noised[:, :history], chunk[:, :history])


def test_tangent_is_the_derivative_at_fixed_noised_slots() -> None:
    d_chunk = torch.randn(2, 6, 3)
    tangent = Noiser(5, 1).tangent(d_chunk)
    torch.testing.assert_close(tangent[:, 0], d_chunk[:, 0])
    assert not tangent[:, 1:].any()
