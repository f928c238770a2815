"""Derivatives of losses on solutions, against central differences over solving again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from sobo_planner.errors import SolverError
from sobo_planner.solver import (
    Gradients,
    Guess,
    Instance,
    LinearQuadratic,
    Pullbacks,
    Solution,
    Solver,
    SolverOptions,
    StageTerms,
)
from sobo_planner.tasks import Task, load_task

EXACT = SolverOptions(tol=1e-8, early_stop=0.0, retry=False)
Array = np.ndarray


class Case:
    """An instance, a random loss, and its derivatives with stage terms or without."""

    def __init__(self, problem, instance: Instance, guess: Guess, seed: int, terms: StageTerms | None = None) -> None:
        self.solver = Solver(problem, EXACT)
        self.instance, self.terms = instance, terms
        rng = np.random.default_rng(seed)
        first = self.solver.solve(instance, guess, terms=terms)
        self.best = Guess(first.X, first.U)
        self.slopes = rng.normal(size=first.X.shape), rng.normal(size=first.U.shape) / np.abs(first.U).max()
        self.solution, pullback = self.solver.solve_with_adjoint(instance, self.best, terms=terms)
        assert self.solution.converged and pullback.exact
        self.gradients: Gradients = pullback(*self.slopes)

    def loss(self, solution: Solution) -> float:
        return float((self.slopes[0] * solution.X).sum() + (self.slopes[1] * solution.U).sum())

    def differences(self, solve: Callable[[Array], Solution], size: int, h: float) -> Array:
        steps = h * np.eye(size)
        return np.array([(self.loss(solve(e)) - self.loss(solve(-e))) / (2 * h) for e in steps])

    def moved(self, x0: Array | float = 0.0, target: Array | float = 0.0, **changed) -> Solution:
        instance = Instance(self.instance.x0 + x0, self.instance.target + target)
        return self.solver.solve(instance, self.best, **({"terms": self.terms} | changed))


def assert_near(found: Array, expected: Array, relative: float) -> None:
    assert np.abs(np.asarray(found) - expected).max() <= relative * np.abs(expected).max()


# ---------------------------------------------------------------- linear problems


def linear_case(seed: int) -> tuple[Case, LinearQuadratic]:
    task = load_task("lqr", horizon=30, control_limit=0.6)
    rng = np.random.default_rng(seed)
    problem = dataclasses.replace(task.linear_quadratic, q=0.1 * rng.normal(size=4), c=0.01 * rng.normal(size=4))
    instance = task.sample(rng)
    return Case(problem, instance, task.interpolate(instance), seed), problem


@pytest.mark.parametrize("seed", [0, 2, 7])
def test_derivatives_of_a_linear_problem_with_active_bounds(seed: int) -> None:
    case, problem = linear_case(seed)
    assert 2 <= np.sum(np.abs(case.solution.U) > 0.6 - 1e-9) < case.solution.U.size
    assert_near(case.gradients.x0, case.differences(lambda e: case.moved(x0=e), 4, 1e-5), 1e-6)
    matrices = case.gradients.matrices()
    for name, gradient in matrices.items():
        direction = np.random.default_rng(9).normal(size=gradient.shape)
        if name in ("Q", "R", "Qf"):
            direction = direction + direction.T

        def solve(e: Array, name: str = name, direction: Array = direction) -> Solution:
            changed = dataclasses.replace(problem, **{name: getattr(problem, name) + e[0] * direction})
            return Solver(changed, EXACT).solve(case.instance, case.best)

        expected = case.differences(solve, 1, 1e-5)
        size = np.abs(gradient * direction).max()
        assert (gradient * direction).sum() == pytest.approx(expected[0], rel=1e-6, abs=1e-6 * size)


# ---------------------------------------------------------------- tasks


def task_case(name: str, seed: int, with_terms: bool, **overrides) -> tuple[Task, Case]:
    task = load_task(name, **overrides)
    instance = task.sample(np.random.default_rng(seed))
    terms = None
    if with_terms:  # with products of states and controls, which an arm's solver turns into accelerations
        rng = np.random.default_rng(seed)
        n = task.nx + task.nu
        root = (
            rng.normal(size=(task.horizon, n, 2)) * np.append(np.full(task.nx, 0.1), 0.1 / task.control_upper)[:, None]
        )
        terms = StageTerms(root @ root.swapaxes(1, 2), 0.1 * root[:, :, 0], None, 0.1 * np.eye(task.nx))
    return task, Case(task, instance, task.interpolate(instance), seed, terms)


CASES = {
    "quadrotor": ("quadrotor", 1e-5, False, {"horizon": 40, "dt": 0.06}),
    "columns": ("quadrotor", 1e-5, False, {"horizon": 40, "dt": 0.06, "columns": 3}),
    "ur5": ("ur5", 1e-3, False, {"horizon": 50, "dt": 0.04}),
    "ur5 with terms": ("ur5", 1e-3, True, {"horizon": 50, "dt": 0.04}),
    "ur5 with torques": ("ur5", 1e-3, True, {"horizon": 30, "dt": 0.04, "integrator": "semi_implicit_euler"}),
    "pendulum": ("pendulum", 1e-5, True, {}),
}


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[Task, Case, float]:
    name, tolerance, with_terms, overrides = CASES[request.param]
    return *task_case(name, 3, with_terms, **overrides), tolerance


def test_by_start_and_target(case: tuple[Task, Case, float]) -> None:
    task, made, tolerance = case
    directions = np.random.default_rng(1).normal(size=(3, task.nx))
    found = directions @ made.gradients.x0
    assert_near(found, made.differences(lambda e: made.moved(x0=e @ directions), 3, 1e-5), tolerance)
    assert_near(made.gradients.target, made.differences(lambda e: made.moved(target=e), 3, 1e-5), tolerance)


def test_by_weights(case: tuple[Task, Case, float]) -> None:
    task, made, tolerance = case
    named = task.cost_weights()
    np.testing.assert_allclose(named.native(named.values), made.solver.weights() * (named.native(named.values) > 0))

    def solve(e: Array) -> Solution:
        return made.moved(weights=named.native(named.values * np.exp(e)))

    found = named.pull(made.gradients.weights) * named.values
    assert_near(found, made.differences(solve, len(named.values), 1e-4), tolerance)


def test_by_terms(case: tuple[Task, Case, float]) -> None:
    """One random change of all terms at once, of a problem that has some or none."""
    task, made, tolerance = case
    rng = np.random.default_rng(4)
    n = task.nx + task.nu
    scale = np.append(np.full(task.nx, 0.1), 0.1 / task.control_upper)
    g, last_g = rng.normal(size=(task.horizon, n)) * scale, 0.1 * rng.normal(size=task.nx)
    root = rng.normal(size=(task.horizon, n, n)) * scale[:, None]
    H = root + root.swapaxes(1, 2) if made.terms is not None else 0.0 * root
    own = made.terms or StageTerms(np.zeros_like(H), np.zeros_like(g), None, np.zeros((task.nx, task.nx)))

    def solve(e: Array) -> Solution:
        return made.moved(terms=StageTerms(own.H + e[0] * H, own.g + e[0] * g, None, own.last_H, e[0] * last_g))

    found = made.gradients.terms()
    assert found.last_g is not None
    slope = (found.H * H).sum() + (found.g * g).sum() + found.last_g @ last_g
    assert slope == pytest.approx(made.differences(solve, 1, 1e-6)[0], rel=tolerance)


def test_of_pose_and_joint_goals() -> None:
    for goal_type, size in (("pose", 6), ("joints", 6)):
        task = load_task("ur5", horizon=40, dt=0.05).with_goal_type(goal_type)
        instance = task.sample(np.random.default_rng(5))
        made = Case(task, instance, task.interpolate(instance), 5)
        assert made.gradients.target.shape == (size,)
        named = task.cost_weights()
        assert named.names[-1] == f"{goal_type}.terminal"
        found = named.pull(made.gradients.weights) * named.values

        def by_weights(e: Array, made: Case = made, named=named) -> Solution:
            return made.moved(weights=named.native(named.values * np.exp(e)))

        assert_near(found, made.differences(by_weights, len(found), 1e-4), 1e-3)

        def by_target(e: Array, made: Case = made, pose: bool = goal_type == "pose") -> Solution:
            if not pose:
                return made.moved(target=e)
            return made.solver.solve(Instance(made.instance.x0, turned(made.instance.target, e)), made.best)

        assert_near(made.gradients.target, made.differences(by_target, 6, 1e-5), 1e-3)


def turned(pose: Array, change: Array) -> Array:
    """A pose moved, and turned about its own axes by a small rotation vector."""
    v, w, half = pose[3:6], pose[6], 0.5 * change[3:]
    quaternion = np.append(w * half + v + np.cross(v, half), w - v @ half)
    return np.concatenate([pose[:3] + change[:3], quaternion / np.linalg.norm(quaternion)])


def test_many_solutions_at_once_have_the_derivatives_of_each(rng) -> None:
    task = load_task("quadrotor", horizon=12, columns=3)
    instances = [task.sample(rng) for _ in range(5)]
    solver = Solver(task, EXACT)
    pairs = solver.solve_each_with_adjoint(instances, [task.interpolate(each) for each in instances])
    pullbacks = [pullback for _, pullback in pairs if pullback.exact]
    slopes = rng.normal(size=(len(pullbacks), 13, 12)), rng.normal(size=(len(pullbacks), 12, 4))
    found = Pullbacks(pullbacks, threads=3)(*slopes)
    for i, (pullback, by_state, by_control) in enumerate(zip(pullbacks, *slopes, strict=True)):
        alone = pullback(by_state, by_control)
        np.testing.assert_array_equal(found.x0[i, 0], alone.x0)
        np.testing.assert_array_equal(found.costates[i], alone.costates)
        np.testing.assert_array_equal(found.U[i], alone.dU)
        np.testing.assert_array_equal(found.weights[i], alone.weights)
        np.testing.assert_array_equal(found.target[i, 0], alone.target)
    bare = Pullbacks(pullbacks, costates=False)(np.asfortranarray(slopes[0]), slopes[1])
    np.testing.assert_array_equal(bare.x0, found.x0)
    assert bare.costates.size == 0
    with pytest.raises(SolverError, match="shapes"):
        Pullbacks(pullbacks[1:])(*slopes)


# ---------------------------------------------------------------- what has no derivatives


def test_derivatives_are_refused_once_the_solver_has_gone_on() -> None:
    task = load_task("lqr", horizon=5)
    instance = task.sample(np.random.default_rng(0))
    solver = Solver(task)
    solution, pullback = solver.solve_with_adjoint(instance, task.interpolate(instance))
    pullback(np.zeros_like(solution.X), np.zeros_like(solution.U))
    with pytest.raises(SolverError, match="shapes"):
        pullback(np.zeros_like(solution.X[1:]), np.zeros_like(solution.U))
    with pytest.raises(SolverError, match="NaN"):
        pullback(np.full_like(solution.X, np.nan), np.zeros_like(solution.U))
    solver.solve(instance, task.interpolate(instance))
    with pytest.raises(SolverError, match="something else since"):
        pullback(np.zeros_like(solution.X), np.zeros_like(solution.U))
    with pytest.raises(SolverError, match="matrices"):
        solver.weights()


def test_rk2_has_no_derivatives() -> None:
    task = load_task("ur5", horizon=10, integrator="rk2", **{"robot.damping": [0.0] * 6})
    instance = task.sample(np.random.default_rng(0))
    solution, pullback = Solver(task).solve_with_adjoint(instance, task.interpolate(instance))
    assert not pullback.exact
    with pytest.raises(SolverError, match="no derivatives"):
        pullback(np.zeros_like(solution.X), np.zeros_like(solution.U))


def test_weights_are_those_of_one_solve_and_must_fit() -> None:
    task = load_task("ur5", horizon=20)
    instance = task.sample(np.random.default_rng(1))
    guess, solver, named = task.interpolate(instance), Solver(task), task.cost_weights()
    before = solver.solve(instance, guess)
    other = solver.solve(instance, guess, weights=named.native(2.0 * named.values))
    assert other.cost == pytest.approx(2.0 * task.cost(other.X, other.U, instance.target))
    np.testing.assert_array_equal(solver.solve(instance, guess).X, before.X)
    for wrong, message in (
        (np.zeros((2, 5)), r"shape \(2, 5\)"),
        (-named.native(named.values), "non-negative"),
        (named.native(named.values) + 1.0, "orientation"),
    ):
        with pytest.raises(SolverError, match=message):
            solver.solve(instance, guess, weights=wrong)
    with pytest.raises(SolverError, match="2 guesses"):
        solver.solve_batch([instance], [guess, guess])
