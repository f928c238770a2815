"""From a trained network to a policy artifact, with a parity check of every engine."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from sobo_planner.errors import PolicyError
from sobo_planner.policy.artifact import (
    CONFIG_FILE,
    NETWORK_FILE,
    SETTINGS,
    WEIGHTS_FILE,
    Artifact,
    PolicySpec,
    file_hash,
)
from sobo_planner.policy.engines.base import PolicyEngine, engine_class
from sobo_planner.policy.engines.native import build_network
from sobo_planner.policy.normaliser import Normaliser
from sobo_planner.policy.policy import DEFAULT_ENGINES, Policy
from sobo_planner.tasks.settings import settings_of
from sobo_training.config import TrainConfig
from sobo_training.export.placing import FILES, check_place, place
from sobo_training.export.torch_engine import TorchEngine
from sobo_training.learning.diffusion import alphas_cumprod
from sobo_training.learning.train import TrainResult
from sobo_training.learning.trainer import CHECKPOINT, read_checkpoint
from sobo_training.networks.network import Network, describe, network

logger = logging.getLogger(__name__)

OPSET = 18
PARITY_TOLERANCE = 1e-3
"""Largest difference between an engine and torch, in normalised units (outputs spread over about 1)."""


class _Step(nn.Module):
    """The network with the denoising-step encoder folded into a table."""

    table: Tensor

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("table", net.step_table().detach())

    def forward(self, sample: Tensor, step: Tensor, observation: Tensor) -> Tensor:
        return self.net.forward_reference(sample, step, observation, self.table)


def write_onnx(net: Network, path: Path) -> None:
    """Write one network call as ONNX, with a dynamic batch.

    Args:
        net: Network in eval mode.
        path: File to write.
    """
    c = net.config
    # A batch of one would be taken for a constant; any other number serves.
    sample, observation = torch.randn(2, c.horizon, c.action_dim), torch.randn(2, c.obs_dim)
    inputs = sample, torch.tensor([0, c.diffusion_steps - 1]), observation
    batch = torch.export.Dim("batch", min=1, max=4096)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it lists operators of packages that are not here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        torch.onnx.export(
            _Step(net).eval(),
            inputs,
            str(path),
            dynamo=True,
            verbose=False,
            external_data=False,
            opset_version=OPSET,
            input_names=["sample", "step", "observation"],
            output_names=["prediction"],
            dynamic_shapes=({0: batch}, {0: batch}, {0: batch}),
        )


def check_parity(engine: PolicyEngine, artifact: Artifact, batches: Sequence[int] = (1, 2, 16), seed: int = 0) -> float:
    """Compare an engine with torch on random inputs, over all denoising steps.

    Returns:
        The largest absolute difference, in normalised units.

    Raises:
        PolicyError: Larger than `PARITY_TOLERANCE`, or not finite.
    """
    reference, spec = TorchEngine(artifact), artifact.spec
    rng = np.random.default_rng(seed)
    worst = 0.0
    for size in batches:
        for k in range(spec.K):
            sample = rng.standard_normal((size, spec.T_h, spec.action_dim), np.float32)
            observation = rng.standard_normal((size, spec.observation_dim), np.float32)
            step = np.full(size, k, np.int64)
            inputs = (sample, step, observation)
            worst = max(worst, float(np.abs(engine.denoise(*inputs) - reference.denoise(*inputs)).max()))
            if not worst <= PARITY_TOLERANCE:  # also true for NaN
                bound = f"tolerance {PARITY_TOLERANCE}"
                raise PolicyError(f"engine {engine.name} differs from torch by {worst:.2e} ({bound})")
    return worst


def export(result: TrainResult, task: Any, folder: str | Path, engines: Sequence[str] = DEFAULT_ENGINES) -> Artifact:
    """Write a policy artifact; the folder appears only if every engine agrees with torch.

    Args:
        result: Outcome of `train.train`, or of `load_run`.
        task: The task it was trained for.
        folder: New, empty, or that of an older artifact, whose files are replaced.
        engines: Engines to check.

    Raises:
        PolicyError: The folder holds something else, an engine disagrees or does not run, or the disk refused; nothing
            is changed then.
    """
    folder = Path(folder)
    check_place(folder)
    try:
        files = _checked_files(result, task, engines)
    except (OSError, SafetensorError) as error:
        raise PolicyError(f"cannot write the policy {folder}: {error}") from error
    place(files, folder)
    return Artifact.load(folder)


def _checked_files(result: TrainResult, task: Any, engines: Sequence[str]) -> dict[str, bytes]:
    """The artifact's files, made and checked in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="sobo-policy-") as name:
        folder = Path(name)
        net = result.net.eval()
        save_file(net.state_dict(), folder / WEIGHTS_FILE)
        write_onnx(net, folder / NETWORK_FILE)
        spec = _spec(result, task, {f: file_hash(folder / f) for f in (WEIGHTS_FILE, NETWORK_FILE)})
        (folder / CONFIG_FILE).write_text(spec.to_json(), encoding="utf-8")
        artifact = Artifact.load(folder)
        artifact.check_task(task)
        for engine in engines:
            difference = check_parity(engine_class(engine)(artifact), artifact)
            logger.info("engine %s agrees with torch to %.1e", engine, difference)
        return {each: (folder / each).read_bytes() for each in FILES}


def live_policy(result: TrainResult, task: Any) -> Policy:
    """The policy of a training run in memory, for evaluations that keep no artifact."""
    spec = _spec(result, task, {})
    return Policy(Artifact(Path(), spec), _LiveEngine(result.net, spec), task)


class _LiveEngine:
    """The native engine's network, from weights in memory."""

    name = "native"

    def __init__(self, net: Network, spec: PolicySpec) -> None:
        tensors = {name: value.detach().numpy() for name, value in net.state_dict().items()}
        network = build_network(spec.network, tensors)
        self.denoise, self.sample = network.denoise, network.sample


def _spec(result: TrainResult, task: Any, files: dict[str, str]) -> PolicySpec:
    config = result.config
    return PolicySpec(
        task=task.name,
        task_hash=task.policy_hash,
        robot_hash=task.robot_hash,
        action=config.action,
        action_dim=task.actions(config.action).dim,
        observation_dim=task.obs_dim,
        state_dim=task.ndx,
        T_h=config.T_h,
        T_o=config.T_o,
        T_a=config.T_a,
        K=config.K,
        alphas_cumprod=tuple(alphas_cumprod(config.K)),
        normaliser=result.normaliser,
        network=describe(result.net),
        files=files,
        training=result.summary | {"config": config.to_dict(), SETTINGS: settings_of(task)},
        world=getattr(task, "cell", None),
    )


def load_run(run: str | Path, task: Any) -> TrainResult:
    """Averaged network of a training run, from its last checkpoint.

    Raises:
        PolicyError: No checkpoint, a damaged one, or one whose network does not fit the task.
    """
    path = Path(run) / CHECKPOINT
    state = read_checkpoint(path)
    config = TrainConfig(**state["config"])
    net = network(task, config)
    try:
        net.load_state_dict(state["average"])
    except RuntimeError as error:
        raise PolicyError(f"{path} does not fit task {task.name}: {error}") from error
    return TrainResult(net.eval(), Normaliser.from_dict(state["normaliser"]), config, state["summary"])
