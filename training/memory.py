"""How much memory there is, for what takes gigabytes."""

from __future__ import annotations

from pathlib import Path

from sobo_planner.errors import DatasetError

GIGABYTE = 1e9


def available() -> float | None:
    """Memory that may be used without swapping [bytes]; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return 1024.0 * float(kilobytes)
    except (OSError, StopIteration, LookupError, ValueError):
        return None


def require_memory(needed: float, what: str) -> None:
    """Refuses what does not fit into memory, before the system ends the process for it.

    Raises:
        DatasetError: It takes more than is available.
    """
    free = available()
    if free is not None and needed > free:
        raise DatasetError(
            f"{what} take {needed / GIGABYTE:.1f} GB of memory, {free / GIGABYTE:.1f} GB are available: use fewer "
            "(--limit), or a computer with more"
        )
