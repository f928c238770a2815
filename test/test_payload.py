"""What an arm carries: the torques of a mass at its tool, against the tool's Jacobian by finite differences."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sobo_planner.errors import RobotError, TaskError
from sobo_planner.robot import Robot
from sobo_planner.solver import Instance, Refinement, RefinementSolvers, Solver
from sobo_planner.tasks import ArmReach, load_task

MASS, CENTRE = 3.0, (0.02, -0.05, 0.15)
angles = st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6).map(np.array)
rates = st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6).map(np.array)


@pytest.fixture(scope="module")
def robot(task: ArmReach) -> Robot:
    return task.robot


@pytest.fixture(scope="module")
def loaded(robot: Robot) -> Robot:
    return robot.with_payload(MASS, CENTRE)


def place(robot: Robot, q: np.ndarray) -> np.ndarray:
    """Where the centre of mass is, by the tool's pose [x, y, z, qx, qy, qz, qw]."""
    pose, centre = robot.tool_pose(q), np.array(CENTRE)
    axis, w = pose[3:6], pose[6]
    return pose[:3] + centre + 2.0 * np.cross(axis, np.cross(axis, centre) + w * centre)


def jacobian(robot: Robot, q: np.ndarray) -> np.ndarray:
    """d place / d q by central differences, (3, 6)."""
    h = 1e-6
    return np.array([(place(robot, q + step) - place(robot, q - step)) / (2 * h) for step in h * np.eye(6)]).T


def same(first: Robot, second: Robot, rng: np.random.Generator) -> None:
    """All that is attributed to robots, and their dynamics, are equal."""
    for name in (
        "payload",
        "hash",
        "damping",
        "friction",
        "gravity_vector",
        "acceleration_limit",
        "jerk_limit",
        "joint_names",
    ):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    for q, v, a in rng.normal(size=(5, 3, 6)):
        found, expected = first.inverse_dynamics(q, v, a), second.inverse_dynamics(q, v, a)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@given(angles)
def test_the_tool_is_where_it_was_and_the_mass_pulls_at_it(robot: Robot, loaded: Robot, q: np.ndarray) -> None:
    np.testing.assert_array_equal(loaded.tool_pose(q), robot.tool_pose(q))
    held = jacobian(robot, q).T @ np.array([0.0, 0.0, 9.81 * MASS])
    np.testing.assert_allclose(loaded.gravity(q) - robot.gravity(q), held, atol=1e-6)


@given(angles, rates)
def test_the_mass_has_to_be_accelerated(robot: Robot, loaded: Robot, q: np.ndarray, a: np.ndarray) -> None:
    """At rest m J^T J is added to the inertia of the joints: a point mass resists no turning about itself."""
    J, rest = jacobian(robot, q), np.zeros(6)
    more = loaded.inverse_dynamics(q, rest, a) - robot.inverse_dynamics(q, rest, a)
    held = J.T @ np.array([0.0, 0.0, 9.81 * MASS])
    np.testing.assert_allclose(more, MASS * J.T @ (J @ a) + held, atol=1e-5)
    np.testing.assert_allclose(loaded.forward_dynamics(q, a, loaded.inverse_dynamics(q, a, a)), a, atol=1e-9)


def test_the_mass_is_at_the_tool_unless_a_place_is_given(robot: Robot, home: np.ndarray) -> None:
    held = robot.tool_jacobian(home).T @ np.array([0.0, 0.0, 9.81 * MASS])
    np.testing.assert_allclose(robot.with_payload(MASS).gravity(home) - robot.gravity(home), held, atol=1e-9)


def test_nothing_is_the_bare_robot(robot: Robot, loaded: Robot, rng: np.random.Generator) -> None:
    same(robot.with_payload(0.0), robot, rng)
    same(robot.with_payload(0.0, CENTRE), robot, rng)
    same(loaded.with_payload(0.0), robot, rng)


def test_another_payload_replaces_the_one_before(robot: Robot, loaded: Robot, rng: np.random.Generator) -> None:
    once, twice = robot.with_payload(5.0), loaded.with_payload(1.0).with_payload(5.0)
    same(once, twice, rng)
    assert (robot.payload, loaded.payload, once.payload) == (0.0, MASS, 5.0)
    assert loaded.hash == robot.hash, "policies and data sets stay what they are"


