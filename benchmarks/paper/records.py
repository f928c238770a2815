"""Results as files, and figures over instances and seeds."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sobo_planner.files import write_json

#: A mean cost above this counts as infinite, as in the paper.
DIVERGED = 1e5
#: 97.5 % quantiles of Student's t for so many seeds.
STUDENT = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}


def remember(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is stored at the path; made and stored the first time."""
    if not path.exists():
        logging.disable(logging.INFO)
        store(path, make())
    return dict(json.loads(path.read_text()))


def store(path: Path, record: dict[str, Any]) -> None:
    """Writes JSON, whole or not at all; null for numbers that are not finite."""
    write_json(path, _finite(record))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def mean(values: Iterable[float | None]) -> float:
    """Mean, infinite where a value is missing or the mean exceeds `DIVERGED`."""
    numbers = [float("inf") if value is None else value for value in values]
    average = float(np.mean(numbers)) if numbers else float("nan")
    return average if average <= DIVERGED else float("inf")


def mean_known(values: Iterable[float | None]) -> float:
    """Mean of the values that are there."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean over seeds and the ends of its 95 % confidence interval (Student's t); infinite where one diverged."""
    if not np.all(np.isfinite(values)):
        return float("inf"), float("inf"), float("inf")
    average, n = float(np.mean(values)), len(values)
    half = STUDENT[n] * float(np.std(values, ddof=1)) / np.sqrt(n) if n > 1 else 0.0
    return average, average - half, average + half


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    packages = ("libaligator", "pin", "torch", "numpy")
    return {
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
