"""The augmented Lagrangian as stage terms: what it adds, and where its steps lead."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.solver import Solver
from sobo_planner.tasks import load_task
from sobo_training.consensus.terms import Ranges, copy_step, copy_terms, policy_terms

MU = 0.7
RANGES = Ranges(np.array([3.0, 0.5]), np.array([1.0, 2.0, 0.1, 4.0]))


@pytest.fixture
def made():
    """A linear policy u = U + P (x - X), multipliers, and points to evaluate at."""
    rng = np.random.default_rng(0)
    X, U, P = rng.normal(size=(6, 4)), rng.normal(size=(6, 2)), rng.normal(size=(6, 2, 4))
    return X, U, P, rng.normal(size=(6, 2)), rng.normal(size=(6, 4)), rng.normal(size=(6, 6))


def values(terms, z):
    return np.array([0.5 * a @ H @ a + g @ a + c for a, H, g, c in zip(z, terms.H, terms.g, terms.c, strict=True)])


def test_the_terms_of_a_linear_policy_are_its_augmented_lagrangian(made):
    X, U, P, duals, _, z = made
    x, u = z[:, :4], z[:, 4:]
    r = (u - U - np.einsum("tij,tj->ti", P, x - X)) / RANGES.control
    lagrangian = (duals * r).sum(1) + 0.5 * MU * (r**2).sum(1)
    terms = policy_terms(MU, RANGES, X, U, P, duals)
    np.testing.assert_allclose(values(terms, z), lagrangian + (duals**2).sum(1) / (2 * MU), rtol=1e-12)
    assert np.all(values(terms, z) >= 0)


def test_the_terms_at_copies_are_those_of_multiple_shooting(made):
    Z, pi, _, duals, copy_duals, z = made
    r, s = (z[:, 4:] - pi) / RANGES.control, (z[:, :4] - Z) / RANGES.state
    expected = 0.5 * MU * (((r + duals / MU) ** 2).sum(1) + ((s + copy_duals / MU) ** 2).sum(1))
    np.testing.assert_allclose(values(copy_terms(MU, RANGES, Z, pi, duals, copy_duals), z), expected, rtol=1e-12)


def test_a_step_of_the_copies_minimises_for_a_linear_policy(made):
    X, U, P, duals, copy_duals, z = made
    wanted, Z = z[:, 4:], X + 0.3

    def cost(Z):
        r = (wanted - U - np.einsum("tij,tj->ti", P, Z - X)) / RANGES.control + duals / MU
        s = (z[:, :4] - Z) / RANGES.state + copy_duals / MU
        return (r**2).sum() + (s**2).sum()

    pi = U + np.einsum("tij,tj->ti", P, Z - X)
    best = copy_step(MU, RANGES, Z, pi, P, z[:, :4], wanted, duals, copy_duals)
    rng = np.random.default_rng(1)
    assert all(cost(best + 1e-3 * rng.normal(size=Z.shape)) > cost(best) for _ in range(20))


def test_the_solver_minimises_cost_and_terms_together():
    """On the linear system without active bounds, against the normal equations of the whole horizon."""
    task = load_task("lqr", **{"problem.horizon": 12, "problem.control_limit": 100.0})
    rng = np.random.default_rng(2)
    instance, ranges = task.sample(rng), Ranges(np.full(2, 3.0), np.ones(4))
    X, U, P = rng.normal(size=(12, 4)), rng.normal(size=(12, 2)), 0.3 * rng.normal(size=(12, 2, 4))
    terms = policy_terms(MU, ranges, X, U, P, rng.normal(size=(12, 2)))
    solution = Solver(task).solve(instance, task.interpolate(instance), terms=terms)

    def total(u):
        u = u.reshape(12, 2)
        x = task.simulate(instance.x0, u)
        return task.cost(x, u, instance.target) + values(terms, np.hstack([x[:-1], u])).sum()

    n, at = 24, np.zeros(24)
    unit, here = np.eye(n), total(at)
    single = np.array([total(e) for e in unit])
    hessian = np.array([[total(a + b) - total(a) - total(b) + here for b in unit] for a in unit])
    gradient = single - here - 0.5 * np.diag(hessian)
    best = np.linalg.solve(hessian, -gradient).reshape(12, 2)
    np.testing.assert_allclose(solution.U, best, atol=1e-4)
    assert solution.cost == pytest.approx(total(best.ravel()), rel=1e-8)
