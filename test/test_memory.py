"""What does not fit into memory is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sobo_planner.errors import DatasetError
from sobo_training import memory


def test_what_is_available_is_less_than_what_there_is() -> None:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total = 1024.0 * float(lines["MemTotal"].split()[0])
    free = memory.available()
    assert free is not None and 1e7 < free < total


def test_a_system_that_does_not_say_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self: "MemTotal: 1 kB")
    assert memory.available() is None
    memory.require_memory(1e18, "chunks")


def test_more_than_there_is_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2.5e9)
    memory.require_memory(2.5e9, "900 trajectories")
    with pytest.raises(DatasetError, match=r"900 trajectories take 2\.6 GB of memory, 2\.5 GB are available.*--limit"):
        memory.require_memory(2.6e9, "900 trajectories")
