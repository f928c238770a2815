"""Meshes from STL files (binary or text) and OBJ files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import WorldError
from sobo_planner.world.shapes import MOST_FACES, Mesh
from sobo_planner.world.values import number, shown, triple

#: Size of a mesh file [bytes]: what the most faces of a text STL take.
LARGEST_FILE = 64 * 1024 * 1024
_HEADER, _TRIANGLE = 84, 50
_SUFFIXES = (".stl", ".obj")


def read_mesh(folder: Path, name: Any, scale: Any, convex: Any) -> Mesh:
    """Read a mesh.

    Args:
        folder: What relative names start from.
        name: Path of a .stl or .obj file.
        scale: A factor, or three of them: 0.001 if the file is in millimetres.
        convex: Whether the convex hull is meant.

    Raises:
        WorldError: There is no such file, or it cannot be read as a mesh.
    """
    name = name.removeprefix("file://") if isinstance(name, str) else name
    if not isinstance(name, str) or not name.isprintable() or not name.lower().endswith(_SUFFIXES):
        raise WorldError(f"the file of a mesh must be a path that ends with .stl or .obj, got {shown(name)}")
    if "://" in name:
        raise WorldError(f"the file of a mesh must be a path, got {name!r}; write the path that the address stands for")
    factors = [number(scale, "scale of a mesh", 1e-6, 1e6, "")] * 3 if isinstance(scale, (int, float)) else None
    factors = factors or list(triple(scale, "scale of a mesh", 1e-6, 1e6, ""))
    path = folder / name
    content = _content(path)
    try:
        points, faces = _read_obj(content) if path.suffix.lower() == ".obj" else _read_stl(content)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise WorldError(f"{path} cannot be read as a mesh: {' '.join(str(error).split())[:200]}") from error
    vertices = tuple(tuple(row) for row in (points * factors).tolist())
    try:
        return Mesh(vertices, () if convex is True else faces, convex)
    except WorldError as error:
        raise WorldError(f"{path}: {error}") from error


def _content(path: Path) -> bytes:
    if not path.is_file():  # nor a device, which may never end
        raise WorldError(f"{path} cannot be read: there is no such file")
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise WorldError(f"{path} has {size} bytes, a mesh file may have {LARGEST_FILE}; simplify the mesh")
        return path.read_bytes()
    except OSError as error:
        raise WorldError(f"{path} cannot be read: {error.strerror}") from error


def _read_stl(content: bytes) -> tuple[NDArray[np.float64], Any]:
    """Vertices (n, 3), equal ones merged, and faces of an STL file; a binary one has the size that it says."""
    count = int.from_bytes(content[80:_HEADER], "little")
    if len(content) >= _HEADER and len(content) == _HEADER + _TRIANGLE * count:
        rows = np.frombuffer(content, np.uint8, offset=_HEADER).reshape(count, _TRIANGLE)
        corners = rows[:, 12:48].copy().view("<f4").reshape(-1, 3).astype(float)
    elif content.lstrip()[:5].lower() == b"solid" and b"\0" not in content:
        words = content.decode("ascii", "replace").lower().split()
        if "endsolid" not in content.rstrip().rpartition(b"\n")[2].decode("ascii", "replace").lower():
            raise ValueError("the last line of a text STL must be endsolid; the file may be cut off")
        at = [n for n, word in enumerate(words) if word == "vertex"]
        corners = np.array([[float(value) for value in words[n + 1 : n + 4]] for n in at]).reshape(-1, 3)
    else:
        raise ValueError("neither a text STL nor a binary one of the size that it says")
    if not len(corners) or len(corners) % 3 or len(corners) > 3 * MOST_FACES:
        raise ValueError(f"expected 3 vertices for each of 1 to {MOST_FACES} triangles, got {len(corners)}")
    if not np.isfinite(corners).all():
        raise ValueError("a vertex is not finite")
    points, index = np.unique(corners, axis=0, return_inverse=True)
    triangles = index.reshape(-1, 3)
    a, b, c = triangles.T
    kept = triangles[(a != b) & (b != c) & (c != a)]  # exporters leave triangles without area
    return points, tuple(tuple(row) for row in kept.tolist())


def _read_obj(content: bytes) -> tuple[NDArray[np.float64], Any]:
    """Vertices (n, 3) and faces of an OBJ file; polygons become fans of triangles."""
    points: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    for line, text in enumerate(content.decode("utf-8").splitlines(), 1):
        words = text.split()
        try:
            if words[:1] == ["v"]:
                points.append([float(value) for value in words[1:4]])
                if len(points[-1]) != 3:
                    raise ValueError("a vertex needs three numbers")
            elif words[:1] == ["f"]:
                corners = [int(word.split("/")[0]) for word in words[1:]]
                corners = [n - 1 if n > 0 else len(points) + n for n in corners]
                faces += [(corners[0], *pair) for pair in zip(corners[1:-1], corners[2:], strict=True)]
        except (ValueError, IndexError) as error:
            raise ValueError(f"line {line}: {error}") from error
    return np.array(points, float).reshape(-1, 3), tuple(faces)
