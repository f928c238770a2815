"""MoveIt's planning scenes: dumps of the message and the short form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from world_texts import DUMP, SHORT, objects, read_text

from sobo_planner.errors import WorldError
from sobo_planner.world import (
    AttachedObject,
    Box,
    Cylinder,
    HalfSpace,
    Mesh,
    Part,
    Pose,
    Sphere,
    World,
    WorldObject,
    read_world,
)


def test_a_dump_of_a_planning_scene(tmp_path: Path) -> None:
    world = read_text(tmp_path, DUMP)
    can = WorldObject("can", Cylinder(radius=0.03, length=0.14), Pose((0.8, 0.0, 0.5)))
    table = WorldObject("table", (Part(Box((1.0, 2.0, 0.05)), Pose((0.0, 0.0, -0.1))),))
    held = (Part(Sphere(0.03), Pose((0.0, 0.0, 0.02))),)
    attached = AttachedObject("held", "tool0", held, Pose((0.0, 0.0, 0.1)), 0.5, touches=("wrist_3_link",))
    assert world == World((can, table), (attached,), frozenset({("can", "table")}))


def test_the_short_form(tmp_path: Path) -> None:
    [can] = read_text(tmp_path, SHORT).objects
    assert can.parts[0].shape == Cylinder(radius=0.03, length=0.14)
    assert can.parts[0].pose.quaternion == pytest.approx((0.0, 0.3829110, 0.0, 0.9237852), abs=1e-7)
    assert read_text(tmp_path, SHORT).allowed == {("can", "table")}
    only_world = yaml.safe_load(SHORT)["world"]
    assert read_text(tmp_path, yaml.safe_dump(only_world)).objects == (can,)


def test_another_frame_is_taken_where_it_is_said_to_be_the_base(tmp_path: Path) -> None:
    path = tmp_path / "scene.yaml"
    path.write_text(SHORT.replace("base_link", "odom"))
    with pytest.raises(WorldError, match=r"scene\.yaml:6: .*object 'can': it is given in the frame 'odom', exp"):
        read_world(path)
    assert [each.name for each in read_world(path, "odom").objects] == ["can"]
    path.write_text(SHORT.replace("    - header:\n        frame_id: base_link\n      id", "    - id"))
    with pytest.raises(WorldError, match="object 'can': it names no frame, which means 'world', expected 'base_link'"):
        read_world(path)
    assert [each.name for each in read_world(path, "world").objects] == ["can"]


@pytest.mark.parametrize(
    ("coef", "height", "normal", "offset"),
    [
        ("[0, 0, 2, 1]", 0.0, (0.0, 0.0, 1.0), -0.5),
        ("[0, 0, 1, 0]", 0.0, (0.0, 0.0, 1.0), 0.0),
        ("[0, 0, -1, 0]", 0.0, (0.0, 0.0, -1.0), 0.0),
        ("[0, 0, 1, -2]", 0.0, (0.0, 0.0, -1.0), -2.0),
        ("[0, 0, 1, 0]", 1.5, (0.0, 0.0, -1.0), 0.0),
        ("[0, 0, 1, 0]", -1.5, (0.0, 0.0, 1.0), 0.0),
    ],
)
def test_planes_are_solid_where_the_base_is_not(
    tmp_path: Path, coef: str, height: float, normal: tuple[float, ...], offset: float
) -> None:
    world = read_text(
        tmp_path, objects(f"planes: [{{coef: {coef}}}]\n    plane_poses: [{{position: [0, 0, {height}]}}]")
    )
    assert world.find("x").parts == (Part(HalfSpace(normal, offset), Pose((0.0, 0.0, height))),)


def test_a_plane_of_an_object_with_a_pose(tmp_path: Path) -> None:
    """The object's pose lifts the plane above the base, the plane's own pose does not bring it down again."""
    pose = "pose: {position: [0, 0, 2]}\n    plane_poses: [{position: [0, 0, -0.5]}]"
    world = read_text(tmp_path, objects(f"planes: [{{coef: [0, 0, 1, 0]}}]\n    {pose}"))
    [placed] = world.find("x").shapes
    assert placed == Part(HalfSpace((0.0, 0.0, -1.0), 0.0), Pose((0.0, 0.0, 1.5)))


def test_a_weight_of_zero_is_a_mass_that_is_not_known(tmp_path: Path) -> None:
    [held] = read_text(tmp_path, DUMP.replace("weight: 0.5", "weight: 0.0")).attached
    assert held.mass is None


def test_meshes_in_messages(tmp_path: Path) -> None:
    vertices, faces = "[[0, 0, 0], {x: 1, y: 0, z: 0}, [0, 1, 0]]", "[{vertex_indices: [0, 1, 2]}, [2, 1, 0]]"
    text = f"meshes: [{{vertices: {vertices}, triangles: {faces}}}]"
    expected = Mesh(((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), ((0, 1, 2), (2, 1, 0)))
    assert read_text(tmp_path, objects(text)).find("x").parts == (Part(expected),)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("is_diff", True, r"yaml:\d+: is_diff: this is a difference"),
        ("is_diff", "maybe", "expected true or false, got 'maybe'"),
        ("extra", 1, "unknown key 'extra'; known: name, robot_state"),
        ("link_padding.0.padding", 0.01, r"yaml:\d+: link_padding\.0: the padding of a link must be 0, got 0\.01"),
        ("link_scale.0.scale", 1.1, "the scale of a link must be 1, got 1.1"),
        ("world.octomap.octomap.data", [1, 2], "has an octomap, which is not supported"),
        ("world.collision_objects.1.id", "can", r"collision_objects\.1: two objects are named 'can'"),
        ("world.collision_objects.1.id", None, "the name of an object must be .* got None"),
        ("world.collision_objects.1.id", [1], "the name of an object must be"),
        ("world.collision_objects.1.operation", 1, "object 'table': operation must be add, got 1"),
        ("world.collision_objects.1.primitives", [], "must be a pose for each of the 0 primitives, got 1"),
        ("world.collision_objects.0.primitives", [], r"collision_objects\.0: object 'can': it has no shapes"),
        ("world.collision_objects.0.primitives.0.type", "cone", r"\.0\.type: object 'can': type must be one of box, s"),
        ("world.collision_objects.0.primitives.0.type", 4, "type must be one of box, sphere, cylinder, got 'cone'"),
        ("world.collision_objects.0.primitives.0.type", 9, "got 9; give a mesh"),
        ("world.collision_objects.0.primitives.0.type", True, "type must be one of box"),
        (
            "world.collision_objects.0.primitives.0.dimensions",
            [1.0],
            "dimensions of a cylinder must be 2 numbers",
        ),
        ("world.collision_objects.0.primitives.0.dimensions", [1.0, -1.0], "radius of a cylinder must be a number"),
        (
            "world.collision_objects.0.pose.orientation.w",
            0.0,
            r"\.pose: object 'can': the quaternion .* the norm 0",
        ),
        ("world.collision_objects.0.pose.position", [0.0, 0.0], "the position must be 3 numbers, got 2"),
        ("world.collision_objects.0.planes", [{"coef": [0, 0, 0, 1]}], "the norm of a plane's normal must be a number"),
        (
            "robot_state.attached_collision_objects.0.object.header.frame_id",
            "base_link",
            "expected 'tool0'",
        ),
        ("robot_state.attached_collision_objects.0.weight", -1.0, "attached object 'held': the mass must be a number"),
        ("robot_state.attached_collision_objects.0.touch_links", "all", "touch_links must be a list, got 'all'"),
        ("robot_state", [], "robot_state must be a mapping"),
        ("allowed_collision_matrix.entry_values.0.enabled", [True], "must have 3 entries, got 1"),
        ("allowed_collision_matrix.entry_values.0.enabled.2", True, "symmetric; 'tool0' and 'can' differ"),
        ("allowed_collision_matrix.entry_names", ["can"], "a row for each of the 1 names, got 3"),
        ("allowed_collision_matrix.entry_names.1", "can", "two different names, got 'can' twice"),
        ("allowed_collision_matrix.default_entry_values", [True], "may touch everything are not supported"),
    ],
)
def test_planning_scenes_are_refused_with_the_place(tmp_path: Path, path: str, value: Any, message: str) -> None:
    data = yaml.safe_load(DUMP)
    inner = data
    *sections, leaf = [int(part) if part.isdigit() else part for part in path.split(".")]
    for section in sections:
        inner = inner[section]
    inner[leaf] = value
    with pytest.raises(WorldError, match=message) as refused:
        read_text(tmp_path, yaml.safe_dump(data))
    assert "scene.yaml" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("operation", ["0", "!!binary AA==", '"\\0"', "add"])
def test_ways_to_write_the_byte_of_an_operation(tmp_path: Path, operation: str) -> None:
    assert read_text(tmp_path, DUMP.replace("operation: 0", f"operation: {operation}")) == read_text(tmp_path, DUMP)
