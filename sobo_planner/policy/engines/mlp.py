"""A multilayer perceptron in numpy, behind the interface of the native U-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PolicyError

Floats = NDArray[np.float32]


class MLP:
    """Linear layers with Mish between them; slot 0 of a chunk is known, the others are predicted.

    Args:
        tensors: `layers.N.weight` and `layers.N.bias`.
        action_dim: Channels d_a of a chunk.
        obs_dim: Size d_o of the observation.
        horizon: Slots T_h of a chunk.
        hidden: Units of each hidden layer.
        diffusion_steps: 1.

    Raises:
        PolicyError: A tensor is missing or has another shape.
    """

    def __init__(
        self,
        tensors: Mapping[str, Floats],
        *,
        action_dim: int,
        obs_dim: int,
        horizon: int,
        hidden: Sequence[int],
        diffusion_steps: int,
    ) -> None:
        self._slots, self._action_dim = horizon - 1, action_dim
        widths = [obs_dim, *hidden, self._slots * action_dim]
        self._layers = []
        for i, shape in enumerate(zip(widths[1:], widths[:-1], strict=True)):
            weight, bias = tensors.get(f"layers.{i}.weight"), tensors.get(f"layers.{i}.bias")
            if weight is None or bias is None or weight.shape != shape or bias.shape != shape[:1]:
                found = "missing" if weight is None or bias is None else f"{weight.shape} and {bias.shape}"
                raise PolicyError(f"layers.{i} needs a weight of shape {shape} and a bias; they are {found}")
            self._layers.append((np.ascontiguousarray(weight.T), bias))

    @np.errstate(over="ignore", invalid="ignore")  # where a rollout diverges: its caller sees that it is not finite
    def denoise(self, sample: Floats, step: NDArray[np.int64], observation: Floats) -> Floats:
        """See `PolicyEngine.denoise`."""
        h = observation
        for weight, bias in self._layers[:-1]:
            h = _mish(h @ weight + bias)
        weight, bias = self._layers[-1]
        predicted = (h @ weight + bias).reshape(len(h), self._slots, self._action_dim)
        return np.concatenate([sample[:, :1], predicted], axis=1)

    def sample(
        self, weights: Floats, observation: Floats, history: Floats, noise: Floats, steps: Sequence[int]
    ) -> Floats:
        """See `SamplingEngine.sample`: one prediction, without noise."""
        return self.denoise(history, np.zeros(len(history), np.int64), observation)


def _mish(x: Floats) -> Floats:
    e = np.exp(np.minimum(x, np.float32(20.0)))
    numerator = e * (e + 2)
    return np.where(x > 20.0, x, x * numerator / (numerator + 2))
