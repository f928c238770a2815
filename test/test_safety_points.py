"""What the checker says of the points that a controller gets, the braking at their end included."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sobo_planner.planning.planner import Plan, Planner
from sobo_planner.safety import TOLERANCE, Limit, PlanChecker, Trajectory
from sobo_planner.tasks import ArmReach

N = 6


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


def fast_end(plan: Plan, task: ArmReach, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Time and X of an arm that is at some posture after two knots, and fast."""
    q = rng.uniform(0.8 * task.robot.position_lower, 0.8 * task.robot.position_upper) * 0.5
    v = rng.uniform(-1, 1, N) * task.robot.velocity_limit
    Q = q + np.array([-0.04, -0.02, 0.0])[:, None] * v
    return 0.02 * np.arange(3), np.hstack([Q, np.tile(v, (3, 1))])


def test_what_the_braking_at_the_end_runs_into(checker: PlanChecker, task: ArmReach, plan: Plan) -> None:
    """Of 150 motions that end fast and keep everything by themselves, those whose braking collides are refused."""
    rng, U, K = np.random.default_rng(4), np.zeros((2, N)), np.zeros((2, N, 2 * N))
    refused = passed = 0
    while refused + passed < 150:
        time, X = fast_end(plan, task, rng)
        if checker.check_points(Trajectory.of(time, X, U, moving_end=True), U, K) is not None:
            continue
        found = checker.check(time, X, U, K)
        q, v = np.split(X[-1], 2)
        braking = np.abs(v).max() / 5.0
        s = np.linspace(0, 1, 200)[:, None]
        on_the_way = q + (s - 0.5 * s**2) * braking * v
        contacts = [contact for each in on_the_way if (contact := task.robot.contact(each)) is not None]
        left = task.robot.contact(X[0, :N])  # what touches at the beginning may come apart
        if left is not None:
            contacts = [each for each in contacts if each.first != left.first or each.distance < left.distance - 5e-4]
        outside = ((on_the_way < task.robot.position_lower) | (on_the_way > task.robot.position_upper)).any()
        if found is None:
            assert not outside and len(contacts) < 10, "no more than what is between two configurations compared"
            passed += 1
        else:
            assert found.limit in (Limit.SELF_COLLISION, Limit.POSITION)
            assert contacts if found.limit is Limit.SELF_COLLISION else outside
            assert 0.04 < float(re.findall(r"at ([\d.]+) s", found.detail)[0]) <= 0.04 + braking + 1e-3
            refused += 1
    assert refused > 10 and passed > 10


def test_where_the_tool_goes_while_the_arm_brakes(task: ArmReach, plan: Plan) -> None:
    """A box around the tool's way, and around the place where it comes to rest: on the way there it may leave."""
    rng, U, K = np.random.default_rng(5), np.zeros((2, N)), np.zeros((2, N, 2 * N))
    between = at_end = 0
    for _ in range(150):
        time, X = fast_end(plan, task, rng)
        moving, points = Trajectory.of(time, X, U, moving_end=True), Trajectory.of(time, X, U)
        q, v = np.split(X[-1], 2)
        s = np.linspace(0, 1, 100)[:, None]
        braking = task.robot.tool_positions(q + (s - 0.5 * s**2) * np.abs(v).max() / 5.0 * v)
        for knots in (np.vstack([X[:, :N]]), np.vstack([X[:, :N], points.positions[-1]])):
            path = task.robot.tool_positions(knots)
            box = path.min(axis=0), path.max(axis=0)
            over = np.maximum(box[0] - braking, braking - box[1]).max()
            checker = PlanChecker(task, tool_box=box)
            if checker.check_points(moving, U, K) is not None:
                continue
            found = checker.check_points(points, U, K)
            if over > 0.01:
                assert found is not None and found.limit in (Limit.TOOL_BOX, Limit.POSITION)
                between, at_end = between + (len(knots) == 4), at_end + (len(knots) == 3)
            assert found is None or found.limit is not Limit.TOOL_BOX or over > TOLERANCE
    assert between > 10 and at_end > 10


