"""The native network beside torch, on shapes that fill the vector registers and on shapes that do not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toy_network import SMALL, draw, make, native, processors

from sobo_planner.errors import PolicyError
from sobo_planner.policy import Sampler
from sobo_training.learning.diffusion import alphas_cumprod
from sobo_training.networks.unet import UNetConfig


def assert_equals_torch(config: UNetConfig, batch: int, seed: int = 0) -> None:
    net, tensors = make(config, seed)
    inputs = draw(config, batch, seed)
    # In double precision, so that the difference is that of the native network alone.
    sample, step, observation = (torch.from_numpy(value) for value in inputs)
    with torch.inference_mode():
        expected = net.double().forward_reference(sample.double(), step, observation.double()).numpy()
    # Tiny groups are close to constant, and normalising them magnifies rounding.
    tolerance = (1e-5 if config.hidden == (24, 24, 32, 32) else 1e-4) * max(1.0, np.abs(expected).max())
    for processor in processors():
        found = native(config, tensors, processor).denoise(*inputs)
        assert found.shape == expected.shape and found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance, err_msg=processor)


@pytest.mark.parametrize("batch", [1, 2, 4, 9])
def test_shipped_size_equals_torch(batch: int) -> None:
    assert_equals_torch(UNetConfig(action_dim=12, obs_dim=30), batch)


@pytest.mark.parametrize("hidden", [(16, 32, 48), (32, 32, 64, 64), (80, 104)])
def test_channels_in_panels_of_every_number(hidden: tuple[int, ...]) -> None:
    """16 columns are a vector of AVX-512; of those, one, two or four are computed at once."""
    assert_equals_torch(UNetConfig(action_dim=12, obs_dim=46, hidden=hidden), 2)


@st.composite
def configs(draw: st.DrawFn) -> UNetConfig:
    """Any small network that training accepts."""
    groups, levels = draw(st.sampled_from((1, 2, 3, 8))), draw(st.integers(2, 4))
    hidden = tuple(groups * n for n in draw(st.lists(st.integers(1, 24 // groups), min_size=levels, max_size=levels)))
    rows = draw(st.integers(1, 5)) * max(1, -(-4 * groups // hidden[-1]))
    return UNetConfig(
        action_dim=draw(st.integers(1, 17)),
        obs_dim=draw(st.integers(1, 9)),
        horizon=rows * 2 ** (levels - 1),
        hidden=hidden,
        kernel=draw(st.sampled_from((1, 3, 5, 7))),
        groups=groups,
        cond_dim=draw(st.integers(1, 20)),
        step_dim=2 * draw(st.integers(2, 6)),
        diffusion_steps=draw(st.integers(1, 6)),
    )


@given(config=configs(), batch=st.integers(1, 6), seed=st.integers(0, 1000))
@example(config=UNetConfig(2, 3, horizon=8, hidden=(12, 6), groups=3), batch=2, seed=0)  # a join as wide as the result
def test_any_size_equals_torch(config: UNetConfig, batch: int, seed: int) -> None:
    assert_equals_torch(config, batch, seed)


def test_kernels_agree() -> None:
    if len(processors()) == 1:
        pytest.skip("this processor has no other kernel")
    config = UNetConfig(action_dim=12, obs_dim=30)
    _, tensors = make(config)
    inputs = draw(config, 5)
    *wider, narrow = (native(config, tensors, processor).denoise(*inputs) for processor in processors())
    for wide in wider:
        np.testing.assert_allclose(wide, narrow, rtol=0, atol=1e-5)
        assert not np.array_equal(wide, narrow)  # or they would be the same code


def test_rows_beyond_32_bits() -> None:
    """Rows times blocks of rows: 2^31 at this horizon."""
    config = UNetConfig(action_dim=2, obs_dim=3, horizon=65536, hidden=(24, 24), cond_dim=8, step_dim=8)
    _, tensors = make(config)
    inputs = draw(config, 1)
    found = native(config, tensors, "baseline").denoise(*inputs)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(native(config, tensors).denoise(*inputs), found, rtol=0, atol=1e-3)


@given(calls=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 2)), min_size=1, max_size=8))
@settings(max_examples=10)
def test_result_depends_on_the_inputs_alone(calls: list[tuple[int, int]]) -> None:
    """Bitwise: not on earlier calls, whose observations are remembered, nor on the rest of the batch."""
    config = SMALL
    _, tensors = make(config)
    net = native(config, tensors)
    for batch, seed in calls:
        sample, step, observation = draw(config, batch, seed)
        found = net.denoise(sample, step, observation)
        for i in range(batch):
            one = slice(i, i + 1)
            alone = native(config, tensors).denoise(sample[one], step[one], observation[one])
            np.testing.assert_array_equal(found[one], alone)


def test_threads_may_share_a_network() -> None:
    net = native(SMALL, make(SMALL)[1])
    inputs = [draw(SMALL, 1 + seed % 5, seed) for seed in range(200)]
    expected = [net.denoise(*each) for each in inputs]
    with ThreadPoolExecutor(4) as threads:
        for found, alone in zip(threads.map(lambda each: net.denoise(*each), inputs), expected, strict=True):
            np.testing.assert_array_equal(found, alone)


def test_far_inputs() -> None:
    """The exponential of Mish neither overflows nor loses its tail, and what is not a number stays visible."""
    config = SMALL
    net, tensors = make(config)
    sample, step, observation = draw(config, 3)
    observation = observation * np.array([[1e2], [1e4], [np.nan]], np.float32)
    with torch.inference_mode():
        expected = net.forward_reference(*map(torch.from_numpy, (sample, step, observation))).numpy()
    found = native(config, tensors).denoise(sample, step, observation)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-4, atol=1e-4)
    assert np.isnan(found[2]).any()


@pytest.mark.parametrize(("batch", "known"), [(1, 1), (5, 3), (2, 0), (1, 8), (0, 1)])
def test_all_denoising_steps_in_one_call(rng: np.random.Generator, batch: int, known: int) -> None:
    net = native(SMALL, make(SMALL)[1])
    sampler = Sampler(alphas_cumprod(SMALL.diffusion_steps))
    observation = rng.standard_normal((batch, SMALL.obs_dim), np.float32)
    history = rng.standard_normal((batch, known, SMALL.action_dim), np.float32)
    noise = sampler.noise((batch, SMALL.horizon, SMALL.action_dim), rng)
    found = sampler.sample(net, observation, history, noise)
    np.testing.assert_allclose(found, sampler.step_by_step(net, observation, history, noise), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found[:, :known], history)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("weights", (4, 3)),
        ("observation", (2, 5)),
        ("history", (2, 9, 3)),
        ("history", (2, 3)),
        ("noise", (5, 2, 8, 4)),
    ],
)
def test_sampling_refuses_other_shapes(name: str, shape: tuple[int, ...]) -> None:
    net = native(SMALL, make(SMALL)[1])
    shapes: dict[str, tuple[int, ...]] = {
        "weights": (5, 3),
        "observation": (2, 4),
        "history": (2, 1, 3),
        "noise": (5, 2, 8, 3),
    }
    net.sample(**{key: np.zeros(value, "f4") for key, value in shapes.items()})
    with pytest.raises(PolicyError, match=f"{name} has shape"):
        net.sample(**{key: np.zeros(value, "f4") for key, value in (shapes | {name: shape}).items()})


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (0, np.zeros((2, 8, 5), "f4"), r"sample has shape \[2, 8, 5\], the network expects \[2, 8, 3\]"),
        (0, np.zeros(8, "f4"), r"sample has shape \[8\]"),
        (1, np.zeros(3, np.int64), r"step has shape \[3\], the network expects \[2\]"),
        (2, np.zeros((1, 4), "f4"), r"observation has shape \[1, 4\], the network expects \[2, 4\]"),
        (1, np.array([0, 5]), r"denoising step 5 is not in 0 \.\. 4"),
        (1, np.array([0, -1]), r"denoising step -1 is not in 0 \.\. 4"),
    ],
)
def test_inputs_of_other_shapes(index: int, value: np.ndarray, message: str) -> None:
    config = SMALL
    net = native(config, make(config)[1])
    inputs: list[np.ndarray] = list(draw(config, 2))
    inputs[index] = value
    with pytest.raises(PolicyError, match=message):
        net.denoise(*inputs)


def test_empty_batch_and_strided_inputs() -> None:
    config = SMALL
    net = native(config, make(config)[1])
    assert net.denoise(*draw(config, 0)).shape == (0, 8, 3)
    sample, step, observation = draw(config, 4)
    expected = net.denoise(sample[::2].copy(), step[::2].copy(), observation[::2].copy())
    np.testing.assert_array_equal(net.denoise(sample[::2], step[::2], observation[::2]), expected)
