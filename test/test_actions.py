"""Chunks: decoding, the end of a trajectory, and Jacobians against re-rolled closed-loop perturbations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_task import ToyTask

from sobo_planner.errors import TaskError
from sobo_planner.tasks.base import Task
from sobo_training.learning.jacobians import chunk_transitions, closed_loop

LENGTH = 8


def jacobians(toy: ToyTask, kind: str) -> np.ndarray:
    """Jacobians of the chunks from every step, (T, LENGTH, dim, 4)."""
    A, B, K = (np.repeat(m[None], toy.T, axis=0) for m in (toy.A, toy.B, toy.K))
    actions = toy.actions(kind)
    loop, gains = actions.prolong(closed_loop(A, B, K), K, LENGTH - 2)
    phi = chunk_transitions(loop[None], LENGTH)[0]
    return np.stack([actions.jacobian(p, gains[t : t + LENGTH - 1]) for t, p in enumerate(phi)])


@pytest.mark.parametrize("kind", ["state", "control"])
def test_chunk_jacobians_predict_the_closed_loop(kind: str) -> None:
    """The loop is linear: moving its start moves the chunk by J dx exactly, after the end too."""
    toy, rng = ToyTask(), np.random.default_rng(0)
    target, x = rng.normal(size=3), rng.normal(size=4)
    X, U = toy.roll(x, target, toy.T)
    J, chunks = jacobians(toy, kind), toy.actions(kind).encode(X, U, LENGTH)
    assert J.shape == (toy.T, LENGTH, toy.actions(kind).dim, 4)
    for t in (0, 5, toy.T - 4, toy.T - 1):
        dx = rng.normal(size=4)
        moved, controls = toy.roll(X[t] + dx, target, toy.T - t)
        again = toy.actions(kind).encode(np.vstack([X[:t], moved]), np.vstack([U[:t], controls]), LENGTH)[t]
        if kind == "control":
            again[0] = chunks[t, 0]  # the control before is past, and does not move with the state
        np.testing.assert_allclose(again - chunks[t], J[t] @ dx, atol=1e-12)


def test_a_chunk_of_controls_starts_with_the_one_before(task) -> None:
    rng = np.random.default_rng(1)
    U = rng.normal(size=(10, 6))
    chunks = task.actions("control").encode(np.zeros((11, 12)), U, 4)
    np.testing.assert_array_equal(chunks[0], np.vstack([np.zeros(6), U[:3]]))
    np.testing.assert_array_equal(chunks[5], U[4:8])
    np.testing.assert_array_equal(chunks[9], np.vstack([U[8], U[9], U[9], U[9]]))
    np.testing.assert_array_equal(task.actions("control").history(np.zeros(12), U[3]), U[3:4])


def test_controls_are_applied_within_their_bounds(task: Task) -> None:
    rng = np.random.default_rng(2)
    x0, U = np.concatenate([rng.normal(size=6), np.zeros(6)]), 200.0 * rng.normal(size=(5, 6))
    X, applied = task.actions("control").follow(x0, U)
    np.testing.assert_array_equal(applied, np.clip(U, task.control_lower, task.control_upper))
    assert np.any(applied != U)
    np.testing.assert_array_equal(X, task.robot.simulate(x0, applied, task.dt, task.integrator))


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_chunks_of_states_decode_to_what_was_encoded(task, seed) -> None:
    states = np.random.default_rng(seed).normal(size=(12, 12))
    actions = task.actions("state")
    chunks = actions.encode(states, np.zeros((11, 6)), LENGTH)
    np.testing.assert_allclose(actions.decode(states[2], chunks[2]), states[2 : 2 + LENGTH], atol=1e-14)
    np.testing.assert_array_equal(actions.history(states[2], np.zeros(6)), chunks[2, :1])
    np.testing.assert_array_equal(chunks[:, 0, :6], 0.0)
    held = actions.decode(states[10], chunks[10])[2:]  # after the end: where it was, at rest
    np.testing.assert_allclose(held, np.tile(np.concatenate([states[11, :6], np.zeros(6)]), (6, 1)), atol=1e-14)


def test_unknown_kinds_are_refused(task) -> None:
    with pytest.raises(TaskError, match="ur5 has no actions of kind 'torque'"):
        task.actions("torque")
