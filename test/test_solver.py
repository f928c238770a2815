"""ProxDDP through the extension: optima, gains, Jacobians, limits, repeatability and bad input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sobo_planner import _native
from sobo_planner.errors import ConfigError, SolverError
from sobo_planner.solver import Guess, Instance, Refinement, Solver, SolverOptions, SolverStatus
from sobo_planner.tasks import load_task

EXACT = SolverOptions(tol=1e-7, early_stop=0.0)


@pytest.fixture(scope="module", params=["task", "unlimited"])
def arm(request):
    """The arm as shipped, and the one without limits on accelerations."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def solved(arm):
    instance = arm.sample(np.random.default_rng(1))
    return instance, Solver(arm).solve(instance, arm.interpolate(instance))


def test_dynamics_jacobians_against_finite_differences(arm, solved) -> None:
    _, solution = solved
    for t in (0, 7, 60):
        point = np.concatenate([solution.X[t], solution.U[t]])
        steps = [
            arm.robot.step(moved[:12], moved[12:], arm.dt, arm.integrator)
            for sign in (1.0, -1.0)
            for moved in point + sign * 1e-6 * np.eye(18)
        ]
        numeric = (np.array(steps[:18]) - steps[18:]).T / 2e-6
        np.testing.assert_allclose(np.hstack([solution.A[t], solution.B[t]]), numeric, atol=1e-6)


def test_solution_is_consistent_and_within_limits(arm, solved) -> None:
    instance, solution = solved
    assert solution.converged
    np.testing.assert_array_equal(solution.X[0], instance.x0)
    replayed = np.array(
        [arm.robot.step(x, u, arm.dt, arm.integrator) for x, u in zip(solution.X, solution.U, strict=False)]
    )
    np.testing.assert_allclose(replayed, solution.X[1:], atol=1e-9)
    assert np.all(np.abs(solution.U) <= arm.torque_limit + 1e-3)
    if arm.config.problem.velocity_limits:
        assert np.all(np.abs(solution.X[:, 6:]) <= arm.robot.velocity_limit + 1e-3)
    assert arm.final_error(solution.X, instance.target) < 0.01


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"accelerations": False}, "constant_acceleration has accelerations as controls"),
        ({"integrator": "rk2"}, "or semi_implicit_euler, got rk2"),
        ({"integrator": "leapfrog"}, "or semi_implicit_euler, got leapfrog"),
        ({"accelerations": False, "integrator": "semi_implicit_euler"}, "acceleration limits need"),
        ({"actuation": 2.0 * np.eye(6)}, "need a motor for every joint"),
    ],
)
def test_controls_that_do_not_fit_the_integrator_are_refused(task, changes, word) -> None:
    spec = task._spec(Refinement())
    for name, value in changes.items():
        setattr(spec, name, value)
    with pytest.raises(SolverError, match=word):
        _native.Worker(task.robot.native, spec)


def test_controls_of_a_problem_stay_what_they_are(unlimited) -> None:
    worker, spec = unlimited.make_worker(), unlimited._spec(Refinement())
    spec.accelerations = False
    with pytest.raises(SolverError, match="cannot be adapted to another actuation"):
        worker.adapt(unlimited.robot.native, spec)


def test_feedback_of_a_plan_reduces_a_perturbation(arm, solved) -> None:
    """A wrong sign or a gain of another iterate would amplify it instead."""
    _, solution = solved
    kick = np.concatenate([np.full(6, 0.02), np.zeros(6)])
    ends = {}
    for name, gain in (("open", 0.0), ("closed", 1.0)):
        x = solution.X[0] + kick
        for t in range(arm.horizon):
            x = arm.robot.step(x, solution.U[t] + gain * solution.K[t] @ (x - solution.X[t]), arm.dt, arm.integrator)
        ends[name] = np.linalg.norm(arm.robot.tool_position(x[:6]) - arm.robot.tool_position(solution.X[-1, :6]))
    assert ends["closed"] < 0.2 * ends["open"]
    assert ends["closed"] < 0.01


def test_gains_after_few_iterations_are_those_of_the_trajectory(arm, solved) -> None:
    instance, solution = solved
    exact = Solver(arm, dataclasses.replace(arm.solver_options, tol=1e-7, early_stop=0.0))
    solution = exact.solve(instance, Guess(solution.X, solution.U))
    again = Solver(arm).solve(instance, Guess(solution.X, solution.U))
    assert again.iterations <= 4
    assert np.linalg.norm(again.K - solution.K) < 0.02 * np.linalg.norm(solution.K)


