"""Costs of many rollouts at once are those of each simulated by itself."""

from __future__ import annotations

import numpy as np
import pytest
from test_arm_kernel import KERNELS, random_robot

from sobo_planner import _native
from sobo_planner.errors import SolverError, TaskError
from sobo_planner.solver import Instance, Refinement
from sobo_planner.tasks import ArmReach, Task, load_task
from sobo_planner.tasks.batch import Reference, one_by_one

EULER = {"problem.integrator": "semi_implicit_euler"}
TASKS = {
    "lqr": lambda: load_task("lqr"),
    "pendulum": lambda: load_task("pendulum"),
    "double_pendulum": lambda: load_task("double_pendulum"),
    "quadrotor": lambda: load_task("quadrotor", columns=9),
    "ur5": lambda: load_task("ur5"),
    "ur5 euler": lambda: load_task("ur5", **EULER),
    "ur5 slower": lambda: load_task("ur5").lasting(3.0),
    "ur5 pose": lambda: load_task("ur5").with_orientation(),
    "ur5 joints": lambda: load_task("ur5").with_goal_type("joints"),
}


@pytest.fixture(scope="module", params=list(TASKS))
def any_task(request) -> Task:
    return TASKS[request.param]()


@pytest.fixture(scope="module")
def ur5() -> ArmReach:
    return load_task("ur5")


def random_controls(task: Task, rng: np.random.Generator, count: int) -> np.ndarray:
    """Controls around the middle of their bounds; a quadrotor's near hovering: one that tumbles amplifies rounding."""
    middle, half = 0.5 * (task.control_upper + task.control_lower), 0.5 * (task.control_upper - task.control_lower)
    share = 0.3
    if task.kind == "quadrotor_reach":
        middle, share = task.hover, 0.02
    return middle + share * half * rng.uniform(-1.0, 1.0, (count, task.horizon, task.nu))


def test_costs_are_those_of_simulated_rollouts(any_task, rng) -> None:
    instance = any_task.sample(rng)
    controls = random_controls(any_task, rng, 20)
    batch = any_task.batch_costs(instance, controls, threads=2)
    rollouts = [any_task.simulate(instance.x0, U) for U in controls]
    costs = [any_task.cost(X, U, instance.target) for X, U in zip(rollouts, controls, strict=True)]
    np.testing.assert_allclose(batch.cost, costs, rtol=1e-12)
    np.testing.assert_array_equal(batch.cost, any_task.batch_costs(instance, controls).cost)
    np.testing.assert_array_equal(batch.away, 0.0)


@pytest.mark.parametrize("name", ["double_pendulum", "ur5 pose", "quadrotor"])
def test_a_rollout_costs_the_same_alone_and_among_others(name, rng) -> None:
    task = TASKS[name]()
    instance, U = task.sample(rng), random_controls(task, rng, 45)  # no multiple of any number of lanes
    together = task.batch_costs(instance, U, threads=3)
    for i in (0, 7, 16, 44):
        alone = task.batch_costs(instance, U[i : i + 1])
        assert (alone.cost[0], alone.excess[0]) == (together.cost[i], together.excess[i])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", range(8))
def test_random_arms_move_as_pinocchio_says(kernel: str, seed: int) -> None:
    """Trees of revolute and prismatic joints with damping, rotors and loads, one step each from random states."""
    robot, rng = random_robot(seed), np.random.default_rng([5, seed])
    n = robot.nv
    spec = _native.ReachSpec()
    spec.horizon, spec.dt, spec.integrator, spec.actuation = 1, 0.01, "semi_implicit_euler", np.eye(n)
    for weights in (spec.running, spec.terminal):
        weights.position, weights.state, weights.control = np.zeros(3), np.zeros(2 * n), np.zeros(n)
        weights.state_reference, weights.control_reference = np.zeros(2 * n), np.zeros(n)
    spec.terminal.position = np.ones(3)
    for joint in range(n):
        spec.terminal.state = np.eye(2 * n)[n + joint]
        x, U = rng.normal(scale=2.0, size=2 * n), rng.normal(scale=5.0, size=(3, 1, n))
        after = [robot.step(x, u[0], spec.dt, spec.integrator) for u in U]
        expected = [each[n + joint] ** 2 + (robot.tool_position(each[:n]) ** 2).sum() for each in after]
        found, _, _ = _native.arm_batch(robot, spec, x, np.zeros(3), U, kernel=kernel)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("kernel", KERNELS)
