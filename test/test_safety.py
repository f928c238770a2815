"""What may leave the planner: real plans pass, and whatever is wrong with one is found and named."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sobo_planner.errors import ConfigError
from sobo_planner.planning.planner import FEASIBLE, Plan, Planner
from sobo_planner.safety import COLLISION_STEP, GAIN_CAP, TOLERANCE, TORQUE_TOLERANCE, Limit, PlanChecker, Trajectory
from sobo_planner.tasks import ArmReach, load_task
from sobo_planner.world import Pose, Sphere, World, WorldObject

N = 6
T = 20


@pytest.fixture(scope="session")
def task(unlimited: ArmReach) -> ArmReach:
    """The arm without limits on accelerations, whose motions are checked at their points."""
    return unlimited


@pytest.fixture(scope="module")
def plan(task: ArmReach, home: np.ndarray) -> Plan:
    start = np.concatenate([home, np.zeros(N)])
    return Planner(task).plan(start, task.robot.tool_position(home + 0.4))


@pytest.fixture(scope="module")
def checker(task: ArmReach) -> PlanChecker:
    return PlanChecker(task)


def still(q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Time, X, U and K of an arm that stands at q."""
    X = np.tile([*q, *np.zeros(N)], (T + 1, 1))
    return 0.5 * np.arange(T + 1), X, np.zeros((T, N)), np.zeros((T, N, 2 * N))


