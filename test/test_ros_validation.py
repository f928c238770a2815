"""Every malformed message is refused with a reason; every well-formed one is read by name."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from geometry_msgs.msg import PoseStamped
from hypothesis import given
from hypothesis import strategies as st
from message_strategies import any_joint_states, goals, good_goals, good_joint_states, joint_states
from sensor_msgs.msg import JointState

from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.validation import FARTHEST, GOAL_TYPES, JointStateReader, read_goal
from sobo_planner.ros.support.status import Refused, Status

NAMES = ["a", "b", "c"]
HOME = [0.0, -1.0, 2.0]
BASE = GoalFrames("base_link")
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
    assert refused.value.status is Status.BAD_STATE
    assert says in refused.value.detail


@given(columns, columns, st.integers(0, 5), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_state_that_is_not_finite_is_refused(q: list[float], v: list[float], at: int, bad: float) -> None:
    (q if at < 3 else v)[at % 3] = bad
    with pytest.raises(Refused) as refused:
        JointStateReader(NAMES).read(message(NAMES, q, v))
    assert NAMES[at % 3] in refused.value.detail


@given(good_joint_states(NAMES, HOME), st.data())
def test_a_state_depends_on_names_alone(first: JointState, data: st.DataObject) -> None:
    """Neither on the order of joints, nor on joints of others, nor on what was read before."""
    values = {name: (q, v) for name, q, v in zip(first.name, first.position, first.velocity, strict=False)}
    values = values or {name: (q, 0.0) for name, q in zip(first.name, first.position, strict=True)}
    order = data.draw(st.permutations(NAMES))
    second = message(order, [values[name][0] for name in order], [values[name][1] for name in order])
    reader = JointStateReader(NAMES)
    np.testing.assert_array_equal(reader.read(first), reader.read(second))
    np.testing.assert_array_equal(reader.read(second), JointStateReader(NAMES).read(first))


@given(joint_states(NAMES, HOME), any_joint_states(NAMES))
def test_any_state_is_read_or_refused_but_never_anything_else(first: JointState, second: JointState) -> None:
    reader = JointStateReader(NAMES)
    for each in (first, second, first):
        try:
            x = reader.read(each)
        except Refused as refused:
            assert refused.status is Status.BAD_STATE and refused.detail
        else:
            assert x.shape == (6,) and x.dtype == np.float64 and np.isfinite(x).all()
            positions = dict(zip(each.name, each.position, strict=True))
            np.testing.assert_array_equal(x[:3], [positions[name] for name in NAMES])


def goal(position: tuple[float, ...] = (0.4, 0.1, 0.5), frame: str = "base_link") -> PoseStamped:
    pose = PoseStamped()
    pose.header.frame_id = frame
    pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = position
    return pose


@given(st.tuples(numbers, numbers, numbers))
def test_goal_is_read(position: tuple[float, float, float]) -> None:
    np.testing.assert_array_equal(read_goal(goal(position), BASE), position)


@given(good_goals("base_link"))
def test_a_pose_goal_is_read_with_its_orientation(message: PoseStamped) -> None:
    p, o = message.pose.position, message.pose.orientation
    message.pose.orientation.w *= 1.0 + 1e-4  # within the tolerance
    goal = read_goal(message, BASE, "pose")
    assert goal.shape == (7,)
    np.testing.assert_array_equal(goal[:3], read_goal(message, BASE, "position"))
    np.testing.assert_array_equal(goal[:3], [p.x, p.y, p.z])
    np.testing.assert_allclose(goal[3:], [o.x, o.y, o.z, o.w], atol=2e-4)
    assert abs(np.linalg.norm(goal[3:]) - 1.0) < 1e-15 * 4


@given(goals("base_link"), st.sampled_from(GOAL_TYPES))
def test_any_goal_is_read_or_refused_but_never_anything_else(message: PoseStamped, goal_type: str) -> None:
    try:
        goal = read_goal(message, BASE, goal_type)
    except Refused as refused:
        assert refused.status in (Status.BAD_GOAL, Status.BAD_FRAME) and refused.detail
    else:
        assert message.header.frame_id == "base_link"
        assert goal.shape == ((3,) if goal_type == "position" else (7,)) and np.isfinite(goal).all()


def test_a_goal_type_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="position, pose, got 'twist'"):
        read_goal(goal(), BASE, "twist")


@pytest.mark.parametrize("far", [1e7, -1e154, 1e308])
def test_a_goal_beyond_all_reason_is_refused(far: float) -> None:
    with pytest.raises(Refused, match=f"farther than {FARTHEST:g} m".replace("+", r"\+")):
        read_goal(goal((0.0, far, 0.0)), BASE)


@pytest.mark.parametrize("frame", ["", "map", "/base_link", "BASE_LINK"])
def test_goal_in_another_frame_is_refused(frame: str) -> None:
    with pytest.raises(Refused) as refused:
        read_goal(goal(frame=frame), BASE)
    assert refused.value.status is Status.BAD_FRAME
    assert repr(frame) in refused.value.detail


@pytest.mark.parametrize("field", ["x", "y", "z"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_goal_that_is_not_finite_is_refused(field: str, bad: float) -> None:
    pose = goal()
    setattr(pose.pose.position, field, bad)
    with pytest.raises(Refused, match="not finite"):
        read_goal(pose, BASE)


@given(st.tuples(*[st.floats(allow_nan=True)] * 4))
def test_only_unit_quaternions_pass(quaternion: tuple[float, float, float, float]) -> None:
    pose, o = goal(), goal().pose.orientation
    o.x, o.y, o.z, o.w = quaternion
    pose.pose.orientation = o
    finite = all(math.isfinite(value) for value in quaternion)
    unit = finite and abs(sum(min(abs(value), 10.0) ** 2 for value in quaternion) - 1.0) <= 1e-3
    if unit:
        read_goal(pose, BASE)
    else:
        with pytest.raises(Refused):
            read_goal(pose, BASE)


@pytest.mark.parametrize("scale", [0.0, 0.9, 1.01, 1e200])
def test_scaled_quaternion_is_refused(scale: float) -> None:
    pose = goal()
    pose.pose.orientation.w = scale
    with pytest.raises(Refused, match="unit quaternion"):
        read_goal(pose, BASE)
