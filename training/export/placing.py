"""Puts a policy artifact where it is wanted: into a new or empty folder, or in the place of an older artifact."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from sobo_planner.errors import PolicyError, SoboError
from sobo_planner.files import check_output_folder, write_together
from sobo_planner.locks import LOCK_NAME, locked
from sobo_planner.policy.artifact import CONFIG_FILE, FORMAT, NETWORK_FILE, WEIGHTS_FILE

#: Files of an artifact in the order in which they get their names. The first one says what the folder is, so that an
#: export that was killed can be repeated; until the last is in place, checksums do not match and no reader takes it.
FILES = (CONFIG_FILE, WEIGHTS_FILE, NETWORK_FILE)
#: What an empty folder may hold: file systems and this package make these.
_IGNORED = ("lost+found", LOCK_NAME)
#: What is left of an export that was killed.
_REMNANT = re.compile(rf"\.({'|'.join(map(re.escape, FILES))})\.\d+\.tmp")


def check_place(folder: Path) -> None:
    """Refuse a place that holds anything but an older artifact, before it is written to.

    Raises:
        PolicyError: A link, a file, a folder of something else, or one that cannot be written to.
    """
    hint = "nothing was changed; name a new or empty folder, or that of an older policy"
    if folder.is_symlink():
        raise PolicyError(f"cannot write the policy {folder}: it is a link; {hint}")
    if folder.exists() and not folder.is_dir():
        raise PolicyError(f"cannot write the policy {folder}: it is not a folder; {hint}")
    try:
        found = sorted(each.name for each in folder.iterdir()) if folder.exists() else []
        strange = [name for name in found if name not in _IGNORED and not _REMNANT.fullmatch(name)]
        if strange and not _holds_a_policy(folder):
            raise PolicyError(
                f"cannot write the policy {folder}: the folder holds something else ({', '.join(strange[:3])}); {hint}"
            )
        check_output_folder(folder)
    except OSError as error:
        raise PolicyError(f"cannot write the policy {folder}: {error.strerror}") from error
    except PolicyError:
        raise
    except SoboError as error:
        raise PolicyError(f"cannot write the policy {folder}: {error}") from error


def _holds_a_policy(folder: Path) -> bool:
    for name in FILES:
        path = folder / name
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            return False
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and config.get("format") == FORMAT


def place(files: Mapping[str, bytes], folder: Path) -> None:
    """Write an artifact, unless it is there already. Nothing else in the folder is touched; it may be a mount point.

    Args:
        files: Contents by name, of all `FILES`.
        folder: Made if it is not there.

    Raises:
        PolicyError: As `check_place`, or the disk refused; an older artifact is intact then.
    """
    check_place(folder)
    if all((folder / name).is_file() and (folder / name).read_bytes() == files[name] for name in FILES):
        return
    new = not folder.exists()
    try:
        with locked(folder, remove=True):
            for remnant in [each for each in folder.iterdir() if _REMNANT.fullmatch(each.name)]:
                remnant.unlink()
            write_together({folder / name: files[name] for name in FILES})
    except (OSError, SoboError) as error:
        raise PolicyError(f"cannot write the policy {folder}: {error}") from error
    finally:
        if new and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
