"""Which transforms goals are brought into the base frame by, and when: with a stand-in for tf2_ros."""

from __future__ import annotations

import runpy
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Time as Stamp
from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.time import Time
from std_msgs.msg import Header

from sobo_planner.robot.frames import Placement
from sobo_planner.ros.inputs import frames as module
from sobo_planner.ros.inputs.frames import GoalFrames, is_unit
from sobo_planner.ros.inputs.goals import FARTHEST, read_goal
from sobo_planner.ros.support.status import Refused, Status

ORIGIN, LEVEL = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])


class Listener:
    """In the place of tf2_ros.TransformListener."""

    def __init__(self, buffer: Any, node: Any, *, spin_thread: bool) -> None:
        self.buffer, self.node, self.spin_thread, self.registered = buffer, node, spin_thread, True

    def unregister(self) -> None:
        self.registered = False


class Shifted:
    """A buffer that knows every frame, some distance [m] along x away, since ten minutes."""

    def __init__(self, distance: float = 0.0, norm: float = 1.0) -> None:
        self.distance, self.norm = distance, norm

    def lookup_transform(self, target_frame: str, source_frame: str, time: Time) -> TransformStamped:
        found = TransformStamped(header=Header(stamp=Stamp(sec=400), frame_id=target_frame))
        found.transform.translation.x, found.transform.rotation.w = self.distance, self.norm
        return found


NOW = SimpleNamespace(now=lambda: Time(seconds=1000))
NODE = SimpleNamespace(get_clock=lambda: NOW)


def test_transforms_are_listened_to_where_tf2_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the node's own executor: a thread of tf2's would take the node's callbacks too."""
    monkeypatch.setattr(module, "tf2_ros", SimpleNamespace(Buffer=Shifted, TransformListener=Listener))
    frames = GoalFrames.listening(NODE, "base_link")  # type: ignore[arg-type]
    listener = frames._listener
    assert frames.base_frame == "base_link" and listener.node is NODE and not listener.spin_thread
    position, _ = frames.to_base(Header(frame_id="table", stamp=Stamp(sec=400)), ORIGIN, LEVEL)
    np.testing.assert_array_equal(position, ORIGIN)
    frames.close()
    assert not listener.registered and frames._listener is None
    frames.close()


def test_without_tf2_only_the_base_frame_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "tf2_ros", None)
    frames = GoalFrames.listening(NODE, "base_link")  # type: ignore[arg-type]
    assert isinstance(frames, GoalFrames) and frames._listener is None
    frames.close()
    with pytest.raises(Refused, match="tf2_ros is not installed") as refused:
        frames.to_base(Header(frame_id="table"), ORIGIN, LEVEL)
    assert refused.value.status is Status.BAD_FRAME


@pytest.mark.parametrize("stamp, refused", [((0, 0), True), ((400, 0), False), ((0, 400), False), ((400, 1), False)])
def test_only_the_latest_transform_has_to_be_of_now(stamp: tuple[int, int], refused: bool) -> None:
    """A goal with a stamp asks for the transform at that time."""
    frames = GoalFrames("base_link", Shifted(), NOW)  # type: ignore[arg-type]
    header = Header(frame_id="table", stamp=Stamp(sec=stamp[0], nanosec=stamp[1]))
    if refused:
        with pytest.raises(Refused, match="600.0 s old"):
            frames.to_base(header, ORIGIN, LEVEL)
    else:
        frames.to_base(header, ORIGIN, LEVEL)


@pytest.mark.parametrize("error, unit", [(0.0, True), (4e-4, True), (-4e-4, True), (7e-4, False), (-7e-4, False)])
def test_how_near_to_one_a_norm_has_to_be(error: float, unit: bool) -> None:
    assert is_unit((1.0 + error) * LEVEL) is unit


def test_a_goal_that_its_transform_brings_too_far_is_refused() -> None:
    goal = PoseStamped()
    goal.header.frame_id, goal.header.stamp.sec = "table", 400
    goal.pose.position.x = 0.6 * FARTHEST
    assert read_goal(goal, GoalFrames("base_link", Shifted(0.3 * FARTHEST)))[0] == 0.9 * FARTHEST
    with pytest.raises(Refused, match="farther than") as refused:
        read_goal(goal, GoalFrames("base_link", Shifted(0.6 * FARTHEST)))
    assert refused.value.status is Status.BAD_GOAL


@pytest.mark.parametrize("age, refused", [(0.0, False), (0.9, False), (-0.9, False), (1.1, True), (-1.1, True)])
def test_how_old_the_latest_transform_may_be(age: float, refused: bool) -> None:
    """A stamp to come is one from before a clock was set back."""
    clock = SimpleNamespace(now=lambda: Time(nanoseconds=round(1e9 * (400.0 + age))))
    frames = GoalFrames("base_link", Shifted(), clock)  # type: ignore[arg-type]
    if refused:
        with pytest.raises(Refused, match=f"{age:.1f} s old"):
            frames.to_base(Header(frame_id="table"), ORIGIN, LEVEL)
    else:
        frames.to_base(Header(frame_id="table"), ORIGIN, LEVEL)


def test_what_tf2_throws_is_known_where_tf2_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", SimpleNamespace(TransformException=ArithmeticError))
    assert runpy.run_path(str(module.__file__))["TransformException"] is ArithmeticError


def test_a_pose_in_the_base_frame_stays_as_it_is_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        position, quaternion, *at = rng.normal(size=3), rng.normal(size=4), rng.normal(size=3), rng.normal(size=4)
        placement = Placement(at[0], at[1] / np.linalg.norm(at[1]))
        frames = GoalFrames("base_link", fixed={"base_link": placement})
        found = frames.to_base(Header(frame_id="base_link"), position, quaternion)
        np.testing.assert_array_equal(found[0], position)
        np.testing.assert_array_equal(found[1], quaternion)


@pytest.mark.parametrize("norm", [1.0 - 4e-4, 1.0 + 4e-4])
def test_a_rotation_that_is_a_little_off_is_brought_to_unit_norm(norm: float) -> None:
    frames = GoalFrames("base_link", Shifted(norm=norm))
    _, quaternion = frames.to_base(Header(frame_id="table", stamp=Stamp(sec=400)), ORIGIN, LEVEL)
    np.testing.assert_allclose(quaternion, LEVEL, atol=1e-12)
