"""Output files: found to be unwritable before the work, and written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sobo_planner.errors import SoboError

#: Links that a path may go through, as in the kernel.
_LINKS = 40


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, then give it its name.

    Links are followed. What is not a regular file (a device, a pipe, a stream of this process such as /dev/stdout) is
    written through instead: nothing can take its place.

    Raises:
        SoboError: It cannot be written (full, read-only); a file that was there before is intact.
    """
    try:
        stream = _stream(path)
        target = _target(path)
        if stream is not None:
            if sys.stdout is not None:
                sys.stdout.flush()  # what was printed first comes first
            _write(stream, content)
        elif target.exists() and not target.is_file():
            _write_through(target, content)
        else:
            _replace({target: content})
    except OSError as error:
        raise SoboError(f"cannot write {path}: {error.strerror}") from error


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several regular files: none gets its name before all are on the disk, then they do so in order.

    Raises:
        SoboError: One cannot be written; what was there before is intact.
    """
    try:
        _replace(contents)
    except OSError as error:
        raise SoboError(f"cannot write {', '.join(map(str, contents))}: {error.strerror}") from error


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a report as `write_bytes` does.

    Raises:
        SoboError: The file cannot be written.
    """
    write_bytes(path, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode())


def check_output(path: Path) -> None:
    """Find out before the work whether a file can be written; nothing is left behind.

    Raises:
        SoboError: It cannot; the message says why.
    """
    try:
        stream = _stream(path)
        target = _target(path)
        if stream is not None:
            if fcntl.fcntl(stream, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                raise SoboError(f"cannot write {path}: it is open for reading")
        elif target.is_dir():
            raise SoboError(f"cannot write {path}: it is a folder; name a file")
        elif target.is_socket():
            raise SoboError(f"cannot write {path}: it is a socket")
        elif target.exists() and not target.is_file():
            if not os.access(target, os.W_OK):
                raise SoboError(f"cannot write {path}: Permission denied")
        else:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # which is found next
                os.lstat(target)  # a name that is too long is found here
            _try_folder(target.parent)
    except OSError as error:
        raise SoboError(f"cannot write {path}: {error.strerror}") from error


def check_output_folder(folder: Path) -> None:
    """The same for a folder that is made if it is not there.

    Raises:
        SoboError: It is something else than a folder, or cannot be written to.
    """
    try:
        _try_folder(folder)
    except OSError as error:
        raise SoboError(f"cannot write to the folder {folder}: {error.strerror}") from error


def _try_folder(folder: Path) -> None:
    """Makes a file in a folder, or in the nearest one around it that exists, and removes it."""
    folder = Path(os.path.realpath(folder))
    while not os.path.lexists(folder):
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(1))


def _target(path: Path) -> Path:
    """Where links lead."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _stream(path: Path) -> int | None:
    """Number of the open file of this process that a path names, such as /dev/stdout or /dev/fd/3; None for others.

    Opening such a path again would begin at another place of the file, or fail.
    """
    own = re.compile(rf"/proc/{os.getpid()}(?:/task/\d+)?/fd/(\d+)")
    current = os.path.abspath(path)
    for _ in range(_LINKS):
        current = os.path.join(os.path.realpath(os.path.dirname(current)), os.path.basename(current))
        match = own.fullmatch(current)
        if match is not None:
            return int(match.group(1))
        if not os.path.islink(current):
            break
        current = os.path.join(os.path.dirname(current), os.readlink(current))
    return None


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_through(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        _write(descriptor, content)
    finally:
        os.close(descriptor)


def _replace(contents: Mapping[Path, bytes]) -> None:
    """Writes all files under temporary names, then gives each its name, in order."""
    temporaries = {path: path.with_name(f".{path.name[:50]}.{os.getpid()}.tmp") for path in contents}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_new(temporaries[path], content, stat.S_IMODE(path.stat().st_mode) if path.exists() else None)
        for path, temporary in temporaries.items():
            os.replace(temporary, path)
    finally:
        for temporary in temporaries.values():
            # What kept a file from being written may keep it from being removed: that error is the one to report.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        _sync_folder(folder)


def _write_new(path: Path, content: bytes, mode: int | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        _write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the renamed entry survive a power cut, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