def test_flights_are_those_of_the_model(kernel: str, rng) -> None:
    """One step from attitudes on both sides of where the closed forms of rotations take the place of series."""
    task = load_task("quadrotor")
    spec = task._make_spec()
    spec.horizon = 1
    spec.running.position, spec.running.state, spec.running.control = np.zeros(3), np.zeros(12), np.zeros(4)
    spec.terminal.position = np.zeros(3)
    for turn in (0.0, 1e-9, 0.5, 0.999, 1.001, 2.0, 4.0):
        x0, axis = rng.normal(size=12), rng.normal(size=3)
        x0[3:6] = turn * axis / np.linalg.norm(axis)
        U = task.hover + rng.normal(size=(3, 1, 4))
        after = np.array([task.simulate(x0, u)[1] for u in U])
        for i in range(12):
            spec.terminal.state = np.eye(12)[i]
            found, _, _ = _native.quadrotor_batch(spec, x0, np.ones(3), U, kernel=kernel)
            np.testing.assert_allclose(found, after[:, i] ** 2, rtol=1e-12, atol=1e-24)


def test_an_unknown_kernel_is_refused(ur5) -> None:
    with pytest.raises(SolverError, match="has no kernel 'mmx'"):
        _native.arm_batch(
            ur5.robot.native,
            ur5._spec(Refinement()),
            np.zeros(12),
            np.zeros(3),
            np.zeros((1, ur5.horizon, 6)),
            kernel="mmx",
        )


@pytest.mark.parametrize("name", ["double_pendulum", "ur5", "ur5 euler", "ur5 pose"])
def test_motions_cost_the_torques_that_they_take(name, rng) -> None:
    task = TASKS[name]()
    instance, n = task.sample(rng), task.nu
    V = 0.1 * np.cumsum(rng.normal(size=(5, task.horizon, n)), axis=1)
    batch = task.motion_costs(instance, V, threads=2)
    euler = task.kind == "swing_up" or task.integrator == "semi_implicit_euler"
    for i, velocities in enumerate(V):
        v = np.vstack([instance.x0[n:], velocities])
        q = instance.x0[:n] + task.dt * np.cumsum(v[1:] if euler else 0.5 * (v[:-1] + v[1:]), axis=0)
        X = np.hstack([np.vstack([instance.x0[:n], q]), v])
        U = [
            task.robot.inverse_dynamics(x[:n], x[n:], a)
            for x, a in zip(X[:-1], np.diff(v, axis=0) / task.dt, strict=True)
        ]
        assert batch.cost[i] == pytest.approx(task.cost(X, np.array(U), instance.target), rel=1e-11)
        over = np.abs(np.array(U)) / task.control_upper - 1.0
        if name == "double_pendulum":
            assert batch.excess[i] == pytest.approx((over.clip(0.0) ** 2).sum(), rel=1e-9)


def test_an_arms_excess_counts_every_bound(ur5) -> None:
    """One step beyond one bound at a time, in an arm that otherwise holds still."""
    home = np.array(ur5.config.robot.home)
    instance = Instance(np.concatenate([home, np.zeros(6)]), np.array([0.4, 0.3, 0.4]))
    still = np.zeros((1, ur5.horizon, 6))
    assert ur5.motion_costs(instance, still).excess[0] == 0.0
    sudden = still.copy()
    sudden[0, :, 0] = 1.2 * ur5.acceleration_limit[0] * ur5.dt  # from rest within one step: 1.2 times the limit
    assert ur5.motion_costs(instance, sudden).excess[0] == pytest.approx(0.2**2, rel=1e-9)
    fast = still + np.linspace(0.0, 1.0, ur5.horizon)[:, None] * np.array([3.5, 0, 0, 0, 0, 0])
    beyond = fast[0, :, 0] / ur5.velocity_limit[0] - 1.0
    assert ur5.motion_costs(instance, fast).excess[0] == pytest.approx((beyond.clip(0.0) ** 2).sum(), rel=1e-9)
    far = Instance(np.concatenate([home, np.zeros(6)]), instance.target)
    far.x0[0] = ur5.robot.position_upper[0] + 0.5
    lower, upper = ur5.position_bounds()
    outside = (far.x0[0] - upper[0]) / (0.5 * (upper[0] - lower[0]))
    assert ur5.motion_costs(far, still).excess[0] == pytest.approx(ur5.horizon * outside**2, rel=1e-9)


