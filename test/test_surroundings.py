"""Direction of gravity, damping and dry friction: in the dynamics, the solver's problem and the encoding."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from robots import PANDA_FINGERS, PANDA_TOOL_FRAME, panda_urdf

from sobo_planner.errors import ConfigError, RobotError, SolverError
from sobo_planner.robot import GRAVITY, Robot
from sobo_planner.solver import Solver
from sobo_planner.tasks import ArmReach, load_task

DAMPING = (3.0, 5.0, 2.0, 0.5, 0.25, 1.0)
FRICTION = (6.0, 4.0, 2.0, 1.0, 0.5, 0.0)
WALL = (0.0, 9.81, 0.0)  # the arm's base is on a wall: what falls moves along its y axis
INTEGRATORS = ("semi_implicit_euler", "constant_acceleration")


@pytest.fixture(scope="module")
def robot() -> Robot:
    """The arm without friction."""
    return load_task("ur5", **{"robot.damping": [], "robot.friction": []}).robot


def draw(rng: np.random.Generator, count: int = 5) -> np.ndarray:
    """Positions, speeds and accelerations or torques, (count, 3, 6)."""
    return np.array([3.0, 1.0, 2.0])[:, None] * rng.normal(size=(count, 3, 6))


# ---------------------------------------------------------------- gravity


def test_gravity_is_that_of_the_ground_unless_it_is_given(robot: Robot) -> None:
    assert GRAVITY == (0.0, 0.0, -9.81)
    np.testing.assert_array_equal(robot.gravity_vector, GRAVITY)
    assert robot.with_surroundings().hash == robot.hash


def test_an_arm_on_a_wall_holds_its_links_against_another_direction(robot: Robot, rng: np.random.Generator) -> None:
    """Gravity torques are linear in the vector, and for one along z those of before."""
    x, y, z = (robot.with_surroundings(tuple(direction)) for direction in np.diag([1.0, 1.0, -9.81]))
    wall = robot.with_surroundings((2.0, -3.0, -9.81))
    for q, _, _ in draw(rng):
        np.testing.assert_allclose(z.gravity(q), robot.gravity(q), atol=1e-12)
        np.testing.assert_allclose(wall.gravity(q), 2.0 * x.gravity(q) - 3.0 * y.gravity(q) + z.gravity(q), atol=1e-9)
        np.testing.assert_allclose(robot.with_surroundings((0.0, 0.0, 0.0)).gravity(q), 0.0, atol=1e-12)
        assert robot.gravity(q)[0] == pytest.approx(0.0, abs=1e-9)


def test_the_torque_of_the_first_joint_is_that_of_all_masses_about_its_axis(robot: Robot, home: np.ndarray) -> None:
    """On a wall it lifts them. Independent: of a payload whose place is known."""
    loaded, wall = robot.with_payload(2.0), robot.with_payload(2.0).with_surroundings(WALL)
    held = wall.gravity(home) - robot.with_surroundings(WALL).gravity(home)
    np.testing.assert_allclose(held, robot.tool_jacobian(home).T @ (-2.0 * np.array(WALL)), atol=1e-9)
    assert abs(held[0]) > 1.0 and abs((loaded.gravity(home) - robot.gravity(home))[0]) < 1e-9


def test_only_a_first_joint_along_gravity_leaves_the_observation_as_it_is() -> None:
    """What a policy sees depends on that joint's angle as soon as its axis is not vertical."""
    rng, sizes = np.random.default_rng(5), {}
    for gravity in (GRAVITY, (0.0, 0.0, 9.81), (0.0, 0.0, 0.0), WALL, (1e-3, 0.0, -9.81)):
        arm = load_task("ur5", **{"robot.gravity": list(gravity)})
        turned, x = 0.0, np.zeros(12)
        for _ in range(3):
            instance = arm.sample(rng)
            x[:] = instance.x0
            first = arm.observation(x, instance.target)
            angle = 0.7
            x[0] += angle
            turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
            second = arm.observation(x, turn @ instance.target)
            turned = max(turned, np.abs(second - first).max())
        sizes[gravity] = arm.obs_dim, bool(turned < 1e-9)
    upright = sizes[GRAVITY][0]
    assert sizes[GRAVITY] == sizes[(0.0, 0.0, 9.81)] == (upright, True)
    assert sizes[WALL] == sizes[(1e-3, 0.0, -9.81)] == (upright + 2, False)
    assert sizes[(0.0, 0.0, 0.0)][0] == upright + 2, "of no direction nothing is along"


# ---------------------------------------------------------------- damping and friction


@pytest.fixture(scope="module")
def damped(robot: Robot) -> Robot:
    return robot.with_surroundings(damping=DAMPING, friction=FRICTION)


