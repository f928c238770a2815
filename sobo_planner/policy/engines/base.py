"""The interface behind which the network runs, and the choice among engines."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PolicyError
from sobo_planner.policy.artifact import Artifact

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

ENGINES = {
    "native": "sobo_planner.policy.engines.native:NativeEngine",
    "onnxruntime": "sobo_planner.policy.engines.onnx:OnnxEngine",
    "tensorrt": "sobo_planner.policy.engines.tensorrt:TensorRTEngine",
    "torch": "sobo_training.export.torch_engine:TorchEngine",
}
"""Name of each engine and where its class is; imported only when asked for."""

_reported: set[str] = set()


class PolicyEngine(Protocol):
    """One evaluation of the network, in normalised units.

    An engine is built from a checked artifact, owns its session, and is used by one thread at a time.
    """

    name: str

    def __init__(self, artifact: Artifact) -> None: ...

    def denoise(self, sample: Floats, step: NDArray[np.int64], observation: Floats) -> Floats:
        """Predict the clean chunk from a noised one.

        Args:
            sample: tau_k, [B, T_h, d_a].
            step: Denoising step counted from 0 (least noisy), [B].
            observation: [B, d_o].

        Returns:
            [B, T_h, d_a].
        """
        ...


class SamplingEngine(PolicyEngine, Protocol):
    """An engine that runs all denoising steps in one call."""

    def sample(
        self, weights: Floats, observation: Floats, history: Floats, noise: Floats, steps: Sequence[int]
    ) -> Floats:
        """Draw chunks, as `Sampler.step_by_step` does.

        Args:
            weights: Of prediction, chunk and fresh noise in each denoising step that is taken, [S, 3].
            observation: [B, d_o].
            history: Known leading slots, [B, T_o, d_a].
            noise: [S, B, T_h, d_a].
            steps: Those denoising steps, least noisy first.

        Returns:
            [B, T_h, d_a].
        """
        ...


def engine_class(name: str) -> type[PolicyEngine]:
    """Class of an engine.

    Raises:
        PolicyError: Unknown name, or a package it needs is not installed.
    """
    if name not in ENGINES:
        raise PolicyError(f"unknown engine {name!r}; known: {', '.join(ENGINES)}")
    module, attribute = ENGINES[name].split(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise PolicyError(f"engine {name!r} needs a package that is not installed: {error}") from error


def select_engine(artifact: Artifact, names: Sequence[str]) -> PolicyEngine:
    """First engine of the list that works here; the reason against each one before it is logged once.

    Args:
        artifact: Policy to run.
        names: Engine names, best first.

    Raises:
        PolicyError: None works; the message holds every reason.
    """
    reasons = []
    for name in names:
        try:
            return _start(name, artifact)
        except PolicyError as error:
            reason = f"{name}: {error}"
            reasons.append(reason)
            if reason not in _reported:
                _reported.add(reason)
                logger.warning("policy engine not available, trying the next: %s", reason)
    why = "; ".join(reasons) or "none was named"
    raise PolicyError(f"no policy engine works for {artifact.folder}: {why}")


def _start(name: str, artifact: Artifact) -> PolicyEngine:
    make = engine_class(name)
    try:
        engine = make(artifact)
    except PolicyError:
        raise
    except Exception as error:  # each engine has its own exception types
        raise PolicyError(f"does not start: {type(error).__name__}: {error}") from error
    probe(engine, artifact)
    return engine


def probe(engine: PolicyEngine, artifact: Artifact) -> None:
    """Run one batch of one, so that a network that does not fit is found at load time.

    Raises:
        PolicyError: The network fails, or returns another shape or something not finite.
    """
    spec = artifact.spec
    shape = (1, spec.T_h, spec.action_dim)
    sample, observation = np.zeros(shape, np.float32), np.zeros((1, spec.observation_dim), np.float32)
    try:
        result = engine.denoise(sample, np.zeros(1, np.int64), observation)
    except PolicyError:
        raise
    except Exception as error:  # each engine has its own exception types
        raise PolicyError(f"{artifact.folder}: the network does not run: {error}") from error
    if result.shape != shape:
        raise PolicyError(f"{artifact.folder}: the network returns {result.shape}, config.json says {shape}")
    if not np.isfinite(result).all():
        raise PolicyError(f"{artifact.folder}: the network returns values that are not finite")


def find_artifact_file(artifact: Artifact, name: str) -> Path:
    """Path of a file of the artifact.

    Raises:
        PolicyError: It is not there.
    """
    path = artifact.folder / name
    if not path.is_file():
        raise PolicyError(f"{path} is missing")
    return path