def test_a_flights_excess_is_how_deep_it_is_in_columns() -> None:
    task = load_task("quadrotor", columns=9)
    x, y, radius = task.columns[0]
    hovering = np.tile(task.hover, (1, task.horizon, 1))
    x0 = np.concatenate([[x + radius - 0.1, y, 1.0], np.zeros(9)])
    batch = task.batch_costs(Instance(x0, x0[:3]), hovering)
    assert batch.excess[0] == pytest.approx(task.horizon * 0.1**2, rel=1e-6)


def test_distance_from_a_reference(rng) -> None:
    for task in (load_task("double_pendulum"), load_task("quadrotor")):
        instance = task.sample(rng)
        U = random_controls(task, rng, 1)
        X = task.simulate(instance.x0, U[0])[1:]
        path = np.array(
            [x[:3] if task.kind == "quadrotor_reach" else task.robot.tool_position(x[: task.nu]) for x in X]
        )
        on_it = task.batch_costs(instance, U, reference=Reference(path))
        assert on_it.away[0] == pytest.approx(0.0, abs=1e-20)
        beside = task.batch_costs(instance, U, reference=Reference(path + [0.0, 0.1, 0.0], reach=0.5))
        assert beside.away[0] == pytest.approx(0.2**2, rel=1e-9)
        far = task.batch_costs(instance, U, reference=Reference(path + 9.0))
        assert far.away[0] == 1.0


def test_rollouts_that_diverge_cost_infinitely_much() -> None:
    task = load_task("double_pendulum")
    instance = task.sample(np.random.default_rng(0))
    U = np.zeros((3, task.horizon, 2))
    U[1] = 1e200
    batch = task.batch_costs(instance, U)
    assert np.isinf([batch.cost[1], batch.excess[1], batch.away[1]]).all() and np.isfinite(batch.cost[[0, 2]]).all()
    assert np.isinf(one_by_one(task, instance, U).cost[1])


def test_the_general_way_gives_the_same(rng) -> None:
    task = load_task("quadrotor", columns=9)
    instance, U = task.sample(rng), random_controls(task, rng, 3)
    np.testing.assert_allclose(
        one_by_one(task, instance, U).cost, task.batch_costs(instance, U, threads=3).cost, rtol=1e-12
    )


def test_what_does_not_fit_is_refused(ur5) -> None:
    lqr, quadrotor = load_task("lqr"), load_task("quadrotor")
    for task in (ur5, lqr, quadrotor):
        with pytest.raises(TaskError, match="a batch of trajectories has shape"):
            task.batch_costs(task.sample(np.random.default_rng(0)), np.zeros((2, task.horizon + 1, task.nu)))
    with pytest.raises(TaskError, match="no joints whose motions"):
        quadrotor.motion_costs(quadrotor.sample(np.random.default_rng(0)), np.zeros((2, quadrotor.horizon, 4)))
    with pytest.raises(TaskError, match="no positions that a reference"):
        lqr.batch_costs(
            lqr.sample(np.random.default_rng(0)),
            np.zeros((1, lqr.horizon, lqr.nu)),
            reference=Reference(np.zeros((lqr.horizon, 3))),
        )
    still, home = np.zeros((1, ur5.horizon, 6)), np.zeros(12)
    with pytest.raises(SolverError, match="needs 12 numbers for x0 and 3 for the target, got 12 and 7"):
        ur5.motion_costs(Instance(home, np.zeros(7)), still)
    with pytest.raises(SolverError, match="NaN"):
        ur5.motion_costs(Instance(np.full(12, np.nan), np.zeros(3)), still)
    with pytest.raises(SolverError, match="a reference needs 100 finite positions, got 2"):
        ur5.motion_costs(Instance(home, np.zeros(3)), still, reference=Reference(np.zeros((2, 3))))
