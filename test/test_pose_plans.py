"""Plans to poses: reached from anywhere, within limits, refused where they must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pinocchio as pin
import plan_checks
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from robots import panda_urdf

from sobo_planner.errors import PlanningError, TaskError
from sobo_planner.planning.plan import ORIENTED, REACHED
from sobo_planner.planning.planner import Planner, PlanStatus
from sobo_planner.solver import Instance, Solver
from sobo_planner.tasks import load_task
from sobo_planner.tasks.arm.timing import Pace

DATA = Path(__file__).parent / "data"
ROOT_HALF = np.sqrt(0.5)
# A pose of the UR5 with the flange down.
DOWN = np.array([0.4, 0.3, 0.4, ROOT_HALF, -ROOT_HALF, 0.0, 0.0])


@pytest.fixture(scope="module")
def pose_task(task):
    return task.with_orientation()


@pytest.fixture(scope="module")
def planner(task, policy):
    return Planner(task, policy)


@pytest.fixture(scope="module")
def home(task):
    return np.concatenate([task.config.robot.home, np.zeros(6)])


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """Between the rotations of two poses."""
    return float(np.linalg.norm(pin.log3(pin.XYZQUATToSE3(a).rotation.T @ pin.XYZQUATToSE3(b).rotation)))


def check_plan(task, plan, state) -> None:
    """What a consumer relies on, of a pose too."""
    end = task.robot.tool_pose(plan.X[-1, :6])
    assert plan.tool_error == pytest.approx(np.linalg.norm(end[:3] - plan.goal[:3]))
    assert plan.orientation_error == pytest.approx(angle(end, plan.goal), abs=1e-6)
    assert plan.reached == (plan.tool_error < REACHED and plan.orientation_error < ORIENTED)
    plan_checks.check_plan(task, plan, state)


def test_plans_reach_poses_from_anywhere(pose_task, planner) -> None:
    rng = np.random.default_rng(21)
    for _ in range(12):
        instance = pose_task.sample(rng)
        plan = planner.plan(instance.x0, instance.target)
        check_plan(pose_task, plan, instance.x0)
        assert plan.reached and plan.status is PlanStatus.CONVERGED, instance
        assert plan.phases_ms["policy"] > 0.0
    assert planner.policy_failures == 0


def test_plans_reach_poses_without_a_policy_and_from_half_a_turn_away(task, pose_task, home) -> None:
    planner = Planner(task)
    planner.prepare("pose")
    for axis in np.eye(3):
        goal = pin.XYZQUATToSE3(pose_task.robot.tool_pose(home[:6]))
        goal.rotation = goal.rotation @ pin.exp3(np.pi * axis)
        plan = planner.plan(home, pin.SE3ToXYZQUAT(goal))
        check_plan(pose_task, plan, home)
        assert plan.reached and plan.phases_ms["policy"] == 0.0


def test_both_quaternions_of_a_rotation_give_one_plan(planner, home) -> None:
    other = np.concatenate([DOWN[:3], -DOWN[3:]])
    a, b = planner.plan(home, DOWN), planner.plan(home, other)
    np.testing.assert_allclose(a.X, b.X, atol=1e-9)
    assert a.cost == pytest.approx(b.cost)


def test_position_limits_are_kept_where_the_optimum_would_leave_them(task, pose_task) -> None:
    """With 8 s the cheapest motion to this pose folds the elbow through its limit."""
    instance, view = pose_task.sample(np.random.default_rng(0)), pose_task.paced(Pace(8.0))
    free = Solver(view).solve(instance, view.interpolate(instance))
    assert np.abs(free.X[:, 2]).max() > task.robot.position_upper[2] + 0.05
    plan = Planner(task).plan(instance.x0, instance.target, duration=8.0)
    check_plan(pose_task, plan, instance.x0)
    assert plan.reached


def test_plans_to_positions_do_not_depend_on_those_to_poses(task, policy, planner, home) -> None:
    other = load_task("ur5", **{"pose.running": 7.0, "pose.terminal": 5.0})
    planner.plan(home, DOWN)
    ours, theirs = planner.plan(home, DOWN[:3]), Planner(other, policy).plan(home, DOWN[:3])
    for name in ("X", "U", "K"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert ours.orientation_error is None


@given(index=st.integers(0, 6), value=st.sampled_from([np.nan, np.inf, -np.inf, 1e6, -50.0]))
def test_bad_poses_are_refused_and_the_planner_lives_on(pose_task, planner, home, index, value) -> None:
    goal = DOWN.copy()
    goal[index] = value
    with pytest.raises(TaskError):
        planner.plan(home, goal)
    assert pose_task.check(Instance(home, DOWN)) is None


def test_goals_of_other_sizes_and_types_are_named(planner, home) -> None:
    for size in (2, 4, 6, 8):
        with pytest.raises(TaskError, match=rf"the target has shape \({size},\), expected \(3,\)"):
            planner.plan(home, np.zeros(size))
    with pytest.raises(PlanningError, match="unknown type of goal 'place'; use position, pose, joints"):
        planner.prepare("place")


def test_another_arm_reaches_a_pose(tmp_path) -> None:
    data = yaml.safe_load((DATA / "panda.yaml").read_text())
    data["robot"]["urdf"] = str(panda_urdf())
    (tmp_path / "panda.yaml").write_text(yaml.safe_dump(data))
    panda = load_task(tmp_path / "panda.yaml")
    home = np.array(panda.config.robot.home)
    rng = np.random.default_rng(0)
    planner = Planner(panda)
    for _ in range(3):
        q = np.clip(home + rng.uniform(-0.7, 0.7, 7), panda.robot.position_lower, panda.robot.position_upper)
        plan = planner.plan(np.concatenate([home, np.zeros(7)]), panda.robot.tool_pose(q))
        assert plan.reached and plan.X.shape == (panda.horizon + 1, 14)
