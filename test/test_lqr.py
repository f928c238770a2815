"""The constrained LQR: its optimum against an independent method, and its encoding."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.errors import ConfigError
from sobo_planner.solver import Solver, SolverOptions
from sobo_planner.tasks import Lqr, load_task

EXACT = SolverOptions(tol=1e-8, early_stop=0.0)


@pytest.fixture(scope="module")
def lqr() -> Lqr:
    return load_task("lqr")


def optimal_cost(task: Lqr, x0: np.ndarray) -> float:
    """By projected gradient descent with momentum on the controls alone, the states eliminated."""
    T, nx, nu = task.horizon, task.nx, task.nu
    problem = task.config.problem
    powers = [np.eye(nx)]
    for _ in range(T):
        powers.append(task.A @ powers[-1])
    G = np.zeros((T, nx, T * nu))
    for t in range(1, T + 1):
        for s in range(t):
            G[t - 1, :, s * nu : (s + 1) * nu] = powers[t - 1 - s] @ task.B
    weights = np.array([problem.Q] * (T - 1) + [problem.Qf]).ravel()
    G = G.reshape(T * nx, T * nu)
    free = np.concatenate([powers[t] @ x0 for t in range(1, T + 1)])
    H = G.T @ (weights[:, None] * G) + np.diag(np.tile(problem.R, T))
    g = G.T @ (weights * free)
    u, y, momentum, step = np.zeros(T * nu), np.zeros(T * nu), 1.0, 1.0 / np.linalg.eigvalsh(H)[-1]
    for _ in range(20000):
        new = np.clip(y - step * (H @ y + g), -problem.control_limit, problem.control_limit)
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        y, u, momentum = new + (momentum - 1.0) / following * (new - u), new, following
    return float(0.5 * u @ H @ u + g @ u + 0.5 * free @ (weights * free) + 0.5 * x0 @ (np.array(problem.Q) * x0))


def test_the_solver_finds_the_optimum(lqr) -> None:
    saturated = 0
    for seed in range(3):
        instance = lqr.sample(np.random.default_rng(seed))
        solution = Solver(lqr, EXACT).solve(instance, lqr.interpolate(instance))
        assert solution.converged
        assert solution.cost == pytest.approx(optimal_cost(lqr, instance.x0), rel=1e-5)
        saturated += int((np.abs(solution.U) > lqr.control_upper - 1e-3).sum())
    assert saturated > 5  # the bounds matter


def test_every_start_leads_to_the_same_optimum(lqr, rng) -> None:
    instance = lqr.sample(rng)
    solutions = [Solver(lqr, EXACT).solve(instance, guess) for guess in lqr.starts(instance, 4, rng)]
    np.testing.assert_allclose([each.cost for each in solutions], solutions[0].cost, rtol=1e-7)


def test_cost_and_simulation(lqr, rng) -> None:
    x0, U = rng.normal(size=4), rng.normal(size=(lqr.horizon, 2))
    X = lqr.simulate(x0, U)
    np.testing.assert_allclose(X[3], lqr.A @ X[2] + lqr.B @ U[2], atol=1e-14)
    problem = lqr.config.problem
    running = 0.5 * ((X[:-1] ** 2) @ np.array(problem.Q)).sum() + 0.5 * ((U**2) @ np.array(problem.R)).sum()
    terminal = 0.5 * (X[-1] ** 2) @ np.array(problem.Qf)
    assert lqr.cost(X, U, np.zeros(3)) == pytest.approx(running + terminal, rel=1e-12)


def test_observation_jacobian(lqr, rng) -> None:
    x, dx = rng.normal(size=(2, 4))
    change = lqr.observation(x + dx, np.zeros(3), 7) - lqr.observation(x, np.zeros(3), 7)
    np.testing.assert_allclose(lqr.observation_jacobian(x, np.zeros(3)) @ dx, change, atol=1e-12)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"problem.A": "[[1, 0], [0, 1]]"}, r"B needs 2 rows of 2, the sizes of A and R; got rows of \[2, 2, 2, 2\]"),
        ({"problem.R": "[0, 1]"}, "R must be positive"),
        ({"control_limit": -1}, "control_limit must be positive, got -1"),
        ({"Qf": "[1, 1]"}, "Qf needs 4 entries, got 2"),
        ({"half_width": -2}, "half_width must not be negative, got -2"),
        ({"robot": "{}"}, "unknown key 'robot'"),
    ],
)
def test_bad_values_are_refused(overrides, message) -> None:
    with pytest.raises(ConfigError, match=message):
        load_task("lqr", **overrides)
