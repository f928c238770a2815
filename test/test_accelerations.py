"""Arms with limits on accelerations: the solver's problem, its solutions, and the integrator of rollouts."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from sobo_planner import _native
from sobo_planner.errors import ConfigError, RobotError, SolverError
from sobo_planner.robot.accelerations import DEFAULT, acceleration_limits, jerk_limits
from sobo_planner.solver import Guess, Instance, Refinement, Solver
from sobo_planner.tasks import load_task

LIMIT = 12.0
OPTIONS = {"integrator": "constant_acceleration", "acceleration_limits": [LIMIT]}


@pytest.fixture(scope="module")
def arm():
    """The shipped arm with acceleration limits."""
    return load_task("ur5", **OPTIONS)


@pytest.fixture(scope="module")
def solved(arm):
    """Instances and solutions from interpolation."""
    solver, rng = Solver(arm), np.random.default_rng(11)
    instances = [arm.sample(rng) for _ in range(6)]
    return [(instance, solver.solve(instance, arm.interpolate(instance))) for instance in instances]


def accelerations(task, X: np.ndarray) -> np.ndarray:
    return np.diff(X[:, task.nu :], axis=0) / task.dt


def test_solutions_keep_all_limits_at_every_knot(arm, solved) -> None:
    for instance, solution in solved:
        assert solution.converged
        assert solution.iterations <= 40
        np.testing.assert_array_equal(solution.X[0], instance.x0)
        assert np.abs(accelerations(arm, solution.X)).max() <= LIMIT + 1e-2
        assert np.abs(solution.X[:, arm.nu :]).max() <= arm.robot.velocity_limit[0] + 1e-3
        assert np.all(np.abs(solution.U) <= arm.torque_limit + 1e-3)
        assert arm.final_error(solution.X, instance.target) < 0.01


def test_bounds_open_and_close_within_ramps_which_change_in_place(arm, solved) -> None:
    instance, solution = solved[0]
    spec = arm._spec(Refinement())
    free, spec.ramp_start, spec.ramp_end = arm.make_worker(), 3, 1
    for worker in (free, _native.Worker(arm.robot.native, spec)):
        worker.adapt(arm.robot.native, spec)
        result = worker.solve(
            _native.Start(instance.x0, instance.target, solution.X, solution.U), _native.SolveOptions()
        )
        shares = np.abs(accelerations(arm, result["X"])).max(axis=1) / LIMIT
        assert (shares[:4] <= [0.251, 0.501, 0.751, 1.001]).all() and shares[-1] <= 0.501 and shares[1:3].max() > 0.4
    spec.ramp_end = -1
    with pytest.raises(SolverError, match="ramps must not have fewer than 0 steps"):
        _native.Worker(arm.robot.native, spec)


def test_limits_are_used(arm, solved) -> None:
    """Half of the motions are as quick as the limits let them be."""
    peaks = [np.abs(accelerations(arm, solution.X)).max() for _, solution in solved]
    assert np.median(peaks) > 0.999 * LIMIT


def test_torques_lead_along_the_states(arm, solved) -> None:
    """What is planned with accelerations is a rollout of the torques, step by step."""
    for _, solution in solved:
        steps = [
            arm.robot.step(x, u, arm.dt, "constant_acceleration") for x, u in zip(solution.X, solution.U, strict=False)
        ]
        np.testing.assert_allclose(steps, solution.X[1:], atol=1e-9)


def test_the_cubic_through_the_knots_is_the_motion(arm, solved) -> None:
    """Position halfway, by a cubic through positions and velocities, against constant acceleration."""
    _, solution = solved[0]
    q, v = np.split(solution.X, 2, axis=1)
    cubic = 0.5 * (q[:-1] + q[1:]) + arm.dt / 8.0 * (v[:-1] - v[1:])
    half = 0.5 * arm.dt
    np.testing.assert_allclose(
        cubic, q[:-1] + half * v[:-1] + 0.5 * half**2 * accelerations(arm, solution.X), atol=1e-12
    )


def test_jacobians_are_those_of_the_dynamics_in_torques(arm, solved) -> None:
    _, solution = solved[1]
    for t in (0, 7, 60):
        point = np.concatenate([solution.X[t], solution.U[t]])
        steps = [
            arm.robot.step(moved[:12], moved[12:], arm.dt, "constant_acceleration")
            for sign in (1.0, -1.0)
            for moved in point + sign * 1e-6 * np.eye(18)
        ]
        numeric = (np.array(steps[:18]) - steps[18:]).T / 2e-6
        np.testing.assert_allclose(np.hstack([solution.A[t], solution.B[t]]), numeric, atol=1e-6)


def test_gains_are_the_derivatives_of_the_optimal_torques(arm) -> None:
    """Against solving again from states moved by a little, with active bounds."""
    solver = Solver(arm, dataclasses.replace(arm.solver_options, tol=1e-7, early_stop=0.0))
    rng = np.random.default_rng(1)
    for instance in [arm.sample(rng) for _ in range(3)]:
        first = solver.solve(instance, arm.interpolate(instance))
        optimum = solver.solve(instance, Guess(first.X, first.U))
        h, du, dx = 1e-4, [], []
        for step in h * np.eye(12):
            moved = [Instance(instance.x0 + sign * step, instance.target) for sign in (1.0, -1.0)]
            up, down = (solver.solve(each, Guess(optimum.X, optimum.U)) for each in moved)
            du.append((up.U[0] - down.U[0]) / (2.0 * h))
            dx.append((up.X - down.X) / (2.0 * h))
        assert np.linalg.norm(optimum.K[0] - np.array(du).T) < 0.01 * np.linalg.norm(du)
        Phi = [np.eye(12)]
        for A, B, K in zip(optimum.A, optimum.B, optimum.K, strict=True):
            Phi.append((A + B @ K) @ Phi[-1])
        assert np.linalg.norm(np.array(Phi) - np.moveaxis(dx, 0, -1)) < 0.01 * np.linalg.norm(dx)


def test_torque_limits_hold_where_they_are_what_limits_the_motion() -> None:
    """With two fifths of its torque the arm has to lift with care; what overcomes dry friction is kept for that."""
    weak = load_task("ur5", torque_scale=0.4, **OPTIONS)
    solver, rng = Solver(weak), np.random.default_rng(3)
    shares = []
    for _ in range(6):
        instance = weak.sample(rng)
        solution = solver.solve(instance, weak.interpolate(instance))
        assert solution.converged
        shares.append(np.abs(solution.U / (weak.torque_limit - weak.robot.friction)).max())
    assert max(shares) > 0.999  # or the test is of no use
    assert max(shares) < 1.0 + 1e-4


def test_dry_friction_that_leaves_no_torque_is_refused() -> None:
    with pytest.raises(ConfigError, match="robot.friction: 14 Nm of joint wrist_1_joint is not below its torque limit"):
        load_task("ur5", torque_scale=0.5, **{"robot.friction": [4.0, 4.0, 3.0, 14.0, 1.0, 1.0]}, **OPTIONS)


def test_the_cost_of_a_trajectory_is_that_of_the_solution(arm, solved) -> None:
    instance, solution = solved[2]
    assert arm.cost(solution.X, solution.U, instance.target) == pytest.approx(solution.cost, rel=1e-9)


def test_a_solution_is_its_own_warm_start(arm, solved) -> None:
    iterations = []
    for instance, solution in solved:
        again = Solver(arm).solve(instance, Guess(solution.X, solution.U))
        assert again.converged
        iterations.append(again.iterations)
        assert again.cost <= solution.cost * (1.0 + 1e-3)
    assert sorted(iterations)[-2] <= 3, "one ends where little is gained for a while, near a saddle"


def test_rollouts_keep_the_limits(arm) -> None:
    instance = arm.sample(np.random.default_rng(5))
    guess = arm.interpolate(instance)
    assert np.abs(accelerations(arm, guess.X)).max() <= LIMIT + 1e-6
    np.testing.assert_allclose(guess.X, arm.simulate(instance.x0, guess.U), atol=1e-9)
    X, _ = arm.track(instance.x0, np.tile(instance.x0 + np.r_[0.5, np.zeros(11)], (20, 1)), 1.0)
    assert np.abs(accelerations(arm, X)).max() == pytest.approx(LIMIT)


def test_no_limit_leaves_rollouts_as_they_were(arm) -> None:
    """An infinite limit is none, and the blend corrects what the velocities leave of the position error."""
    x, n = np.r_[arm.config.robot.home, np.zeros(6)], 6
    desired = np.tile(x + np.r_[0.01, np.zeros(11)], (1, 1))
    X, _ = arm.robot.track(x, desired, arm.dt, 1.0, integrator="constant_acceleration")
    assert X[1, n] == pytest.approx(0.01 / arm.dt)
    X, _ = arm.robot.track(x, desired, arm.dt, 1.0)
    assert X[1, 0] == pytest.approx(x[0] + 0.01)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(RobotError, match="limit of joint shoulder_lift_joint must be a positive number, got -1"):
        load_task("ur5", **OPTIONS | {"acceleration_limits": [1.0, -1.0, 1.0, 1.0, 1.0, 1.0]})
    with pytest.raises(RobotError, match="needs one entry for each of the 6 joints, or one for all: 2"):
        load_task("ur5", **OPTIONS | {"acceleration_limits": [1.0, 2.0]})
    with pytest.raises(ConfigError, match="is none of constant_acceleration, semi_implicit_euler, rk2"):
        load_task("ur5", integrator="euler")
    with pytest.raises(RobotError, match="unknown integrator 'rk4'"):
        load_task("ur5").robot.step(np.zeros(12), np.zeros(6), 0.01, "rk4")
    slow = load_task("ur5", **OPTIONS)
    slow.acceleration_limit = np.full(6, -1.0)
    with pytest.raises(SolverError, match="acceleration bounds are infeasible"):
        slow.make_worker()


def test_limits_come_from_the_task_file_a_moveit_file_a_known_arm_or_a_default(tmp_path) -> None:
    joints = ["a", "b"]
    file = tmp_path / "joint_limits.yaml"
    file.write_text(
        "joint_limits:\n  a: {has_acceleration_limits: true, max_acceleration: 3}\n"
        "  b: {has_acceleration_limits: true, max_acceleration: 4.5}\n  c: {has_acceleration_limits: false}\n"
        "  d: {has_acceleration_limits: true, max_acceleration: .inf}\n"
    )
    assert acceleration_limits("x", joints, (), None).tolist() == [DEFAULT, DEFAULT]
    assert acceleration_limits("ur10e", joints, (), None).tolist() == [5.0, 5.0]
    assert acceleration_limits("panda", joints, (), None).tolist() == [DEFAULT, DEFAULT]  # seven are known of it
    assert acceleration_limits("panda", "abcdefg", (), None).tolist() == [15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0]
    assert acceleration_limits("ur10e", joints, (), file).tolist() == [3.0, 4.5]
    assert acceleration_limits("ur10e", joints, (1.0, 2.0), file).tolist() == [1.0, 2.0]
    for joint, reason in (("c", "no acceleration limit"), ("e", "no acceleration limit"), ("d", "must be a positive")):
        with pytest.raises(RobotError, match=f"joint {joint}.*{reason}|of joint {joint} {reason}"):
            acceleration_limits("x", [joint], (), file)
    assert np.isinf(jerk_limits("ur10e", joints, (), file)).all() and np.isinf(jerk_limits("x", joints, (), None)).all()
    assert jerk_limits("franka", "abcdefg", (), None).tolist() == [7500, 3750, 5000, 6250, 7500, 10000, 10000]
    assert jerk_limits("franka", "abcdefg", (300.0,), file).tolist() == [300.0] * 7
    file.write_text(
        "joint_limits:\n  a: {has_jerk_limits: true, max_jerk: 70}\n  b: {has_jerk_limits: true, max_jerk: 0}"
    )
    assert jerk_limits("x", ["a"], (), file).tolist() == [70.0]
    with pytest.raises(RobotError, match="max_jerk of joint b must be a positive number, got 0"):
        jerk_limits("x", joints, (), file)
    seven = "".join(f"  {joint}: {{has_acceleration_limits: true, max_acceleration: 3}}\n" for joint in "abcdefg")
    file.write_text(f"joint_limits:\n{seven}".replace("b: {", "b: {has_jerk_limits: true, max_jerk: 9, "))
    found = jerk_limits("panda", "abcdefg", (), file).tolist()
    assert found == [7500, 9, 5000, 6250, 7500, 10000, 10000], "what MoveIt's file leaves out is known of the arm"
    file.write_text("[]")
    with pytest.raises(RobotError, match="no joint_limits in it"):
        acceleration_limits("x", joints, (), file)


def test_a_moveit_file_named_in_the_task_file_counts(tmp_path, task) -> None:
    names = task.robot.joint_names
    limits = "has_acceleration_limits: true, max_acceleration: {}, has_jerk_limits: true, max_jerk: 950"
    lines = [f"  {name}: {{{limits.format(6 + i)}}}" for i, name in enumerate(names)]
    file = tmp_path / "joint_limits.yaml"
    file.write_text("\n".join(["joint_limits:", *lines]))
    arm = load_task("ur5", integrator="constant_acceleration", acceleration_limits=[], joint_limits=str(file))
    assert arm.acceleration_limit.tolist() == [6.0, 7.0, 8.0, 9.0, 9.5, 9.5], "half a step's worth of jerk"
    assert arm.robot.acceleration_limit.tolist() == [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    pickled = pickle.dumps(arm.robot)
    file.unlink()
    assert pickle.loads(pickled).jerk_limit.tolist() == [950.0] * 6, "also where the file is not"
    file.write_text("\n".join(["joint_limits:", *lines]))
    back = pickle.loads(pickle.dumps(arm))
    assert back.acceleration_limit.tolist() == arm.acceleration_limit.tolist()
    assert back.robot.jerk_limit.tolist() == [950.0] * 6


def test_limits_belong_to_a_tasks_identity_where_they_count(task) -> None:
    quick, slow = (load_task("ur5", **OPTIONS | {"acceleration_limits": [limit]}) for limit in (12.0, 7.0))
    assert len({quick.policy_hash, slow.policy_hash, task.policy_hash}) == 3
    assert (
        load_task("ur5", integrator="semi_implicit_euler", acceleration_limits=[3.0]).policy_hash
        == load_task("ur5", integrator="semi_implicit_euler").policy_hash
    )
