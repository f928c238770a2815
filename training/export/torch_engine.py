"""Reference engine: the network in torch, rebuilt from the artifact's weights."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from sobo_planner.errors import PolicyError
from sobo_planner.policy.artifact import WEIGHTS_FILE, Artifact
from sobo_training.networks.network import rebuild

Floats = NDArray[np.float32]


class TorchEngine:
    """Slow; the reference with which other engines are compared."""

    name = "torch"

    def __init__(self, artifact: Artifact) -> None:
        spec = artifact.spec
        try:
            self.net = rebuild(spec.network)
            self.net.load_state_dict(load_file(artifact.folder / WEIGHTS_FILE))
        except RuntimeError as error:
            raise PolicyError(f"{artifact.folder}: weights and network in config.json do not match: {error}") from error
        self.net.eval()

    @torch.inference_mode()
    def denoise(self, sample: Floats, step: NDArray[np.int64], observation: Floats) -> Floats:
        """See `PolicyEngine.denoise`."""
        inputs = (torch.from_numpy(np.ascontiguousarray(a)) for a in (sample, step, observation))
        return self.net.forward_reference(*inputs).numpy()
