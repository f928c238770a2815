"""Riccati recursions against dense solutions, for every set of instructions at hand."""

import numpy as np
import pytest

from sobo_planner import _native
from sobo_planner.errors import SolverError

KERNELS = [name for name in _native.arm_kernels() if name != "pinocchio"]
JOINTS = (1, 3, 5, 6, 7, 10)
STEPS, H = 6, 0.3


def problem(nx: int, nu: int, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int], np.ndarray]:
    """Hessians, weights, rows, their stages and gradient."""
    rng = np.random.default_rng([nx, nu, 0])
    width = nx + nu
    roots = rng.normal(size=(steps + 1, width, width))
    hessians = roots @ roots.transpose(0, 2, 1) + np.eye(width)
    stages = [0, 2, 2, steps]
    variables = width * steps + nx
    weights = rng.uniform(0.0, 100.0, variables + len(stages))
    return hessians, weights, rng.normal(size=(len(stages), width)), stages, rng.normal(size=variables)


def integrator(joints: int, moved: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    unit = np.eye(joints)
    return np.kron([[1.0, H], [0.0, 1.0]], unit), np.kron([[moved * H * H], [H]], unit)


def dense_minimum(
    dynamics: tuple[np.ndarray, np.ndarray],
    hessians: np.ndarray,
    weights: np.ndarray,
    rows: np.ndarray,
    stages: list[int],
    gradient: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """By the controls alone, of which states are linear functions; and the costates there."""
    A, B = dynamics
    nx, nu = B.shape
    width = nx + nu
    state, z = np.zeros((nx, nu * STEPS)), []
    for t in range(STEPS):
        control = np.zeros((nu, nu * STEPS))
        control[:, nu * t : nu * (t + 1)] = np.eye(nu)
        z += [state, control]
        state = A @ state + B @ control
    of_controls = np.vstack([*z, state])
    hessian = np.diag(weights[: len(gradient)])
    for t, block in enumerate(hessians):
        size = width if t < STEPS else nx
        part = slice(width * t, width * t + size)
        hessian[part, part] += block[:size, :size]
        for row, stage, weight in zip(rows, stages, weights[len(gradient) :], strict=True):
            if stage == t:
                hessian[part, part] += weight * np.outer(row[:size], row[:size])
    reduced = of_controls.T @ hessian @ of_controls
    found = of_controls @ -np.linalg.solve(reduced, of_controls.T @ gradient)
    slopes, costates = hessian @ found + gradient, [np.zeros(nx)]
    for t in range(STEPS, -1, -1):
        costates.append(slopes[width * t : width * t + nx] + A.T @ costates[-1])
    return found, np.concatenate(costates[:0:-1])


def minimum(kernel: str, joints: int, parts: tuple, moved: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    hessians, *others = parts
    return _native.integrator_minimum(joints, H, moved * H * H, hessians.reshape(len(hessians), -1), *others, kernel)


def linear_minimum(
    kernel: str, dynamics: tuple[np.ndarray, np.ndarray], parts: tuple, last: int = -1
) -> tuple[np.ndarray, np.ndarray]:
    hessians, *others = parts
    return _native.linear_minimum(*dynamics, hessians.reshape(len(hessians), -1), *others, kernel, last)


def assert_same(found: tuple[np.ndarray, np.ndarray], expected: tuple[np.ndarray, np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() <= 1e-12 * np.abs(other).max()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("joints", JOINTS)
@pytest.mark.parametrize("moved", [0.5, 1.0])
def test_the_minimum_of_a_double_integrator_is_that_of_a_dense_solution(kernel: str, joints: int, moved: float) -> None:
    """With constant accelerations, and by semi-implicit Euler."""
    parts = problem(2 * joints, joints)
    assert_same(minimum(kernel, joints, parts, moved), dense_minimum(integrator(joints, moved), *parts))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("nx", "nu"), [(1, 1), (2, 1), (3, 5), (4, 2), (8, 8), (12, 4), (14, 7), (17, 3)])
def test_the_minimum_of_any_dynamics_is_that_of_a_dense_solution(kernel: str, nx: int, nu: int) -> None:
    rng = np.random.default_rng([nx, nu])
    dynamics = rng.normal(size=(nx, nx)) / np.sqrt(nx), rng.normal(size=(nx, nu))
    parts = problem(nx, nu)
    assert_same(linear_minimum(kernel, dynamics, parts), dense_minimum(dynamics, *parts))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("nx", "nu"), [(3, 5), (4, 2), (12, 4)])
@pytest.mark.parametrize("last", [0, 2, 7, 8, 19])
def test_factors_of_later_stages_may_be_taken_over(kernel: str, nx: int, nu: int, last: int) -> None:
    rng = np.random.default_rng([nx, nu])
    dynamics = rng.normal(size=(nx, nx)) / np.sqrt(nx), rng.normal(size=(nx, nu))
    parts = problem(nx, nu, steps=20)
    for found, expected in zip(
        linear_minimum(kernel, dynamics, parts, last), linear_minimum(kernel, dynamics, parts), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_is_not_convex_or_no_number_has_no_minimum(kernel: str) -> None:
    for value in (-1e4, np.nan):
        for place in ((3, 17, 17), (STEPS, 0, 0)):
            parts = problem(12, 6)
            parts[0][place] = value
            assert len(minimum(kernel, 6, parts)[0]) == 0, (value, place)
            assert len(linear_minimum(kernel, integrator(6), parts)[0]) == 0, (value, place)


def test_arrays_of_other_sizes_are_refused() -> None:
    hessians, weights, *others = parts = problem(4, 2)
    with pytest.raises(SolverError, match="other sizes"):
        minimum("", 2, (hessians, weights[1:], *others))
    with pytest.raises(SolverError, match="other sizes"):
        linear_minimum("", (np.eye(4), np.ones((3, 2))), parts)
    with pytest.raises(SolverError, match="no such kernel"):
        minimum("abacus", 2, parts)
