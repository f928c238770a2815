"""Planning scenes as messages: frames, prefixes, and that changes count only in a scene that is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from fuzz import numbers, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from scene_messages import Message, attached, ball, pose, scene

from sobo_planner.robot.frames import Placement
from sobo_planner.ros.inputs import planning_scenes
from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.planning_scenes import Scenes
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.world import Pose, Sphere, WorldObject

LINKS = ("base_link", "wrist_3_link", "tool0")
ABOVE = Placement(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0]))


def scenes(prefix: str = "") -> Scenes:
    fixed = {f"{prefix}base_link": Placement.identity(), "table": ABOVE}
    return Scenes(GoalFrames(f"{prefix}base_link", fixed=fixed), "base_link", prefix, LINKS)


def test_a_whole_scene_is_brought_into_the_base_frame() -> None:
    world = scenes().take(scene(ball("can", frame="table"), ball("cup"), allowed=("can", "cup")))
    assert world.find("can") == WorldObject("can", Sphere(0.05), Pose((0.5, 0.0, 1.0)))
    assert world.find("cup").pose == Pose((0.5, 0.0, 0.0)) and world.allowed == {("can", "cup")}


def test_links_have_the_prefix() -> None:
    held = attached(ball("part", at=pose()), "left_tool0", ("left_wrist_3_link", "stand"), 0.5)
    found = scenes("left_").take(
        scene(ball("can", frame="left_base_link"), held=(held,), allowed=("left_tool0", "can"))
    )
    [part] = found.attached
    assert (part.link, part.touches, part.mass) == ("tool0", ("stand", "wrist_3_link"), 0.5)
    assert found.allowed == {("can", "tool0")}


def test_changes_need_a_whole_scene_and_follow_it() -> None:
    known = scenes()
    change = scene(ball("cup"), ball("can", operation=b"\1"), is_diff=True)
    with pytest.raises(Refused, match="no whole scene has come in yet: send the whole scene"):
        known.take(change)
    known.take(scene(ball("can")))
    assert [each.name for each in known.take(change).objects] == ["cup"]


@pytest.mark.parametrize(
    "bad, status, message",
    [
        (ball("cup", frame="map"), Status.BAD_FRAME, "object 'cup': object in frame 'map'"),
        (ball("cup", radius=-1.0), Status.BAD_WORLD, "object 'cup': radius of a sphere"),
        (ball("cup", at=pose(math.nan)), Status.BAD_WORLD, "object 'cup': the position"),
    ],
)
def test_after_a_refusal_changes_need_a_whole_scene_again(bad: Message, status: Status, message: str) -> None:
    known = scenes()
    known.take(scene(ball("can")))
    with pytest.raises(Refused, match=message) as refused:
        known.take(scene(bad, is_diff=True))
    assert refused.value.status is status
    with pytest.raises(Refused, match="a message was refused: send the whole scene"):
        known.take(scene(ball("mug"), is_diff=True))
    assert [each.name for each in known.take(scene(ball("mug"))).objects] == ["mug"]
    assert known.in_doubt == ""


def leaves(message: Any) -> list[tuple[Any, Any]]:
    """All numbers, texts and flags of a message: whose field or entry, and which."""
    if isinstance(message, list):
        entries = list(enumerate(message))
    elif hasattr(message, "get_fields_and_field_types"):
        entries = [(name, getattr(message, name)) for name in message.get_fields_and_field_types()]
    else:
        return []
    found = [leaf for _, value in entries for leaf in leaves(value)]
    simple = [(message, key) for key, value in entries if isinstance(value, (float, int, str, bytes))]
    return found + simple


ANY = {float: st.floats() | numbers.filter(lambda x: isinstance(x, float)), str: texts, bool: st.booleans()}
ANY |= {int: st.integers(0, 255), bytes: st.sampled_from([b"\0", b"\1", b"\2", b"\3", b"\4"])}


@settings(max_examples=60)
@given(st.data())
def test_any_scene_is_taken_or_refused(data: DataObject) -> None:
    known = scenes()
    before = known.take(scene(ball("can")))
    held = attached(ball("part", at=pose()), "tool0", ("wrist_3_link",), 0.5)
    message = scene(ball("cup"), ball("can"), held=(held,), is_diff=data.draw(st.booleans()), allowed=("a", "b"))
    for _ in range(data.draw(st.integers(1, 3))):
        owner, key = data.draw(st.sampled_from(leaves(message)))
        value = data.draw(ANY[type(owner[key] if isinstance(owner, list) else getattr(owner, key))])
        if isinstance(owner, list):
            owner[key] = value
        elif isinstance(owner, Message):
            setattr(owner, key, value)
        else:
            try:
                setattr(owner, key, value)
            except (AssertionError, UnicodeError):  # rclpy has none of that
                continue
    try:
        world = known.take(message)
    except Refused as refused:
        assert refused.status in (Status.BAD_WORLD, Status.BAD_FRAME) and refused.detail and known.in_doubt
        assert [each.name for each in before.objects] == ["can"]
    else:
        assert all(isinstance(each.name, str) for each in world.everything)


def test_messages_of_moveit_itself() -> None:
    messages = pytest.importorskip("moveit_msgs.msg", reason="moveit_msgs comes with ROS distributions only")
    shapes = pytest.importorskip("shape_msgs.msg")
    assert planning_scenes.available()
    thing = messages.CollisionObject(id="can", pose=pose(0.5), primitive_poses=[pose()])
    thing.header.frame_id = "base_link"
    thing.primitives = [shapes.SolidPrimitive(type=2, dimensions=[0.05])]
    whole = messages.PlanningScene()
    whole.world.collision_objects = [thing]
    known = scenes()
    assert known.take(whole).objects == (WorldObject("can", Sphere(0.05), Pose((0.5, 0.0, 0.0))),)
    thing.operation = messages.CollisionObject.REMOVE
    assert known.take(messages.PlanningScene(is_diff=True, world=whole.world)).objects == ()
