"""Keeps a folder to one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sobo_planner.errors import SoboError

LOCK_NAME = ".lock"


def lock(folder: Path) -> int:
    """Keeps other processes out of a folder until the descriptor is closed, or this process dies.

    Args:
        folder: Made if it does not exist.

    Returns:
        The descriptor.

    Raises:
        SoboError: The folder cannot be made or written to, or another process is writing there.
    """
    path = folder / LOCK_NAME
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SoboError(f"cannot write to the folder {folder}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise SoboError(f"another process is writing to {folder}; wait for it, or name another folder") from error
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # whoever held it removed it meanwhile


@contextmanager
def locked(folder: str | Path, remove: bool = False) -> Iterator[None]:
    """Keeps other processes out of a folder; made if it does not exist.

    Args:
        folder: The folder.
        remove: Leave no file of the lock behind.

    Raises:
        SoboError: As `lock`.
    """
    descriptor = lock(Path(folder))
    try:
        yield
    finally:
        if remove:
            (Path(folder) / LOCK_NAME).unlink(missing_ok=True)
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
