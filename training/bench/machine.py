"""Where a benchmark ran: processor, load, versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sobo_planner

PACKAGES = ("libaligator", "pin", "numpy", "onnxruntime", "torch", "mujoco-core")


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe() -> dict[str, Any]:
    """Processor, processors this process may use, memory, system."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages / 1e9, 1),
        "system": platform.platform(),
    }


def load() -> float:
    """Processes that wanted a processor over the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def versions() -> dict[str, str | None]:
    """Versions of what the figures depend on; None where not installed."""
    found: dict[str, str | None] = {
        "python": platform.python_version(),
        "sobo_planner": sobo_planner.__version__,
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