@given(joint=st.integers(0, N - 1), sign=st.sampled_from([-1, 1]), room=st.floats(0, 0.3), speed=st.floats(0.1, 3.0))
def test_braking_keeps_the_joints_limits(
    task: ArmReach, home: np.ndarray, joint: int, sign: int, room: float, speed: float
) -> None:
    """It needs speed^2 / 2a, or half a step's way: where there is less room the plan is refused, before publishing."""
    box = (home - 1.0, home + 1.0)
    X = np.tile([*home, *np.zeros(N)], (3, 1))
    X[:, joint] = (box[1] if sign > 0 else box[0])[joint] - sign * (room + 0.04 * speed * np.array([1, 0.5, 0]))
    X[:, N + joint] = sign * speed
    checker = PlanChecker(task, joint_box=box)
    found = checker.check(0.02 * np.arange(3), X, np.zeros((2, N)), np.zeros((2, N, 2 * N)))
    needs = max(0.5 * speed * 0.02, 0.5 * speed**2 / 5.0)
    if found is not None and found.limit is not Limit.JOINT_BOX:
        return  # the elbow may reach the arm
    if needs > room + TOLERANCE + 1e-9:
        assert found is not None and task.robot.joint_names[joint] in found.detail
    elif needs < room + TOLERANCE - 1e-9:
        assert found is None


def test_points_are_checked_as_they_are(checker: PlanChecker, plan: Plan) -> None:
    """Also what no plan would have: sizes, numbers, times."""
    fast = plan.X.copy()
    fast[-1, N:] = 0.1
    good, last = Trajectory.of(plan.time, fast, plan.U, lead=0.03), len(plan.X)
    assert len(good.positions) == last + 1, "with a braking point"
    assert checker.check_points(good, plan.U, plan.K) is None
    assert checker.check_points(good, plan.U[:-1], plan.K[:-1]) is not None, "fewer controls than steps"
    assert checker.check_points(good, plan.U[:-1], plan.K) is not None
    for name, value, limit in (
        ("nanoseconds", good.nanoseconds[::-1], Limit.SHAPE),
        ("positions", good.positions * np.nan, Limit.FINITE),
        (
            "positions",
            good.positions + np.where(np.arange(len(good.positions)) == last, np.nan, 0)[:, None],
            Limit.FINITE,
        ),
        ("velocities", good.velocities + np.inf, Limit.FINITE),
        ("positions", good.positions[:, :-1], Limit.SHAPE),
        ("velocities", good.velocities + 10.0, Limit.VELOCITY),
        ("positions", good.positions + np.linspace(0, 9, len(good.positions))[:, None], Limit.POSITION),
    ):
        found = checker.check_points(dataclasses.replace(good, **{name: value}), plan.U, plan.K)
        assert found is not None and found.limit is limit, name


def test_the_way_from_the_start_to_the_first_point_counts(checker: PlanChecker, plan: Plan) -> None:
    """Without a lead the start is no point, but where the arm is."""
    points = Trajectory.of(plan.time, plan.X, plan.U)
    start = points.start.copy()
    start[5] += 0.1
    found = checker.check_points(dataclasses.replace(points, start=start), plan.U, plan.K)
    assert found is not None and found.limit is Limit.VELOCITY and "from 0.000 to 0.020 s" in found.detail


def test_links_are_compared_often_enough_on_the_way(
    checker: PlanChecker, task: ArmReach, home: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A twentieth of a radian is 4 cm at a UR5's reach of 0.85 m: its links are thicker."""
    seen: list[np.ndarray] = []
    monkeypatch.setattr(checker, "self_collision", lambda time, Q: seen.append(Q))
    moved = home + [1.0, 0.0, -0.7, 0.0, 0.3, 0.0]
    checker._curve(np.array([0.0, 2.0]), np.array([home, moved]), np.tile(0.5 * (moved - home), (2, 1)))
    (Q,) = seen
    np.testing.assert_array_equal(Q[[0, -1]], [home, moved])
    assert np.abs(np.diff(Q, axis=0)).max() <= 0.05 + 1e-9
