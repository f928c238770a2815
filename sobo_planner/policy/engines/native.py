"""The default engine: the U-Net in the native extension (a perceptron in numpy), on one CPU thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sobo_planner import _native
from sobo_planner.errors import PolicyError
from sobo_planner.policy.artifact import WEIGHTS_FILE, Artifact
from sobo_planner.policy.engines.mlp import MLP

Floats = NDArray[np.float32]


class NativeEngine:
    """Runs model.safetensors with `_native.UNet`; a direct policy's perceptron with `mlp.MLP`.

    Several times faster than a general runtime on so small a network; see docs/solver.md.

    Args:
        artifact: Policy to run.
        processor: Kernel of the extension, "avx512", "avx2" or "baseline"; the best for this processor by default.

    Attributes:
        network: The network.
    """

    name = "native"

    def __init__(self, artifact: Artifact, processor: str = "") -> None:
        _check_sizes(artifact)
        path = artifact.folder / WEIGHTS_FILE
        try:
            tensors = load_file(path)
        except (OSError, SafetensorError, KeyError) as error:  # KeyError: a number format that numpy lacks
            raise PolicyError(f"cannot read {path}: {error}") from error
        for name, tensor in tensors.items():
            if tensor.dtype != np.float32:
                raise PolicyError(f"{path}: tensor {name} is {tensor.dtype}, expected float32")
        try:
            self.network = build_network(artifact.spec.network, tensors, processor)
        except TypeError as error:
            raise PolicyError(f"{artifact.folder}: the network in config.json is not understood: {error}") from error
        except PolicyError as error:
            raise PolicyError(f"{artifact.folder}: weights and network in config.json do not match: {error}") from error

    @property
    def processor(self) -> str:
        """Kernel in use, "avx512", "avx2", "baseline" or "numpy"."""
        return getattr(self.network, "processor", "numpy")

    def denoise(self, sample: Floats, step: NDArray[np.int64], observation: Floats) -> Floats:
        """See `PolicyEngine.denoise`.

        What depends on the observation alone is computed again only when it changes from one call to the next.
        """
        return self.network.denoise(sample, step, observation)

    def sample(
        self, weights: Floats, observation: Floats, history: Floats, noise: Floats, steps: Sequence[int]
    ) -> Floats:
        """See `SamplingEngine.sample`."""
        return self.network.sample(weights, observation, history, noise, steps)


def build_network(description: Mapping[str, Any], tensors: Mapping[str, Floats], processor: str = "") -> Any:
    """The network that a policy's `network` field describes, with `denoise` and `sample` as engines have them.

    Raises:
        PolicyError: Unknown kind, or weights of other sizes.
    """
    sizes = dict(description)
    kind = sizes.pop("kind", None)
    if kind == "unet":
        return _native.UNet(tensors, **sizes, processor=processor)
    if kind == "mlp":
        return MLP(tensors, **sizes)
    raise PolicyError(f"unknown kind of network {kind!r}; known: unet, mlp")


def _check_sizes(artifact: Artifact) -> None:
    spec = artifact.spec
    sizes = {
        "action_dim": "action_dim",
        "obs_dim": "observation_dim",
        "horizon": "T_h",
        "diffusion_steps": "K",
    }
    for name, field in sizes.items():
        found, size = spec.network.get(name), getattr(spec, field)
        if found != size:
            raise PolicyError(f"{artifact.folder}: the network has {name}={found!r:.80}, the policy {field}={size}")
