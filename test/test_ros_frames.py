"""Goals in other frames: the mathematics against Pinocchio, the rest through a buffer as tf2_ros has it."""

from __future__ import annotations

import math

import numpy as np
import pinocchio as pin
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Time as Stamp
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from hypothesis import given
from hypothesis import strategies as st
from message_strategies import headers, unit_quaternions
from rclpy.clock import Clock, ClockType
from rclpy.time import Time
from std_msgs.msg import Header

from sobo_planner.ros.inputs.frames import MAX_AGE, GoalFrames, TransformException, compose, is_unit, rotate
from sobo_planner.ros.support.status import Refused, Status

points = st.tuples(*[st.floats(-100.0, 100.0)] * 3).map(np.array)
quaternions = unit_quaternions().map(np.array)
ORIGIN, LEVEL = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])


def transform(translation: np.ndarray, rotation: np.ndarray, stamp: Stamp | None = None) -> TransformStamped:
    t, r = map(np.ndarray.tolist, (translation, rotation))
    message = TransformStamped(header=Header(stamp=stamp or Stamp(), frame_id="base_link"), child_frame_id="table")
    vector = Vector3(x=t[0], y=t[1], z=t[2])
    message.transform = Transform(translation=vector, rotation=Quaternion(x=r[0], y=r[1], z=r[2], w=r[3]))
    return message


class KnownTransform:
    """Stands for tf2_ros.Buffer: knows the frame `table` at some times, and throws as tf2 does for all others."""

    def __init__(self, found: TransformStamped) -> None:
        self.found = found
        self.asked: list[Time] = []

    def lookup_transform(self, target_frame: str, source_frame: str, time: Time) -> TransformStamped:
        self.asked.append(time)
        if (target_frame, source_frame) != ("base_link", "table"):
            raise TransformException(
                f'"{source_frame}" passed to lookupTransform argument source_frame does not exist.'
            )
        return self.found


def base_pose(translation: np.ndarray, rotation: np.ndarray, p: np.ndarray, q: np.ndarray) -> tuple:
    frames = GoalFrames("base_link", KnownTransform(transform(translation, rotation)))
    return frames.to_base(Header(frame_id="table"), p, q)


@given(points, quaternions, points, quaternions)
def test_a_pose_is_moved_as_pinocchio_moves_it(
    translation: np.ndarray, rotation: np.ndarray, p: np.ndarray, q: np.ndarray
) -> None:
    position, quaternion = base_pose(translation, rotation, p, q)
    expected = pin.SE3(pin.Quaternion(rotation), translation) * pin.SE3(pin.Quaternion(q), p)
    np.testing.assert_allclose(position, expected.translation, atol=1e-12 * 200)
    np.testing.assert_allclose(pin.Quaternion(quaternion).matrix(), expected.rotation, atol=1e-14 * 100)
    assert is_unit(quaternion)


@given(quaternions, quaternions, points)
def test_composing_is_rotating_twice(a: np.ndarray, b: np.ndarray, v: np.ndarray) -> None:
    np.testing.assert_allclose(rotate(compose(a, b), v), rotate(a, rotate(b, v)), atol=1e-11)


def test_a_rotation_has_the_right_sense() -> None:
    quarter_turn = np.array([0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)])  # about z, from x to y
    np.testing.assert_allclose(rotate(quarter_turn, np.array([1.0, 0.0, 0.0])), [0.0, 1.0, 0.0], atol=1e-15)


def test_the_base_frame_needs_no_transform() -> None:
    p = np.array([0.4, 0.1, 0.5])
    position, quaternion = GoalFrames("base_link").to_base(Header(frame_id="base_link"), p, LEVEL)
    np.testing.assert_array_equal(position, p)
    np.testing.assert_array_equal(quaternion, LEVEL)


@pytest.mark.parametrize(
    ("frame", "says"),
    [("", "name one, such as 'base_link'"), ("/base_link", "leading slash"), ("/table", "leading slash")],
)
def test_names_that_tf2_does_not_have(frame: str, says: str) -> None:
    frames = GoalFrames("base_link", KnownTransform(transform(ORIGIN, LEVEL)))
    with pytest.raises(Refused, match=says) as refused:
        frames.to_base(Header(frame_id=frame), ORIGIN, LEVEL)
    assert refused.value.status is Status.BAD_FRAME and repr(frame) in refused.value.detail