def test_cost_against_its_formula(arm) -> None:
    rng = np.random.default_rng(3)
    X, U = rng.normal(size=(arm.horizon + 1, 12)), rng.normal(size=(arm.horizon, 6))
    given, target = U, rng.normal(size=3)
    problem = arm.config.problem

    def stage(x, weights) -> float:
        error = arm.robot.tool_position(x[:6]) - target
        return weights.position * error @ error + weights.velocity * x[6:] @ x[6:]

    A = np.diff(X[:, 6:], axis=0) / arm.dt  # torques follow from the states
    U = np.array([arm.robot.inverse_dynamics(x[:6], x[6:], a) for x, a in zip(X, A, strict=False)])
    expected = sum(
        arm.dt * (stage(x, problem.running) + problem.running.torque * u @ u) for x, u in zip(X, U, strict=False)
    )
    expected += stage(X[-1], problem.terminal)
    assert arm.cost(X, given, target) == pytest.approx(expected, rel=1e-12)


def test_threads_and_history_do_not_change_results(task) -> None:
    rng = np.random.default_rng(5)
    instances = [task.sample(rng) for _ in range(4)]
    guesses = [task.interpolate(instance) for instance in instances]
    one, two = Solver(task), Solver(task)
    batches = [one.solve_batch(instances, guesses, threads=1), two.solve_batch(instances, guesses, threads=2)]
    batches.append([one.solve(*pair) for pair in reversed(list(zip(instances, guesses, strict=True)))][::-1])
    for other in batches[1:]:
        for a, b in zip(batches[0], other, strict=True):
            assert (a.iterations, a.cost) == (b.iterations, b.cost)
            for name in ("X", "U", "K", "A", "B", "k"):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_early_stop_saves_iterations_at_the_same_cost(task) -> None:
    rng = np.random.default_rng(6)
    instances = [task.sample(rng) for _ in range(4)]
    guesses = [task.interpolate(instance) for instance in instances]
    options = dataclasses.replace(task.solver_options, early_stop=0.0)
    early, full = Solver(task).solve_batch(instances, guesses), Solver(task, options).solve_batch(instances, guesses)
    assert sum(s.iterations for s in early) < sum(s.iterations for s in full)
    for a, b in zip(early, full, strict=True):
        assert not b.converged or a.cost <= b.cost * 1.01


def test_a_sequence_without_first_order_information(task) -> None:
    """The same iterates, also where the start needs no step."""
    instance = task.sample(np.random.default_rng(4))
    options = dataclasses.replace(task.solver_options, max_iterations=2, retry=False)
    solvers = [Solver(task, options, sequence=True, first_order=wanted) for wanted in (True, False)]
    starts = [task.interpolate(instance)] * 2
    for _ in range(12):
        full, bare = (solver.solve(instance, start) for solver, start in zip(solvers, starts, strict=True))
        assert (full.iterations, full.status) == (bare.iterations, bare.status)
        np.testing.assert_array_equal(full.X, bare.X)
        np.testing.assert_array_equal(full.U, bare.U)
        assert (full.cost, full.primal_residual) == (bare.cost, bare.primal_residual)
        assert len(full.K) == len(full.A) == task.horizon
        assert bare.K.size == bare.A.size == bare.B.size == bare.k.size == 0
        starts = [Guess(solution.X, solution.U) for solution in (full, bare)]
    assert full.iterations == 0


@pytest.mark.parametrize("integrator", ["constant_acceleration", "semi_implicit_euler"])
def test_a_solve_without_first_order_information(integrator: str) -> None:
    """The same solution, with all that is said of it."""
    task = load_task("ur5", integrator=integrator)
    instance = task.sample(np.random.default_rng(4))
    full, bare = (
        Solver(task, first_order=wanted).solve(instance, task.interpolate(instance)) for wanted in (True, False)
    )
    np.testing.assert_array_equal(full.X, bare.X)
    np.testing.assert_array_equal(full.U, bare.U)
    told = ("status", "iterations", "cost", "primal_residual", "initial_cost", "message")
    assert [getattr(full, name) for name in told] == [getattr(bare, name) for name in told] and full.converged
    assert len(full.K) == task.horizon and bare.K.size == bare.A.size == bare.B.size == bare.k.size == 0


def test_time_limit_returns_the_current_iterate(task) -> None:
    instance = task.sample(np.random.default_rng(7))
    solution = Solver(task).solve(instance, task.gravity_rollout(instance), time_limit=1e-9)
    assert solution.status is SolverStatus.TIME_LIMIT
    assert solution.iterations == 1


