"""Changes to a world, as MoveIt's differences of planning scenes say them."""

from __future__ import annotations

from typing import Any

import pytest

from sobo_planner.errors import WorldError
from sobo_planner.world import AttachedObject, Box, Part, Pose, Sphere, World, WorldObject
from sobo_planner.world.scene_changes import changed_world

TABLE = WorldObject("table", Box((1.0, 1.0, 0.1)), Pose((0.5, 0.0, -0.1)))
CAN = WorldObject("can", Sphere(0.05), Pose((0.5, 0.0, 0.2), (0.0, 0.0, 0.6, 0.8)))
HELD = AttachedObject("held", "tool0", Sphere(0.03))
WORLD = World((TABLE, CAN), (HELD,), frozenset({("can", "table")}))
BALL = {"type": 2, "dimensions": [0.02]}


def change(**parts: Any) -> World:
    return changed_world(WORLD, {"is_diff": True, **parts}, "base_link")


def objects(*given: dict[str, Any], **others: Any) -> World:
    changes = [{"header": {"frame_id": "base_link"}, **each} for each in given]
    return change(world={"collision_objects": changes}, **others)


def attach(*given: dict[str, Any], is_diff: bool = True, joints: tuple[str, ...] = (), **others: Any) -> World:
    state = {"is_diff": is_diff, "joint_state": {"name": list(joints)}, "attached_collision_objects": list(given)}
    return change(robot_state=state, **others)


def held(name: str, operation: Any = b"\0", **others: Any) -> dict[str, Any]:
    return {"link_name": "tool0", "object": {"id": name, "primitives": [BALL], "operation": operation, **others}}


def test_nothing_changes_nothing() -> None:
    assert change() == WORLD
    assert change(robot_state={"is_diff": False, "attached_collision_objects": []}) == WORLD
    assert change(allowed_collision_matrix={"entry_names": [], "entry_values": []}) == WORLD


@pytest.mark.parametrize("operation", [0, b"\0"])
def test_objects_are_added_and_replaced(operation: Any) -> None:
    new = {"id": "ball", "primitives": [BALL], "pose": {"position": [1.0, 0.0, 0.0]}, "operation": operation}
    assert objects(new) == WORLD.with_object(WorldObject("ball", Sphere(0.02), Pose((1.0, 0.0, 0.0))))
    assert objects({**new, "id": "can"}).find("can").parts == (Part(Sphere(0.02)),)


def test_objects_are_removed_one_by_one_or_all() -> None:
    assert objects({"id": "can", "operation": b"\1"}) == WORLD.without("can")
    assert objects({"id": "unknown", "operation": 1}) == WORLD
    assert objects({"id": "", "operation": 1}).objects == ()


def test_shapes_are_appended_where_they_are() -> None:
    more = {"id": "can", "primitives": [BALL], "pose": {"position": [0.5, 0.3, 0.2]}, "operation": 2}
    can = objects(more).find("can")
    assert can.pose == CAN.pose and can.shapes[0] == CAN.shapes[0]
    assert can.shapes[1].pose.position == pytest.approx((0.5, 0.3, 0.2))
    assert can.shapes[1].pose.quaternion == pytest.approx((0.0, 0.0, 0.0, 1.0))
    assert objects({**more, "id": "new"}).find("new").parts == (Part(Sphere(0.02)),)


def test_objects_are_moved_with_their_shapes() -> None:
    moved = objects({"id": "can", "pose": {"position": [0.1, 0.2, 0.3]}, "operation": b"\3"})
    assert moved == WORLD.with_pose("can", Pose((0.1, 0.2, 0.3)))


@pytest.mark.parametrize(
    "bad, message",
    [
        ({"id": "unknown", "operation": 3}, "no object named 'unknown' that could be moved"),
        ({"id": "can", "operation": 3, "primitives": [BALL]}, "is moved and has shapes"),
        ({"id": "can", "operation": 4, "primitives": [BALL]}, "operation must be one of 0 to 3"),
        ({"id": "can", "operation": True, "primitives": [BALL]}, "operation must be one of"),
        ({"id": 3, "operation": 1}, "must be text, got 3"),
        ({"id": "can", "operation": 0}, "it has no shapes"),
        ({"id": "can", "operation": 3, "header": {"frame_id": "map"}}, "in the frame 'map', expected 'base_link'"),
        ({"id": "can", "primitives": [{"type": 4, "dimensions": [1.0, 1.0]}]}, "type must be one of"),
        ({"id": "held", "primitives": [BALL]}, "two objects are named 'held'"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(WorldError, match=message):
        objects({"id": "table", "operation": 1}, bad)


def test_what_is_attached_is_no_obstacle_any_more() -> None:
    world = attach(held("can"))
    assert [each.name for each in world.attached] == ["can", "held"]
    assert [each.name for each in world.objects] == ["table"]


def test_a_whole_state_lists_all_that_is_attached() -> None:
    assert [each.name for each in attach(held("part"), is_diff=False).attached] == ["part"]
    assert attach(is_diff=False, joints=("elbow_joint",)).attached == ()


@pytest.mark.parametrize("name, link", [("held", "tool0"), ("", "tool0"), ("", "")])
def test_what_is_detached_has_a_place_or_is_gone(name: str, link: str) -> None:
    gone = {"link_name": link, "object": {"id": name, "operation": 1}}
    with pytest.raises(WorldError, match="'held' is detached, and nothing says where it is"):
        attach(gone)
    removed = {"collision_objects": [{"header": {"frame_id": "base_link"}, "id": "held", "operation": 1}]}
    assert attach(gone, world=removed).attached == ()
    placed = {"collision_objects": [{"header": {"frame_id": "base_link"}, "id": "held", "primitives": [BALL]}]}
    assert [each.name for each in attach(gone, world=placed).objects] == ["can", "held", "table"]


def test_one_attached_elsewhere_stays() -> None:
    assert attach({"link_name": "base_link", "object": {"id": "", "operation": 1}}).attached == (HELD,)
    with pytest.raises(WorldError, match="can be added and removed, got move"):
        attach(held("held", 3))


def test_the_matrix_is_replaced_by_another_one() -> None:
    matrix = {"entry_names": ["a", "b"], "entry_values": [{"enabled": [False, True]}, {"enabled": [True, False]}]}
    assert change(allowed_collision_matrix=matrix).allowed == {("a", "b")}


@pytest.mark.parametrize(
    "part, message",
    [
        ({"link_padding": [{"link_name": "tool0", "padding": 0.1}]}, "the padding of a link must be 0"),
        ({"world": {"octomap": {"octomap": {"data": [1]}}}}, "has an octomap"),
        ({"nonsense": 1}, "unknown key 'nonsense'"),
    ],
)
def test_what_is_not_supported_is_refused(part: dict[str, Any], message: str) -> None:
    with pytest.raises(WorldError, match=message):
        change(**part)
