"""The engine for networks in general: onnxruntime on one CPU thread."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from sobo_planner.errors import PolicyError
from sobo_planner.policy.artifact import NETWORK_FILE, Artifact

Floats = NDArray[np.float32]


class OnnxEngine:
    """Runs step.onnx with onnxruntime."""

    name = "onnxruntime"

    def __init__(self, artifact: Artifact) -> None:
        options = onnxruntime.SessionOptions()
        # The network is too small for several threads: they would only add overhead, and compete with the
        # solver's.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        path = artifact.folder / NETWORK_FILE
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class below this
            raise PolicyError(f"onnxruntime cannot load {path}: {error}") from error
        found = sorted(node.name for node in self._session.get_inputs())
        if found != ["observation", "sample", "step"]:
            raise PolicyError(f"{path} has inputs {found}, expected observation, sample, step")

    def denoise(self, sample: Floats, step: NDArray[np.int64], observation: Floats) -> Floats:
        """See `PolicyEngine.denoise`."""
        inputs = {"sample": sample, "step": step, "observation": observation}
        return self._session.run(None, inputs)[0]