def test_rk2_follows_the_midpoint_rule() -> None:
    task = load_task("ur5", integrator="rk2", velocity_limits=False, **{"robot.damping": []})
    instance = task.sample(np.random.default_rng(8))
    solution = Solver(task).solve(instance, task.interpolate(instance))
    assert solution.converged
    robot, dt = task.robot, task.dt

    def derivative(x, u):
        return np.concatenate([x[6:], robot.forward_dynamics(x[:6], x[6:], u)])

    for t in (0, 10, 50):
        x, u = solution.X[t], solution.U[t]
        middle = x + 0.5 * dt * derivative(x, u)
        np.testing.assert_allclose(x + dt * derivative(middle, u), solution.X[t + 1], atol=1e-3)


@settings(max_examples=25)
@given(
    where=st.sampled_from(["x0", "target", "X", "U"]),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
    index=st.integers(0, 10_000),
)
def test_values_that_are_not_finite_are_refused_and_the_solver_lives_on(task, where, value, index) -> None:
    solver = _shared_solver(task)
    instance = task.sample(np.random.default_rng(9))
    guess = task.gravity_rollout(instance)
    arrays = {"x0": instance.x0, "target": instance.target, "X": guess.X, "U": guess.U}
    spoilt = {name: array.copy() for name, array in arrays.items()}
    spoilt[where].flat[index % spoilt[where].size] = value
    with pytest.raises(SolverError, match="NaN or an infinity"):
        solver.solve(Instance(spoilt["x0"], spoilt["target"]), Guess(spoilt["X"], spoilt["U"]))
    assert solver.solve(instance, guess).cost == _shared_cost(task)


_cache: dict[str, object] = {}


def _shared_solver(task) -> Solver:
    return _cache.setdefault("solver", Solver(task, SolverOptions(max_iterations=3, retry=False)))


def _shared_cost(task) -> float:
    if "cost" not in _cache:
        instance = task.sample(np.random.default_rng(9))
        fresh = Solver(task, SolverOptions(max_iterations=3, retry=False))
        _cache["cost"] = fresh.solve(instance, task.gravity_rollout(instance)).cost
    return _cache["cost"]


def test_divergence_is_a_status_and_the_solver_lives_on(arm, solved) -> None:
    instance, solution = solved
    solver = Solver(arm)
    absurd = solver.solve(instance, Guess(np.full_like(solution.X, 1e150), np.full_like(solution.U, 1e150)))
    assert absurd.status is SolverStatus.FAILED
    assert absurd.message
    np.testing.assert_array_equal(solver.solve(instance, arm.interpolate(instance)).X, solution.X)


def test_wrong_shapes_are_named(arm, solved) -> None:
    instance, solution = solved
    solver = Solver(arm)
    with pytest.raises(SolverError, match=r"X has shape \(100, 12\), expected \(101, 12\)"):
        solver.solve(instance, Guess(solution.X[1:], solution.U))
    with pytest.raises(SolverError, match="x0 has 11 entries, expected 12"):
        solver.solve(Instance(instance.x0[1:], instance.target), Guess(solution.X, solution.U))
    with pytest.raises(SolverError, match="the target has 2 entries, expected 3"):
        solver.solve(Instance(instance.x0, np.zeros(2)), Guess(solution.X, solution.U))
    with pytest.raises(SolverError, match="must be numbers of shape"):
        solver.solve(Instance(instance.x0, np.zeros((1, 3))), Guess(solution.X, solution.U))
    with pytest.raises(SolverError, match="2 instances but 1 guesses"):
        solver.solve_batch([instance, instance], [Guess(solution.X, solution.U)])
    with pytest.raises(ConfigError, match="solver.tol must be positive"):
        SolverOptions(tol=0.0)


def test_other_settings_on_the_same_native_problem(task, home) -> None:
    instance = Instance(np.concatenate([home, np.zeros(6)]), np.array([0.4, 0.3, 0.4]))
    solver, guess = Solver(task), task.interpolate(instance)
    short = dataclasses.replace(task.solver_options, max_iterations=2, retry=False)
    before = solver.solve(instance, guess)
    other = solver.with_options(short).solve(instance, guess)
    assert other.iterations == 2 < before.iterations
    np.testing.assert_array_equal(other.X, Solver(task, short).solve(instance, guess).X)
    np.testing.assert_array_equal(solver.solve(instance, guess).X, before.X)
