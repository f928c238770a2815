"""The Riccati recursion of double integrators against a dense solution, for every set of instructions at hand."""

import numpy as np
import pytest

from sobo_planner import _native
from sobo_planner.errors import SolverError

KERNELS = [name for name in _native.arm_kernels() if name != "pinocchio"]
JOINTS = (1, 3, 5, 6, 7, 10)
STEPS, H = 6, 0.3


def problem(joints: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int], np.ndarray]:
    """Hessians, weights, rows, their stages and gradient."""
    rng = np.random.default_rng([joints, seed])
    width = 3 * joints
    roots = rng.normal(size=(STEPS + 1, width, width))
    hessians = roots @ roots.transpose(0, 2, 1) + np.eye(width)
    stages = [0, 2, 2, STEPS]
    variables = width * STEPS + 2 * joints
    weights = rng.uniform(0.0, 100.0, variables + len(stages))
    return hessians, weights, rng.normal(size=(len(stages), width)), stages, rng.normal(size=variables)


def dense_minimum(
    hessians: np.ndarray, weights: np.ndarray, rows: np.ndarray, stages: list[int], gradient: np.ndarray
) -> np.ndarray:
    """By the controls alone, of which states are linear functions."""
    width = hessians.shape[1]
    n = width // 3
    step = np.kron([[1.0, H], [0.0, 1.0]], np.eye(n))
    push = np.kron([[0.5 * H * H], [H]], np.eye(n))
    state = np.zeros((2 * n, n * STEPS))
    z = []
    for t in range(STEPS):
        control = np.zeros((n, n * STEPS))
        control[:, n * t : n * (t + 1)] = np.eye(n)
        z += [state, control]
        state = step @ state + push @ control
    of_controls = np.vstack([*z, state])
    hessian = np.diag(weights[: len(gradient)])
    for t, block in enumerate(hessians):
        size = width if t < STEPS else 2 * n
        part = slice(width * t, width * t + size)
        hessian[part, part] += block[:size, :size]
        for row, stage, weight in zip(rows, stages, weights[len(gradient) :], strict=True):
            if stage == t:
                hessian[part, part] += weight * np.outer(row[:size], row[:size])
    reduced = of_controls.T @ hessian @ of_controls
    return of_controls @ -np.linalg.solve(reduced, of_controls.T @ gradient)


def minimum(kernel: str, joints: int, parts: tuple) -> np.ndarray:
    hessians, weights, rows, stages, gradient = parts
    flat = hessians.reshape(len(hessians), -1)
    return _native.integrator_minimum(joints, H, flat, weights, rows, stages, gradient, kernel)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("joints", JOINTS)
def test_the_minimum_is_that_of_a_dense_solution(kernel: str, joints: int) -> None:
    parts = problem(joints)
    expected = dense_minimum(*parts)
    assert np.abs(minimum(kernel, joints, parts) - expected).max() <= 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_is_not_convex_or_no_number_has_no_minimum(kernel: str) -> None:
    for value in (-1e4, np.nan):
        for place in ((3, 17, 17), (STEPS, 0, 0)):
            parts = problem(6)
            parts[0][place] = value
            assert len(minimum(kernel, 6, parts)) == 0, (value, place)


def test_arrays_of_other_sizes_are_refused() -> None:
    hessians, weights, rows, stages, gradient = problem(2)
    with pytest.raises(SolverError, match="other sizes"):
        minimum("", 2, (hessians, weights[1:], rows, stages, gradient))
    with pytest.raises(SolverError, match="no such kernel"):
        minimum("abacus", 2, (hessians, weights, rows, stages, gradient))
