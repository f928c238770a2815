"""Affine scaling between physical units and the network's."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PolicyError

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Normaliser:
    """Means and scales of observations, action slots and states.

    Attributes:
        observation_mean: [d_o].
        observation_scale: [d_o], positive.
        action_mean: [d_a], shared by all slots of a chunk.
        action_scale: [d_a], positive.
        state_scale: [ndx], positive; the unit of a state change dx in the first-order loss.
    """

    observation_mean: Array
    observation_scale: Array
    action_mean: Array
    action_scale: Array
    state_scale: Array

    def __post_init__(self) -> None:
        for field in fields(self):
            value = np.array(getattr(self, field.name), np.float64)
            if value.ndim != 1 or not np.isfinite(value).all():
                raise PolicyError(f"normaliser.{field.name} must be a finite vector, got {value}")
            if field.name.endswith("scale") and not (value > 0).all():
                raise PolicyError(f"normaliser.{field.name} must be positive, got {value}")
            object.__setattr__(self, field.name, value)
        for kind in ("observation", "action"):
            mean, scale = getattr(self, f"{kind}_mean"), getattr(self, f"{kind}_scale")
            if mean.shape != scale.shape:
                raise PolicyError(f"normaliser: {kind} mean has {mean.size} entries, scale {scale.size}")

    def observation(self, observation: Array) -> Array:
        """Normalised observation, [..., d_o]."""
        return (observation - self.observation_mean) / self.observation_scale

    def action(self, action: Array) -> Array:
        """Normalised action slots, [..., d_a]."""
        return (action - self.action_mean) / self.action_scale

    def restore_action(self, action: Array) -> Array:
        """Action slots in physical units, [..., d_a]: inverse of `action`."""
        return action * self.action_scale + self.action_mean

    def to_dict(self) -> dict[str, list[float]]:
        """Plain lists, as stored in an artifact."""
        return {field.name: getattr(self, field.name).tolist() for field in fields(self)}

    @classmethod
    def from_dict(cls, data: object) -> Normaliser:
        """Inverse of `to_dict`.

        Raises:
            PolicyError: A vector is missing, unknown, of the wrong kind, or not finite.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or set(data) != names:
            found = sorted(data) if isinstance(data, dict) else type(data).__name__
            raise PolicyError(f"normaliser must hold {sorted(names)}, found {found}")
        try:
            return cls(**{name: np.array(value, np.float64) for name, value in data.items()})
        except (TypeError, ValueError, OverflowError) as error:
            raise PolicyError(f"normaliser holds something other than numbers: {error}") from error
