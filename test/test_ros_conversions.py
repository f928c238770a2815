"""Messages from a real plan, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reports import points_of, report_of
from std_msgs.msg import Float64MultiArray

from sobo_planner.motion import reference
from sobo_planner.planning.planner import Plan, Planner
from sobo_planner.ros.outputs import conversions
from sobo_planner.ros.outputs.diagnostics import to_json
from sobo_planner.ros.simulator.tracking import PlanAssembler
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.safety import BRAKE_ACCELERATION, REST_DECELERATION
from sobo_planner.tasks import load_task

STAMP = Time(sec=7, nanosec=5)
finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@pytest.fixture(scope="module")
def plan() -> Plan:
    task = load_task("ur5")
    instance = task.sample(np.random.default_rng(0))
    return Planner(task).plan(instance.x0, instance.target)


@pytest.fixture(scope="module")
def names() -> list[str]:
    return ["left_" + name for name in load_task("ur5").robot.joint_names]


def test_trajectory_is_what_the_controller_accepts(plan: Plan, names: list[str]) -> None:
    message = conversions.trajectory_message(points_of(plan), names, STAMP)
    times = [conversions.duration_seconds(point.time_from_start) for point in message.points]
    assert message.joint_names == names
    assert message.header.stamp == STAMP
    assert times[0] > 0.0
    assert np.all(np.diff(times) > 0.0)
    np.testing.assert_allclose(times[: len(plan.time) - 1], plan.time[1:], atol=1e-9)
    assert list(message.points[-1].velocities) == [0.0] * 6
    assert all(len(point.positions) == len(point.velocities) == 6 for point in message.points)
    assert all(len(point.effort) == len(point.accelerations) == 0 for point in message.points)


def test_effort_on_request(plan: Plan, names: list[str]) -> None:
    message = conversions.trajectory_message(points_of(plan), names, STAMP, publish_effort=True)
    np.testing.assert_array_equal(message.points[0].effort, plan.U[1])
    np.testing.assert_array_equal(message.points[-1].effort, plan.U[-1])


def test_a_plan_that_ends_fast_is_braked(plan: Plan, names: list[str]) -> None:
    X = plan.X.copy()
    X[-1, 6:] = [0.5, -0.2, 0.0, 0.0, 0.0, 0.0]
    message = conversions.trajectory_message(points_of(replace(plan, X=X)), names, STAMP)
    assert len(message.points) == len(plan.time)
    braking = conversions.duration_seconds(message.points[-1].time_from_start) - plan.time[-1]
    assert braking == pytest.approx(0.5 / BRAKE_ACCELERATION)
    np.testing.assert_array_equal(message.points[-1].velocities, np.zeros(6))
    np.testing.assert_allclose(message.points[-1].positions, X[-1, :6] + 0.5 * braking * X[-1, 6:])
    np.testing.assert_array_equal(message.points[-2].velocities, X[-1, 6:])


def test_a_plan_that_ends_at_rest_gets_no_further_point(plan: Plan, names: list[str]) -> None:
    X = plan.X.copy()
    X[-1, 6:] = 0.5 * REST_DECELERATION * plan.time[1]
    message = conversions.trajectory_message(points_of(replace(plan, X=X)), names, STAMP)
    assert len(message.points) == len(plan.time) - 1
    np.testing.assert_array_equal(message.points[-1].velocities, np.zeros(6))
    assert np.all(X[-1, 6:] != 0.0), "the plan itself is left alone"


def test_trajectory_is_read_by_name(plan: Plan, names: list[str]) -> None:
    message = conversions.trajectory_message(points_of(plan), names, STAMP)
    order = [3, 1, 5, 0, 2, 4]
    message.joint_names = [names[i] for i in order]
    for point in message.points:
        point.positions = [point.positions[i] for i in order]
        point.velocities = [point.velocities[i] for i in order]
    _, states = conversions.trajectory_arrays(message, names)
    np.testing.assert_array_equal(states[:-1], plan.X[1 : len(states)])


@pytest.mark.parametrize("fault", ["missing joint", "no points", "size", "nan", "start", "time"])
def test_bad_trajectory_is_refused(plan: Plan, names: list[str], fault: str) -> None:
    message = conversions.trajectory_message(points_of(plan), names, STAMP)
    if fault == "missing joint":
        message.joint_names = [*names[:-1], "other"]
    elif fault == "no points":
        message.points = []
    elif fault == "size":
        message.points[3].velocities = [0.0]
    elif fault == "nan":
        message.points[3].positions[2] = np.nan
    elif fault == "start":
        message.points[0].time_from_start.sec = message.points[0].time_from_start.nanosec = 0
    else:
        message.points[3].time_from_start = message.points[2].time_from_start
    with pytest.raises(Refused) as refused:
        conversions.trajectory_arrays(message, names)
    assert refused.value.status is Status.BAD_PLAN


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=finite))
def test_gains_survive_the_round_trip(gains: np.ndarray) -> None:
    message = conversions.gains_message(gains)
    T, nu, ndx = gains.shape
    assert [(dim.label, dim.size) for dim in message.layout.dim] == [("T", T), ("rows", nu), ("cols", ndx)]
    assert [dim.stride for dim in message.layout.dim] == [T * nu * ndx, nu * ndx, ndx]
    np.testing.assert_array_equal(conversions.gains_array(message), gains)
    np.testing.assert_array_equal(np.reshape(message.data, gains.shape), -gains)


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=finite))
def test_feedforward_survives_the_round_trip(controls: np.ndarray) -> None:
    message = conversions.feedforward_message(controls)
    np.testing.assert_array_equal(conversions.feedforward_array(message), controls)


def test_arrays_that_do_not_fit_are_refused() -> None:
    good = conversions.gains_message(np.ones((2, 3, 4)))
    with pytest.raises(Refused, match="labelled"):
        conversions.feedforward_array(good)
    short = conversions.gains_message(np.ones((2, 3, 4)))
    short.data = short.data[:-1]
    with pytest.raises(Refused, match="23 values"):
        conversions.gains_array(short)
    with pytest.raises(Refused, match="finite"):
        conversions.gains_array(conversions.gains_message(np.full((1, 1, 2), np.inf)))
    short.data = [*short.data, np.nan]
    with pytest.raises(Refused, match="finite"):
        conversions.gains_array(short)
    other_sign = conversions.multiarray_message(np.ones((2, 3, 6)), ("T", "nu", "ndx"))
    with pytest.raises(Refused, match="labelled"):
        conversions.gains_array(other_sign)
    with pytest.raises(ValueError, match="labels"):
        conversions.gains_message(np.ones((2, 2)))


@given(st.floats(0.0, 1e6))
def test_durations(seconds: float) -> None:
    assert conversions.duration_seconds(conversions.duration_message(seconds)) == pytest.approx(seconds, abs=1e-9)


def test_gains_have_the_controller_s_sign(plan: Plan) -> None:
    """u = u* + K (x* - x) on the topic: with this sign K damps velocities on the whole; inside it is the other one."""
    message = conversions.gains_message(plan.K)
    np.testing.assert_array_equal(conversions.gains_array(message), plan.K)
    sent = np.reshape(message.data, plan.K.shape)
    middle = len(sent) // 2
    assert np.trace(sent[middle][:, 6:]) > 0.0
    error = np.linspace(-0.01, 0.02, 12)
    np.testing.assert_allclose(sent[middle] @ -error, plan.K[middle] @ error)


def messages_of(plan: Plan, names: list[str], plan_id: int, stamp: Time) -> tuple:
    gains, feedforward = conversions.gains_message(plan.K), conversions.feedforward_message(plan.U)
    checksums = {
        "feedback_gains": conversions.checksum(gains),
        "feedforward": conversions.checksum(feedforward),
    }
    report = to_json(report_of(plan, plan_id, stamp, checksums))
    return conversions.trajectory_message(points_of(plan), names, stamp), gains, feedforward, report


@given(st.permutations(range(4)))
def test_a_plan_is_put_together_in_any_order(plan: Plan, names: list[str], order: list[int]) -> None:
    messages = messages_of(plan, names, 3, STAMP)
    assembler = PlanAssembler(names)
    adders = (
        assembler.add_trajectory,
        assembler.add_gains,
        assembler.add_feedforward,
        assembler.add_report,
    )
    results = [adders[i](messages[i]) for i in order]
    assert results[:3] == [None] * 3
    tracked = results[3]
    assert tracked is not None and tracked.plan_id == 3
    np.testing.assert_array_equal(tracked.K, plan.K)
    np.testing.assert_array_equal(tracked.U, plan.U)
    np.testing.assert_array_equal(tracked.reference(0.0), plan.X[0])
    np.testing.assert_allclose(tracked.reference(plan.time[7]), plan.X[7], atol=1e-9)
    middle = tracked.reference(0.5 * (plan.time[3] + plan.time[4]))
    expected = 0.5 * (plan.X[3] + plan.X[4])  # of a line; the cubic spline is off it by the change of velocity
    expected[:6] += plan.time[1] / 8.0 * (plan.X[3] - plan.X[4])[6:]
    np.testing.assert_allclose(middle[:6], expected[:6], atol=1e-7)
    np.testing.assert_allclose(middle[6:], expected[6:], atol=1e-4)


def test_pieces_of_two_plans_are_never_mixed(plan: Plan, names: list[str]) -> None:
    other = replace(plan, U=plan.U + 1.0, K=2.0 * plan.K)
    old = messages_of(plan, names, 1, STAMP)
    new = messages_of(other, names, 2, Time(sec=8))
    assembler = PlanAssembler(names)
    assert assembler.add_trajectory(old[0]) is None
    assert assembler.add_gains(new[1]) is None
    assert assembler.add_feedforward(old[2]) is None
    assert assembler.add_report(new[3]) is None
    assert assembler.add_trajectory(new[0]) is None
    tracked = assembler.add_feedforward(new[2])
    assert tracked is not None and tracked.plan_id == 2
    np.testing.assert_array_equal(tracked.U, other.U)
    assert assembler.add_gains(new[1]) is None, "each plan is handed over once"


def test_control_law(plan: Plan, names: list[str]) -> None:
    assembler = PlanAssembler(names)
    trajectory, gains, feedforward, report = messages_of(plan, names, 1, STAMP)
    for add, message in (
        (assembler.add_trajectory, trajectory),
        (assembler.add_gains, gains),
        (assembler.add_feedforward, feedforward),
    ):
        assert add(message) is None
    tracked = assembler.add_report(report)
    assert tracked is not None
    error, end = np.linspace(-0.01, 0.02, 12), np.arange(6.0)
    t = 4.3 * tracked.dt
    x = tracked.reference(t) + error
    fast, slow = np.full(6, np.inf), np.full(6, 0.1)
    np.testing.assert_allclose(tracked.control(t, x, True, end, fast), plan.U[4] + plan.K[4] @ error)
    np.testing.assert_array_equal(tracked.control(t, x, False, end, fast), plan.U[4])
    late = tracked.duration + 1.0
    at_end = tracked.reference(late)
    np.testing.assert_array_equal(tracked.control(late, at_end, False, end, fast), end)
    np.testing.assert_allclose(tracked.control(late, at_end + error, True, end, fast), end + plan.K[-1] @ error)
    caught = at_end + error - reference(at_end, at_end + error, plan.K[-1], slow)
    assert np.abs(caught - error).max() > 1e-3
    np.testing.assert_allclose(tracked.control(late, at_end + error, True, end, slow), end + plan.K[-1] @ caught)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": "converged"}', "null"])
def test_unreadable_report_is_refused(names: list[str], text: str) -> None:
    with pytest.raises(Refused):
        PlanAssembler(names).add_report(text)


def test_memory_is_bounded(names: list[str]) -> None:
    assembler = PlanAssembler(names)
    for i in range(50):
        assembler.add_gains(conversions.gains_message(np.full((1, 1, 1), float(i))))
        assembler.add_feedforward(Float64MultiArray(data=[float(i)]))
    assert sum(len(pieces) for pieces in assembler._pieces.values()) < 20
