"""Every malformed goal is refused with a reason."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from geometry_msgs.msg import PoseStamped, TransformStamped
from hypothesis import given
from hypothesis import strategies as st
from message_strategies import goals, good_goals

from sobo_planner.robot.frames import Placement
from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.goals import FARTHEST, GOAL_TYPES, read_goal
from sobo_planner.ros.support.status import Refused, Status

BASE = GoalFrames("base_link")
numbers = st.floats(-1e6, 1e6)


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


# ---------------------------------------------------------------- links fixed to the root

TURN = Placement(np.array([0.1, -0.2, 0.8]), np.array([0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)]))  # a quarter about z
FIXED = {"world": Placement.identity(), "base_link": TURN, "stand": TURN @ TURN}


@pytest.mark.parametrize("base_frame", FIXED)
@pytest.mark.parametrize("frame", FIXED)
@pytest.mark.parametrize("goal_type", GOAL_TYPES)
def test_goals_in_links_fixed_to_the_root_are_brought_into_its_frame(
    base_frame: str, frame: str, goal_type: str
) -> None:
    """Whatever the base frame is: the header says where the goal is."""
    found = read_goal(goal(frame=frame), GoalFrames(base_frame, fixed=FIXED), goal_type)
    wanted = FIXED[frame].goal(np.array([0.4, 0.1, 0.5, 0.0, 0.0, 0.0, 1.0]))
    np.testing.assert_allclose(found[:3], wanted[:3], atol=1e-12)
    if goal_type == "pose":
        assert abs(abs(found[3:] @ wanted[3:]) - 1.0) < 1e-12


def test_a_turned_base_is_turned_the_right_way() -> None:
    found = read_goal(goal((1.0, 0.0, 0.0), "base_link"), GoalFrames("base_link", fixed=FIXED))
    np.testing.assert_allclose(found, [0.1, 0.8, 0.8], atol=1e-12)


class Table:
    """Stands for tf2_ros.Buffer: the table is 2 m above whatever is asked for."""

    def __init__(self, height: float = 2.0) -> None:
        self.height = height

    def lookup_transform(self, target_frame: str, source_frame: str, time: object) -> TransformStamped:
        assert (target_frame, source_frame) == ("base_link", "table")
        found = TransformStamped()
        found.transform.translation.z = self.height
        return found


def test_what_tf2_knows_goes_on_from_the_base_frame_to_the_root() -> None:
    found = read_goal(goal((1.0, 0.0, 0.0), "table"), GoalFrames("base_link", Table(), fixed=FIXED))
    np.testing.assert_allclose(found, [0.1, 0.8, 2.8], atol=1e-12)


def test_the_distance_is_looked_at_after_the_transform_too() -> None:
    with pytest.raises(Refused, match="farther than") as refused:
        read_goal(goal(frame="table"), GoalFrames("base_link", Table(1.5 * FARTHEST), fixed=FIXED))
    assert refused.value.status is Status.BAD_GOAL
    far = read_goal(goal(frame="table"), GoalFrames("base_link", Table(0.5 * FARTHEST), fixed=FIXED))
    assert far[2] > 0.4 * FARTHEST


def test_the_distance_is_looked_at_before_the_transform_too() -> None:
    with pytest.raises(Refused, match=r"farther than 1e\+06 m"):
        read_goal(goal((0.0, 0.0, -1.5e6), "table"), GoalFrames("base_link", Table(1.5e6), fixed=FIXED))


@pytest.mark.parametrize("field", ["x", "y", "z", "w"])
def test_an_orientation_with_a_single_nan_is_not_finite(field: str) -> None:
    pose = goal()
    setattr(pose.pose.orientation, field, math.nan)
    with pytest.raises(Refused, match="goal not finite"):
        read_goal(pose, BASE)
