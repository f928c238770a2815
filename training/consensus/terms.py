"""The augmented Lagrangian of arXiv:2209.09006 as quadratic terms a stage, and the updates between its steps.

The residuals are in units of typical sizes: r = (u - pi(x)) / size of the controls, s = (1x - 2x) / size of the states.
The term of a stage is mu/2 |r + lambda/mu|^2, with copies of the states (multiple shooting) also
mu/2 |s + gamma/mu|^2; beside L_A of eq. (13) and (15) this lacks constants in lambda and gamma alone,
which keeps it at or above zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.solver import StageTerms

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ranges:
    """Units of the residuals.

    Attributes:
        control: Typical size of each control, (nu,).
        state: Typical size of each state, (nx,).
    """

    control: Array
    state: Array


def policy_terms(mu: float, ranges: Ranges, X: Array, U: Array, P: Array, duals: Array) -> StageTerms:
    """The terms of a stage for a policy that is linear about a trajectory (PLAL).

    Args:
        mu: Weight.
        ranges: Units.
        X: States where the policy was linearised, (T, nx).
        U: Its controls there, (T, nu).
        P: Its derivative there, (T, nu, nx).
        duals: lambda, (T, nu).
    """
    scale = 1.0 / ranges.control
    steps, nu, _ = P.shape
    M = np.concatenate([-P, np.broadcast_to(np.eye(nu), (steps, nu, nu))], axis=2) * scale[:, None]
    offset = (np.einsum("tij,tj->ti", P, X) - U) * scale
    return _squares(mu, M, offset + duals / mu)


def copy_terms(mu: float, ranges: Ranges, Z: Array, U: Array, duals: Array, copy_duals: Array) -> StageTerms:
    """The terms of a stage for a policy at copies of the states (multiple shooting).

    Args:
        mu: Weight.
        ranges: Units.
        Z: The copies 2x, (T, nx).
        U: The policy's controls there, (T, nu).
        duals: lambda, (T, nu).
        copy_duals: gamma, (T, nx).
    """
    scale = 1.0 / np.concatenate([ranges.state, ranges.control])
    offset = -np.hstack([Z, U]) * scale + np.hstack([copy_duals, duals]) / mu
    return _squares(mu, np.broadcast_to(np.diag(scale), (len(Z), len(scale), len(scale))), offset)


def _squares(mu: float, M: Array, offset: Array) -> StageTerms:
    """mu/2 |M z + offset|^2 of each stage, M (T, m, n) and offset (T, m)."""
    transposed = np.swapaxes(M, 1, 2)
    return StageTerms(
        H=mu * transposed @ M,
        g=mu * np.einsum("tij,tj->ti", transposed, offset),
        c=0.5 * mu * (offset**2).sum(axis=1),
    )


def copy_step(
    mu: float, ranges: Ranges, Z: Array, pi: Array, P: Array, X: Array, U: Array, duals: Array, copy_duals: Array
) -> Array:
    """One Gauss-Newton step of the copies 2x for a given policy and given trajectories.

    Args:
        mu: Weight.
        ranges: Units.
        Z: Copies, (n, nx).
        pi: The policy's controls there, (n, nu).
        P: Its derivative there, (n, nu, nx).
        X: States 1x, (n, nx).
        U: Controls, (n, nu).
        duals: lambda, (n, nu).
        copy_duals: gamma, (n, nx).

    Returns:
        The copies after the step.
    """
    P = P * ranges.state / ranges.control[:, None]
    r, s = (U - pi) / ranges.control + duals / mu, (X - Z) / ranges.state + copy_duals / mu
    transposed = np.swapaxes(P, 1, 2)
    right = np.einsum("nij,nj->ni", transposed, r) + s
    step = np.linalg.solve(transposed @ P + np.eye(P.shape[2]), right[:, :, None])[:, :, 0]
    out: Array = Z + step * ranges.state
    return out
