"""Finds the files that are shipped beside the code: configurations, robot descriptions, policies, launch files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sobo_planner.errors import ConfigError

PACKAGE = "sobo_planner"


def share_folders() -> list[Path]:
    """Returns the folders that may hold shared files, best first; each exists.

    The files that belong to the imported code come first (the source tree, then share/ of the prefix that the package
    is installed under), because another installation on AMENT_PREFIX_PATH may be of another version.
    """
    code = Path(__file__).resolve()
    source_tree = code.parents[1]
    folders = [source_tree] if (source_tree / "package.xml").is_file() else []
    prefixes = [*code.parents[2:], *_ament_prefixes(), Path(sys.prefix)]
    folders += [prefix / "share" / PACKAGE for prefix in prefixes]
    return list(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def share_path(relative: str | os.PathLike[str]) -> Path:
    """Returns the absolute path of a shipped file or folder, such as "config/ur5.yaml".

    It works from the source tree and from editable, pip and colcon installations.

    Raises:
        ConfigError: the file is in none of the folders searched, which the message names.
    """
    folders = share_folders()
    for folder in folders:
        if (folder / relative).exists():
            return folder / relative
    searched = ", ".join(str(folder) for folder in folders) or f"no share/{PACKAGE} folder exists"
    raise ConfigError(f"shipped file {os.fspath(relative)!r} was not found; searched: {searched}")


def cache_folder() -> Path | None:
    """Returns the folder for what can be made again, in the user's cache; it may not be there, or not be writable.

    None where there is no such place: neither $XDG_CACHE_HOME nor a home folder.
    """
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not chosen.is_absolute():  # the XDG specification says to ignore those
        try:
            chosen = Path.home() / ".cache"
        except RuntimeError:
            return None
    return chosen / PACKAGE if chosen.is_absolute() else None


def user_path(name: str | os.PathLike[str]) -> Path:
    """A path that a user wrote, with the home folder for a leading `~`."""
    return Path(os.path.expanduser(name))


def _ament_prefixes() -> list[Path]:
    """Returns the prefixes on AMENT_PREFIX_PATH where the ament index lists this package."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    marker = Path("share", "ament_index", "resource_index", "packages", PACKAGE)
    return [prefix for prefix in prefixes if (prefix / marker).is_file()]
