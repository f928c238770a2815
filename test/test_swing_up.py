"""Pendulums: the description, the problem's derivatives, the encoding, and what the solver makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sobo_planner.errors import ConfigError
from sobo_planner.solver import Solver, SolverOptions
from sobo_planner.tasks import SwingUp, load_task


@pytest.fixture(scope="module", params=["pendulum", "double_pendulum"])
def pendulum(request) -> SwingUp:
    return load_task(request.param)


def test_the_tip_is_on_top_at_zero(pendulum) -> None:
    np.testing.assert_allclose(pendulum.upright, [0.0, 0.0, pendulum.nu], atol=1e-12)


def test_the_single_pendulum_obeys_its_equation(rng) -> None:
    """(m l^2 + I) a = m g l sin q + tau."""
    task = load_task("pendulum")
    for _ in range(10):
        q, v, tau = rng.uniform(-3.0, 3.0, 3)
        a = (9.81 * np.sin(q) + tau) / 1.001
        x = task.simulate(np.array([q, v]), np.array([[tau]]))[1]
        np.testing.assert_allclose(x, [q + task.dt * (v + task.dt * a), v + task.dt * a], atol=1e-12)


def test_instances_hang_at_rest(pendulum, rng) -> None:
    spread = pendulum.config.distribution.spread
    for _ in range(50):
        instance = pendulum.sample(rng)
        q, v = instance.x0[: pendulum.nu], instance.x0[pendulum.nu :]
        assert np.all(np.abs(q) <= np.pi) and abs(q[0]) >= np.pi - spread and not v.any()
        assert pendulum.distance(instance.x0, instance.target) > 1.5 * pendulum.nu


def test_cost_is_the_papers(pendulum, rng) -> None:
    """Sum of 10 |tip - goal|^2 + 0.1 |u|^2 a second, and the terminal terms."""
    U = rng.uniform(-5.0, 5.0, (pendulum.horizon, pendulum.nu))
    x0 = pendulum.sample(rng).x0
    X = pendulum.simulate(x0, U)
    distance = np.array([pendulum.distance(x, pendulum.upright) for x in X]) ** 2
    running = pendulum.dt * (10.0 * distance[:-1].sum() + 0.1 * (U**2).sum())
    terminal = 10.0 * distance[-1] + (X[-1, pendulum.nu :] ** 2).sum()
    assert pendulum.cost(X, U, pendulum.upright) == pytest.approx(running + terminal, rel=1e-12)


def test_dynamics_jacobians_against_differences(pendulum, rng) -> None:
    instance = pendulum.sample(rng)
    options = SolverOptions(max_iterations=2, retry=False)
    solution = Solver(pendulum, options).solve(instance, pendulum.interpolate(instance))
    for t in (0, pendulum.horizon // 2):
        z, J = np.concatenate([solution.X[t], solution.U[t]]), np.hstack([solution.A[t], solution.B[t]])
        for i, d in enumerate(1e-6 * np.eye(len(z))):
            ends = [(point[: pendulum.nx], point[None, pendulum.nx :]) for point in (z + d, z - d)]
            plus, minus = (pendulum.simulate(x, u)[1] for x, u in ends)
            np.testing.assert_allclose(J[:, i], (plus - minus) / 2e-6, atol=1e-6)


@settings(max_examples=20)
@given(numbers=st.lists(st.floats(-6.0, 6.0), min_size=4, max_size=4))
def test_observation_jacobian(numbers) -> None:
    task = load_task("double_pendulum")
    x = np.array(numbers)
    columns = [
        (task.observation(x + d, task.upright) - task.observation(x - d, task.upright)) / 2e-6 for d in 1e-6 * np.eye(4)
    ]
    np.testing.assert_allclose(task.observation_jacobian(x, task.upright), np.stack(columns, axis=1), atol=1e-8)
    turned = x + 2 * np.pi * np.array([1.0, -1.0, 0.0, 0.0])
    np.testing.assert_allclose(task.observation(turned, task.upright), task.observation(x, task.upright), atol=1e-12)


def test_the_solver_swings_the_single_pendulum_up(rng) -> None:
    task = load_task("pendulum")
    instance = task.sample(rng)
    solution = Solver(task).solve(instance, task.interpolate(instance))
    assert solution.converged and task.final_error(solution.X, instance.target) < task.success_distance
    assert np.abs(solution.U).max() <= 25.0 + 1e-3
    np.testing.assert_allclose(task.simulate(solution.X[0], solution.U), solution.X, atol=1e-2)


def test_the_interpolation_has_its_velocities_and_torques(pendulum, rng) -> None:
    """Where its torques are within their bounds, its steps obey the dynamics."""
    guess, n, dt = pendulum.interpolate(pendulum.sample(rng)), pendulum.nu, pendulum.dt
    np.testing.assert_allclose(guess.X[1:, n:], np.diff(guess.X[:, :n], axis=0) / dt, atol=1e-12)
    np.testing.assert_allclose(guess.X[-1, :n], 0.0, atol=1e-12)
    free = np.flatnonzero((np.abs(guess.U) < pendulum.control_upper).all(axis=1))
    assert len(free) > 10 and np.abs(guess.U).max() <= pendulum.control_upper[0]
    for t in free:
        after = pendulum.simulate(guess.X[t], guess.U[t : t + 1])[1]
        np.testing.assert_allclose(after, guess.X[t + 1], atol=1e-9)


def test_starts_differ_and_begin_at_the_instance(pendulum, rng) -> None:
    instance = pendulum.sample(rng)
    starts = pendulum.starts(instance, 5, rng)
    assert len(starts) == 5
    for guess in starts:
        np.testing.assert_array_equal(guess.X[0], instance.x0)
        assert guess.X.shape == (pendulum.horizon + 1, pendulum.nx) and guess.U.shape == (pendulum.horizon, pendulum.nu)
    assert {round(float(np.abs(guess.X).max()), 6) for guess in starts} != {0.0}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"torque_limit": 0}, "torque_limit must be positive, got 0"),
        ({"spread": -1}, "spread must not be negative, got -1"),
        ({"horizon": 0}, "horizon must lie in 1 ... 10000, got 0"),
        ({"action": "torque"}, "action must be one of state, control, got 'torque'"),
        ({"problem.running.position": -1}, "weight position must not be negative"),
    ],
)
def test_bad_values_are_refused(overrides, message) -> None:
    with pytest.raises(ConfigError, match=message):
        load_task("pendulum", **overrides)