def test_without_tf2_other_frames_are_refused_with_what_to_do() -> None:
    with pytest.raises(Refused, match="install tf2_ros, or give goals in 'base_link'"):
        GoalFrames("base_link").to_base(Header(frame_id="table"), ORIGIN, LEVEL)


def test_what_tf2_throws_is_the_reason() -> None:
    frames = GoalFrames("base_link", KnownTransform(transform(ORIGIN, LEVEL)))
    with pytest.raises(Refused, match="no transform from 'moon' to 'base_link'.*does not exist"):
        frames.to_base(Header(frame_id="moon"), ORIGIN, LEVEL)


@pytest.mark.parametrize("stamp", [Stamp(), Stamp(sec=12, nanosec=34)])
def test_the_transform_is_that_of_the_goals_stamp(stamp: Stamp) -> None:
    known = KnownTransform(transform(ORIGIN, LEVEL))
    GoalFrames("base_link", known).to_base(Header(frame_id="table", stamp=stamp), ORIGIN, LEVEL)
    assert [time.to_msg() for time in known.asked] == [stamp]


def test_a_stamp_before_1970_is_refused() -> None:
    frames = GoalFrames("base_link", KnownTransform(transform(ORIGIN, LEVEL)))
    with pytest.raises(Refused, match="sec=-1"):
        frames.to_base(Header(frame_id="table", stamp=Stamp(sec=-1)), ORIGIN, LEVEL)


@pytest.mark.parametrize("seconds", [-2 * MAX_AGE, 2 * MAX_AGE])
def test_a_latest_transform_of_another_time_is_refused(seconds: float) -> None:
    clock = Clock(clock_type=ClockType.ROS_TIME)
    then = Time(nanoseconds=clock.now().nanoseconds - round(1e9 * seconds)).to_msg()
    frames = GoalFrames("base_link", KnownTransform(transform(ORIGIN, LEVEL, then)), clock)
    with pytest.raises(Refused, match="s old, allowed are 1 s"):
        frames.to_base(Header(frame_id="table"), ORIGIN, LEVEL)
    # Asked for at its own time, the same transform serves.
    frames.to_base(Header(frame_id="table", stamp=then), ORIGIN, LEVEL)


def test_static_transforms_do_not_age() -> None:
    clock = Clock(clock_type=ClockType.ROS_TIME)
    frames = GoalFrames("base_link", KnownTransform(transform(np.ones(3), LEVEL)), clock)
    np.testing.assert_array_equal(frames.to_base(Header(frame_id="table"), ORIGIN, LEVEL)[0], np.ones(3))


@pytest.mark.parametrize(
    ("translation", "rotation"),
    [([math.nan, 0, 0], LEVEL), (ORIGIN, [0, 0, 0, 0]), (ORIGIN, [0, 0, math.inf, 0]), (ORIGIN, [0, 0, 0, 1e200])],
)
def test_a_malformed_transform_is_refused(translation: list, rotation: list) -> None:
    with pytest.raises(Refused, match="malformed"):
        base_pose(np.array(translation, float), np.array(rotation, float), ORIGIN, LEVEL)


@given(headers(["base_link", "table", "/table", "map"]), points, quaternions)
def test_any_header_gives_a_pose_or_a_refusal(header: Header, p: np.ndarray, q: np.ndarray) -> None:
    frames = GoalFrames("base_link", KnownTransform(transform(np.ones(3), LEVEL)), Clock())
    try:
        position, quaternion = frames.to_base(header, p, q)
    except Refused as refused:
        assert refused.status is Status.BAD_FRAME and header.frame_id != "base_link"
    else:
        assert np.isfinite(position).all() and is_unit(quaternion)


def test_with_tf2_ros_itself() -> None:
    tf2_ros = pytest.importorskip("tf2_ros", reason="tf2_ros comes with ROS distributions only")
    buffer = tf2_ros.Buffer()
    half_turn = np.array([0.0, 0.0, 1.0, 0.0])
    buffer.set_transform_static(transform(np.array([1.0, 2.0, 3.0]), half_turn), "test")
    frames = GoalFrames("base_link", buffer, Clock(clock_type=ClockType.ROS_TIME))
    position, quaternion = frames.to_base(Header(frame_id="table"), np.array([1.0, 0.0, 0.0]), LEVEL)
    np.testing.assert_allclose(position, [0.0, 2.0, 3.0], atol=1e-12)
    np.testing.assert_allclose(quaternion, half_turn, atol=1e-12)
    for frame in ("moon", "/table"):
        with pytest.raises(Refused):
            frames.to_base(Header(frame_id=frame), ORIGIN, LEVEL)