def test_damping_takes_torque_in_proportion_to_speed(robot: Robot, damped: Robot, rng: np.random.Generator) -> None:
    np.testing.assert_array_equal(damped.damping, DAMPING)
    np.testing.assert_array_equal(damped.native.damping, DAMPING)
    for q, v, a in draw(rng):
        lost = np.array(DAMPING) * v
        np.testing.assert_allclose(damped.inverse_dynamics(q, v, a), robot.inverse_dynamics(q, v, a) + lost, atol=1e-9)
        np.testing.assert_allclose(damped.forward_dynamics(q, v, a), robot.forward_dynamics(q, v, a - lost), atol=1e-9)
        np.testing.assert_allclose(damped.gravity(q), robot.gravity(q), atol=1e-12)
        x = np.concatenate([q, v])
        for integrator in INTEGRATORS:
            expected = robot.step(x, a - lost, 0.02, integrator)
            np.testing.assert_allclose(damped.step(x, a, 0.02, integrator), expected, atol=1e-9)


def test_jacobians_of_the_torques_against_finite_differences(damped: Robot, rng: np.random.Generator) -> None:
    points = draw(rng)
    states = points[:, :2].reshape(-1, 12)
    found = damped.torque_jacobians(states, points[:, 2])
    torques, same = damped.linear_torques(states, points[:, 2])
    assert found.shape == (5, 6, 18) and torques.shape == (5, 6)
    np.testing.assert_array_equal(same, found)
    np.testing.assert_allclose(torques, [damped.inverse_dynamics(*each) for each in points], atol=1e-9)
    for point, jacobian in zip(points, found, strict=True):
        moved = [point.ravel() + sign * step for sign in (1.0, -1.0) for step in 1e-6 * np.eye(18)]
        torques = np.array([damped.inverse_dynamics(*each.reshape(3, 6)) for each in moved])
        np.testing.assert_allclose(jacobian, (torques[:18] - torques[18:]).T / 2e-6, atol=1e-5)


@pytest.mark.parametrize("rows", [(2, 3), (3, 2)])
def test_jacobians_need_as_many_states_as_accelerations(robot: Robot, rows: tuple[int, int]) -> None:
    with pytest.raises(RobotError, match="linear_torques needs as many rows of 12 and 6 numbers"):
        robot.torque_jacobians(np.zeros((rows[0], 12)), np.zeros((rows[1], 6)))
    for sizes in ((11, 6), (12, 5)):
        with pytest.raises(RobotError, match="linear_torques needs as many rows"):
            robot.torque_jacobians(np.zeros((2, sizes[0])), np.zeros((2, sizes[1])))


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_the_solver_plans_with_gravity_damping_and_payload(integrator: str) -> None:
    """Its solution is a rollout, and its A and B are the derivatives of one step."""
    options = {"robot.gravity": list(WALL), "robot.damping": list(DAMPING), "problem.integrator": integrator}
    usual = load_task("ur5", **options)
    arm = ArmReach(usual.config, usual.robot.with_payload(1.5, (0.0, 0.0, 0.1)))
    instance = arm.sample(np.random.default_rng(2))
    solution = Solver(arm).solve(instance, arm.interpolate(instance))
    assert solution.converged
    np.testing.assert_allclose(arm.simulate(instance.x0, solution.U)[1], solution.X[1], atol=1e-3)
    for t in (0, 20, 60):
        point = np.concatenate([solution.X[t], solution.U[t]])
        moved = [point + sign * step for sign in (1.0, -1.0) for step in 1e-6 * np.eye(18)]
        steps = np.array([arm.robot.step(each[:12], each[12:], arm.dt, integrator) for each in moved])
        numeric = (steps[:18] - steps[18:]).T / 2e-6
        np.testing.assert_allclose(np.hstack([solution.A[t], solution.B[t]]), numeric, atol=1e-5)
        np.testing.assert_allclose(
            arm.robot.step(solution.X[t], solution.U[t], arm.dt, integrator), solution.X[t + 1], atol=1e-3
        )


def test_rk2_with_damping_is_refused() -> None:
    with pytest.raises(SolverError, match="the integrator rk2 knows no damping of joints; use constant_acceleration"):
        load_task("ur5", **{"problem.integrator": "rk2", "robot.damping": [0.0] * 5 + [1e-3]}).make_worker()
    load_task("ur5", **{"problem.integrator": "rk2", "robot.damping": []}).make_worker()


def test_dry_friction_changes_no_dynamics_and_no_hash(robot: Robot, rng: np.random.Generator) -> None:
    rough = robot.with_surroundings(friction=FRICTION)
    assert rough.hash == robot.hash
    np.testing.assert_array_equal(rough.friction, FRICTION)
    for q, v, a in draw(rng):
        np.testing.assert_array_equal(rough.inverse_dynamics(q, v, a), robot.inverse_dynamics(q, v, a))


def test_the_torque_against_friction_is_smooth_at_rest(damped: Robot) -> None:
    """All of it at 0.2 rad/s, three quarters at 0.05 rad/s, none at rest."""
    v = np.array([[0.0] * 6, [0.05] * 6, [-0.2] * 6, [1e3] * 6])
    found = damped.friction_torque(v)
    assert found.shape == (4, 6) and not found[0].any()
    np.testing.assert_allclose(found[1], 0.7616 * np.array(FRICTION), rtol=1e-3)
    np.testing.assert_allclose(found[2], -np.array(FRICTION), rtol=1e-3)
    np.testing.assert_array_equal(found[3], FRICTION)


