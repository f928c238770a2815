"""Trajectories read from bytes: as rclpy reads them, or left to it."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.ros.outputs import conversions
from sobo_planner.ros.record import fast_cdr
from sobo_planner.ros.simulator.plan_cdr import read_trajectory
from sobo_planner.ros.simulator.tracking import PlanAssembler, TrackedPlan
from sobo_planner.ros.support.status import Refused
from sobo_planner.safety import Trajectory

STAMP = Time(sec=7, nanosec=5)


def points(n: int, steps: int, lead: float = 0.02) -> Trajectory:
    rng = np.random.default_rng(n + steps)
    X, U = rng.normal(size=(steps + 1, 2 * n)), rng.normal(size=(steps, n))
    return Trajectory.of(0.02 * np.arange(steps + 1), X, U, lead=lead)


def names(n: int) -> list[str]:
    return [f"joint{'_' * i}{i}" for i in range(n)]


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("steps", [1, 2, 100])
def test_it_reads_what_rclpy_writes_and_what_we_write(n: int, steps: int) -> None:
    """Joints and lengths of names decide where numbers of eight bytes begin."""
    given = points(n, steps)
    message = conversions.trajectory_message(given, names(n), STAMP)
    message.header.frame_id = "base" * (n % 3)
    times, states = conversions.trajectory_arrays(message, names(n))
    ours = fast_cdr.joint_trajectory(given, names(n), (7, 5), False, False)
    for data in (serialize_message(message), ours, ours + b"\0\0\0"):
        found = read_trajectory(data)
        assert found is not None and found.names == names(n) and found.stamp == (7, 5)
        np.testing.assert_array_equal(found.times, times)
        np.testing.assert_array_equal(np.hstack([found.positions, found.velocities]), states)


def test_other_columns_and_encodings_are_left_to_rclpy() -> None:
    given = points(6, 5)
    for effort, acceleration in ((True, False), (False, True)):
        assert read_trajectory(fast_cdr.joint_trajectory(given, names(6), (7, 5), effort, acceleration)) is None
    data = fast_cdr.joint_trajectory(given, names(6), (7, 5), False, False)
    assert read_trajectory(b"\x00\x00" + data[2:]) is None
    assert read_trajectory(serialize_message(JointTrajectory(joint_names=["a"]))) is None
    assert all(read_trajectory(data[:size]) is None for size in range(len(data)))
    message = conversions.trajectory_message(given, names(6), STAMP)
    message.points[3].velocities = [0.0]
    assert read_trajectory(serialize_message(message)) is None


def test_the_assembler_takes_both() -> None:
    """With joints in another order, too, and nothing that rclpy's message would be refused for."""
    given, order = points(6, 5), names(6)
    rest = {"start": [0.0] * 12, "dt": 0.02, "lead": 0.02, "plan_id": 3, "stamp": {"sec": 7, "nanosec": 5}}
    gains, feedforward = (
        conversions.gains_message(np.zeros((5, 6, 12))),
        conversions.feedforward_message(np.ones((5, 6))),
    )
    sums = {"feedback_gains": conversions.checksum(gains), "feedforward": conversions.checksum(feedforward)}

    def plan(data: bytes) -> TrackedPlan | None:
        assembler = PlanAssembler(order)
        assembler.add_gains(gains)
        assembler.add_feedforward(feedforward)
        assembler.add_report(json.dumps(rest | {"status": "converged", "checksums": sums}))
        return assembler.add_trajectory_cdr(data)

    data = fast_cdr.joint_trajectory(given, order, (7, 5), False, False)
    expected = conversions.trajectory_arrays(deserialize_message(data, JointTrajectory), order)[1]
    np.testing.assert_array_equal(plan(data).X, expected)
    message = conversions.trajectory_message(given, order, STAMP)
    message.joint_names = order[::-1]
    turned = plan(serialize_message(message)).X
    np.testing.assert_array_equal(turned[:, :6], expected[:, 5::-1])
    message = conversions.trajectory_message(given, order, STAMP)
    message.points[2].positions[1] = np.inf
    with pytest.raises(Refused, match="not finite"):
        plan(serialize_message(message))
    message = conversions.trajectory_message(given, order, STAMP)
    message.points[2].time_from_start = message.points[1].time_from_start
    with pytest.raises(Refused, match="increasing"):
        plan(serialize_message(message))


@pytest.mark.parametrize("n", [1, 6, 7])
def test_joint_states_are_written_as_rclpy_writes_them(n: int) -> None:
    position, velocity, effort = np.random.default_rng(n).normal(size=(3, n))
    for columns in ((position, velocity, effort), (position, velocity[:0], effort[:0])):
        message = JointState(name=names(n))
        message.header.stamp = STAMP
        message.position, message.velocity, message.effort = (each.tolist() for each in columns)
        found = deserialize_message(fast_cdr.joint_state(names(n), (7, 5), *columns), JointState)
        assert found == message
