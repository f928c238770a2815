"""Joints that turn without end: one angle each, unbounded, and the shorter way round."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest
import yaml
from robots import ur5_urdf
from urdf_texts import ARM, joint_with

from sobo_planner.errors import ConfigError, StartError
from sobo_planner.motion import Followed, Motion, Timeline, braking, expected_state, unwound
from sobo_planner.motion.braking import Brakes
from sobo_planner.paths import share_path
from sobo_planner.planner import Planner
from sobo_planner.receding import RecedingPlanner
from sobo_planner.robot import Robot
from sobo_planner.robot.kinematics import inverse_kinematics
from sobo_planner.safety import Limit, PlanChecker
from sobo_planner.solver import Instance, Refinement, RefinementSolvers
from sobo_planner.tasks import load_task

TURNING = ("shoulder_pan_joint", "wrist_1_joint", "wrist_3_joint")
FREE = np.array([True, False, False, True, False, True])
TURN = 2.0 * np.pi
N = 6


def turning_urdf(joints: tuple[str, ...] = TURNING) -> str:
    """The UR5, with these joints turning without end."""
    text = ur5_urdf().read_text()
    for joint in joints:
        assert f'name="{joint}" type="revolute"' in text
        text = text.replace(f'name="{joint}" type="revolute"', f'name="{joint}" type="continuous"')
    return text


@cache
def robot() -> Robot:
    return Robot(turning_urdf(), "tool0")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("turning")
    (folder / "turning.urdf").write_text(turning_urdf())
    data = yaml.safe_load(share_path("config/ur5.yaml").read_text())
    data["robot"]["urdf"] = "turning.urdf"
    path = Path(folder / "turning.yaml")
    path.write_text(yaml.safe_dump(data))
    return load_task(path)


@pytest.fixture(scope="module")
def home(task) -> np.ndarray:
    return np.array(task.config.robot.home)


# ---------------------------------------------------------------- the robot


def test_one_angle_for_each_joint_without_bounds() -> None:
    arm = robot()
    assert (arm.nq, arm.nv) == (N, N)
    np.testing.assert_array_equal(arm.unbounded, FREE)
    np.testing.assert_array_equal(np.isinf(arm.position_lower) & np.isinf(arm.position_upper), FREE)
    assert np.all(arm.position_lower < arm.position_upper)


def test_kinematics_and_dynamics_are_those_of_pinocchios_own_joint() -> None:
    """It has (cos, sin) for an angle."""
    arm, model = robot(), pin.buildModelFromXML(turning_urdf())
    data, rng = model.createData(), np.random.default_rng(0)
    assert model.nq == N + 3
    for _ in range(20):
        q, v, tau = rng.uniform(-4.0, 4.0, (3, N))
        q[0] += 10 * TURN
        values = [value for angle, free in zip(q, FREE, strict=True) for value in _values(angle, free)]
        np.testing.assert_allclose(
            arm.gravity(q), pin.computeGeneralizedGravity(model, data, np.array(values)), atol=1e-9
        )
        np.testing.assert_allclose(arm.forward_dynamics(q, v, tau), pin.aba(model, data, np.array(values), v, tau))
        pin.framesForwardKinematics(model, data, np.array(values))
        tool = data.oMf[model.getFrameId("tool0")].translation
        np.testing.assert_allclose(arm.tool_position(q), tool, atol=1e-12)


def _values(angle: float, free: bool) -> list[float]:
    return [np.cos(angle), np.sin(angle)] if free else [angle]


def test_a_prismatic_joint_is_not_wrapped() -> None:
    arm = Robot(joint_with("wrist", type="continuous"), "tip")
    q = arm.unwound([1.0, 100.0, 100.0, 50.0], np.zeros(4))
    np.testing.assert_allclose(q, [1.0, 100.0, 100.0 - 16 * TURN, 50.0])


@pytest.mark.parametrize("turns", [-3, 0, 1, 1000])
def test_the_nearest_of_all_equivalent_configurations(turns) -> None:
    arm, rng = robot(), np.random.default_rng(turns + 3)
    q, reference = rng.uniform(-3.0, 3.0, (2, N)) + turns * TURN
    near = arm.unwound(q, reference)
    assert np.abs(near - reference)[FREE].max() <= np.pi + 1e-9
    np.testing.assert_array_equal(near[~FREE], q[~FREE])
    np.testing.assert_allclose(np.cos(near), np.cos(q), atol=1e-9)
    assert arm.unwound(np.full(N, np.inf), reference)[0] != 0.0  # no warning either


def test_limits_that_a_continuous_joint_names_do_not_count() -> None:
    text = joint_with("wrist", {"lower": "0", "upper": "0"}, type="continuous")
    assert np.isinf(Robot(text, "tip").position_upper[2])


def test_the_hash_is_that_of_the_text() -> None:
    assert robot().hash == Robot(turning_urdf(), "tool0").hash != Robot(ur5_urdf().read_text(), "tool0").hash


# ---------------------------------------------------------------- locked


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0, 7.0])
@pytest.mark.parametrize("name", ["shoulder", "wrist", "grip"])
def test_a_continuous_joint_is_locked_where_it_says(name, angle) -> None:
    """As the same joint with limits, moved there."""
    index = ["shoulder", "slide", "wrist", "grip"].index(name)
    wide = joint_with(name, {"lower": "-9", "upper": "9"})
    moving, locked = Robot(wide, "tip"), Robot(joint_with(name, type="continuous"), "tip", locked_joints={name: angle})
    others, q = np.array([0.3, 0.2, -0.4]), np.insert([0.3, 0.2, -0.4], index, angle)
    np.testing.assert_allclose(locked.tool_pose(others), moving.tool_pose(q), atol=1e-12)
    np.testing.assert_allclose(locked.gravity(others), np.delete(moving.gravity(q), index), atol=1e-12)
    assert not locked.unbounded.any()


# ---------------------------------------------------------------- ways


def test_inverse_kinematics_takes_the_shorter_way() -> None:
    arm, rng, found = robot(), np.random.default_rng(1), 0
    for _ in range(30):
        q, goal = rng.uniform(-3.0, 3.0, (2, N)) + np.where(FREE, 5 * TURN, 0.0)
        solution = inverse_kinematics(arm, q, arm.tool_pose(goal))
        if solution is None:
            continue
        found += 1
        assert np.abs(solution - q)[FREE].max() <= np.pi + 1e-9
        np.testing.assert_allclose(arm.tool_position(solution), arm.tool_position(goal), atol=2e-4)
    assert found > 5


@pytest.mark.parametrize("turns", [0, 20, -300])
def test_goals_are_taken_beside_a_start_after_many_turns(task, home, turns) -> None:
    start = home + np.where(FREE, turns * TURN, 0.0)
    target = task.robot.tool_position(home + [0.5, -0.3, 0.3, 0.2, 0.1, 0.0])
    task.check_start(np.append(start, np.zeros(N)))
    instance = Instance(np.append(start, np.zeros(N)), target)
    task.check(instance)
    for q in (task.goal_configuration(instance), task.reachable_configuration(start, target, np.random.default_rng(2))):
        assert np.abs(q - start)[FREE].max() <= np.pi + 1e-9
    for guess in task.starts(instance, 5, np.random.default_rng(0)):
        assert np.abs(guess.X[:, :N] - start)[:, FREE].max() < TURN


@pytest.mark.parametrize("turns", [0, 4, -50])
def test_a_plan_goes_the_shorter_way_round(task, home, turns) -> None:
    """Across +-pi, where a joint with limits would have to turn back."""
    start, goal = home.copy(), home.copy()
    start[0], goal[0] = 3.0 + turns * TURN, -3.0
    plan = Planner(task).plan(np.append(start, np.zeros(N)), task.robot.tool_position(goal))
    assert plan.reached
    assert plan.X[:, 0].min() > 2.5 + turns * TURN and plan.X[:, 0].max() < 4.0 + turns * TURN
    assert plan.X[-1, 0] == pytest.approx(TURN - 3.0 + turns * TURN, abs=0.2)


def test_pose_goals_across_the_seam(task, home) -> None:
    start, goal = home.copy(), home.copy()
    start[[0, 5]], goal[[0, 5]] = [3.0, -3.1], [-3.0, 3.1]
    plan = Planner(task).plan(np.append(start, np.zeros(N)), task.robot.tool_pose(goal))
    assert plan.reached
    assert np.abs(plan.X[:, [0, 5]] - start[[0, 5]]).max() < 1.0


def test_position_limits_as_constraints_leave_these_joints_free(task, home) -> None:
    start = home + np.where(FREE, 3 * TURN, 0.0)
    instance = Instance(np.append(start, np.zeros(N)), task.robot.tool_position(home + 0.3))
    solvers, guess = RefinementSolvers(task), task.interpolate(instance)
    solution, free = (
        solvers.solver(Refinement(position_limits=limited)).solve(instance, guess) for limited in (True, False)
    )
    assert solution.status.value == "converged" and np.isfinite(solution.K).all()
    assert solution.cost == pytest.approx(free.cost, rel=1e-3)


def test_samples_are_finite_and_all_round(task) -> None:
    rng = np.random.default_rng(0)
    Q = np.array([task.sample(rng).x0[:N] for _ in range(60)])
    assert np.abs(Q).max() <= np.pi and np.abs(Q[:, FREE]).max() > 2.5


def test_home_may_be_after_a_turn_where_the_joint_may(task, tmp_path) -> None:
    data = yaml.safe_load(share_path("config/ur5.yaml").read_text())
    (tmp_path / "turning.urdf").write_text(turning_urdf())
    home = np.array(data["robot"]["home"])
    for turning, says in ((FREE, ""), (~FREE, "robot.home: joint shoulder_lift_joint is at")):
        data["robot"] |= {"urdf": "turning.urdf", "home": (home + 2 * TURN * turning).tolist()}
        (tmp_path / "task.yaml").write_text(yaml.safe_dump(data))
        if says:
            with pytest.raises(ConfigError, match=says):
                load_task(tmp_path / "task.yaml")
        else:
            assert load_task(tmp_path / "task.yaml").hash == task.hash
    with pytest.raises(StartError, match="joint shoulder_lift_joint is at"):
        task.check_start(np.append(np.full(N, 2.5 * TURN), np.zeros(N)))


# ---------------------------------------------------------------- limits and brakes


def test_the_checker_bounds_only_what_has_bounds(task, home) -> None:
    start = home + np.where(FREE, 2 * TURN, 0.0)
    plan = Planner(task).plan(np.append(start, np.zeros(N)), task.robot.tool_position(home + 0.3))
    arrays = (plan.time, plan.X, plan.U, plan.K)
    assert PlanChecker(task).check(*arrays) is None
    box = (np.full(N, -np.inf), np.full(N, np.inf))
    box[1][0] = start[0] - 1.0
    box[0][0] = start[0] - 2.0
    checker = PlanChecker(task, joint_box=box)
    np.testing.assert_array_equal(checker.position_upper[[3, 5]], np.inf)
    moved = plan.X.copy()
    moved[1:, 0] += np.linspace(0.0, 0.01, len(moved) - 1)
    violation = checker.check(plan.time, moved, plan.U, plan.K)
    assert violation is not None and violation.limit is Limit.JOINT_BOX
    with pytest.raises(ConfigError, match="joint_box is empty"):
        PlanChecker(task, joint_box=(box[1], box[0]))


def test_braking_has_all_the_way_it_needs(task, home) -> None:
    x = np.append(home + np.where(FREE, 7 * TURN, 0.0), 0.8 * task.robot.velocity_limit)
    guess = braking(task, x)
    assert np.isfinite(guess.X).all() and np.abs(guess.X[-1, N:]).max() < 1e-3
    motion = Brakes(task, PlanChecker(task)).stop(x, 0.0)
    assert np.isfinite(motion.K).all()


# ---------------------------------------------------------------- drivers that wrap


def moving(task, home) -> Motion:
    """A motion that turns the first joint across pi."""
    start, goal = home.copy(), home.copy()
    start[0], goal[0] = 2.9, 3.6
    plan = Planner(task).plan(np.append(start, np.zeros(N)), task.robot.tool_position(goal))
    return Motion(0.0, task.dt, plan.X, plan.U, plan.K)


def wrapped(x: np.ndarray) -> np.ndarray:
    """As a driver reports it that keeps its angles in [-pi, pi]."""
    out = x.copy()
    out[:N] = np.where(FREE, (out[:N] + np.pi) % TURN - np.pi, out[:N])
    return out


def test_a_driver_that_wraps_is_understood(task, home) -> None:
    motion = moving(task, home)
    timeline = Timeline(motion)
    jumps = 0
    for t in np.linspace(0.0, motion.time[-1], 30):
        x = timeline.state(t)
        jumps += bool(np.abs(wrapped(x) - x).max() > 1.0)
        np.testing.assert_allclose(unwound(task, wrapped(x), x), x, atol=1e-9)
        expected = expected_state(task, timeline, wrapped(x), t, t + 0.02)
        np.testing.assert_allclose(expected, expected_state(task, timeline, x, t, t + 0.02), atol=1e-6)
    assert jumps > 5


def test_a_receding_horizon_with_a_driver_that_wraps(task, home) -> None:
    checker, followed = PlanChecker(task), Followed()
    planner = RecedingPlanner(task, checker, Brakes(task, checker), followed, budget=0.1, propose_every=10)
    start, goal = home.copy(), home.copy()
    start[0], goal[0] = 3.0, -3.0
    x, target, now = np.append(start, np.zeros(N)), task.robot.tool_position(goal), 0.0
    way = []
    for _ in range(60):
        cycle = planner.cycle(wrapped(x), now, target, now + task.dt)
        assert not cycle.lost
        if cycle.motion is not None:
            followed.add(cycle.motion, now)
            x = cycle.motion.X[0]
            way.append(x[0])
        now += task.dt
    assert len(way) > 40 and min(way) > 2.8 and max(way) < 3.6
    assert np.abs(np.diff(way)).max() < 0.2


def test_the_arm_of_this_test_has_no_such_joint() -> None:
    assert not Robot(ARM, "tip").unbounded.any()