def test_torques_of_the_problem_leave_room_for_dry_friction() -> None:
    arm = load_task("ur5", **{"robot.friction": list(FRICTION)})
    np.testing.assert_allclose(arm.control_upper, arm.torque_limit - FRICTION)
    np.testing.assert_allclose(arm.control_lower, -arm.control_upper)
    with pytest.raises(
        ConfigError, match=r"robot.friction: 28 Nm of joint wrist_3_joint is not below its .*, 28 Nm \("
    ):
        load_task("ur5", **{"robot.friction": [0.0] * 5 + [28.0]})
    with pytest.raises(
        ConfigError, match=r"robot.friction: 6 Nm of joint shoulder_pan_joint .* 1.5 Nm \(problem.torque_s"
    ):
        load_task("ur5", **{"robot.friction": list(FRICTION), "problem.torque_scale": 0.01})


# ---------------------------------------------------------------- where the numbers come from


def test_damping_and_friction_are_those_of_the_urdf_unless_given() -> None:
    text = re.sub("<limit ", '<dynamics damping="0.5" friction="0.25"/><limit ', panda_urdf().read_text())
    panda = Robot(text, PANDA_TOOL_FRAME, locked_joints=PANDA_FINGERS, collision=False)
    for arm in (panda, panda.with_surroundings()):
        np.testing.assert_array_equal(arm.damping, [0.5] * 7)
        np.testing.assert_array_equal(arm.friction, [0.25] * 7)
    given = panda.with_surroundings(damping=[0.0] * 7)
    assert not given.damping.any() and given.friction.any()
    q, v = np.full(7, 0.1), np.ones(7)
    lost = panda.inverse_dynamics(q, v, v) - given.inverse_dynamics(q, v, v)
    np.testing.assert_allclose(lost, 0.5, atol=1e-12)


@pytest.mark.parametrize("what", ["damping", "friction"])
def test_a_urdf_with_negative_friction_is_refused_with_the_joint(what: str) -> None:
    good = panda_urdf().read_text()
    bad = good.replace('damping="0.003" friction="0.0"', "", 1).replace("<dynamics ", f'<dynamics {what}="-0.1" ', 1)
    with pytest.raises(RobotError, match=rf"joint 'panda_joint1': {what} of dynamics must not be negative, got -0.1"):
        Robot(bad, PANDA_TOOL_FRAME, locked_joints=PANDA_FINGERS, collision=False)


@pytest.mark.parametrize("what", ["damping", "friction"])
@pytest.mark.parametrize("given", [(1.0,), (1.0,) * 7, (-0.1, *[0.0] * 5), (float("nan"), *[0.0] * 5)])
def test_friction_is_a_number_of_0_or_more_for_each_joint(robot: Robot, what: str, given: tuple[float, ...]) -> None:
    with pytest.raises(RobotError, match=rf"^robot.{what} needs 6 numbers of 0 or more, one for each joint, got \["):
        robot.with_surroundings(**{what: given})


@pytest.mark.parametrize("gravity", [(0.0, -9.81), (0.0, 0.0, float("inf")), (0.0, 0.0, float("nan"))])
def test_gravity_has_three_finite_numbers(robot: Robot, gravity: tuple[float, ...]) -> None:
    with pytest.raises(RobotError, match=r"^robot.gravity needs three finite numbers \[m/s\^2\], got \["):
        robot.with_surroundings(gravity)


def test_the_task_file_says_how_the_arm_stands_and_what_its_joints_lose(rng: np.random.Generator) -> None:
    options = {"robot.gravity": list(WALL), "robot.damping": list(DAMPING), "robot.friction": list(FRICTION)}
    arm, usual = load_task("ur5", **options), load_task("ur5")
    direct = usual.robot.with_surroundings(WALL, DAMPING, FRICTION)
    for found in (arm.robot, direct, pickle.loads(pickle.dumps(direct)), pickle.loads(pickle.dumps(arm)).robot):
        np.testing.assert_array_equal(found.gravity_vector, WALL)
        np.testing.assert_array_equal(found.damping, DAMPING)
        np.testing.assert_array_equal(found.friction, FRICTION)
        q, v, a = draw(np.random.default_rng(7), 1)[0]
        np.testing.assert_allclose(found.inverse_dynamics(q, v, a), direct.inverse_dynamics(q, v, a), atol=1e-12)


def test_dynamics_that_differ_have_other_hashes(robot: Robot) -> None:
    """What was trained or collected with one gravity or damping does not count with another."""
    changes = ({}, {"robot.gravity": list(WALL)}, {"robot.damping": list(DAMPING)}, {"robot.damping": [1.0] * 6})
    hashes = {load_task("ur5", **change).robot.hash for change in changes}
    assert len(hashes) == len(changes)
    same = ({"robot.gravity": list(GRAVITY)}, {"robot.friction": list(FRICTION)})
    assert {load_task("ur5", **change).robot.hash for change in same} == {load_task("ur5").robot.hash}
    assert load_task("ur5", **{"robot.damping": [0.0] * 6}).robot.hash == robot.hash, "as the URDF says"
