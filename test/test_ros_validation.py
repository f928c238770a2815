"""Every malformed message is refused with a reason; every well-formed one is read by name."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from geometry_msgs.msg import PoseStamped
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import JointState

from sobo_planner.ros.refusal import Reason, Refused
from sobo_planner.ros.validation import JointStateReader, read_goal

NAMES = ["a", "b", "c"]
numbers = st.floats(-1e6, 1e6)
columns = st.lists(numbers, min_size=3, max_size=3)


def message(names: list[str], q: list[float], v: list[float]) -> JointState:
    return JointState(name=names, position=q, velocity=v)


@given(columns, columns, st.permutations(range(5)), st.floats(allow_nan=True))
def test_any_order_and_extra_joints(q: list[float], v: list[float], order: list[int], other: float) -> None:
    names, positions = [*NAMES, "gripper", "rail"], [*q, other, other]
    velocities = [*v, other, other]
    shuffled = message([names[i] for i in order], [positions[i] for i in order], [velocities[i] for i in order])
    np.testing.assert_array_equal(JointStateReader(NAMES).read(shuffled), [*q, *v])


def test_order_may_change_between_messages() -> None:
    reader = JointStateReader(NAMES)
    np.testing.assert_array_equal(reader.read(message(NAMES, [1, 2, 3], [4, 5, 6])), [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(reader.read(message(NAMES[::-1], [3, 2, 1], [6, 5, 4])), [1, 2, 3, 4, 5, 6])


def test_prefix() -> None:
    reader = JointStateReader(NAMES, "left_")
    names = [f"left_{name}" for name in NAMES]
    np.testing.assert_array_equal(reader.read(message(names, [1, 2, 3], [0, 0, 0]))[:3], [1, 2, 3])
    with pytest.raises(Refused, match="left_a"):
        reader.read(message(NAMES, [1, 2, 3], [0, 0, 0]))


def test_empty_velocity_is_rest_and_counted() -> None:
    reader = JointStateReader(NAMES)
    np.testing.assert_array_equal(reader.read(message(NAMES, [1, 2, 3], [])), [1, 2, 3, 0, 0, 0])
    assert reader.without_velocity == 1


@pytest.mark.parametrize(
    ("names", "q", "v", "says"),
    [
        (["a", "b"], [1, 2], [0, 0], "missing: ['c']"),
        ([], [], [], "missing"),
        (["a", "b", "c", "b"], [1, 2, 3, 4], [0] * 4, "more than once: ['b']"),
        (NAMES, [1, 2], [0, 0, 0], "2 values of position"),
        (NAMES, [1, 2, 3, 4], [0, 0, 0], "4 values of position"),
        (NAMES, [], [], "0 values of position"),
        (NAMES, [1, 2, 3], [0, 0], "2 values of velocity"),
    ],
)
def test_malformed_state_is_refused(names: list[str], q: list[float], v: list[float], says: str) -> None:
    reader = JointStateReader(NAMES)
    with pytest.raises(Refused) as refused:
        reader.read(message(names, [float(x) for x in q], [float(x) for x in v]))
    assert refused.value.reason is Reason.BAD_STATE
    assert says in refused.value.detail


@given(columns, columns, st.integers(0, 5), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_state_that_is_not_finite_is_refused(q: list[float], v: list[float], at: int, bad: float) -> None:
    (q if at < 3 else v)[at % 3] = bad
    with pytest.raises(Refused) as refused:
        JointStateReader(NAMES).read(message(NAMES, q, v))
    assert NAMES[at % 3] in refused.value.detail


@given(st.data())
def test_a_state_is_read_or_refused_but_never_anything_else(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from([*NAMES, "x", ""]), max_size=5))
    floats = st.lists(st.floats(), max_size=5)
    try:
        x = JointStateReader(NAMES).read(message(names, data.draw(floats), data.draw(floats)))
    except Refused as refused:
        assert refused.reason is Reason.BAD_STATE and refused.detail
    else:
        assert x.shape == (6,) and np.isfinite(x).all()


def goal(position: tuple[float, ...] = (0.4, 0.1, 0.5), frame: str = "base_link") -> PoseStamped:
    pose = PoseStamped()
    pose.header.frame_id = frame
    pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = position
    return pose


@given(st.tuples(numbers, numbers, numbers))
def test_goal_is_read(position: tuple[float, float, float]) -> None:
    np.testing.assert_array_equal(read_goal(goal(position), "base_link"), position)


@pytest.mark.parametrize("frame", ["", "map", "/base_link", "BASE_LINK"])
def test_goal_in_another_frame_is_refused(frame: str) -> None:
    with pytest.raises(Refused) as refused:
        read_goal(goal(frame=frame), "base_link")
    assert refused.value.reason is Reason.BAD_GOAL
    assert repr(frame) in refused.value.detail


@pytest.mark.parametrize("field", ["x", "y", "z"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_goal_that_is_not_finite_is_refused(field: str, bad: float) -> None:
    pose = goal()
    setattr(pose.pose.position, field, bad)
    with pytest.raises(Refused, match="not finite"):
        read_goal(pose, "base_link")


@given(st.tuples(*[st.floats(allow_nan=True)] * 4))
def test_only_unit_quaternions_pass(quaternion: tuple[float, float, float, float]) -> None:
    pose, o = goal(), goal().pose.orientation
    o.x, o.y, o.z, o.w = quaternion
    pose.pose.orientation = o
    finite = all(math.isfinite(value) for value in quaternion)
    unit = finite and abs(sum(min(abs(value), 10.0) ** 2 for value in quaternion) - 1.0) <= 1e-3
    if unit:
        read_goal(pose, "base_link")
    else:
        with pytest.raises(Refused):
            read_goal(pose, "base_link")


@pytest.mark.parametrize("scale", [0.0, 0.9, 1.01, 1e200])
def test_scaled_quaternion_is_refused(scale: float) -> None:
    pose = goal()
    pose.pose.orientation.w = scale
    with pytest.raises(Refused, match="unit quaternion"):
        read_goal(pose, "base_link")
