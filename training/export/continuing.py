"""Training that goes on from a policy artifact, without the checkpoint of the run that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from sobo_planner.errors import ConfigError, PolicyError
from sobo_planner.policy.artifact import WEIGHTS_FILE, Artifact, PolicySpec
from sobo_training.config import METHODS, TrainConfig
from sobo_training.learning.train import TrainResult
from sobo_training.networks.network import describe, network


def load_policy(folder: str | Path, task: Any, method: str | None = None) -> TrainResult:
    """A policy as the beginning of a training: its weights and scaling, and a configuration that fits them.

    Args:
        folder: The artifact.
        task: The task it was made for, and is trained on for.
        method: One of `METHODS`; None for the one that the policy was trained with.

    Returns:
        The network, its scaling, and the task's configuration of training with the sizes of this network.

    Raises:
        PolicyError: Damaged, or made for another task or robot.
        ConfigError: The method trains another kind of network.
    """
    artifact = Artifact.load(folder)
    artifact.check_task(task)
    config = _config(artifact.spec, task, method)
    net = network(task, config)
    if describe(net) != dict(artifact.spec.network):
        raise PolicyError(f"{folder} holds a network that this version does not train: {artifact.spec.network}")
    try:
        net.load_state_dict(load_file(artifact.folder / WEIGHTS_FILE))
    except (RuntimeError, SafetensorError) as error:
        raise PolicyError(f"{folder}: weights and network in config.json do not match: {error}") from error
    return TrainResult(net.eval(), artifact.spec.normaliser, config, dict(artifact.spec.training))


def _config(spec: PolicySpec, task: Any, method: str | None) -> TrainConfig:
    fixed = {
        "network": spec.network["kind"],
        "hidden": tuple(spec.network["hidden"]),
        "action": spec.action,
        "T_h": spec.T_h,
        "T_o": spec.T_o,
        "K": spec.K,
    }
    learned = spec.training.get("config", {})
    loss = learned.get("loss", "sobolev") if isinstance(learned, dict) else "sobolev"
    kinds = {name: str(values.get("network", "unet")) for name, values in METHODS.items()}
    own = {(kinds[name], values["loss"]): name for name, values in METHODS.items()}
    chosen = method or own[str(fixed["network"]), loss]
    if kinds[chosen] != fixed["network"]:
        raise ConfigError(
            f"method {chosen} trains a network of kind {kinds[chosen]}, the policy's is {fixed['network']}"
        )
    return TrainConfig.from_task(task, chosen, **fixed, T_a=spec.T_a)
