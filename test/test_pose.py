"""Pose goals: orientation in the cost, and tasks with orientation; test_pose_plans.py has the plans."""

from __future__ import annotations

import dataclasses

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from robots import ur5_urdf

from sobo_planner import _native
from sobo_planner.errors import SolverError, TaskError
from sobo_planner.solver import Guess, Instance, Precision, Refinement, RefinementSolvers, Solver
from sobo_planner.tasks import load_task

ROOT_HALF = np.sqrt(0.5)
# A pose of the UR5 with the flange down.
DOWN = np.array([0.4, 0.3, 0.4, ROOT_HALF, -ROOT_HALF, 0.0, 0.0])


@pytest.fixture(scope="module")
def pose_task(task):
    return task.with_orientation()


@pytest.fixture(scope="module")
def home(task):
    return np.concatenate([task.config.robot.home, np.zeros(6)])


def weights(orientation) -> _native.ReachWeights:
    w = _native.ReachWeights()
    w.position, w.orientation = np.array([3.0, 1.0, 2.0]), np.array(orientation)
    w.state, w.state_reference = np.repeat([0.0, 0.3], 6), np.zeros(12)
    w.control, w.control_reference = np.zeros(6), np.zeros(6)
    return w


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """Between the rotations of two poses, from their quaternions."""
    return 2.0 * np.arccos(min(1.0, abs(a[3:] @ b[3:]) / np.linalg.norm(a[3:]) / np.linalg.norm(b[3:])))


def turned(pose: np.ndarray, axis, by: float) -> np.ndarray:
    """The pose turned about an axis of its own."""
    placement = pin.XYZQUATToSE3(pose)
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    placement.rotation = placement.rotation @ pin.exp3(by * axis)
    return pin.SE3ToXYZQUAT(placement)


numbers = st.integers(0, 10_000)


