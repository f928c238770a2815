"""World files: our own and MoveIt's planning scenes, read whole or refused with the place."""

from __future__ import annotations

import struct
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzz import damaged, fuzz, loads_or, values
from hypothesis import given
from hypothesis import strategies as st

from sobo_planner.errors import SoboError, WorldError
from sobo_planner.paths import share_path
from sobo_planner.robot import urdf
from sobo_planner.world import (
    AttachedObject,
    Box,
    Capsule,
    Cylinder,
    HalfSpace,
    Mesh,
    Part,
    Pose,
    Sphere,
    World,
    WorldObject,
    files,
    meshes,
    read_world,
    world_from_dict,
    write_world,
)

SHELF = share_path("config/worlds/shelf.yaml").read_text()
POINTS = ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, 0.3))
FACES = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))
# A dump of moveit_msgs/PlanningScene, without the fields that say nothing here.
DUMP = """
name: (noname)
robot_state:
  joint_state: {name: [elbow_joint], position: [0.5]}
  attached_collision_objects:
  - link_name: tool0
    object:
      header: {stamp: {sec: 0, nanosec: 0}, frame_id: tool0}
      id: held
      pose: {position: {x: 0.0, y: 0.0, z: 0.1}, orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}}
      primitives: [{type: 2, dimensions: [0.03]}]
      primitive_poses: [{position: {x: 0.0, y: 0.0, z: 0.02}, orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}}]
      operation: 0
    touch_links: [wrist_3_link]
    weight: 0.5
  is_diff: false
robot_model_name: ur5
fixed_frame_transforms: []
allowed_collision_matrix:
  entry_names: [can, table, tool0]
  entry_values:
  - enabled: [true, true, false]
  - enabled: [true, false, false]
  - enabled: [false, false, false]
  default_entry_names: [can]
  default_entry_values: [false]
link_padding: [{link_name: tool0, padding: 0.0}]
link_scale: [{link_name: tool0, scale: 1.0}]
world:
  collision_objects:
  - header: {frame_id: base_link}
    id: can
    pose: {position: {x: 0.8, y: 0.0, z: 0.5}, orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}}
    primitives: [{type: 3, dimensions: [0.14, 0.03], polygon: {points: []}}]
    primitive_poses: []
    operation: 0
  - header: {frame_id: /base_link}
    id: table
    primitives: [{type: 1, dimensions: [1.0, 2.0, 0.05]}]
    primitive_poses: [{position: {x: 0.0, y: 0.0, z: -0.1}, orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}}]
  octomap: {header: {frame_id: ''}, octomap: {resolution: 0.0, data: []}}
is_diff: false
"""
SHORT = """
allowed_collision_matrix: {entry_names: [can, table], entry_values: [['false', 'true'], ['true', 'false']]}
world:
  collision_objects:
    - header:
        frame_id: base_link
      id: can
      primitives:
        - type: cylinder
          dimensions: [0.14, 0.03]
      primitive_poses:
        - position: [0.8, 0, 0.5]
          orientation: [0, 0.383, 0, 0.924]
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], World]:
    path = tmp_path / "scene.yaml"

    def read(text: str) -> World:
        path.write_text(text)
        return read_world(path)

    return read


def objects(text: str) -> str:
    """A planning scene with these lines as its collision objects, given in the base frame."""
    return "world:\n  collision_objects:\n  - header: {frame_id: base_link}\n    id: x\n    " + text


def test_the_shipped_shelf(tmp_path: Path) -> None:
    world = read_world(share_path("config/worlds/shelf.yaml"))
    assert [each.name for each in world.objects] == ["ball", "bench", "bottle", "shelf"]
    bottle, shelf = world.find("bottle"), world.find("shelf")
    assert bottle.shapes == (Part(Cylinder(0.04, 0.24), Pose((0.72, 0.2, 0.28))),)
    assert shelf.shapes[0] == Part(Box((0.3, 0.84, 0.02)), Pose((0.7, 0.0, 0.15)))
    assert world.find("bench").parts[0].shape == HalfSpace((0.0, 0.0, 1.0), -0.01)
    [gripper] = world.attached
    assert gripper.parts == (Part(Capsule(0.045, 0.06)),) and gripper.mass == 0.9
    links = {link.get("name") for link in urdf.parse(share_path("urdf/ur5.urdf").read_text()).iterfind("link")}
    assert {gripper.link, *gripper.touches, "base_link"} <= links
    write_world(tmp_path / "again.yaml", world)
    assert read_world(tmp_path / "again.yaml") == world


def test_names_that_look_like_something_else_are_written_so_that_they_stay(tmp_path: Path) -> None:
    names = ("1e3", "yes", "null", "<<", "=", "1.5", "a: b", "#x", "[", "é", "\U0001f916", "2020-01-01", "a.b", "0x1")
    world = World(tuple(WorldObject(name, Sphere(0.1)) for name in names), allowed=frozenset({("1e3", "no")}))
    write_world(tmp_path / "world.yaml", world)
    assert read_world(tmp_path / "world.yaml") == world


def test_a_dump_of_a_planning_scene(read: Callable[[str], World]) -> None:
    world = read(DUMP)
    can = WorldObject("can", Cylinder(radius=0.03, length=0.14), Pose((0.8, 0.0, 0.5)))
    table = WorldObject("table", (Part(Box((1.0, 2.0, 0.05)), Pose((0.0, 0.0, -0.1))),))
    held = (Part(Sphere(0.03), Pose((0.0, 0.0, 0.02))),)
    attached = AttachedObject("held", "tool0", held, Pose((0.0, 0.0, 0.1)), 0.5, touches=("wrist_3_link",))
    assert world == World((can, table), (attached,), frozenset({("can", "table")}))


def test_the_short_form(read: Callable[[str], World]) -> None:
    [can] = read(SHORT).objects
    assert can.parts[0].shape == Cylinder(radius=0.03, length=0.14)
    assert can.parts[0].pose.quaternion == pytest.approx((0.0, 0.3829110, 0.0, 0.9237852), abs=1e-7)
    assert read(SHORT).allowed == {("can", "table")}
    only_world = yaml.safe_load(SHORT)["world"]
    assert read(yaml.safe_dump(only_world)).objects == (can,)


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
    path.write_text(SHELF)
    with pytest.raises(WorldError, match=r"scene\.yaml:\d+: frame: the world is given in 'base_link', expected 'odom'"):
        read_world(path, "odom")


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
    read: Callable[[str], World], coef: str, height: float, normal: tuple[float, ...], offset: float
) -> None:
    world = read(objects(f"planes: [{{coef: {coef}}}]\n    plane_poses: [{{position: [0, 0, {height}]}}]"))
    assert world.find("x").parts == (Part(HalfSpace(normal, offset), Pose((0.0, 0.0, height))),)


def stl_bytes(count: int | None = None) -> bytes:
    rows = [struct.pack("<12fH", 0, 0, 0, *(value for i in face for value in POINTS[i]), 0) for face in FACES]
    return b"solid, or not".ljust(80) + struct.pack("<I", len(rows) if count is None else count) + b"".join(rows)


def stl_text() -> bytes:
    loops = [" ".join(f"vertex {' '.join(map(str, POINTS[i]))}" for i in face) for face in FACES]
    return "\n".join(
        ["solid x", *(f"facet normal 0 0 0 outer loop {loop} endloop" for loop in loops), "endsolid x"]
    ).encode()


OBJ = "\n".join([f"v {x} {y} {z}" for x, y, z in POINTS] + ["f 1 3/2 2/1/1", "f 1 2 4", "f -4 -1 -2", "f 2 3 4"])


def triangles(mesh: Mesh) -> set[frozenset[tuple[float, ...]]]:
    return {frozenset(tuple(round(c, 6) for c in mesh.vertices[i]) for i in face) for face in mesh.faces}


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.stl", stl_bytes()), ("a.STL", stl_text()), ("a.obj", OBJ.encode())],
    ids=["binary", "text", "obj"],
)
def test_mesh_files(tmp_path: Path, read: Callable[[str], World], name: str, content: bytes) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / name).write_bytes(content)
    plain = Mesh(POINTS, FACES)
    [mesh] = read(f"objects: {{x: {{mesh: {{file: parts/{name}}}}}}}").objects[0].parts
    assert triangles(mesh.shape) == triangles(plain) and len(mesh.shape.vertices) == 4
    [hull] = read(f"objects: {{x: {{mesh: {{file: parts/{name}, scale: [1, 1, 2], convex: true}}}}}}").objects[0].parts
    assert hull.shape.convex and hull.shape.bounding_radius == pytest.approx(0.6)
    [scaled] = read(objects(f"meshes: [{{resource: parts/{name}, dimensions: [2, 2, 2]}}]")).objects[0].parts
    assert scaled.shape.bounding_radius == pytest.approx(0.6) and len(scaled.shape.faces) == 4


def test_meshes_in_world_files(read: Callable[[str], World]) -> None:
    vertices, faces = "[[0, 0, 0], {x: 1, y: 0, z: 0}, [0, 1, 0]]", "[{vertex_indices: [0, 1, 2]}, [2, 1, 0]]"
    text = f"meshes: [{{vertices: {vertices}, triangles: {faces}}}]"
    expected = Mesh(((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), ((0, 1, 2), (2, 1, 0)))
    assert read(objects(text)).find("x").parts == (Part(expected),)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.stl", None, "a.stl cannot be read: there is no such file"),
        ("a.stl", b"", "a.stl cannot be read as a mesh: neither a text STL nor a binary one"),
        ("a.stl", stl_bytes()[:-1], "neither a text STL nor a binary one of the size"),
        ("a.stl", stl_bytes(10**9), "neither a text STL nor a binary one"),
        ("a.stl", stl_bytes().replace(struct.pack("<f", 0.3), struct.pack("<f", float("nan"))), "is not finite"),
        ("a.stl", stl_text().replace(b"0.2", b"far"), "cannot be read as a mesh: could not convert"),
        ("a.stl", stl_text().replace(b"endsolid x", b""), "the last line of a text STL must be endsolid"),
        ("a.stl", b"solid x\nendsolid x", "3 vertices for each of 1 to 200000 triangles, got 0"),
        ("a.obj", b"v 0 0 0\nv 1 0", "a.obj cannot be read as a mesh: line 2: a vertex needs three numbers"),
        ("a.obj", b"v 0 0 0\nf 1 2 x", "line 2: invalid literal"),
        ("a.obj", OBJ.replace("f 2 3 4", "f 2 3 9").encode(), "face 3 of a mesh must be 3 indices of vertices in 0"),
        ("a.obj", OBJ.replace("0.3", "inf").encode(), "vertex 3 of a mesh must be a number"),
        ("a.obj", b"v \xff 0 0", "cannot be read as a mesh"),
        ("a.dae", b"", "must be a path that ends with .stl or .obj, got 'a.dae'"),
        ("package://x/a.stl", None, "write the path that the address stands for"),
    ],
)
def test_mesh_files_that_are_none(
    tmp_path: Path, read: Callable[[str], World], name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WorldError, match=message) as refused:
        read(f"objects:\n  x:\n    mesh: {{file: '{name}'}}")
    assert "scene.yaml:3: objects.x.mesh: object 'x': " in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a world must hold keys and values, got None"),
        ("[1, 2]", "must hold keys and values"),
        ("objects: {}\nobstacles: {}", r"scene\.yaml:2: obstacles: unknown key 'obstacles'; known: format, frame, obj"),
        ("format: 2", r"scene\.yaml:1: format: format must be 1, got 2"),
        ("objects:\n  a: {sphere: {radius: 1}}\n  a: {}", r"scene\.yaml:3: cannot be read as YAML: duplicate key 'a'"),
        (
            "objects:\n  a:\n    sphere: {radius: -1}",
            r"yaml:3: objects\.a\.sphere: object 'a': radius of a sphere must",
        ),
        ("objects:\n  a:\n    sphere: {radius: .nan}", "radius of a sphere must be a number in .* got nan"),
        ("objects:\n  a:\n    sphere: {}", "object 'a': a sphere needs radius; given: none"),
        (
            "objects:\n  a:\n    sphere: {size: 1}",
            r"yaml:3: objects\.a\.sphere\.size: .*unknown key 'size'; known: rad",
        ),
        (
            "objects:\n  a:\n    cone: {radius: 1}",
            r"yaml:3: objects\.a\.cone: .*unknown key 'cone'; known: box, sphere",
        ),
        ("objects:\n  a:\n    position: [0, 0, 0]", "there must be one shape, got none; shapes: box, sphere"),
        ("objects:\n  a: {sphere: {radius: 1}, box: {size: [1, 1, 1]}}", "one shape, got box, sphere"),
        ("objects:\n  a: {sphere: {radius: 1}, shapes: []}", "sphere and shapes are both given"),
        ("objects:\n  a: {shapes: []}", r"yaml:2: objects\.a: object 'a' must have one or more shapes"),
        (
            "objects:\n  a:\n    shapes:\n    - sphere: {radius: 1}\n    - box: {size: [1, 1]}",
            r"yaml:5: objects\.a\.shapes\.1\.box: object 'a': size of a box must be 3 numbers, got 2",
        ),
        (
            "objects:\n  a:\n    sphere: {radius: 1}\n    quaternion: [0, 0, 0, 2]",
            r"yaml:4: objects\.a\.quaternion: object 'a': the quaternion .* has the norm 2, expected 1",
        ),
        ("objects:\n  1: {sphere: {radius: 1}}", "objects: a key must be text, got 1; put it in quotes"),
        ("objects: [a]", r"objects must be a mapping, got \['a'\]"),
        ("attached:\n  a: {sphere: {radius: 1}}", r"yaml:2: attached\.a: .*'a': a: the key link is missing"),
        ("attached:\n  a: {link: t, sphere: {radius: 1}, mass: -1}", "'a': the mass must be a number"),
        ("attached:\n  a: {link: t, half_space: {}}", "'a' has a half_space, which has no end"),
        ("allowed: [[a, b], [a]]", r"yaml:1: allowed\.1: an allowed pair must be two names, got \['a'\]"),
        ("allowed: [[a, [b]]]", r"a name in an allowed pair must be .* got \['b'\]"),
        (
            "objects: {a: {sphere: {radius: 1}}}\nattached: {a: {link: t, sphere: {radius: 1}}}",
            "two objects are named 'a'",
        ),
    ],
)
def test_world_files_are_refused_with_the_place(read: Callable[[str], World], text: str, message: str) -> None:
    with pytest.raises(WorldError, match=message) as refused:
        read(text)
    assert "scene.yaml" in str(refused.value) and "\n" not in str(refused.value)


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
def test_planning_scenes_are_refused_with_the_place(
    read: Callable[[str], World], path: str, value: Any, message: str
) -> None:
    data = yaml.safe_load(DUMP)
    inner = data
    *sections, leaf = [int(part) if part.isdigit() else part for part in path.split(".")]
    for section in sections:
        inner = inner[section]
    inner[leaf] = value
    with pytest.raises(WorldError, match=message) as refused:
        read(yaml.safe_dump(data))
    assert "scene.yaml" in str(refused.value) and "\n" not in str(refused.value)


def test_files_that_are_none_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(WorldError, match="cannot be read: there is no such file"):
            read_world(path)
    with open(tmp_path / "huge.yaml", "wb") as file:
        file.truncate(files.LARGEST_FILE + 1)
    with pytest.raises(WorldError, match="huge.yaml has 4194305 bytes, a world file may have 4194304"):
        read_world(tmp_path / "huge.yaml")
    with open(tmp_path / "huge.stl", "wb") as file:
        file.truncate(meshes.LARGEST_FILE + 1)
    (tmp_path / "small.yaml").write_text("objects: {x: {mesh: {file: huge.stl}}}")
    with pytest.raises(WorldError, match="huge.stl has 67108865 bytes, a mesh file may have 67108864"):
        read_world(tmp_path / "small.yaml")


def test_plain_values_name_no_files() -> None:
    with pytest.raises(WorldError, match="mesh files can be named in files only"):
        world_from_dict({"objects": {"x": {"mesh": {"file": "a.stl"}}}})


@fuzz
@given(st.sampled_from([SHELF, DUMP, SHORT]).flatmap(lambda text: damaged(text.encode())))
def test_damaged_files_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.yaml"
    path.write_bytes(content)
    loads_or(WorldError, lambda: read_world(path))


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container inside a value with every key of it."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, entry in inside for place in ((value, key), *places(entry))]


@fuzz
@given(st.data())
def test_any_value_anywhere_is_taken_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever takes the place of an entry; what is taken can be written and read back."""
    document = deepcopy(yaml.safe_load(data.draw(st.sampled_from([SHELF, DUMP, SHORT]))))
    container, key = data.draw(st.sampled_from(places(document)))
    container[key] = data.draw(values)
    try:
        world = world_from_dict(document)
    except WorldError as refused:
        assert 0 < len(str(refused)) < 5000
        return
    write_world(tmp_path / "again.yaml", world)
    assert read_world(tmp_path / "again.yaml") == world


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SoboError, match="cannot write"):
        write_world(tmp_path / "file" / "world.yaml", World())
