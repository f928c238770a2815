"""Torques and gains of motions: computed-torque control by finite differences, its poles, and friction."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sobo_planner.errors import ConfigError
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach, load_task
from sobo_planner.tasks.arm.commands import Gains, commands
from sobo_planner.tasks.arm.config import TrackingConfig
from sobo_planner.tasks.arm.timing import Pace

N = 6
DAMPING = [3.0, 5.0, 2.0, 0.5, 0.25, 1.0]
FRICTION = [6.0, 4.0, 2.0, 1.0, 0.5, 0.0]


@pytest.fixture(scope="module")
def arm() -> ArmReach:
    """The arm with damping, friction and a payload, and steps of 15 ms."""
    usual = load_task("ur5", **{"robot.damping": DAMPING, "robot.friction": FRICTION})
    loaded = ArmReach(usual.config, usual.robot.with_payload(2.0, (0.0, 0.0, 0.1)))
    view: ArmReach = loaded.paced(Pace(1.5))
    return view


@pytest.fixture(scope="module")
def motion(arm: ArmReach, home: np.ndarray) -> Any:
    """A motion through the middle of the workspace."""
    way = home + np.linspace(0.0, 1.0, 11)[:, None] * np.array([1.0, -0.5, 0.7, -1.0, 0.5, 1.2])
    return arm.along(way, Instance(np.concatenate([home, np.zeros(N)]), np.zeros(3)))


def tracking_gains(arm: ArmReach, X: np.ndarray) -> np.ndarray:
    return commands(arm, Gains.TRACKING, X, np.zeros((len(X) - 1, N)), None)[1]


def with_weights(arm: ArmReach, position: float, velocity: float) -> ArmReach:
    tracking = TrackingConfig(position, velocity)
    return ArmReach(dataclasses.replace(arm.config, tracking=tracking), arm.robot).paced(Pace(arm.duration))  # type: ignore[no-any-return]


def optimal(position: float, velocity: float) -> np.ndarray:
    """Gains [kp, kd] of the LQ problem of a double integrator, by the stable subspace of its Hamiltonian."""
    A, B, Q = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[0.0], [1.0]]), np.diag([position, velocity])
    values, vectors = np.linalg.eig(np.block([[A, -B @ B.T], [-Q, -A.T]]))
    stable = vectors[:, values.real < 0]
    cost = np.real(stable[2:] @ np.linalg.inv(stable[:2]))
    return (B.T @ cost).ravel()


@pytest.mark.parametrize("position, velocity", [(6.25e6, 5.0e3), (1e4, 0.0), (81.0, 500.0)])
def test_gains_are_those_of_an_optimally_held_double_integrator(arm, motion, position, velocity) -> None:
    """Against derivatives, halfway, of the torques that inverse dynamics gives for accelerations that lead back."""
    held = with_weights(arm, position, velocity)
    kp, kd = optimal(position, velocity)
    K = tracking_gains(held, motion.X)
    assert K.shape == (100, N, 2 * N)
    for t in (0, 7, 50, 99):
        x, a = 0.5 * (motion.X[t] + motion.X[t + 1]), (motion.X[t + 1, N:] - motion.X[t, N:]) / 0.015

        def torque(moved: np.ndarray, x: np.ndarray = x, a: np.ndarray = a) -> np.ndarray:
            q, v = np.split(moved - x, 2)
            return arm.robot.inverse_dynamics(moved[:N], moved[N:], a - kp * q - kd * v)

        numeric = [(torque(x + step) - torque(x - step)) / 2e-6 for step in 1e-6 * np.eye(2 * N)]
        np.testing.assert_allclose(K[t], np.transpose(numeric), rtol=1e-5, atol=1e-4 * np.abs(K[t]).max())


def poles(arm: ArmReach, x: np.ndarray, u: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Of the arm with feedback at rest in x (2n,) under u (n,)."""

    def velocity(moved: np.ndarray) -> np.ndarray:
        q, v = np.split(moved, 2)
        return np.concatenate([v, arm.robot.forward_dynamics(q, v, u + K @ (moved - x))])

    derivative = np.transpose([(velocity(x + step) - velocity(x - step)) / 2e-5 for step in 1e-5 * np.eye(2 * N)])
    return np.linalg.eigvals(derivative)