def at_rest(Q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Time, X, U and K of an arm that is at Q (N, 6) in steps of 10 s, slow enough for any distance."""
    X = np.hstack([Q, np.zeros_like(Q)])
    return 10.0 * np.arange(len(Q)), X, np.zeros((len(Q) - 1, N)), np.zeros((len(Q) - 1, N, 2 * N))


def test_a_real_plan_passes(checker: PlanChecker, plan: Plan) -> None:
    assert checker.check(plan.time, plan.X, plan.U, plan.K) is None
    multiples = np.abs(plan.K).max(axis=(0, 2)) / checker._task.torque_limit
    assert multiples.max() < GAIN_CAP / 3, "the cap is far from real gains"
    assert TOLERANCE == FEASIBLE, "what the planner lets through is not refused afterwards"


def test_a_real_plan_of_the_arm_as_shipped_passes(home: np.ndarray) -> None:
    shipped = load_task("ur5")
    start = np.concatenate([home, np.zeros(N)])
    for options in ({}, {"duration": 1.5}, {"velocity_scaling": 0.3, "acceleration_scaling": 0.3}):
        plan = Planner(shipped).plan(start, shipped.robot.tool_position(home + 0.4), **options)
        assert PlanChecker(shipped).check(plan.time, plan.X, plan.U, plan.K) is None
        assert (np.abs(plan.K).max(axis=(0, 2)) / shipped.torque_limit).max() < GAIN_CAP / 2.5


@pytest.mark.parametrize("name", ["time", "X", "U", "K"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_named(checker: PlanChecker, plan: Plan, name: str, bad: float) -> None:
    arrays = {"time": plan.time.copy(), "X": plan.X.copy(), "U": plan.U.copy(), "K": plan.K.copy()}
    arrays[name][(7,) + (2,) * (arrays[name].ndim - 1)] = bad
    found = checker.check(*arrays.values())
    assert found is not None and found.limit is Limit.FINITE
    assert found.detail.startswith(f"{name}[7") and str(bad) in found.detail


@pytest.mark.parametrize("name", ["time", "X", "U", "K"])
def test_sizes_that_do_not_fit_are_named(checker: PlanChecker, plan: Plan, name: str) -> None:
    good = {"time": plan.time, "X": plan.X, "U": plan.U, "K": plan.K}
    for wrong in (good[name][:-1], good[name][..., None], np.zeros(0), good[name][..., :-1]):
        found = checker.check(*(good | {name: wrong}).values())
        assert found is not None and found.limit is Limit.SHAPE
    empty = (np.zeros(1), plan.X[:1], np.zeros((0, N)), np.zeros((0, N, 2 * N)))
    assert (checker.check(*empty) or found).limit is Limit.SHAPE


def test_times_increase(checker: PlanChecker, plan: Plan) -> None:
    time = plan.time.copy()
    time[9] = time[8]
    found = checker.check(time, plan.X, plan.U, plan.K)
    assert found is not None and found.limit is Limit.SHAPE and "time[9]" in found.detail


@given(knot=st.integers(1, T), joint=st.integers(0, N - 1), sign=st.sampled_from([-1, 1]), by=st.floats(0, 0.01))
def test_limits_of_every_joint_at_every_knot(
    checker: PlanChecker, task: ArmReach, home: np.ndarray, knot: int, joint: int, sign: int, by: float
) -> None:
    robot, name = task.robot, task.robot.joint_names[joint]
    limit = robot.position_upper if sign > 0 else robot.position_lower
    for kind, column, bound in (
        (Limit.POSITION, joint, limit[joint]),
        (Limit.VELOCITY, N + joint, sign * robot.velocity_limit[joint]),
    ):
        time, X, U, K = still(home)
        time *= 100  # time enough to get to the limit at a speed that is allowed
        X[knot, column] = bound + sign * by
        found = checker.check(time, X, U, K)
        if by <= TOLERANCE:
            assert found is None or found.limit is Limit.SELF_COLLISION
            continue
        assert found is not None and found.limit is kind
        assert name in found.detail and f"at {time[knot]:.3f} s" in found.detail
        assert f"{X[knot, column]:.4f}" in found.detail and f"{bound:.4f}" in found.detail


@given(knot=st.integers(0, T - 1), joint=st.integers(0, N - 1), share=st.floats(-1.1, 1.1))
def test_torques(checker: PlanChecker, task: ArmReach, home: np.ndarray, knot: int, joint: int, share: float) -> None:
    time, X, U, K = still(home)
    U[knot, joint] = share * task.torque_limit[joint]
    found = checker.check(time, X, U, K)
    if abs(share) <= 1.0:
        assert found is None
    elif (abs(share) - 1.0) * task.torque_limit[joint] > TORQUE_TOLERANCE:
        assert found is not None and found.limit is Limit.TORQUE
        assert task.robot.joint_names[joint] in found.detail and f"{time[knot]:.3f} s" in found.detail


@given(knot=st.integers(0, T - 1), row=st.integers(0, N - 1), column=st.integers(0, 2 * N - 1))
def test_gains_are_capped(task: ArmReach, home: np.ndarray, knot: int, row: int, column: int) -> None:
    checker = PlanChecker(task, gain_cap=50.0)
    time, X, U, K = still(home)
    K[knot, row, column] = -50.0
    assert checker.check(time, X, U, K) is None
    K[knot, row, column] = -50.1
    found = checker.check(time, X, U, K)
    assert found is not None and found.limit is Limit.GAINS
    kind = "velocity" if column >= N else "position"
    assert f"of {task.robot.joint_names[row]} on the {kind} of {task.robot.joint_names[column % N]}" in found.detail
    assert f"at {time[knot]:.3f} s" in found.detail and "-50.1" in found.detail


def test_torques_are_those_of_the_task_and_not_of_the_robot(task: ArmReach, home: np.ndarray) -> None:
    """A task file may allow less than the robot can: `torque_scale`."""
    weak = copy.copy(task)
    weak.torque_limit = 0.5 * task.torque_limit
    time, X, U, K = still(home)
    U[3] = 0.5 * task.torque_limit
    assert PlanChecker(weak).check(time, X, U, K) is None
    U[3, 1] += 2.0 * TORQUE_TOLERANCE
    found = PlanChecker(weak).check(time, X, U, K)
    assert found is not None and found.limit is Limit.TORQUE and "allowed is 75.0000" in found.detail
    assert TORQUE_TOLERANCE == 1e-6


def test_a_jump_between_knots_is_a_speed(checker: PlanChecker, plan: Plan) -> None:
    X = plan.X.copy()
    X[40:, 5] += 0.1  # within all limits, 5 rad/s over 20 ms
    found = checker.check(plan.time, X, plan.U, plan.K)
    assert found is not None and found.limit is Limit.VELOCITY
    assert "wrist_3_joint" in found.detail and "from 0.780 to 0.800 s" in found.detail
    assert f"moves at {abs(X[40, 5] - X[39, 5]) / 0.02:.4f} rad/s" in found.detail
    assert f"allowed is {np.pi:.4f}" in found.detail or "allowed is 3.1" in found.detail


@given(st.data())
def test_joint_box(task: ArmReach, home: np.ndarray, data: st.DataObject) -> None:
    """Against the rule written out: outside by more than the tolerance and further out than the start."""
    offsets = data.draw(st.lists(st.floats(-0.3, 0.3), min_size=T + 1, max_size=T + 1))
    joint, half = data.draw(st.integers(0, N - 1)), 0.1
    checker = PlanChecker(task, joint_box=(home - half, home + half))
    time, X, U, K = still(home)
    X[:, joint] += offsets
    found = checker.check(time, X, U, K)
    start = offsets[0]
    bad = [
        k
        for k, offset in enumerate(offsets)
        if (offset > half + TOLERANCE and offset > start + 1e-12)
        or (offset < -half - TOLERANCE and offset < start - 1e-12)
    ]
    assert (found is not None) == bool(bad)
    if found is not None:
        assert found.limit is Limit.JOINT_BOX and task.robot.joint_names[joint] in found.detail
        assert any(f"at {time[k]:.3f} s" in found.detail for k in bad)


def test_an_arm_outside_the_box_may_come_back(task: ArmReach, home: np.ndarray) -> None:
    checker = PlanChecker(task, joint_box=(home - 0.1, home + 0.1))
    time, X, U, K = still(home)
    X[:, 0] = home[0] + np.linspace(0.4, 0.0, T + 1)
    assert checker.check(time, X, U, K) is None
    X[:, 0] = home[0] + np.linspace(0.4, 0.5, T + 1)
    assert checker.check(time, X, U, K) is not None, "but not go further out"
    X[:, 0] = home[0] + np.linspace(0.4, -0.2, T + 1)
    assert checker.check(time, X, U, K) is not None, "nor out on the other side"


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("side", [-1, 1])
def test_tool_box(task: ArmReach, plan: Plan, axis: int, side: int) -> None:
    X = plan.X
    if np.argmax(side * task.robot.tool_positions(X[:, :N])[:, axis]) == 0:
        X = X[::-1]  # the way back: a start that is outside would be allowed to be
    path = np.array([task.robot.frame_position(q, "tool0") for q in X[:, :N]])
    lower, upper = path.min(axis=0), path.max(axis=0)
    assert PlanChecker(task, tool_box=(lower, upper)).check(plan.time, X, plan.U, plan.K) is None
    k = int(np.argmax(side * path[:, axis]))
    (lower if side < 0 else upper)[axis] -= side * 0.002
    found = PlanChecker(task, tool_box=(lower, upper)).check(plan.time, X, plan.U, plan.K)
    assert found is not None and found.limit is Limit.TOOL_BOX
    assert f"tool {'xyz'[axis]} is {path[k, axis]:.4f} m at {plan.time[k]:.3f} s" in found.detail


@pytest.mark.parametrize("name", ["joint_box", "tool_box"])
@pytest.mark.parametrize("fault", ["nan", "order", "size", "sides", "text"])
def test_malformed_boxes_are_refused(task: ArmReach, name: str, fault: str) -> None:
    n = N if name == "joint_box" else 3
    lower, upper = np.zeros(n), np.ones(n)
    box: tuple = (lower, upper)
    if fault == "nan":
        upper[1] = np.nan
    elif fault == "order":
        lower[1] = 2.0
    elif fault == "size":
        box = (lower, upper[:-1])
    elif fault == "sides":
        box = (lower,)
    else:
        box = (lower, ["a"] * n)
    with pytest.raises(ConfigError, match=name):
        PlanChecker(task, **{name: box})


@given(knot=st.integers(0, T - 1), row=st.integers(0, N - 1), column=st.integers(0, 2 * N - 1))
def test_the_cap_on_gains_is_that_of_each_joints_torque(
    checker: PlanChecker, task: ArmReach, home: np.ndarray, knot: int, row: int, column: int
) -> None:
    time, X, U, K = still(home)
    K[knot, row, column] = -0.999 * GAIN_CAP * task.torque_limit[row]
    assert checker.check(time, X, U, K) is None
    K[knot, row, column] *= 1.002
    found = checker.check(time, X, U, K)
    assert found is not None and found.limit is Limit.GAINS
    assert task.robot.joint_names[row] in found.detail and f"{GAIN_CAP * task.torque_limit[row]:.4g}" in found.detail
    assert pytest.approx(2e4) == GAIN_CAP * 150.0, "what the UR5's large joints may have has not changed"


def test_a_strong_arm_may_have_large_gains(task: ArmReach, plan: Plan) -> None:
    """A KUKA KR 16 has gains that an arm of the UR5's torques must not have."""
    strong = copy.copy(task)
    strong.torque_limit = 30.0 * task.torque_limit
    K = 30.0 * plan.K
    assert np.abs(K).max() > 2e4 and PlanChecker(strong).check(plan.time, plan.X, plan.U, K) is None
    assert PlanChecker(task).check(plan.time, plan.X, plan.U, K) is not None


def test_a_cap_of_ones_own(task: ArmReach, home: np.ndarray) -> None:
    time, X, U, K = still(home)
    K[0, 2, 3], K[1, 4, 5] = 7.0, 3.0
    caps = np.array([1.0, 1.0, 7.0, 1.0, 3.0, 1.0])
    assert PlanChecker(task, gain_cap=caps).check(time, X, U, K) is None
    assert PlanChecker(task, gain_cap=caps[::-1]).check(time, X, U, K) is not None
    for malformed in (caps[:-1], caps[None], -caps, caps * np.nan):
        with pytest.raises(ConfigError, match="gain_cap"):
            PlanChecker(task, gain_cap=malformed)


@pytest.mark.parametrize("cap", [0.0, -1.0, np.nan])
def test_malformed_cap_is_refused(task: ArmReach, cap: float) -> None:
    with pytest.raises(ConfigError, match="gain_cap"):
        PlanChecker(task, gain_cap=cap)


def test_bounds_of_robot_and_box_together(task: ArmReach, home: np.ndarray) -> None:
    lower = task.robot.position_lower.copy()
    lower[0], lower[1] = -0.5, lower[1] - 5.0
    checker = PlanChecker(task, joint_box=(lower, task.robot.position_upper + 1.0))
    assert checker.position_lower[0] == -0.5
    np.testing.assert_array_equal(checker.position_lower[1:], task.robot.position_lower[1:])
    np.testing.assert_array_equal(checker.position_upper, task.robot.position_upper)


def test_self_collision_is_named(checker: PlanChecker, task: ArmReach, home: np.ndarray, rng) -> None:
    folded = next(q for q in rng.uniform(-3, 3, (1000, N)) if task.robot.colliding_pair(q) is not None)
    Q = home + np.linspace(0, 1, 200)[:, None] * (folded - home)
    found = checker.check(*at_rest(Q))
    assert found is not None and found.limit is Limit.SELF_COLLISION
    first = next(k for k, q in enumerate(Q) if task.robot.colliding_pair(q) is not None)
    pair = task.robot.colliding_pair(Q[first])
    assert pair is not None and set(re.findall(r"\w+_link", found.detail)) == set(pair)
    time = float(re.findall(r"at ([\d.]+) s", found.detail)[0])
    assert 10.0 * (first - 1) < time <= 10.0 * first


def test_self_collision_between_two_knots(checker: PlanChecker, task: ArmReach, rng: np.random.Generator) -> None:
    """Far apart, free, with the elbow passing through the arm on the way."""
    free = [q for q in rng.uniform(-3, 3, (400, N)) if task.robot.colliding_pair(q) is None]
    pairs = [(a, b) for a, b in zip(free[:-1], free[1:], strict=True)]
    a, b = next((a, b) for a, b in pairs if task.robot.colliding_pair(0.5 * (a + b)) is not None)
    found = checker.check(*at_rest(np.array([a, b])))
    assert found is not None and found.limit is Limit.SELF_COLLISION
    time = float(re.findall(r"at ([\d.]+) s", found.detail)[0])
    share = 3.0 * (0.1 * time) ** 2 - 2.0 * (0.1 * time) ** 3  # of the way, for a spline between two points at rest
    assert task.robot.colliding_pair(a + share * (b - a)) is not None
    # Not later than one step after the first contact.
    steps = np.linspace(0, 1, 5000)
    first = next(s for s in steps if task.robot.colliding_pair(a + s * (b - a)) is not None)
    assert share - first <= COLLISION_STEP / np.abs(b - a).max() + 1e-3


@pytest.mark.parametrize("way", [0.04, 0.3, 3.0])
def test_the_step_between_configurations_that_are_compared(
    task: ArmReach, home: np.ndarray, monkeypatch: pytest.MonkeyPatch, way: float
) -> None:
    """The thickness of links and the reach of the UR5 bound it: 0.05 rad."""
    compared: list[np.ndarray] = []
    monkeypatch.setattr(type(task.robot), "first_collision", lambda self, Q: compared.append(Q))
    assert PlanChecker(task).check(*at_rest(np.array([home, home + way * (np.arange(N) == 0)]))) is None
    (Q,) = compared
    steps = np.abs(np.diff(Q, axis=0)).max(axis=1)
    assert steps.max() <= 0.05 + 1e-9 and steps.max() >= min(0.02, 0.3 * way), "and no finer than it has to be"
    np.testing.assert_allclose(Q[[0, -1]], [home, home + way * (np.arange(N) == 0)])


def test_the_same_curve_is_not_searched_twice_and_another_one_is(
    task: ArmReach, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a planner has checked it, and then as it is published, with a lead or without."""
    checker, search, searched = PlanChecker(task), type(task.robot).first_collision, []
    monkeypatch.setattr(type(task.robot), "first_collision", lambda self, Q: searched.append(Q) or search(self, Q))
    assert checker.check(plan.time, plan.X, plan.U, plan.K) is None
    for lead in (0.0, 0.021):
        assert checker.check_points(Trajectory.of(plan.time, plan.X, plan.U, lead=lead), plan.U, plan.K) is None
    assert len(searched) == 1
    X = plan.X.copy()
    X[50, 0] += 1e-9
    assert checker.check(plan.time, X, plan.U, plan.K) is None and len(searched) == 2


def test_a_motion_is_searched_once_in_each_world(task: ArmReach, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkers of the same arm in other worlds share what the last one passed, not what another world passed."""
    search, searched = type(task.robot).first_contact, []

    def counted(self: Any, *arguments: Any, **keywords: Any) -> Any:
        searched.append(self)
        return search(self, *arguments, **keywords)

    monkeypatch.setattr(type(task.robot), "first_contact", counted)
    far = World((WorldObject("far", Sphere(0.1), Pose((5.0, 0.0, 0.0))),))
    first, second = task.with_world(far), task.with_world(far)
    published, planned = PlanChecker(task), PlanChecker(task).of(first)
    assert planned.check(plan.time, plan.X, plan.U, plan.K) is None and searched == [first.robot]
    points = Trajectory.of(plan.time, plan.X, plan.U, lead=0.02)
    assert planned.of(first).check_points(points, plan.U, plan.K) is None and len(searched) == 1
    assert planned.of(second).check_points(points, plan.U, plan.K) is None and searched[1:] == [second.robot]
    assert published.of(second).check_points(points, plan.U, plan.K) is None and len(searched) == 3, "another family"


def test_configurations_are_searched_for_self_collision_once_a_robot(
    task: ArmReach, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, searched = type(task.robot).first_collision, []

    def counted(self: Any, Q: Any) -> Any:
        searched.append(self)
        return search(self, Q)

    monkeypatch.setattr(type(task.robot), "first_collision", counted)
    other = task.with_world(World((WorldObject("far", Sphere(0.1), Pose((5.0, 0.0, 0.0))),)))
    checker, Q = PlanChecker(task), plan.X[:, :6]
    for each in (checker, checker, checker.of(other), checker.of(other)):
        assert each.self_collision(plan.time, Q) is None
    assert searched == [task.robot, other.robot]
