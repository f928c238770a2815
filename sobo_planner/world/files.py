"""Reads and writes worlds as files: our own form, and MoveIt's planning scenes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sobo_planner.errors import ConfigError, WorldError
from sobo_planner.files import write_bytes
from sobo_planner.world import moveit, scene
from sobo_planner.world.entries import Entry, MisfitError
from sobo_planner.world.values import shown
from sobo_planner.world.world import World
from sobo_planner.yaml_reader import Document, dump_yaml, read_yaml

#: Size of a world file [bytes]: some ten seconds of reading. Large meshes have files of their own.
LARGEST_FILE = 4 * 1024 * 1024


def read_world(path: Path, frame: str = "base_link") -> World:
    """Read a world file: one of our own form, or a MoveIt planning scene; the contents tell which.

    Args:
        path: A YAML file.
        frame: The base frame. What is given in another frame is refused.

    Raises:
        WorldError: It cannot be read, or something in it is not allowed: nothing of it is used. The message is one
            line that begins with the file and, where it is known, the line.
    """
    document = _read(path)
    try:
        return _world_of(document.data, frame, path.parent)
    except MisfitError as error:
        line = document.line_of(error.key)
        place = str(path) if line is None else f"{path}:{line}"
        raise WorldError(f"{place}: {error.key + ': ' if error.key else ''}{error}") from error


def world_from_dict(data: Mapping[str, Any], frame: str = "base_link") -> World:
    """The world in plain values: those that `World.to_dict` gives, those of a world file, or of a planning scene.

    Args:
        data: The values. Meshes have to be in them; files cannot be named.
        frame: The base frame. What is given in another frame is refused.

    Raises:
        WorldError: Something in it is not allowed; nothing of it is used.
    """
    try:
        return _world_of(data, frame, None)
    except MisfitError as error:
        raise WorldError(f"{error.key + ': ' if error.key else ''}{error}") from error


def write_world(path: Path, world: World) -> None:
    """Write a world in our own form; `read_world` reads an equal one. Meshes are written into the file.

    Raises:
        SoboError: The file cannot be written; one that was there before is intact.
    """
    write_bytes(path, dump_yaml(world.to_dict()).encode())


def _read(path: Path) -> Document:
    try:
        if path.is_file() and path.stat().st_size > LARGEST_FILE:
            size = path.stat().st_size
            raise WorldError(f"{path} has {size} bytes, a world file may have {LARGEST_FILE}; name mesh files in it")
        return read_yaml(path, lists=True)
    except ConfigError as error:
        raise WorldError(str(error)) from error
    except OSError as error:
        raise WorldError(f"{path} cannot be read: {error.strerror}") from error


def _world_of(data: Any, frame: str, folder: Path | None) -> World:
    document = Entry(data)
    if not isinstance(data, dict) or not data:
        document.fail(f"a world must hold keys and values, got {shown(data)}")
    if any(key in data for key in moveit.MARKS):
        return moveit.world_of(document, frame, folder)
    return scene.world_of(document, frame, folder)
