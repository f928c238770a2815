"""What is said of a solution: divergence, feasibility, position limits, the checker, the distance to the goal."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripted_planning import TOUCHING, T, Task, solution

from sobo_planner.planning.judge import FEASIBLE, Judge, Verdict
from sobo_planner.planning.plan import IN_PLACE, ORIENTED, REACHED
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import Instance, Solution
from sobo_planner.tasks.arm.commands import Gains
from sobo_planner.tasks.arm.config import TrackingConfig

INSTANCE = Instance(np.zeros(2), np.zeros(3))


class Arm(Task):
    """A joint between -1 and 1 whose position is the distance to the goal, with torques up to 2."""

    dt, torque_limit, integrator = 0.1, np.array([2.0]), "semi_implicit_euler"
    config = SimpleNamespace(tracking=TrackingConfig(9.0, 3.0))  # gains of a unit mass: -3 and -3

    def __init__(self, goal_type: str = "position", angle: float = 0.0, off: float = 0.0) -> None:
        robot = SimpleNamespace(joint_names=["a"], position_lower=np.array([-1.0]), position_upper=np.array([1.0]))
        robot.friction_torque = lambda v: 0.25 * np.sign(v)
        robot.linear_torques = lambda X, A: (np.full_like(A, np.nan), np.tile([0.0, 0.0, 1.0], (len(X), 1, 1)))
        super().__init__(goal_type=goal_type, robot=robot)
        self.angle, self.off = angle, off

    def duration_of(self, way: np.ndarray, x0: np.ndarray) -> float:
        """Of a way: what it moves; of a start: its speed."""
        assert way.shape == (T + 1, self.nu)
        return float(way[-1, 0] - way[0, 0] + x0[1])

    def tool_distance(self, x: np.ndarray, target: np.ndarray) -> float:
        """As it was made, at a state whose velocity is 7."""
        return self.off if x[1] == 7.0 else 0.0

    def orientation_error(self, x: np.ndarray, target: np.ndarray) -> float:
        """As it was made."""
        return self.angle


class Checker:
    """Answers as it was made, and keeps what it was shown."""

    def __init__(self, violation: Violation | None = None) -> None:
        self.violation, self.seen = violation, []

    def check(self, *arrays: Any) -> Violation | None:
        """See `PlanChecker.check`."""
        self.seen.append(arrays)
        return self.violation

    def of(self, task: Any) -> Checker:
        """See `PlanChecker.of`."""
        return self


def judge(found: Solution, checker: Checker | None = None, arm: Arm | None = None) -> Verdict:
    return Judge(arm or Arm(), checker).judge(found, INSTANCE)  # type: ignore[arg-type]


def test_a_motion_that_ends_at_the_goal_is_fit() -> None:
    assert judge(solution(0.0)) == Verdict(miss=0.0)
    assert judge(solution(REACHED)).miss == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["X", "U", "K"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_any_number_that_is_not_finite_means_divergence(name: str, value: float) -> None:
    found = solution(0.0)
    found.X[2, 0] = 9.0
    getattr(found, name)[(0,) * getattr(found, name).ndim] = value
    verdict = judge(found, Checker())
    assert "the solver diverged after 3 iterations" in verdict.reason and verdict.miss == np.inf
    assert not verdict.leaves_limits, "nothing is known of that"


def test_a_cost_that_is_not_finite_means_divergence() -> None:
    assert "diverged" in judge(solution(0.0, cost=np.nan)).reason


def test_a_violation_of_the_problem_is_named_with_its_bound() -> None:
    assert judge(solution(0.0, primal_residual=FEASIBLE)).reason == ""
    reason = judge(solution(0.0, primal_residual=1.1 * FEASIBLE, converged=False)).reason
    assert reason == "max_iterations after 3 iterations with a violation of 1.1e-03, allowed is 1e-03"


@pytest.mark.parametrize("knot", [1, 2, T])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_position_limits_count_at_every_knot_but_the_start(knot: int, side: float) -> None:
    for beyond, outside in ((0.9 * FEASIBLE, False), (1.1 * FEASIBLE, True)):
        found = solution(0.0)
        found.X[knot, 0] = side * (1.0 + beyond)
        verdict = judge(found)
        assert verdict.leaves_limits is outside
        assert ("joint a would leave its limits by 0.001" in verdict.reason) is outside


def test_the_joint_that_leaves_its_limits_furthest_is_named() -> None:
    arm, found = Arm(), replace(solution(0.0), X=np.zeros((T + 1, 4)))
    arm.nu, bounds = 2, np.ones(2)
    arm.robot = SimpleNamespace(joint_names=["a", "b"], position_lower=-bounds, position_upper=bounds)
    found.X[1, 0], found.X[3, 1] = 1.2, -1.3
    assert judge(found, arm=arm).reason == "joint b would leave its limits by 0.300"
    found.X[2, 0] = 1.4
    assert judge(found, arm=arm).reason == "joint a would leave its limits by 0.400"


def test_a_start_beyond_the_limits_does_not_condemn_a_motion() -> None:
    found = solution(0.0)
    found.X[0, 0] = 2.0
    assert judge(found).reason == ""


def test_leaving_the_limits_is_told_beside_another_objection() -> None:
    found = replace(solution(0.0), primal_residual=1.0)
    found.X[2, 0] = 2.0
    verdict = judge(found)
    assert verdict.leaves_limits and "violation of" in verdict.reason


def test_the_checker_sees_what_will_be_executed_and_its_refusal_is_the_reason() -> None:
    checker, found = Checker(TOUCHING), solution(0.0)
    found.U[:] = [[3.0], [-3.0], [1.5], [-1.5]]
    found.X[2, 1] = 1.0  # friction counts in the steps before and after
    verdict = judge(found, checker)
    (time, X, U, K), *_ = checker.seen
    np.testing.assert_allclose(time, 0.1 * np.arange(T + 1))
    assert X is found.X and U.ravel().tolist() == [2.0, -2.0, 1.75, -1.5]
    np.testing.assert_allclose(K, np.tile([-3.0, -3.0], (T, 1, 1)))
    assert verdict.collides and verdict.reason == str(TOUCHING) and verdict.miss == np.inf
    assert not judge(found, Checker(Violation(Limit.GAINS, "large"))).collides


def test_the_checker_sees_the_solvers_gains_where_those_are_executed() -> None:
    checker, found = Checker(), solution(0.0)
    task_gains = Judge(Arm(), checker, Gains.TASK)  # type: ignore[arg-type]
    for judging in (task_gains, task_gains.of(Arm())):  # type: ignore[arg-type]
        judging.judge(found, INSTANCE)
        assert checker.seen.pop()[3] is found.K


def test_a_motion_at_another_pace_is_judged_by_its_own_steps_with_the_same_checker() -> None:
    checker, slower = Checker(), Arm("pose", 3 * ORIENTED)
    slower.dt = 0.5
    verdict = Judge(Arm(), checker).of(slower).judge(solution(0.0), INSTANCE)  # type: ignore[arg-type]
    np.testing.assert_allclose(checker.seen[0][0], 0.5 * np.arange(T + 1))
    assert verdict.miss == pytest.approx(3.0)


def test_how_long_the_way_should_take_is_told_where_durations_fit() -> None:
    arm, found = Arm(), solution(0.5)
    found.X[0, 0], found.X[-1, 0] = 0.25, 0.0
    moving = Instance(np.array([0.25, 2.0]), np.zeros(3))
    assert Judge(arm).judge(found, moving) == Verdict(miss=0.0)  # type: ignore[arg-type]
    assert Verdict().fitting == np.inf
    arm.fits = True
    assert Judge(arm).judge(found, moving) == Verdict(miss=0.0, fitting=1.75)  # type: ignore[arg-type]
    for refused in (Judge(arm, Checker(TOUCHING)).judge(found, moving), judge(solution(3.0), arm=arm)):  # type: ignore[arg-type]
        assert refused.reason and refused.fitting == np.inf


def test_joints_are_missed_by_the_tool_or_by_one_of_them() -> None:
    found = solution(0.0)
    found.X[-1, 1] = 7.0
    assert judge(found, arm=Arm("joints", off=2 * REACHED)).miss == pytest.approx(2.0)
    found.X[-1, 0] = 5 * IN_PLACE
    assert judge(found, arm=Arm("joints", off=2 * REACHED)).miss == pytest.approx(5.0)


def test_the_checker_is_not_asked_about_what_is_objected_to() -> None:
    checker = Checker()
    judge(solution(0.0, primal_residual=1.0), checker)
    assert checker.seen == []


def test_a_pose_is_missed_by_distance_or_angle() -> None:
    assert judge(solution(REACHED), arm=Arm("pose", 3 * ORIENTED)).miss == pytest.approx(3.0)
    assert judge(solution(4 * REACHED), arm=Arm("pose", ORIENTED)).miss == pytest.approx(4.0)
    assert judge(solution(0.0), arm=Arm("position", 3 * ORIENTED)).miss == 0.0


def test_the_angle_of_a_pose_is_that_of_the_last_state() -> None:
    arm, found = Arm("pose"), solution(0.0)
    arm.orientation_error = lambda x, target: 5 * ORIENTED if x is not None and x[1] == 7.0 else 0.0  # type: ignore[method-assign]
    found.X[-1, 1] = 7.0
    assert judge(found, arm=arm).miss == pytest.approx(5.0)


def test_there_is_no_reason_where_there_is_no_objection() -> None:
    assert judge(solution(0.0)).objection == "" and judge(solution(0.0)).reason == ""
