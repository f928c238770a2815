"""World files of our own: read whole or refused with the place, written and read back."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from document_checks import DOCUMENTS, blocks
from fuzz import damaged, fuzz, loads_or, values
from hypothesis import given
from hypothesis import strategies as st
from world_texts import DUMP, SHELF, SHORT, read_text

from sobo_planner.errors import SoboError, WorldError
from sobo_planner.paths import share_path
from sobo_planner.robot import urdf
from sobo_planner.world import (
    Box,
    Capsule,
    Cylinder,
    HalfSpace,
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


def test_the_example_of_the_document(tmp_path: Path) -> None:
    [example] = blocks(DOCUMENTS["docs/worlds.md"], "yaml")
    world = read_text(tmp_path, example)
    assert [each.name for each in world.everything] == ["mug", "table", "gripper"]
    broken = example.replace("cylinder: {radius: 0.04", "cylinder: {radius: -0.04")
    with pytest.raises(WorldError) as refused:
        read_text(tmp_path, broken)
    assert str(refused.value).partition(": ")[2] in DOCUMENTS["docs/worlds.md"]


def test_names_that_look_like_something_else_are_written_so_that_they_stay(tmp_path: Path) -> None:
    names = ("1e3", "yes", "null", "<<", "=", "1.5", "a: b", "#x", "[", "é", "\U0001f916", "2020-01-01", "a.b", "0x1")
    world = World(tuple(WorldObject(name, Sphere(0.1)) for name in names), allowed=frozenset({("1e3", "no")}))
    write_world(tmp_path / "world.yaml", world)
    assert read_world(tmp_path / "world.yaml") == world


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
def test_world_files_are_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(WorldError, match=message) as refused:
        read_text(tmp_path, text)
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


def test_another_base_frame(tmp_path: Path) -> None:
    read_text(tmp_path, SHELF)
    with pytest.raises(WorldError, match=r"scene\.yaml:\d+: frame: the world is given in 'base_link', expected 'odom'"):
        read_world(tmp_path / "scene.yaml", "odom")


def test_plain_values_name_no_files() -> None:
    with pytest.raises(WorldError, match="mesh files can be named in files only"):
        world_from_dict({"objects": {"x": {"mesh": {"file": "a.stl"}}}})


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SoboError, match="cannot write"):
        write_world(tmp_path / "file" / "world.yaml", World())


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
