"""Quadratic terms of the stages, against dense solves, differences and problems that have them built in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sobo_planner.errors import SolverError
from sobo_planner.solver import Guess, Instance, LinearQuadratic, Solver, SolverOptions, StageTerms
from sobo_planner.tasks import Task, load_task

EXACT = SolverOptions(tol=1e-8, early_stop=0.0)
T, NX, NU = 12, 3, 2


def problem(rng: np.random.Generator, bound: float | None = None) -> LinearQuadratic:
    return LinearQuadratic(
        horizon=T,
        A=np.eye(NX) + 0.1 * rng.normal(size=(NX, NX)),
        B=rng.normal(size=(NX, NU)),
        c=0.1 * rng.normal(size=NX),
        Q=np.eye(NX),
        R=0.5 * np.eye(NU),
        q=rng.normal(size=NX),
        r=rng.normal(size=NU),
        Qf=2.0 * np.eye(NX),
        qf=rng.normal(size=NX),
        control_bounds=None if bound is None else (np.full(NU, -bound), np.full(NU, bound)),
    )


def random_terms(rng: np.random.Generator, horizon: int, nx: int, nu: int, scale: float = 1.0) -> StageTerms:
    roots, root = rng.normal(size=(horizon, nx + nu, nx + nu)), rng.normal(size=(nx, nx))
    return StageTerms(
        scale * roots @ roots.swapaxes(1, 2),
        scale * rng.normal(size=(horizon, nx + nu)),
        rng.normal(size=horizon),
        scale * root @ root.T,
        scale * rng.normal(size=nx),
        0.7,
    )


def dense_minimum(p: LinearQuadratic, terms: StageTerms, x0: np.ndarray) -> tuple[np.ndarray, float]:
    """Controls (T, nu) and cost of the problem without bounds, by one dense linear solve."""
    total, size = np.zeros((T + 1, NX, T * NU)), T * NU  # states = total U + offsets
    offsets = np.zeros((T + 1, NX))
    offsets[0] = x0
    for t in range(T):
        total[t + 1] = p.A @ total[t]
        total[t + 1][:, t * NU : (t + 1) * NU] = p.B
        offsets[t + 1] = p.A @ offsets[t] + p.c
    H, g, c = np.zeros((size, size)), np.zeros(size), 0.0
    for t in range(T + 1):
        last = t == T
        pick = np.zeros((0 if last else NU, size))
        pick[:, t * NU : (t + 1) * NU] = 0.0 if last else np.eye(NU)
        M, m = np.vstack([total[t], pick]), np.append(offsets[t], np.zeros(len(pick)))
        W, w = (p.Qf, p.qf) if last else (np.zeros((NX + NU, NX + NU)), np.append(p.q, p.r))
        if not last:
            W[:NX, :NX], W[NX:, NX:] = p.Q, p.R
        W, w = (W + terms.last_H, w + terms.last_g) if last else (W + terms.H[t], w + terms.g[t])
        H, g = H + M.T @ W @ M, g + M.T @ (W @ m + w)
        c += 0.5 * m @ W @ m + w @ m + (terms.last_c if last else terms.c[t])
    u = -np.linalg.solve(H, g)
    return u.reshape(T, NU), float(0.5 * u @ H @ u + g @ u + c)


def zeros() -> Guess:
    return Guess(np.zeros((T + 1, NX)), np.zeros((T, NU)))


def test_terms_of_a_linear_problem_against_a_dense_solve() -> None:
    rng = np.random.default_rng(0)
    p, terms, x0 = problem(rng), random_terms(rng, T, NX, NU), rng.normal(size=NX)
    U, cost = dense_minimum(p, terms, x0)
    solution = Solver(p, EXACT).solve(Instance(x0, np.zeros(3)), zeros(), terms=terms)
    assert solution.converged
    np.testing.assert_allclose(solution.U, U, atol=1e-8)
    assert solution.cost == pytest.approx(cost, abs=1e-8)


def test_terms_like_the_problem_s_own_with_active_bounds() -> None:
    """The same minimum as with the matrices in the problem."""
    rng = np.random.default_rng(1)
    p, x0 = problem(rng, bound=0.3), rng.normal(size=NX)
    H = np.zeros((T, NX + NU, NX + NU))
    H[:, :NX, :NX], H[:, NX:, NX:] = 0.5 * p.Q, 0.25 * p.R
    terms = StageTerms(H, np.tile(np.append(0.1 * p.q, -p.r), (T, 1)), last_H=p.Qf, last_g=p.qf)
    inside = dataclasses.replace(p, Q=1.5 * p.Q, R=1.25 * p.R, q=1.1 * p.q, r=0.0 * p.r, Qf=2 * p.Qf, qf=2 * p.qf)
    with_terms = Solver(p, EXACT).solve(Instance(x0, np.zeros(3)), zeros(), terms=terms)
    expected = Solver(inside, EXACT).solve(Instance(x0, np.zeros(3)), zeros())
    assert np.sum(np.abs(expected.U) > 0.3 - 1e-9) >= 4
    np.testing.assert_allclose(with_terms.U, expected.U, atol=1e-8)
    np.testing.assert_allclose(with_terms.K, expected.K, atol=1e-7)


def test_batches_and_solves_without_terms_afterwards() -> None:
    rng = np.random.default_rng(2)
    p, terms = problem(rng), random_terms(rng, T, NX, NU)
    instances = [Instance(rng.normal(size=NX), np.zeros(3)) for _ in range(3)]
    plain, used = Solver(p, EXACT), Solver(p, EXACT)
    batch = used.solve_batch(instances, [zeros()] * 3, terms=[None, terms, None])
    for instance, solution, given in zip(instances, batch, (None, terms, None), strict=True):
        alone = Solver(p, EXACT).solve(instance, zeros(), terms=given)
        np.testing.assert_array_equal(solution.U, alone.U)
    after, before = used.solve(instances[1], zeros()), plain.solve(instances[1], zeros())
    np.testing.assert_array_equal(after.U, before.U)
    assert after.cost == before.cost


@pytest.mark.parametrize("name", ["ur5", "pendulum", "double_pendulum", "quadrotor", "ur5 with torques"])
def test_every_task_finds_an_optimum_of_both(name: str, tasks: dict[str, Task]) -> None:
    """No small change of the last controls improves cost and terms together."""
    task = tasks[name]
    instance = task.sample(np.random.default_rng(5))
    guess = task.interpolate(instance)
    solver = Solver(task, dataclasses.replace(task.solver_options, tol=1e-6, early_stop=0.0, max_iterations=400))
    plain = solver.solve(instance, guess)
    rng = np.random.default_rng(6)
    scale = np.append(np.full(task.nx, 0.3), 0.02 * np.maximum(1.0, np.abs(plain.U).max(0)) ** -1)
    z = np.concatenate([plain.X[:-1], plain.U], axis=1) + 0.1 * rng.normal(size=task.nx + task.nu)
    root = rng.normal(size=(task.nx + task.nu,) * 2) * scale[:, None]
    H = np.tile(root @ root.T / task.horizon, (task.horizon, 1, 1))
    square = np.einsum("ti,tij,tj->t", z, H, z)
    terms = StageTerms(H, -np.einsum("tij,tj->ti", H, z), 0.5 * square, 0.1 * np.eye(task.nx), 0.01 * np.ones(task.nx))
    solution = solver.solve(instance, Guess(plain.X, plain.U), terms=terms)
    assert solution.converged
    total = task.cost(solution.X, solution.U, instance.target) + terms.values(solution.X, solution.U).sum()
    assert solution.cost == pytest.approx(total, rel=1e-6)
    assert solution.cost < task.cost(plain.X, plain.U, instance.target) + terms.values(plain.X, plain.U).sum() - 1e-6
    assert_no_slope(task, instance, terms, solution.X, solution.U)


def assert_no_slope(task: Task, instance: Instance, terms: StageTerms, X: np.ndarray, U: np.ndarray) -> None:
    """By differences along random changes of the last controls, which no velocity limit holds in these instances."""
    rng = np.random.default_rng(7)

    def cost(controls: np.ndarray) -> float:
        states = np.concatenate([X[:-5], task.simulate(X[-5], controls[-4:])])
        return task.cost(states, controls, instance.target) + float(terms.values(states, controls).sum())

    free = np.minimum(U - task.control_lower, task.control_upper - U) > 1e-4
    direction = rng.normal(size=U.shape) * free
    direction[:-4] = 0.0
    direction /= np.linalg.norm(direction)
    h = 1e-4 * np.abs(U).max()
    slope = (cost(U + h * direction) - cost(U - h * direction)) / (2 * h)
    curvature = (cost(U + h * direction) + cost(U - h * direction) - 2 * cost(U)) / h**2
    assert abs(slope) <= 1e-3 * abs(curvature) * np.abs(U).max()


@pytest.mark.parametrize("integrator", ["constant_acceleration", "semi_implicit_euler"])
def test_terms_of_an_arm_like_its_own_weights(integrator: str) -> None:
    """Weights on velocities and torques given as terms: the same motion, the same gains."""
    task = load_task("ur5", integrator=integrator)
    weights = {"problem.running.velocity": 0.2, "problem.running.torque": 3e-4}
    more = load_task("ur5", integrator=integrator, **weights)
    added = np.concatenate([np.zeros(6), np.full(6, 0.17), np.full(6, 2e-4)]) * task.dt
    terms = StageTerms(np.tile(2.0 * np.diag(added), (task.horizon, 1, 1)), np.zeros((task.horizon, 18)))
    instance = task.sample(np.random.default_rng(5))
    guess, options = task.interpolate(instance), dataclasses.replace(task.solver_options, tol=1e-7, early_stop=0.0)
    found = Solver(task, options).solve(instance, guess, terms=terms)
    expected = Solver(more, options).solve(instance, guess)
    assert found.converged and expected.converged
    assert found.cost == pytest.approx(expected.cost, rel=1e-9)
    np.testing.assert_allclose(found.U, expected.U, atol=1e-4)
    np.testing.assert_allclose(found.K, expected.K, atol=1e-4 * np.abs(expected.K).max())


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    names = ("ur5", "pendulum", "double_pendulum", "quadrotor")
    torques = load_task("ur5", integrator="semi_implicit_euler")
    return {name: load_task(name) for name in names} | {"ur5 with torques": torques}


def test_terms_that_do_not_fit_are_refused() -> None:
    solver = Solver(problem(np.random.default_rng(0)))
    instance, good = Instance(np.zeros(NX), np.zeros(3)), StageTerms(np.zeros((T, 5, 5)), np.zeros((T, 5)))
    for wrong, message in (
        (StageTerms(np.zeros((T - 1, 5, 5)), np.zeros((T - 1, 5))), "11 stages over 5 variables"),
        (StageTerms(np.zeros((T, 4, 4)), np.zeros((T, 4))), "over 4 variables"),
        (StageTerms(np.zeros((T, 5, 4)), np.zeros((T, 5))), "must have shapes"),
        (dataclasses.replace(good, last_g=np.zeros(2)), "over 2 at the end"),
        (dataclasses.replace(good, g=np.full((T, 5), np.nan)), "NaN"),
    ):
        with pytest.raises(SolverError, match=message):
            solver.solve(instance, zeros(), terms=wrong)
    with pytest.raises(SolverError, match="2 terms"):
        solver.solve_batch([instance], [zeros()], terms=[good, good])


def test_a_model_about_a_trajectory_has_its_values_there() -> None:
    rng = np.random.default_rng(3)
    X, U = rng.normal(size=(T + 1, NX)), rng.normal(size=(T, NU))
    terms, values, last = random_terms(rng, T, NX, NU), rng.normal(size=T), (rng.normal(size=NX), np.eye(NX))
    model = StageTerms.about(X, U, terms.g, terms.H, values, last, 0.4)
    np.testing.assert_allclose(model.values(X, U), np.append(values, 0.4), atol=1e-12)
    moved = X.copy()
    moved[-1] += 0.1
    assert model.values(moved, U)[-1] == pytest.approx(0.4 + 0.1 * last[0].sum() + 0.5 * 0.01 * NX)
    assert StageTerms.tracking(X, U, np.ones(NX), np.ones(NU)).values(X, U) == pytest.approx(np.zeros(T + 1), abs=1e-12)
