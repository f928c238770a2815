"""What a policy predicts: chunks of future states, or of controls.

Slot h of a chunk that starts at step t, T_o = 1:

    state       x_{t+h}, some entries relative to x_t; slot 0 is the present state. Inverse dynamics tracks it.
    control     u_{t+h-1}; slot 0 is the previous control. It is applied directly.

Chunks may start at every step of a trajectory: after its end states are held at rest, and the last control is kept.
These slots are never executed, but without them the end of the horizon would not be learned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Executes desired states or controls (n, .) from a state: states (n+1, nx) and controls (n, nu).
Follow = Callable[[Array, Array], tuple[Array, Array]]


class Actions(ABC):
    """Translates between trajectories and chunks.

    Attributes:
        kind: `state` or `control`.
        dim: Size of an action d_a.
        groups: Entries of like unit, which share a normalisation floor.
    """

    kind: str
    dim: int
    groups: tuple[slice, ...]

    @abstractmethod
    def encode(self, X: Array, U: Array, length: int) -> Array:
        """Chunks (T, length, dim) from every step of a trajectory X (T+1, nx), U (T, nu)."""

    @abstractmethod
    def prolong(self, closed_loop: Array, K: Array, extra: int) -> tuple[Array, Array]:
        """Transitions A + B K (T, ndx, ndx) and gains (T, nu, ndx), with `extra` steps after the end."""

    @abstractmethod
    def jacobian(self, Phi: Array, K: Array) -> Array:
        """d chunk / d (first state), (T_h, dim, ndx).

        Args:
            Phi: d x[h] / d x[0] in the chunk, (T_h, ndx, ndx).
            K: Gains du/dx of its steps, (T_h - 1, nu, ndx).
        """

    @abstractmethod
    def history(self, x: Array, u: Array) -> Array:
        """The known slot 0 of a chunk that starts at x (nx,), after the control u (nu,), shape (1, dim)."""

    @abstractmethod
    def follow(self, x: Array, actions: Array) -> tuple[Array, Array]:
        """Executes actions (n, dim) of a chunk that starts at x (nx,): states (n+1, nx), controls (n, nu)."""


class StateActions(Actions):
    """Chunks of states in a vector space (nx = ndx).

    Args:
        relative: The first so many entries are relative to the chunk's first state.
        hold: State kept after the end of a trajectory, as a matrix: hold @ x, (nx, nx).
        groups: Entries of like unit.
        follow: Executes desired states.
        stretch: How many times slower the states of `history` and `follow` are than those of the chunks; velocities
            are all entries but the relative ones.
    """

    kind = "state"

    def __init__(
        self, relative: int, hold: Array, groups: Sequence[slice], follow: Follow, stretch: float = 1.0
    ) -> None:
        self.dim = len(hold)
        self.groups = tuple(groups)
        self._relative, self._hold, self._follow = relative, hold, follow
        self._rates = np.where(np.arange(self.dim) < relative, 1.0, stretch)

    def encode(self, X: Array, U: Array, length: int) -> Array:
        """Chunks (T, length, dim) from every step of a trajectory X (T+1, nx); U is not needed."""
        T = len(X) - 1
        held = np.concatenate([X, np.tile(self._hold @ X[-1], (length - 2, 1))]) if length > 2 else X
        return np.stack([self._encode_one(held[t : t + length]) for t in range(T)])

    def _encode_one(self, states: Array) -> Array:
        r = self._relative
        return np.hstack([states[:, :r] - states[0, :r], states[:, r:]])

    def prolong(self, closed_loop: Array, K: Array, extra: int) -> tuple[Array, Array]:
        """Transitions, those of holding after the end; the gains there are not used."""
        hold = np.repeat(self._hold[None], extra, axis=0)
        return np.concatenate([closed_loop, hold]), np.concatenate([K, np.repeat(K[-1:], extra, axis=0)])

    def jacobian(self, Phi: Array, K: Array) -> Array:
        """Phi, less the movement of the chunk's origin; shape of Phi."""
        out = np.array(Phi)
        r = self._relative
        out[:, :r, :r] -= np.eye(r)
        return out

    def history(self, x: Array, u: Array) -> Array:
        """The present state, (1, dim)."""
        return self._encode_one((self._rates * x)[None])

    def decode(self, x: Array, actions: Array) -> Array:
        """Desired states (..., nx) that actions (..., dim) of a chunk starting at x (nx,) stand for."""
        out = np.asarray(actions, float) / self._rates
        out[..., : self._relative] += x[: self._relative]
        return out

    def follow(self, x: Array, actions: Array) -> tuple[Array, Array]:
        """Follows the states by inverse dynamics within the limits."""
        return self._follow(x, self.decode(x, actions))


class ControlActions(Actions):
    """Chunks of controls.

    Args:
        lower: Smallest controls, (nu,); what is executed is clipped to the bounds.
        upper: Largest controls, (nu,).
        simulate: Rolls controls (n, nu) out from a state: states (n+1, nx).
    """

    kind = "control"

    def __init__(self, lower: Array, upper: Array, simulate: Callable[[Array, Array], Array]) -> None:
        self.dim = len(lower)
        self.groups = (slice(0, self.dim),)
        self._lower, self._upper, self._simulate = lower, upper, simulate

    def encode(self, X: Array, U: Array, length: int) -> Array:
        """Chunks (T, length, dim) from every step of a trajectory with controls U (T, nu); X is not needed."""
        T = len(U)
        kept = np.concatenate([np.zeros((1, self.dim)), U, np.repeat(U[-1:], length, axis=0)])
        return np.stack([kept[t : t + length] for t in range(T)])

    def prolong(self, closed_loop: Array, K: Array, extra: int) -> tuple[Array, Array]:
        """Transitions and gains that keep the last control, so that it depends on the chunk's start as at the end."""
        kept = np.repeat(np.eye(closed_loop.shape[-1])[None], extra + 1, axis=0)
        return np.concatenate([closed_loop[:-1], kept]), np.concatenate([K, np.repeat(K[-1:], extra, axis=0)])

    def jacobian(self, Phi: Array, K: Array) -> Array:
        """Slot h holds u_{h-1} = u* + K_{h-1} (x_{h-1} - x*): K[h-1] Phi[h-1]; slot 0 is past, and fixed."""
        return np.concatenate([np.zeros((1, *K.shape[1:])), K @ Phi[:-1]])

    def history(self, x: Array, u: Array) -> Array:
        """The control before, (1, dim)."""
        return np.asarray(u, float)[None]

    def follow(self, x: Array, actions: Array) -> tuple[Array, Array]:
        """Applies the controls within their bounds."""
        U = np.clip(actions, self._lower, self._upper)
        return self._simulate(x, U), U
