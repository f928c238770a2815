"""joint_trajectory_controller's rules: every message made from real plans keeps them, every broken one is named."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Duration, Time
from controller_decision import controller_accepts
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from reports import points_of
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sobo_planner.planning.planner import Plan, Planner
from sobo_planner.policy import Policy
from sobo_planner.ros.outputs import conversions
from sobo_planner.ros.outputs.trajectory_rules import ZERO_VELOCITY, Rules, broken_rule, keeps_rules
from sobo_planner.safety import BRAKE_ACCELERATION, REST_DECELERATION, Trajectory
from sobo_planner.tasks import ArmReach

NAMES = ("a", "b", "c")
RULES = Rules(NAMES)
NOW = Time(sec=100)
INSTANCES = 30


@st.composite
def messages(draw: st.DrawFn, points: int = 1) -> JointTrajectory:
    """Any message that keeps the rules."""
    numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3)
    message = JointTrajectory(joint_names=draw(st.permutations(NAMES)))
    message.header.stamp = draw(st.sampled_from([Time(), Time(sec=99, nanosec=999_999_999), Time(sec=10**9)]))
    time, derivatives = 10**9, draw(st.integers(0, 2))
    for _ in range(draw(st.integers(points, 5))):
        point = JointTrajectoryPoint(positions=draw(numbers))
        if derivatives > 0:
            point.velocities = draw(numbers)
        if derivatives > 1:
            point.accelerations = draw(numbers)
        point.time_from_start = Duration(sec=time // 10**9, nanosec=time % 10**9)
        time += draw(st.integers(1, 10**10))
        message.points.append(point)
    message.points[-1].velocities = [0.0] * 3
    return message


@given(messages())
def test_every_valid_message_is_accepted(message: JointTrajectory) -> None:
    assert broken_rule(message, RULES, NOW) == ""
    assert controller_accepts(message, RULES, NOW)


def test_a_first_point_after_a_nanosecond_is_accepted() -> None:
    message = JointTrajectory(joint_names=NAMES, points=[JointTrajectoryPoint(positions=[0.0] * 3)])
    message.points[0].time_from_start.nanosec = 1
    assert broken_rule(message, RULES, NOW) == ""


def first(message: JointTrajectory) -> JointTrajectoryPoint:
    return message.points[0]


# What is done to a valid message, and what must be said about it.
MUTATIONS: dict[str, tuple[Callable[[JointTrajectory], object], str]] = {
    "missing joint": (lambda m: m.joint_names.pop(), r"joints are missing: \['[abc]'\]"),
    "unknown joint": (lambda m: m.joint_names.append("d"), r"does not know the joints \['d'\]"),
    "prefix": (lambda m: setattr(m, "joint_names", [f"left_{name}" for name in m.joint_names]), "missing: .'a', 'b'"),
    "joint twice": (lambda m: m.joint_names.append("b"), r"more than once: \['b'\]"),
    "no names": (lambda m: setattr(m, "joint_names", []), "missing"),
    "no points": (lambda m: setattr(m, "points", []), "no points"),
    "no positions": (lambda m: setattr(first(m), "positions", []), "point 0 has 0 positions for 3 joints"),
    "few positions": (lambda m: first(m).positions.pop(), "point 0 has 2 positions for 3 joints"),
    "few velocities": (lambda m: setattr(first(m), "velocities", [0.0]), "point 0 has 1 velocities"),
    "accelerations": (lambda m: setattr(first(m), "accelerations", [0.0] * 4), "point 0 has 4 accelerations"),
    "effort": (lambda m: setattr(first(m), "effort", [0.0] * 3), "point 0 has an effort"),
    "few efforts": (lambda m: setattr(first(m), "effort", [0.0]), "point 0 has 1 effort for 3 joints"),
    "nan": (lambda m: first(m).positions.__setitem__(1, math.nan), "point 0: positions hold nan"),
    "inf": (lambda m: setattr(first(m), "velocities", [0.0, -math.inf, 0.0]), "point 0: velocities hold -inf"),
    "inf and -inf": (lambda m: setattr(first(m), "accelerations", [math.inf, -math.inf, 0.0]), "accelerations hold"),
    "moving end": (
        lambda m: setattr(m.points[-1], "velocities", [0.0, 0.0, -2.0 * ZERO_VELOCITY]),
        "joint [abc] still moves at -2.38e-07 rad/s",
    ),
    "point at 0": (
        lambda m: setattr(first(m), "time_from_start", Duration()),
        r"point 0: time_from_start is 0\.0+ s, it must be after 0$",
    ),
    "before 0": (lambda m: setattr(first(m), "time_from_start", Duration(sec=-1)), "point 0: time_from_start is -1"),
    "times equal": (
        lambda m: setattr(m.points[1], "time_from_start", first(m).time_from_start),
        "point 1: time_from_start is 1.000000000 s, it must be after that of the point before, 1.000000000 s",
    ),
    "times decrease": (
        lambda m: setattr(m.points[1], "time_from_start", Duration(nanosec=999_999_999)),
        "point 1: time_from_start is 0.999999999 s",
    ),
    "nanoseconds": (lambda m: setattr(first(m).time_from_start, "nanosec", 10**9), "point 0: nanosec is 1000000000"),
    "stamp": (lambda m: setattr(m.header.stamp, "sec", -1), "stamp -1 s"),
    "stamp's nanoseconds": (lambda m: setattr(m.header.stamp, "nanosec", 10**9), "stamp .* 1000000000 ns"),
}
# Accepted by the controller, which then moves badly or throws.
STRICTER = {"nan", "inf", "inf and -inf", "point at 0", "before 0", "nanoseconds", "stamp", "stamp's nanoseconds"}


@pytest.mark.parametrize("name", MUTATIONS)
@given(message=messages(points=2))
def test_each_single_fault_is_named(name: str, message: JointTrajectory) -> None:
    mutate, says = MUTATIONS[name]
    mutate(message)
    found = broken_rule(message, RULES, NOW)
    assert re.search(says, found), found
    if name not in STRICTER:
        assert not controller_accepts(message, RULES, NOW)


@given(messages())
def test_an_end_in_the_past_is_named(message: JointTrajectory) -> None:
    last = message.points[-1].time_from_start
    message.header.stamp = Time(sec=100)
    ends = 10**9 * (100 + last.sec) + last.nanosec
    for late, refused in ((-1, False), (0, False), (1, True), (10**12, True)):
        now = Time(sec=(ends + late) // 10**9, nanosec=(ends + late) % 10**9)
        found = broken_rule(message, RULES, now)
        assert ("ago" in found) == refused and bool(found) == refused
        assert controller_accepts(message, RULES, now) == (not refused)
    assert broken_rule(message, RULES) == "", "without a clock the age is not looked at"
    message.header.stamp = Time()
    assert broken_rule(message, RULES, Time(sec=2**31 - 1)) == "", "0 means at once"


@given(messages())
def test_parameters_of_the_controller(message: JointTrajectory) -> None:
    message.points[-1].velocities = [1.0, 0.0, 0.0]
    assert "still moves" in broken_rule(message, RULES, NOW)
    assert not broken_rule(message, replace(RULES, allow_nonzero_velocity_at_trajectory_end=True), NOW)
    message.points[-1].velocities = [0.0] * 3
    message.points[0].effort = [1.0] * 3
    assert "effort" in broken_rule(message, RULES, NOW)
    assert not broken_rule(message, replace(RULES, effort_interface=True), NOW)


# ---------------------------------------------------------------- plans


@pytest.fixture(scope="module")
def plans(task: ArmReach, policy: Policy) -> list[Plan]:
    """Real ones, from anywhere to anywhere."""
    rng, planner = np.random.default_rng(5), Planner(task, policy)
    instances = [task.sample(rng) for _ in range(INSTANCES)]
    return [planner.plan(instance.x0, instance.target) for instance in instances]


def variants(plan: Plan) -> Iterator[Plan]:
    """The plan from every knot on, up to every knot (which ends fast), and held for longer."""
    T = len(plan.U)
    for k in range(T):
        yield replace(plan, time=plan.time[k:] - plan.time[k], X=plan.X[k:], U=plan.U[k:], K=plan.K[k:])
    for k in range(1, T):
        yield replace(plan, time=plan.time[: k + 1], X=plan.X[: k + 1], U=plan.U[:k], K=plan.K[:k])
    step = plan.time[1]
    for more in (1, 50):
        held = np.vstack([plan.X, np.tile(plan.X[-1], (more, 1))])
        time = np.append(plan.time, plan.time[-1] + step * np.arange(1, more + 1))
        yield replace(plan, time=time, X=held, U=np.vstack([plan.U, np.tile(plan.U[-1], (more, 1))]))


def test_messages_of_thousands_of_plans_keep_the_rules(task: ArmReach, plans: list[Plan]) -> None:
    count, rng = 0, np.random.default_rng(1)
    for plan in plans:
        for variant in variants(plan):
            prefix = ["", "left_", "robot/1/"][count % 3]
            names = tuple(prefix + name for name in task.robot.joint_names)
            effort, moving, lead = (bool(bit) for bit in rng.integers(0, 2, 3))
            stamp = Time(sec=99, nanosec=int(rng.integers(10**9)))
            points = points_of(variant, 0.012 * lead, moving)
            message = conversions.trajectory_message(points, names, stamp, effort)
            message = deserialize_message(serialize_message(message), JointTrajectory)  # what arrives
            rules = Rules(names, effort, moving)
            now = Time(sec=99, nanosec=0)
            assert broken_rule(message, rules, now) == ""
            assert controller_accepts(message, rules, now)
            assert bool(broken_rule(message, replace(rules, effort_interface=False), now)) == effort
            assert keeps_rules(points, names, stamp, effort, rules)
            assert keeps_rules(points, names, stamp, effort, replace(rules, effort_interface=False)) != effort
            times, states = conversions.trajectory_arrays(message, names)
            knots = slice(0 if lead else 1, None)
            shared = len(variant.time[knots])
            np.testing.assert_allclose(times[:shared], variant.time[knots] + 0.012 * lead, atol=1e-9)
            np.testing.assert_array_equal(states[:shared, :6], variant.X[knots, :6])
            check_end(states, times, variant, moving)
            count += 1
    assert count > 6000


def check_end(states: np.ndarray, times: np.ndarray, plan: Plan, moving: bool) -> None:
    """A moving end is the plan's; otherwise the arm brakes gently from there to rest."""
    if moving:
        np.testing.assert_array_equal(states[-1], plan.X[-1])
        return
    np.testing.assert_array_equal(states[-1, 6:], 0.0)
    if np.abs(plan.X[-1, 6:]).max() > REST_DECELERATION * plan.time[1]:
        brake = times[-1] - times[-2]
        deceleration = np.abs(plan.X[-1, 6:]) / brake
        assert deceleration.max() <= BRAKE_ACCELERATION * (1 + 1e-6)
        # The controller's cubic between both points, sampled.
        s = np.linspace(0, 1, 50)[:, None]
        q0, q1, v0 = states[-2, :6], states[-1, :6], states[-2, 6:]
        q = q0 + (s - 2 * s**2 + s**3) * brake * v0 + (3 * s**2 - 2 * s**3) * (q1 - q0)
        speed = np.abs(np.diff(q, axis=0)).max(axis=0) * 49 / brake
        assert np.all(speed <= np.abs(v0) + 1e-6)
        assert np.all(q >= np.minimum(q0, q1) - 1e-9) and np.all(q <= np.maximum(q0, q1) + 1e-9)


