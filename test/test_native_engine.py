"""The native network beside torch, on shapes that fill the vector registers and on shapes that do not."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from toy_policy import copy_to

from sobo_planner import _native
from sobo_planner.errors import PolicyError
from sobo_planner.policy import Artifact, Policy
from sobo_planner.policy.native_engine import NativeEngine
from sobo_planner.policy.onnx_engine import OnnxEngine
from sobo_training.unet import UNet, UNetConfig

Inputs = tuple[np.ndarray, np.ndarray, np.ndarray]
SMALL = UNetConfig(action_dim=3, obs_dim=4, horizon=8, hidden=(8, 16), cond_dim=16, step_dim=8)


@functools.cache
def processors() -> tuple[str, ...]:
    """Kernels that run here, the default first."""
    best = native(SMALL, make(SMALL)[1]).processor
    return tuple(dict.fromkeys((best, "baseline")))


def make(config: UNetConfig, seed: int = 0) -> tuple[UNet, dict[str, np.ndarray]]:
    """A network with random weights, norms and biases included, and its tensors."""
    torch.manual_seed(seed)
    net = UNet(config)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn_like(p)
    return net.eval(), {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def native(config: UNetConfig, tensors: dict[str, np.ndarray], processor: str = "") -> _native.UNet:
    return _native.UNet(tensors, **dataclasses.asdict(config), processor=processor)


def draw(config: UNetConfig, batch: int, seed: int = 0) -> Inputs:
    """Sample, denoising step and observation."""
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((batch, config.horizon, config.action_dim), np.float32),
        rng.integers(0, config.diffusion_steps, batch),
        rng.standard_normal((batch, config.obs_dim), np.float32),
    )


def assert_equals_torch(config: UNetConfig, batch: int, seed: int = 0) -> None:
    net, tensors = make(config, seed)
    inputs = draw(config, batch, seed)
    # In double precision, so that the difference is that of the native network alone.
    sample, step, observation = (torch.from_numpy(value) for value in inputs)
    with torch.inference_mode():
        expected = net.double().forward_reference(sample.double(), step, observation.double()).numpy()
    scale = max(1.0, np.abs(expected).max())
    for processor in processors():
        found = native(config, tensors, processor).denoise(*inputs)
        assert found.shape == expected.shape and found.dtype == np.float32
        np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-5, err_msg=processor)


@pytest.mark.parametrize("batch", [1, 2, 4, 9])
def test_shipped_size_equals_torch(batch: int) -> None:
    assert_equals_torch(UNetConfig(action_dim=12, obs_dim=30), batch)


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
def test_any_size_equals_torch(config: UNetConfig, batch: int, seed: int) -> None:
    assert_equals_torch(config, batch, seed)


def test_kernels_agree() -> None:
    if len(processors()) == 1:
        pytest.skip("this processor has no other kernel")
    config = UNetConfig(action_dim=12, obs_dim=30)
    _, tensors = make(config)
    inputs = draw(config, 5)
    wide, narrow = (native(config, tensors, processor).denoise(*inputs) for processor in processors())
    np.testing.assert_allclose(wide, narrow, rtol=0, atol=1e-5)
    assert not np.array_equal(wide, narrow)  # or they would be the same code


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


def test_shipped_policy_gives_the_same_chunks_as_onnxruntime(policy: Policy, rng: np.random.Generator) -> None:
    spec = policy.artifact.spec
    assert policy.engine.name == "native"
    observation = rng.standard_normal((8, spec.observation_dim), np.float32)
    history = rng.standard_normal((8, spec.T_o, spec.action_dim), np.float32)
    noise = policy.sampler.noise((8, spec.T_h, spec.action_dim), rng)
    engines = (NativeEngine(policy.artifact), OnnxEngine(policy.artifact))
    mine, theirs = (policy.sampler.sample(engine, observation, history, noise) for engine in engines)
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-3)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return Artifact.load(copy_to(tmp_path))


def edit_weights(artifact: Artifact, **changes: torch.Tensor | None) -> None:
    """Replaces tensors by name (with __ for .), or removes them."""
    path = artifact.folder / "model.safetensors"
    tensors = load_file(path) | {name.replace("__", "."): tensor for name, tensor in changes.items()}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"final_conv__bias": None}, "tensor final_conv.bias is missing"),
        ({"film__bias": torch.zeros(3)}, r"tensor film.bias has shape \[3\], expected \[\d+\]"),
        ({"extra__weight": torch.zeros(2)}, "tensor extra.weight is not part of the network"),
        ({"film__bias": torch.zeros(3, dtype=torch.float64)}, "tensor film.bias is float64, expected float32"),
        ({"film__bias": torch.zeros(3, dtype=torch.bfloat16)}, "bfloat16"),
    ],
)
def test_weights_that_do_not_fit_are_named(artifact: Artifact, changes: dict, message: str) -> None:
    edit_weights(artifact, **changes)
    with pytest.raises(PolicyError, match=message):
        NativeEngine(artifact)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": [16, 24, 32]}, "tensor down_blocks.1.0.first.conv.weight has shape"),
        ({"hidden": []}, "two or more"),
        ({"hidden": [20, 24]}, "20 is no multiple of groups=8"),
        ({"horizon": 7}, "horizon=7 cannot be halved between 2 levels"),
        ({"kernel": 4}, "kernel must be odd"),
        ({"groups": 0}, r"groups is 0, not in 1 \.\. 65536"),
        ({"cond_dim": 2**40}, "not understood"),
        ({"hidden": "wide"}, "not understood"),
        ({"colour": 1}, "not understood"),
    ],
)
def test_sizes_that_make_no_network(artifact: Artifact, changes: dict, message: str) -> None:
    spec = dataclasses.replace(artifact.spec, network=dict(artifact.spec.network) | changes)
    with pytest.raises(PolicyError, match=message):
        NativeEngine(Artifact(artifact.folder, spec))


def test_weights_that_cannot_be_read(artifact: Artifact) -> None:
    (artifact.folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(PolicyError, match=r"cannot read .*model\.safetensors"):
        NativeEngine(artifact)
    (artifact.folder / "model.safetensors").unlink()
    with pytest.raises(PolicyError, match=r"cannot read .*model\.safetensors"):
        NativeEngine(artifact)


def test_unknown_kernel(artifact: Artifact) -> None:
    with pytest.raises(PolicyError, match="no kernel 'abacus'"):
        NativeEngine(artifact, "abacus")


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
