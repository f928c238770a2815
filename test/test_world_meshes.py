"""Mesh files: STL and OBJ, read whole or refused with the place."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from world_texts import objects, read_text

from sobo_planner.errors import WorldError
from sobo_planner.world import (
    Mesh,
)

POINTS = ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, 0.3))
FACES = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))


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
def test_mesh_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / name).write_bytes(content)
    plain = Mesh(POINTS, FACES)
    [mesh] = read_text(tmp_path, f"objects: {{x: {{mesh: {{file: parts/{name}}}}}}}").objects[0].parts
    assert triangles(mesh.shape) == triangles(plain) and len(mesh.shape.vertices) == 4
    [hull] = (
        read_text(tmp_path, f"objects: {{x: {{mesh: {{file: parts/{name}, scale: [1, 1, 2], convex: true}}}}}}")
        .objects[0]
        .parts
    )
    assert hull.shape.convex and hull.shape.bounding_radius == pytest.approx(0.6)
    [scaled] = (
        read_text(tmp_path, objects(f"meshes: [{{resource: parts/{name}, dimensions: [2, 2, 2]}}]")).objects[0].parts
    )
    assert scaled.shape.bounding_radius == pytest.approx(0.6) and len(scaled.shape.faces) == 4


def test_triangles_without_area_are_left_out(tmp_path: Path) -> None:
    """Exporters write such; their corners stay in the mesh."""
    flat = struct.pack("<12fH", 0, 0, 0, *POINTS[0], *POINTS[1], *POINTS[1], 0)
    content = stl_bytes(5) + flat
    (tmp_path / "a.stl").write_bytes(content)
    [mesh] = read_text(tmp_path, "objects: {x: {mesh: {file: a.stl}}}").objects[0].parts
    assert triangles(mesh.shape) == triangles(Mesh(POINTS, FACES)) and len(mesh.shape.faces) == 4


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
def test_mesh_files_that_are_none(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WorldError, match=message) as refused:
        read_text(tmp_path, f"objects:\n  x:\n    mesh: {{file: '{name}'}}")
    assert "scene.yaml:3: objects.x.mesh: object 'x': " in str(refused.value) and "\n" not in str(refused.value)