def test_as_shipped_every_joint_comes_back_as_fast_as_it_can_without_overshoot(arm: ArmReach, home: np.ndarray) -> None:
    """Critical damping: a double pole a joint, at position^(1/4) = 50 rad/s."""
    X = np.tile(np.concatenate([home, np.zeros(N)]), (101, 1))
    found = poles(arm, X[0], arm.robot.gravity(home), tracking_gains(arm, X)[0])
    np.testing.assert_allclose(found.real, -50.0, rtol=0.02)
    assert np.abs(found.imag).max() < 0.5  # of a double pole, rounding makes two
    weights = arm.config.tracking
    assert (weights.position, weights.velocity) == (6.25e6, 5.0e3)


@pytest.mark.parametrize("velocity", [0.0, 1e3, 5e4])
def test_poles_are_as_the_weights_say(arm: ArmReach, home: np.ndarray, velocity: float) -> None:
    """s^4 - w_velocity s^2 + w_position = 0 on the left, which is damped more than critically above 2 kp."""
    held = with_weights(arm, 2.5e5, velocity)
    X = np.tile(np.concatenate([home, np.zeros(N)]), (101, 1))
    found = poles(held, X[0], held.robot.gravity(home), tracking_gains(held, X)[0])
    assert (found.real < -2.0).all()
    expected = np.roots([1.0, 0.0, -velocity, 0.0, 2.5e5])
    left = expected[expected.real < 0]
    assert np.abs(found[:, None] - left).min(axis=1).max() < 0.5
    assert bool(np.abs(found.imag).max() > 10.0) is (velocity < 1e3)


