"""The quadrotor task: instances, starts, cost, encoding, and what the solver and the follower make of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sobo_planner.errors import ConfigError, TaskError
from sobo_planner.solver import Solver
from sobo_planner.tasks import QuadrotorReach, load_task


@pytest.fixture(scope="module", params=[0, 1, 3, 9])
def quadrotor(request) -> QuadrotorReach:
    return load_task("quadrotor", columns=request.param)


def test_instances_are_feasible(quadrotor, rng) -> None:
    distribution = quadrotor.config.distribution
    for _ in range(30):
        instance = quadrotor.sample(rng)
        assert not instance.x0[3:].any() and instance.x0[2] == instance.target[2] == distribution.height
        assert quadrotor.distance(instance.x0, instance.target) >= distribution.distance
        ends = np.zeros((2, 12))
        ends[:, :3] = instance.x0[:3], instance.target
        assert quadrotor.violation(ends) == 0.0
        gaps = np.linalg.norm(ends[:, None, :2] - quadrotor.columns[:, :2], axis=2) - quadrotor.columns[:, 2]
        assert np.all(gaps >= distribution.clearance)


def test_violations_are_depths(rng) -> None:
    quadrotor = load_task("quadrotor", columns=1)
    X = np.zeros((3, 12))
    X[:, 2], X[:, 0] = 1.0, [2.0, 1.0, 0.3]
    assert quadrotor.violation(X) == pytest.approx(0.1)  # column of 0.4 m at the origin
    X[0, 2] = 2.0
    assert quadrotor.violation(X) == pytest.approx(0.2)  # ceiling at 1.8 m
    assert quadrotor.violation(X[1:2]) == 0.0


def test_cost(quadrotor, rng) -> None:
    instance = quadrotor.sample(rng)
    U = quadrotor.hover + 0.2 * rng.normal(size=(quadrotor.horizon, 4))
    X = quadrotor.simulate(instance.x0, U)
    running = 1.0 * ((X[:-1, :3] - instance.target) ** 2).sum()
    running += ((X[:-1] ** 2) @ np.repeat([0.0, 1.0, 0.3, 0.3], 3)).sum() + 0.1 * ((U - quadrotor.hover) ** 2).sum()
    terminal = 100.0 * ((X[-1, :3] - instance.target) ** 2).sum() + 10.0 * (X[-1, 3:] ** 2).sum()
    assert quadrotor.cost(X, U, instance.target) == pytest.approx(quadrotor.dt * running + terminal, rel=1e-10)


def test_the_solver_flies_between_columns_and_the_follower_repeats_it(quadrotor) -> None:
    solver = Solver(quadrotor)
    for seed in range(2):
        instance = quadrotor.sample(np.random.default_rng(seed))
        solution = solver.solve(instance, quadrotor.interpolate(instance))
        assert solution.converged
        assert quadrotor.final_error(solution.X, instance.target) < 0.01
        assert quadrotor.violation(solution.X) < 2e-3
        assert solution.U.min() > -1e-3 and solution.U.max() < quadrotor.control_upper[0] + 1e-3
        actions = quadrotor.actions("state")
        chunk = actions.encode(solution.X, solution.U, 32)[0]
        X, U = actions.follow(instance.x0, chunk[1:])
        np.testing.assert_allclose(X, solution.X[:32], atol=5e-3)
        np.testing.assert_allclose(X[-1], quadrotor.simulate(instance.x0, U)[-1], atol=1e-12)


def test_starts_differ_and_begin_at_the_instance(quadrotor, rng) -> None:
    instance = quadrotor.sample(rng)
    starts = quadrotor.starts(instance, 5, rng)
    for guess in starts:
        np.testing.assert_array_equal(guess.X[0], instance.x0)
        assert guess.X.shape == (quadrotor.horizon + 1, 12) and guess.U.shape == (quadrotor.horizon, 4)
    middles = np.array([guess.X[quadrotor.horizon // 2, :2] for guess in starts])
    assert len(np.unique(middles.round(6), axis=0)) == 5
    np.testing.assert_allclose(starts[1].X[-1], instance.x0, atol=1e-9)  # hovering stays


@settings(max_examples=20)
@given(numbers=st.lists(st.floats(-2.0, 2.0), min_size=15, max_size=16))
def test_observation_jacobian(numbers) -> None:
    task = load_task("quadrotor", columns=len(numbers) % 2 * 3)
    x, target = np.array(numbers[:12]), np.array(numbers[12:15])
    columns = [
        (task.observation(x + d, target, 3) - task.observation(x - d, target, 3)) / 2e-6 for d in 1e-6 * np.eye(12)
    ]
    np.testing.assert_allclose(task.observation_jacobian(x, target), np.stack(columns, axis=1), atol=1e-7)
    assert task.observation(x, target).shape == (task.obs_dim,)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"columns": 10}, r"columns must lie in 0 ... 9, the layout's; got 10"),
        ({"floor": 2.0}, "the floor 2.0 must lie below the ceiling 1.8"),
        ({"height": 2.5}, "height 2.5 must lie between floor 0.2 and ceiling 1.8"),
        ({"thrust_limit": 2.0}, "thrust_limit must exceed what the mass takes, 2.45 N a rotor"),
        ({"inertia": "[1, 1]"}, "inertia needs 3 moments, got 2"),
        ({"layout": "[[0, 0, -1]]", "columns": 1}, "a column needs x, y and a positive radius"),
        ({"problem.running.thrust": -1}, "weight thrust must not be negative, got -1"),
    ],
)
def test_bad_values_are_refused(overrides, message) -> None:
    with pytest.raises(ConfigError, match=message):
        load_task("quadrotor", **overrides)


def test_no_room_for_an_instance_is_said(rng) -> None:
    crowded = load_task("quadrotor", layout="[[0, 0, 10]]", columns=1)
    with pytest.raises(TaskError, match="distribution: no position 0.2 m from the columns"):
        crowded.sample(rng)
    far = load_task("quadrotor", distance=100.0)
    with pytest.raises(TaskError, match="no start and target 100.0 m apart"):
        far.sample(rng)
