"""Sensitivity of a closed-loop trajectory to its start, chained from the solver's gains.

With feedback u = u* + K (x - x*), one step of the loop is dx_{t+1} = (A_t + B_t K_t) dx_t (eq. 2 of
arXiv:2604.19011). Chaining steps multiplies later factors on the left; eq. (7) of the paper prints the
product in the opposite order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import DatasetError

Array = NDArray[np.floating]


def closed_loop(A: Array, B: Array, K: Array) -> Array:
    """One-step closed-loop transition A + B K.

    Args:
        A: [..., T, ndx, ndx], derivative of the dynamics in the state.
        B: [..., T, ndx, nu], derivative in the control.
        K: [..., T, nu, ndx], feedback gains du/dx.

    Returns:
        [..., T, ndx, ndx].

    Raises:
        DatasetError: The shapes do not fit together.
    """
    ndx, nu = B.shape[-2:]
    if A.shape != (*B.shape[:-2], ndx, ndx) or K.shape != (*B.shape[:-2], nu, ndx):
        raise DatasetError(f"A {A.shape}, B {B.shape} and K {K.shape} do not describe one closed loop")
    return A + B @ K


def chunk_transitions(A_cl: Array, length: int, dtype: type = np.float64) -> Array:
    """Transitions Phi_h = d x_{t+h} / d x_t inside every whole chunk of every trajectory.

    Phi_0 = I and Phi_{h+1} = A_cl[t + h] Phi_h. The products run in the precision of `A_cl`.

    Args:
        A_cl: [n, T, ndx, ndx], closed-loop transitions (`closed_loop`).
        length: Slots T_h of a chunk, at most T + 1.
        dtype: Element type of the result.

    Returns:
        [n, T + 2 - length, length, ndx, ndx]; the second axis is the chunk's start t = 0 .. T + 1 - length.

    Raises:
        DatasetError: No whole chunk fits into the trajectories.
    """
    trajectories, horizon, ndx, _ = A_cl.shape
    starts = horizon + 2 - length
    if length < 1 or starts < 1:
        raise DatasetError(f"chunks of {length} slots do not fit into trajectories of {horizon + 1} states")
    result = np.empty((trajectories, starts, length, ndx, ndx), dtype)
    phi = np.broadcast_to(np.eye(ndx, dtype=A_cl.dtype), (trajectories, starts, ndx, ndx))
    for h in range(length):
        if h:
            phi = A_cl[:, h - 1 : h - 1 + starts] @ phi
        result[:, :, h] = phi
    return result