def test_a_lead_shifts_the_whole_plan(plans: list[Plan], task: ArmReach) -> None:
    """The first point is the state at hand-over, with the torque that acts from there on."""
    plan, names = plans[0], task.robot.joint_names
    message = conversions.trajectory_message(points_of(plan, 0.015), names, NOW, True)
    np.testing.assert_array_equal(message.points[0].positions, plan.X[0, :6])
    np.testing.assert_array_equal(message.points[0].velocities, plan.X[0, 6:])
    np.testing.assert_array_equal([point.effort for point in message.points[:100]], plan.U)
    assert message.points[0].time_from_start == Duration(nanosec=15_000_000)
    assert message.points[1].time_from_start == Duration(nanosec=15_000_000 + round(1e9 * plan.time[1]))


def test_points_that_break_a_rule_are_found_before_a_message_is_made(plans: list[Plan], task: ArmReach) -> None:
    """Each also breaks it as a message."""
    points, names = points_of(plans[0]), task.robot.joint_names
    rules = Rules(tuple(names))

    def changed(name: str, where: int, value: float) -> Trajectory:
        values = np.array(getattr(points, name))
        values[where] = value
        return replace(points, **{name: values})

    wrong = {
        "time": changed("nanoseconds", 3, points.nanoseconds[2]),
        "first": changed("nanoseconds", 0, 0),
        "late": changed("nanoseconds", -1, 2**31 * 10**9),
        "position": changed("positions", 7, np.nan),
        "velocity": changed("velocities", 2, np.inf),
        "end": changed("velocities", -1, 1e-3),
    }
    assert keeps_rules(points, names, NOW, False, rules)
    torque, effort = changed("effort", 3, np.nan), replace(rules, effort_interface=True)
    assert keeps_rules(torque, names, NOW, False, rules) and not keeps_rules(torque, names, NOW, True, effort)
    steep = changed("velocities", 2, 1e308)
    assert keeps_rules(steep, names, NOW, False, rules)
    with np.errstate(over="ignore"):
        assert not keeps_rules(steep, names, NOW, False, rules, acceleration=True)
        assert broken_rule(conversions.trajectory_message(steep, names, NOW, publish_acceleration=True), rules)
    for name, each in wrong.items():
        assert not keeps_rules(each, names, NOW, False, rules), name
        if name != "late":  # which no message can hold
            assert broken_rule(conversions.trajectory_message(each, names, NOW), rules), name
    assert keeps_rules(wrong["end"], names, NOW, False, replace(rules, allow_nonzero_velocity_at_trajectory_end=True))
    assert not keeps_rules(points, names[::-1], NOW, False, rules)
    assert not keeps_rules(points, names, Time(sec=-1), False, rules)
