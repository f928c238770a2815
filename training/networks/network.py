"""The networks that can be trained, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from sobo_planner.errors import PolicyError
from sobo_training.config import TrainConfig
from sobo_training.networks.mlp import MLP, MLPConfig
from sobo_training.networks.unet import UNet, UNetConfig

Network = UNet | MLP
KINDS: dict[str, tuple[Any, Any]] = {"unet": (UNetConfig, UNet), "mlp": (MLPConfig, MLP)}


def network(task: Any, config: TrainConfig) -> Network:
    """Freshly initialised network for a task; the weights depend on `config.seed` alone."""
    sizes, make = KINDS[config.network]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return make(
            sizes(
                action_dim=task.actions(config.action).dim,
                obs_dim=task.obs_dim,
                horizon=config.T_h,
                hidden=config.hidden,
                diffusion_steps=config.K,
            )
        )


def describe(net: Network) -> dict[str, Any]:
    """Kind and sizes, as artifacts store them; `rebuild` is the inverse."""
    kind = next(name for name, (_, make) in KINDS.items() if isinstance(net, make))
    return {"kind": kind} | asdict(net.config) | {"hidden": list(net.config.hidden)}


def rebuild(description: Mapping[str, Any]) -> Network:
    """A network of the described sizes, with random weights.

    Raises:
        PolicyError: The description is not understood.
    """
    sizes = dict(description)
    try:
        config, make = KINDS[sizes.pop("kind")]
        return make(config(**(sizes | {"hidden": tuple(sizes["hidden"])})))
    except (KeyError, TypeError) as error:
        raise PolicyError(f"the network in config.json is not understood: {error!r}") from error
