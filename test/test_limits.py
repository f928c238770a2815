"""Values against bounds, and what the checker says of a plan that is at fault."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.errors import ConfigError
from sobo_planner.robot.frames import Placement
from sobo_planner.safety import Limit, PlanChecker, Violation
from sobo_planner.safety.limits import outside
from sobo_planner.tasks import ArmReach

N, T = 6, 20
LOWER, UPPER = np.array([-1.0, -2.0]), np.array([1.0, 2.0])


def found(*rows: tuple[float, float]) -> str | None:
    """What is said of two joints, half a second from row to row."""
    time = 0.5 * np.arange(len(rows))
    violation = outside(Limit.JOINT_BOX, ["a", "b"], "rad", time, np.array(rows), LOWER, UPPER)
    assert violation is None or violation.limit is Limit.JOINT_BOX
    return None if violation is None else violation.detail


def still(q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Time, X, U and K of an arm that stands at q."""
    X = np.tile([*q, *np.zeros(N)], (T + 1, 1))
    return 0.5 * np.arange(T + 1), X, np.zeros((T, N)), np.zeros((T, N, 2 * N))


def test_a_violation_is_told_with_its_limit() -> None:
    assert str(Violation(Limit.TOOL_BOX, "tool x is far")) == "TOOL_BOX: tool x is far"


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_thousandth_beyond_a_bound_is_tolerated(sign: float) -> None:
    assert found((0.0, 0.0), (sign * 1.0009, sign * 2.0009)) is None
    assert found((0.0, 0.0), (sign * 1.0011, 0.0)) is not None
    assert found((0.0, 0.0), (0.0, sign * 2.0011)) is not None


def test_the_worst_value_is_told_with_its_time_and_bounds() -> None:
    rows = [(0.0, 0.0), (1.1, 0.0), (0.0, -2.3), (1.2, 0.0)]
    assert found(*rows) == "b is -2.3000 rad at 1.000 s, allowed is [-2.0000, 2.0000]"
    assert found(*rows[:2], (0.0, 0.0), rows[3]) == "a is 1.2000 rad at 1.500 s, allowed is [-1.0000, 1.0000]"


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_what_begins_outside_may_come_back_and_not_go_on(sign: float) -> None:
    """Also where all of it is outside."""
    beyond, further = sign * np.array([1.5, 2.5]), sign * np.array([1.6, 2.5])
    assert found(beyond, beyond) is None and found(beyond, 0.5 * beyond) is None
    assert found(beyond, further) == f"a is {sign * 1.6:.4f} rad at 0.500 s, allowed is [-1.0000, 1.0000]"
    assert found(beyond, -beyond) is not None


def test_a_jump_is_told_with_its_speed_and_interval(task: ArmReach, home: np.ndarray) -> None:
    time, X, U, K = still(home)
    X[7, 5] -= 2.0
    X[8:, 5] -= 1.0
    violation = PlanChecker(task).check(time, X, U, K)
    assert violation is not None and violation.limit is Limit.VELOCITY
    assert "wrist_3_joint moves at 4.0000 rad/s from 3.000 to 3.500 s, allowed is " in violation.detail


def test_torques_that_are_no_array_are_named(task: ArmReach, home: np.ndarray) -> None:
    time, X, _, K = still(home)
    violation = PlanChecker(task).check(time, X, 0.0, K)
    assert violation == Violation(Limit.SHAPE, "time has shape (21,), expected (1,) with T > 0")


def test_one_joint_without_any_gain_allowed_is_a_mistake(task: ArmReach) -> None:
    with pytest.raises(ConfigError, match="gain_cap"):
        PlanChecker(task, gain_cap=[5.0, 5.0, 0.0, 5.0, 5.0, 5.0])


def test_a_tool_box_in_a_frame_of_its_own(task: ArmReach, home: np.ndarray) -> None:
    """Which is turned by 90 degrees: its x axis is y of the root link."""
    origin = np.array([0.3, -0.2, 0.1])
    frame = Placement(origin, np.array([0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)]))
    off = task.robot.frame_position(home, "tool0") - origin
    tool = np.array([off[1], -off[0], off[2]])
    time, X, U, K = still(home)
    X[5:, 4] += 0.3  # a start outside may stay there
    moved = task.robot.frame_position(X[-1, :N], "tool0") - origin
    ends = np.array([tool, [moved[1], -moved[0], moved[2]]])
    lower, upper = ends.min(axis=0) - 0.005, ends.max(axis=0) + 0.005
    assert PlanChecker(task, tool_box=(lower, upper), box_frame=frame).check(time, X, U, K) is None
    axis = int(np.abs(ends[1] - ends[0]).argmax())
    (upper if ends[1, axis] > ends[0, axis] else lower)[axis] = ends.mean(axis=0)[axis]
    violation = PlanChecker(task, tool_box=(lower, upper), box_frame=frame).check(time, X, U, K)
    assert violation is not None and violation.limit is Limit.TOOL_BOX
    assert violation.detail.startswith(f"tool {'xyz'[axis]} is {ends[1, axis]:.4f} m")