def test_an_arm_that_was_pushed_comes_back_to_its_motion_and_stays_at_its_end(arm: ArmReach, motion: Any) -> None:
    """Simulated in steps of 1 ms, with torque limits, from 20 mrad and 0.2 rad/s off."""
    U, K = commands(arm, Gains.TRACKING, motion.X, motion.U, None)
    U = U - arm.robot.friction_torque(0.5 * (motion.X[:-1] + motion.X[1:])[:, N:])  # the simulated arm has no friction
    hold = arm.robot.gravity(motion.X[-1, :N])
    x = motion.X[0] + np.repeat([0.02, 0.2], N) * np.tile([1.0, -1.0], N)
    off = []
    for k in range(2000):
        t = min(k // 15, 99)
        share = min(k / 15.0 - t, 1.0)
        desired = (1.0 - share) * motion.X[t] + share * motion.X[t + 1]
        u = (U[t] if k < 1500 else hold) + K[t] @ (x - desired)
        x = arm.robot.step(x, np.clip(u, -arm.torque_limit, arm.torque_limit), 1e-3)
        off.append(np.abs((x - desired)[:N]).max())
    assert max(off) < 0.05 and max(off[500:1500]) < 2e-3 and max(off[1900:]) < 1e-3


# ---------------------------------------------------------------- which gains, and torques


def joint(friction: float, limit: float, integrator: str = "semi_implicit_euler") -> Any:
    """As much of a task of one joint as commands ask for: its torque is 100 q + 10 v + 3 a."""
    robot = SimpleNamespace(
        friction_torque=lambda v: friction * np.sign(v),
        linear_torques=lambda X, A: (
            X @ [[100.0], [10.0]] + 3.0 * A,
            np.tile([100.0, 10.0, 3.0], (len(X), 1, 1)),
        ),
    )
    tracking, limits = TrackingConfig(4.0, 0.0), np.array([limit])
    config = SimpleNamespace(tracking=tracking)
    return SimpleNamespace(nu=1, dt=0.1, robot=robot, torque_limit=limits, config=config, integrator=integrator)


def test_friction_is_added_by_the_speed_halfway_and_torques_stay_within_limits() -> None:
    X = np.array([[0.0, 2.0], [0.0, -1.0], [0.0, -1.0], [0.0, 3.0], [0.0, -4.0]])
    U = np.array([[1.0], [1.0], [-4.9], [9.0]])
    torques, K = commands(joint(0.5, 5.0), Gains.TRACKING, X, U, None)
    np.testing.assert_allclose(torques.ravel(), [1.5, 0.5, -4.4, 5.0])
    np.testing.assert_allclose(K.ravel(), np.tile([100.0 - 2.0 * 3.0, 10.0 - 2.0 * 3.0], 4))
    torques, _ = commands(joint(0.5, 5.0), Gains.TRACKING, X, -U[::-1], None)
    np.testing.assert_allclose(torques.ravel(), [-5.0, 4.4, -0.5, -1.5])
    np.testing.assert_array_equal(U.ravel(), [1.0, 1.0, -4.9, 9.0])


def test_with_constant_accelerations_the_torques_are_those_of_the_middle_of_each_step() -> None:
    """At the position and the speed halfway; the solver's torques, those of a step's beginning, do not count."""
    X = np.array([[0.0, 2.0], [0.1, 0.0], [0.1, 0.4]])
    U, task = np.array([[1.0], [2.0]]), joint(0.0, 99.0, "constant_acceleration")
    torques, _ = commands(task, Gains.TRACKING, X, U, None)
    np.testing.assert_allclose(torques.ravel(), [5.0 + 10.0 - 60.0, 10.0 + 2.0 + 12.0])
    np.testing.assert_array_equal(U.ravel(), [1.0, 2.0])
    task.torque_limit = np.array([3.5])
    np.testing.assert_allclose(commands(task, Gains.TRACKING, X, U, None)[0].ravel(), [-3.5, 3.5])


def test_torques_of_the_middle_are_nearer_to_those_that_the_motion_needs_there(arm: ArmReach, motion: Any) -> None:
    robot, h = arm.robot, 0.5 * arm.dt
    torques, _ = commands(arm, Gains.TRACKING, motion.X, motion.U, None)
    (q, v), a = np.split(motion.X[:-1], 2, axis=1), np.diff(motion.X[:, N:], axis=0) / arm.dt
    middle = [robot.inverse_dynamics(*each) for each in zip(q + h * v + 0.5 * h**2 * a, v + h * a, a, strict=True)]
    off = torques - robot.friction_torque(v + h * a) - middle
    assert np.abs(off).max() < 0.1 * np.abs(motion.U - middle).max()


def test_gains_are_the_solvers_where_those_are_asked_for(arm: ArmReach, motion: Any) -> None:
    K = np.ones((100, N, 2 * N))
    torques, found = commands(arm, Gains.TASK, motion.X, motion.U, K)
    assert found is K
    expected, tracking = commands(arm, Gains.TRACKING, motion.X, motion.U, K)
    np.testing.assert_array_equal(torques, expected)
    for gains in (Gains.TRACKING, Gains.TASK):
        np.testing.assert_array_equal(commands(arm, gains, motion.X, motion.U, None)[1], tracking)
    np.testing.assert_array_equal(tracking, tracking_gains(arm, motion.X))
    assert Gains("tracking") is Gains.TRACKING and Gains("task") is Gains.TASK


def test_friction_of_the_arm_is_fed_forward(arm: ArmReach, motion: Any) -> None:
    torques, _ = commands(arm, Gains.TRACKING, motion.X, motion.U, None)
    fastest = int(np.abs(motion.X[:, N]).argmax())
    smooth = ArmReach(arm.config, arm.robot.with_surroundings(damping=DAMPING)).paced(Pace(1.5))
    smooth.robot.friction = np.zeros(N)
    added = torques - commands(smooth, Gains.TRACKING, motion.X, motion.U, None)[0]
    np.testing.assert_allclose(np.abs(added[fastest]), FRICTION, rtol=1e-3)
    assert np.abs(added[0]).max() < 0.9 * np.max(FRICTION)  # nearly at rest
    np.testing.assert_array_equal(np.sign(added[fastest, :-1]), np.sign(motion.X[fastest, N:-1]))


def test_weights_of_tracking_are_positive() -> None:
    for position in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match=f"tracking.position must be positive, got {position}"):
            TrackingConfig(position=position)
    for velocity in (-1e-9, float("nan")):
        with pytest.raises(ConfigError, match=f"tracking.velocity must not be negative, got {velocity}"):
            TrackingConfig(velocity=velocity)
    assert TrackingConfig(velocity=0.0).velocity == 0.0


def test_a_margin_of_the_speeds_is_a_share() -> None:
    for margin in (-1e-9, 1.0, float("nan")):
        with pytest.raises(ConfigError, match=rf"tracking.speed_margin must lie in \[0, 1\), got {margin}"):
            TrackingConfig(speed_margin=margin)
    assert (TrackingConfig().speed_margin, TrackingConfig(speed_margin=0.0).speed_margin) == (0.05, 0.0)


def test_weights_of_tracking_leave_hashes_as_they_are() -> None:
    usual, stiff = load_task("ur5"), load_task("ur5", **{"tracking.position": 1e6})
    assert stiff.config.tracking.position == 1e6
    assert (stiff.hash, stiff.policy_hash) == (usual.hash, usual.policy_hash)