@given(seed=numbers, spread=st.sampled_from([1e-9, 1e-3, 0.1, 2.0]))
def test_derivatives_of_the_cost_against_finite_differences(task, seed, spread) -> None:
    """From targets that are all but reached to those far away; half a turn has no derivative."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2.0, 2.0, 12)
    target = task.robot.tool_pose(x[:6] + spread * rng.normal(size=6))
    assume(angle(target, task.robot.tool_pose(x[:6])) < 3.0)
    w = weights([1.0, 0.5, 4.0])

    def cost(x):
        return _native.reach_cost(task.robot.native, w, target, x)

    _, gradient, hessian = cost(x)
    steps = 1e-6 * np.eye(12)
    slope = np.array([cost(x + step)[0] - cost(x - step)[0] for step in steps]) / 2e-6
    curvature = np.array([cost(x + step)[1] - cost(x - step)[1] for step in steps]) / 2e-6
    np.testing.assert_allclose(gradient, slope, atol=2e-6)
    np.testing.assert_allclose(hessian, curvature, atol=2e-6)


@given(seed=numbers)
def test_cost_against_its_formula(unlimited, seed) -> None:
    pose_task = unlimited.with_orientation()
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(pose_task.horizon + 1, 12))
    A = np.diff(X[:, 6:], axis=0) / pose_task.dt
    U = np.array([unlimited.robot.inverse_dynamics(x[:6], x[6:], a) for x, a in zip(X, A, strict=False)])
    target = np.concatenate([rng.normal(size=3), rng.normal(size=4)])
    target[3:] /= np.linalg.norm(target[3:])
    goal = pin.XYZQUATToSE3(target)
    model = pin.buildModelFromUrdf(str(ur5_urdf()))
    data, frame = model.createData(), model.getFrameId("tool0")
    problem, pose, dt = pose_task.config.problem, pose_task.config.pose, pose_task.dt

    def stage(x, weights, orientation) -> float:
        pin.framesForwardKinematics(model, data, x[:6])
        way = data.oMf[frame].translation - goal.translation
        turn = pin.log3(goal.rotation.T @ data.oMf[frame].rotation)
        return weights.position * way @ way + weights.velocity * x[6:] @ x[6:] + orientation * turn @ turn

    torque = dt * problem.running.torque * (U**2).sum()
    expected = torque + dt * sum(stage(x, problem.running, pose.running) for x in X[:-1])
    expected += stage(X[-1], problem.terminal, pose.terminal)
    assert pose_task.cost(X, U, target) == pytest.approx(expected, rel=1e-9)


@given(seed=numbers, axis=st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -2, 0.5)]))
def test_half_a_turn_has_a_cost_and_a_way_back(pose_task, seed, axis) -> None:
    q = np.random.default_rng(seed).uniform(-2.0, 2.0, 6)
    target = turned(pose_task.robot.tool_pose(q), axis, np.pi)
    x = np.concatenate([q, np.zeros(6)])
    value, gradient, hessian = _native.reach_cost(pose_task.robot.native, weights([2.0, 2.0, 2.0]), target, x)
    assert value == pytest.approx(2.0 * np.pi**2, rel=1e-6)
    assert np.isfinite(gradient).all() and np.isfinite(hessian).all()
    slopes = 2.0 * 2.0 * np.pi  # of weight times angle squared, about the axis that leads back
    spins = pose_task.robot.tool_pose_jacobian(q)[3:]
    back = np.linalg.lstsq(spins.T, gradient[:6], rcond=None)[0]
    np.testing.assert_allclose(np.linalg.norm(back), slopes, rtol=1e-3)


def test_gains_are_the_derivatives_of_the_optimum(pose_task) -> None:
    solver = Solver(pose_task, dataclasses.replace(pose_task.solver_options, tol=1e-7, early_stop=0.0))
    rng = np.random.default_rng(1)
    for instance in [pose_task.sample(rng) for _ in range(3)]:
        first = solver.solve(instance, pose_task.interpolate(instance))
        optimum = solver.solve(instance, Guess(first.X, first.U))
        start, h, du = Guess(optimum.X, optimum.U), 1e-4, []
        for step in h * np.eye(12):
            up, down = (solver.solve(Instance(instance.x0 + s * step, instance.target), start) for s in (1.0, -1.0))
            du.append((up.U[0] - down.U[0]) / (2.0 * h))
        assert np.linalg.norm(optimum.K[0] - np.array(du).T) < 0.01 * np.linalg.norm(du)


def test_a_task_for_positions_knows_nothing_of_poses(task, pose_task, home) -> None:
    """Neither its hashes, nor what its policy sees."""
    other = load_task("ur5", **{"pose.running": 7.0, "pose.terminal": 5.0})
    assert (other.hash, other.policy_hash) == (task.hash, task.policy_hash)
    assert other.with_orientation().hash != pose_task.hash != task.hash
    assert pose_task.policy_hash == task.policy_hash and pose_task.robot_hash == task.robot_hash
    np.testing.assert_array_equal(pose_task.observation(home, DOWN, 3), task.observation(home, DOWN[:3], 3))
    np.testing.assert_array_equal(pose_task.observation_jacobian(home, DOWN), task.observation_jacobian(home, DOWN[:3]))


def test_samples_are_poses_at_the_same_positions(task, pose_task) -> None:
    for seed in range(5):
        a, b = (each.sample(np.random.default_rng(seed)) for each in (task, pose_task))
        np.testing.assert_array_equal(a.x0, b.x0)
        np.testing.assert_array_equal(a.target, b.target[:3])
        pose_task.check(b)
    fixed = load_task("ur5", r_init=0, r_tgt=0).with_orientation()
    target = fixed.sample(np.random.default_rng(0)).target
    np.testing.assert_array_equal(target[:3], fixed.config.distribution.target)
    assert angle(target, fixed.robot.tool_pose(fixed.config.robot.home)) < 1e-6
    fixed.check(fixed.sample(np.random.default_rng(0)))


def test_inverse_kinematics_and_starts_end_with_the_pose(pose_task) -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        instance = pose_task.sample(rng)
        postures = pose_task.goal_postures(instance)
        for q in postures:
            assert np.all(q >= pose_task.robot.position_lower) and np.all(q <= pose_task.robot.position_upper)
            found = pose_task.robot.tool_pose(q)
            assert np.linalg.norm(found[:3] - instance.target[:3]) < 1e-4
            assert angle(found, instance.target) < 1e-3
        costs = [pose_task.cost(g.X, g.U, instance.target) for g in pose_task.starts(instance, 6, rng)]
        assert costs[0] == pose_task.cost(*dataclasses.astuple(pose_task.interpolate(instance)), instance.target)
        ways = costs[2 : 1 + len(postures)]
        assert costs[0] <= min(ways, default=np.inf) and ways == sorted(ways)


def test_whole_turns_that_a_pose_does_not_need_are_taken_back(pose_task, home) -> None:
    """All joints but the elbow have the range for it."""
    target = pose_task.robot.tool_pose(home[:6] + [6.0, 0.0, 0.0, 0.3, 0.0, -5.8])
    ways = np.array([q - home[:6] for q in pose_task.goal_postures(Instance(home, target))])
    assert len(ways) > 1 and np.abs(np.delete(ways, 2, axis=1)).max() <= np.pi


def test_a_bent_motion_ends_with_the_pose(task, pose_task) -> None:
    """From a way to the position, whose orientation at the end is some other one."""
    instance = pose_task.sample(np.random.default_rng(3))
    way = task.interpolate(Instance(instance.x0, instance.target[:3]))
    assert pose_task.orientation_error(way.X[-1], instance.target) > 0.1
    bent = pose_task.bend(way, instance)
    assert pose_task.orientation_error(bent.X[-1], instance.target) < 0.02
    assert pose_task.distance(bent.X[-1], instance.target) < 0.02
    np.testing.assert_array_equal(bent.X[0], instance.x0)
    np.testing.assert_allclose(pose_task.simulate(instance.x0, bent.U), bent.X, atol=1e-9)
    beyond = Instance(instance.x0, np.concatenate([[1.5, 0.0, 0.0], DOWN[3:]]))
    assert pose_task.bend(way, beyond) is None


def test_more_precision_and_position_limits_go_together(task, home) -> None:
    instance, plain = Instance(home, DOWN), task.with_orientation()
    solvers = RefinementSolvers(plain)
    loose = solvers.solver(Refinement()).solve(instance, plain.interpolate(instance))
    both = Refinement(position_limits=True, precision=Precision.TERMINAL)
    solution = solvers.solver(both).solve(instance, plain.interpolate(instance))
    assert plain.distance(solution.X[-1], DOWN) < 0.3 * plain.distance(loose.X[-1], DOWN)
    assert plain.orientation_error(solution.X[-1], DOWN) < 0.3 * plain.orientation_error(loose.X[-1], DOWN)


@given(excess=st.floats(-0.5, 0.5))
def test_quaternions_with_their_tolerance(pose_task, home, excess) -> None:
    assume(abs(abs(excess) - 1e-3) > 1e-9)
    goal = np.concatenate([DOWN[:3], np.sqrt(1.0 + excess) * DOWN[3:]])
    if abs(excess) > 1e-3:
        with pytest.raises(TaskError, match=r"the quaternion .* of the target has the norm .*, expected 1"):
            pose_task.check(Instance(home, goal))
        with pytest.raises(SolverError, match=r"the quaternion of the target has the norm .*, expected 1"):
            _native.reach_cost(pose_task.robot.native, weights([1.0, 1.0, 1.0]), goal, home)
    else:
        pose_task.check(Instance(home, goal))


def test_bad_goals_are_named(task, pose_task, home) -> None:
    reachable = pose_task.robot.tool_position(np.array([0.0, -0.05, 0.1, 0.0, 0.0, 0.0]))
    task.check(Instance(home, reachable))  # the arm nearly stretched out: there it cannot turn the flange back
    inward = np.concatenate([reachable, [0.0, -ROOT_HALF, 0.0, ROOT_HALF]])
    with pytest.raises(TaskError, match=r"the target .* \(m, quaternion\) is out of reach of ur5"):
        pose_task.check(Instance(home, inward))
    with pytest.raises(TaskError, match=r"the target has shape \(3,\), expected \(7,\)"):
        pose_task.check(Instance(home, DOWN[:3]))
    guess = pose_task.interpolate(Instance(home, DOWN))
    for wrong, size, expected in ((task, 7, 3), (pose_task, 3, 7)):
        with pytest.raises(SolverError, match=f"the target has {size} entries, expected {expected}"):
            Solver(wrong).solve(Instance(home, DOWN[:size]), guess)
