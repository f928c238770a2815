"""ProxDDP on linear-quadratic problems, whose optima have conditions of their own to be compared with."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from sobo_planner.errors import SolverError
from sobo_planner.solver import Guess, Instance, LinearQuadratic, Solver, SolverOptions

EXACT = SolverOptions(tol=1e-7, early_stop=0.0)


def linear_quadratic(seed: int = 0, bounds: float | None = None) -> LinearQuadratic:
    rng = np.random.default_rng(seed)
    nx, nu, T = 4, 2, 20
    A = np.eye(nx) + 0.1 * rng.normal(size=(nx, nx))
    root, terminal = rng.normal(size=(nx, nx)), rng.normal(size=(nx, nx))
    limit = None if bounds is None else (np.full(nu, -bounds), np.full(nu, bounds))
    return LinearQuadratic(
        horizon=T,
        A=A,
        B=rng.normal(size=(nx, nu)),
        c=0.1 * rng.normal(size=nx),
        Q=root @ root.T / nx,
        R=np.diag([0.5, 1.0]),
        q=rng.normal(size=nx),
        r=rng.normal(size=nu),
        Qf=terminal @ terminal.T,
        qf=rng.normal(size=nx),
        control_bounds=limit,
    )


def riccati(p: LinearQuadratic) -> tuple[np.ndarray, np.ndarray]:
    """Gains (T, nu, nx) and offsets (T, nu) of the optimal u = K x + k, by backward recursion."""
    V, v = p.Qf, p.qf
    K, k = [], []
    for _ in range(p.horizon):
        H = p.R + p.B.T @ V @ p.B
        K.append(-np.linalg.solve(H, p.B.T @ V @ p.A))
        k.append(-np.linalg.solve(H, p.r + p.B.T @ (v + V @ p.c)))
        closed = p.A + p.B @ K[-1]
        v = p.q + p.A.T @ (v + V @ p.c) + p.A.T @ V @ p.B @ k[-1]
        V = p.Q + p.A.T @ V @ closed
    return np.array(K[::-1]), np.array(k[::-1])


def zeros(p: LinearQuadratic) -> Guess:
    return Guess(np.zeros((p.horizon + 1, len(p.A))), np.zeros((p.horizon, p.B.shape[1])))


def solve_linear(p: LinearQuadratic, x0: np.ndarray):
    return Solver(p, EXACT).solve(Instance(x0, np.zeros(3)), zeros(p))


@pytest.mark.parametrize("seed", range(3))
def test_linear_quadratic_problem_against_riccati_recursion(seed: int) -> None:
    p = linear_quadratic(seed)
    x = np.random.default_rng(seed + 100).normal(size=4)
    solution = solve_linear(p, x)
    K, k = riccati(p)
    assert solution.converged
    np.testing.assert_allclose(solution.K, K, atol=1e-6)
    for t in range(p.horizon):
        np.testing.assert_allclose(solution.X[t], x, atol=1e-6)
        np.testing.assert_allclose(solution.U[t], K[t] @ x + k[t], atol=1e-6)
        x = p.A @ x + p.B @ solution.U[t] + p.c
    np.testing.assert_array_equal(solution.A[3], p.A)
    np.testing.assert_array_equal(solution.B[3], p.B)


def test_gains_with_active_bounds_against_solving_again() -> None:
    p = linear_quadratic(0, bounds=0.35)
    x0 = np.array([1.0, -0.5, 0.3, 0.8])
    solution = solve_linear(p, x0)
    active = np.abs(np.abs(solution.U) - 0.35) < 1e-6
    assert active.any() and not active.all()
    for direction in np.eye(4):
        step = 1e-5
        moved, back = (solve_linear(p, x0 + sign * step * direction) for sign in (1, -1))
        dU = (moved.U - back.U) / (2 * step)
        dX = (moved.X - back.X) / (2 * step)
        predicted = np.einsum("tij,tj->ti", solution.K, dX[:-1])
        np.testing.assert_allclose(predicted, dU, atol=1e-4)


def control_gradient(p: LinearQuadratic, X: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Derivative of the cost by every control, (T, nu), by the adjoint recursion."""
    adjoint = p.Qf @ X[-1] + p.qf
    gradient = np.empty_like(U)
    for t in reversed(range(p.horizon)):
        gradient[t] = p.R @ U[t] + p.r + p.B.T @ adjoint
        adjoint = p.Q @ X[t] + p.q + p.A.T @ adjoint
    return gradient


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), bound=st.floats(0.05, 2.0))
def test_bounded_linear_quadratic_problem_against_its_optimality_conditions(seed: int, bound: float) -> None:
    p = linear_quadratic(seed, bound)
    # Stable, or states grow beyond what bounded controls can hold, by more than the solver's precision allows.
    p = dataclasses.replace(p, A=0.95 * p.A / np.abs(np.linalg.eigvals(p.A)).max())
    solution = solve_linear(p, np.random.default_rng(seed).normal(size=4))
    assert solution.converged
    assert np.abs(solution.U).max() <= bound + 1e-6
    gradient = control_gradient(p, solution.X, solution.U)
    at_upper, at_lower = np.isclose(solution.U, bound, atol=1e-6), np.isclose(solution.U, -bound, atol=1e-6)
    tolerance = 1e-4 * (1 + np.abs(gradient).max())
    assert (gradient[at_upper] <= tolerance).all()
    assert (gradient[at_lower] >= -tolerance).all()
    assert np.abs(gradient[~at_upper & ~at_lower]).max(initial=0.0) <= tolerance


