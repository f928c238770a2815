"""Files that are written whole or not at all, whatever happens to the process or the disk."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from sobo_planner.errors import SoboError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, then give it its name.

    Raises:
        SoboError: The disk refused (full, read-only); what was there before is intact.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        raise SoboError(f"cannot write {path}: {error.strerror}") from error
    finally:
        _remove(temporary)
    _sync_folder(path.parent)


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a report, whole or not at all.

    Raises:
        SoboError: The file cannot be written.
    """
    write_bytes(path, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode())


def _remove(path: Path) -> None:
    # What kept the file from being written may keep it from being removed: that error is the one to report.
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the renamed entry survive a power cut, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
