import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_task import ToyTask

from sobo_planner.errors import DatasetError
from sobo_training.learning.jacobians import chunk_transitions, closed_loop


def random_loop(seed: int, n: int = 2, T: int = 9, ndx: int = 3, nu: int = 2):
    rng = np.random.default_rng(seed)
    A = np.eye(ndx) + 0.2 * rng.normal(size=(n, T, ndx, ndx))
    return A, 0.3 * rng.normal(size=(n, T, ndx, nu)), 0.3 * rng.normal(size=(n, T, nu, ndx))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), length=st.integers(1, 10))
def test_transitions_equal_rerolled_perturbations(seed: int, length: int) -> None:
    """Perturb x_t, roll the linear closed loop, compare: this fixes the order of the factors."""
    A, B, K = random_loop(seed)
    phi = chunk_transitions(closed_loop(A, B, K), length)
    assert phi.shape == (2, 11 - length, length, 3, 3)
    dx0 = np.random.default_rng(seed + 1).normal(size=3)
    for i in range(2):
        for t in range(phi.shape[1]):
            dx = dx0
            for h in range(length):
                np.testing.assert_allclose(phi[i, t, h] @ dx0, dx, atol=1e-10)
                if h < length - 1:
                    dx = A[i, t + h] @ dx + B[i, t + h] @ (K[i, t + h] @ dx)


def test_transitions_predict_a_perturbed_closed_loop_rollout() -> None:
    task = ToyTask()
    solutions = task.solutions(1)
    phi = chunk_transitions(closed_loop(solutions.A, solutions.B, solutions.K), 8)[0, 3]
    dx = np.array([0.1, -0.2, 0.3, 0.05])
    nominal, _ = task.roll(solutions.X[0, 3], solutions.target[0], 7)
    moved, _ = task.roll(solutions.X[0, 3] + dx, solutions.target[0], 7)
    np.testing.assert_allclose(nominal, solutions.X[0, 3:11], atol=1e-12)
    np.testing.assert_allclose(phi @ dx, moved - nominal, atol=1e-12)


def test_result_type_is_chosen_and_products_stay_in_double() -> None:
    A, B, K = random_loop(0)
    A_cl = closed_loop(A, B, K)
    single = chunk_transitions(A_cl, 9, np.float32)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, chunk_transitions(A_cl, 9).astype(np.float32))


@pytest.mark.parametrize("length", [0, 11])
def test_chunks_that_do_not_fit_are_refused(length: int) -> None:
    with pytest.raises(DatasetError, match="do not fit into trajectories of 10 states"):
        chunk_transitions(closed_loop(*random_loop(0)), length)


def test_mismatched_gains_are_refused() -> None:
    A, B, K = random_loop(0)
    with pytest.raises(DatasetError, match="do not describe one closed loop"):
        closed_loop(A, B, K.swapaxes(2, 3))