def test_one_step_finds_the_active_bounds() -> None:
    """From a guess within the bounds, on a problem whose quadratic model is exact."""
    p = linear_quadratic(0, bounds=0.35)
    x0 = np.array([1.0, -0.5, 0.3, 0.8])
    optimum = solve_linear(p, x0)
    one = Solver(p, dataclasses.replace(EXACT, mu_init=1e-4, max_iterations=1, retry=False))
    step = one.solve(Instance(x0, np.zeros(3)), zeros(p))
    active = np.abs(optimum.U) > 0.35 - 1e-6
    assert active.sum() > 5
    np.testing.assert_array_equal(np.abs(step.U) > 0.35 - 1e-6, active)
    np.testing.assert_allclose(step.U, optimum.U, atol=5e-3)


def test_many_active_bounds_of_a_double_integrator_against_another_solver() -> None:
    """Two masses move as fast as they may: bounds on speed and acceleration, the last knot's speed included."""
    n, T, h = 2, 15, 0.1
    A, B = np.eye(2 * n), np.zeros((2 * n, n))
    A[:n, n:], B[:n], B[n:] = h * np.eye(n), 0.5 * h**2 * np.eye(n), h * np.eye(n)
    speed, pull = 1.0, 4.0
    state = np.r_[np.full(n, np.inf), np.full(n, speed)]
    Q, Qf, goal = np.diag([1.0, 1.0, 0.0, 0.0]), np.diag([5.0, 5.0, 0.0, 0.0]), np.r_[2.0, -1.0, 0.0, 0.0]
    p = LinearQuadratic(
        horizon=T, A=A, B=B, c=np.zeros(2 * n), Q=Q, R=1e-3 * np.eye(n), q=-Q @ goal, r=np.zeros(n), Qf=Qf,
        qf=-Qf @ goal, control_bounds=(np.full(n, -pull), np.full(n, pull)), state_bounds=(-state, state),
    )  # fmt: skip
    x0 = np.r_[0.0, 0.0, -0.5, 0.5]
    solution = solve_linear(p, x0)
    Phi, powers = np.zeros((T + 1, 2 * n, T * n)), [x0]
    for t in range(T):
        Phi[t + 1] = A @ Phi[t]
        Phi[t + 1][:, t * n : (t + 1) * n] = B
        powers.append(A @ powers[-1])
    free = np.array(powers)

    def cost(u: np.ndarray) -> float:
        X, U = free + Phi @ u, u.reshape(T, n)
        running = 0.5 * np.einsum("ti,ij,tj->", X[:-1], Q, X[:-1]) + (X[:-1] @ p.q).sum() + 0.5e-3 * (U**2).sum()
        return float(running + 0.5 * X[-1] @ Qf @ X[-1] + p.qf @ X[-1])

    rows, offset = Phi[1:, n:].reshape(T * n, T * n), free[1:, n:].reshape(-1)
    bounds = [
        {"type": "ineq", "fun": lambda u: speed - (offset + rows @ u), "jac": lambda u: -rows},
        {"type": "ineq", "fun": lambda u: speed + (offset + rows @ u), "jac": lambda u: rows},
    ]
    other = optimize.minimize(
        cost,
        np.zeros(T * n),
        bounds=[(-pull, pull)] * (T * n),
        constraints=bounds,
        options={"maxiter": 500, "ftol": 1e-12},
    )
    active = np.abs(np.abs(solution.X[1:, n:]) - speed) < 1e-5
    assert solution.converged and other.success
    assert active.sum() > 10 and (np.abs(np.abs(solution.U) - pull) < 1e-5).sum() >= 2
    assert np.abs(solution.X[1:, n:]).max() <= speed + 1e-6
    assert cost(solution.U.reshape(-1)) == pytest.approx(other.fun, rel=1e-6)
    np.testing.assert_allclose(solution.U.reshape(-1), other.x, atol=2e-3)


def test_infeasible_bounds_and_sizes_that_do_not_agree_are_named() -> None:
    with pytest.raises(SolverError, match="control bounds are infeasible: entry 1 has lower 2.0+ > upper 1.0"):
        bounds = (np.array([-1.0, 2.0]), np.array([1.0, 1.0]))
        Solver(dataclasses.replace(linear_quadratic(), control_bounds=bounds))
    with pytest.raises(SolverError, match="do not agree"):
        Solver(dataclasses.replace(linear_quadratic(), q=np.zeros(3)))
