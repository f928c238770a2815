"""What `sobo train` writes about a run, and `sobo export` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sobo_planner.errors import PolicyError

#: File in a run's folder that says what was trained.
RUN_RECORD = "run.json"


def read_run(folder: Path) -> dict[str, Any]:
    """The record of a run.

    Raises:
        PolicyError: The folder holds no training run.
    """
    path = folder / RUN_RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"task": str(record["task"]), "overrides": dict(record["overrides"])}
    except OSError as error:
        raise PolicyError(f"no training run at {folder}: cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"{path} is damaged: {error!r}") from error