CHANGES = {
    "gravity": lambda robot: robot.with_surroundings((0.0, 9.81, 0.0), [0.5] * 6, [2.0] * 6),
    "limits": lambda robot: robot.with_acceleration_limits([3.0]),
    "jerks": lambda robot: robot.with_jerk_limits([70.0]),
    "masses": lambda robot: robot.with_mass_scale(1.5),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_changed_after_the_payload_stays_with_another_one(robot, loaded, rng, change) -> None:
    same(change(loaded).with_payload(5.0), change(robot).with_payload(5.0), rng)
    same(change(loaded).with_payload(0.0), change(robot), rng)


@pytest.mark.parametrize("name", ["gravity", "limits", "jerks"])
def test_the_order_of_payload_and_surroundings_does_not_matter(robot, loaded, rng, name) -> None:
    same(CHANGES[name](loaded), CHANGES[name](robot).with_payload(MASS, CENTRE), rng)


def test_masses_are_scaled_with_the_payload(robot: Robot, loaded: Robot, rng: np.random.Generator) -> None:
    scaled = loaded.with_mass_scale(2.0)
    assert scaled.payload == 2.0 * MASS
    q = rng.normal(size=6)
    np.testing.assert_allclose(scaled.gravity(q), 2.0 * loaded.gravity(q), rtol=1e-12)


def test_a_pickle_carries_the_payload(robot: Robot, loaded: Robot, rng: np.random.Generator) -> None:
    for each in (loaded, CHANGES["gravity"](loaded), loaded.with_payload(1.0, (0.0, 0.1, 0.0))):
        back = pickle.loads(pickle.dumps(each))
        same(back, each, rng)
        same(back.with_payload(2.0), each.with_payload(2.0), rng)


def test_links_collide_as_they_did(robot: Robot, loaded: Robot) -> None:
    for q in np.random.default_rng(3).uniform(-3.0, 3.0, (200, 6)):
        assert loaded.colliding_pair(q) == robot.colliding_pair(q)


def test_a_task_plans_with_what_is_carried(task: ArmReach, loaded: Robot, home: np.ndarray) -> None:
    """Torques that hold the loaded arm keep it where it is, and lift one that carries nothing."""
    carrying = ArmReach(task.config, loaded)
    X = np.tile(np.concatenate([home, np.zeros(6)]), (task.horizon + 1, 1))
    U = np.tile(loaded.gravity(home), (task.horizon, 1))
    np.testing.assert_allclose(carrying.simulate(X[0], U), X, atol=1e-9)
    assert np.abs(task.simulate(X[0], U) - X).max() > 0.1
    assert carrying.hash == task.hash


def test_an_arm_that_is_loaded_in_place_is_loaded_for_all_that_share_it(home: np.ndarray, rng) -> None:
    """A view, its costs and its solvers follow, without being built again; and it can be put down."""
    arm = load_task("ur5")
    bare, loaded = ArmReach(arm.config, arm.robot.with_payload(0.0)), arm.with_payload(MASS, CENTRE)
    view, solvers = arm.lasting(1.5), RefinementSolvers(arm)
    instance, motion = Instance(np.concatenate([home, np.zeros(6)]), np.array([0.4, 0.3, 0.4])), {}
    for mass, expected in ((0.0, bare), (MASS, loaded), (5.0, arm.with_payload(5.0)), (0.0, bare)):
        if mass:
            arm.robot.carry(mass, CENTRE if mass == MASS else (0.0, 0.0, 0.0))
        elif motion:
            arm.robot.carry(0.0)
        same(arm.robot, expected.robot, rng)
        same(pickle.loads(pickle.dumps(arm.robot)), expected.robot, rng)
        same(loaded.robot.with_payload(1.0), arm.robot.with_payload(1.0), rng)
        guess = bare.interpolate(instance)
        cost = view.cost(guess.X, guess.U, instance.target)
        assert cost == pytest.approx(expected.lasting(1.5).cost(guess.X, guess.U, instance.target), rel=1e-12)
        solution = solvers.of(view).solver(Refinement()).solve(instance, guess)
        built = Solver(expected.lasting(1.5)).solve(instance, guess)
        np.testing.assert_allclose(solution.X, built.X, atol=1e-9)
        np.testing.assert_allclose(solution.U, built.U, atol=1e-6)
        motion[mass] = solution
    assert np.abs(motion[0.0].U - motion[MASS].U).max() > 5.0


def test_what_cannot_be_held_at_home_is_refused_with_the_joint(task: ArmReach) -> None:
    told = (
        r"payload of 60 kg cannot be held at home: \w+_joint would need [\d.]+ Nm, its limit is \d+; use a lighter one"
    )
    with pytest.raises(TaskError, match=told):
        task.with_payload(60.0)
    task.check_payload(5.0)
    assert task.with_payload(5.0).robot.payload == 5.0 and task.robot.payload == 0.0


@pytest.mark.parametrize("mass", [-0.001, float("nan"), float("inf")])
def test_no_mass_is_negative_or_infinite(robot: Robot, mass: float) -> None:
    with pytest.raises(RobotError, match=f"a payload needs a mass of 0 or more .* got {mass:f}"):
        robot.with_payload(mass)


def test_a_place_has_three_finite_coordinates(robot: Robot) -> None:
    with pytest.raises(RobotError, match=r"centre of mass of a payload has 3 coordinates, got \[0.1, 0.2\]"):
        robot.with_payload(1.0, (0.1, 0.2))
    for bad in (float("nan"), float("inf")):
        with pytest.raises(RobotError, match="a finite centre of mass"):
            robot.with_payload(1.0, (0.0, bad, 0.0))
