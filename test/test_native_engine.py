"""The native engine: the shipped policy through it, and artifacts that it has to refuse."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_policy import copy_to

from sobo_planner.errors import PolicyError
from sobo_planner.policy import Artifact, Policy
from sobo_planner.policy.engines.mlp import MLP
from sobo_planner.policy.engines.native import NativeEngine
from sobo_planner.policy.engines.onnx import OnnxEngine


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
        ({"hidden": [8] * 5}, "horizon=8 cannot be halved between 5 levels"),
        ({"horizon": 16}, "the network has horizon=16, the policy T_h=8"),
        ({"diffusion_steps": 4}, "the network has diffusion_steps=4, the policy K=5"),
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


@pytest.mark.filterwarnings("error")
def test_a_diverging_perceptron_gives_numbers_that_are_not_finite_and_no_warning(rng: np.random.Generator) -> None:
    tensors = {
        f"layers.{i}.{name}": rng.standard_normal(shape).astype(np.float32)
        for i, (rows, columns) in enumerate([(16, 3), (10, 16)])
        for name, shape in (("weight", (rows, columns)), ("bias", (rows,)))
    }
    network = MLP(tensors, action_dim=2, obs_dim=3, horizon=6, hidden=[16], diffusion_steps=1)
    history = np.zeros((1, 6, 2), np.float32)
    chunk = network.denoise(history, np.zeros(1, np.int64), np.full((1, 3), 3e38, np.float32))
    assert not np.isfinite(chunk[:, 1:]).all()
