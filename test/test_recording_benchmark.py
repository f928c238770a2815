"""The benchmark of recordings: cycles are told apart by the time, and what is wrong with a bag is found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")
pytest.importorskip("mcap", reason="needs mcap")

from bag_tools import files_of, text, text_topics

from sobo_planner.ros.record.bag import Bag
from sobo_planner.ros.record.types import Types


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    folder = str(Path(__file__).parents[1] / "benchmarks")
    sys.path.insert(0, folder)
    import recording

    yield recording
    sys.path.remove(folder)


def reports(slower: float) -> list[dict[str, Any]]:
    """Motions of 40 s at 100 Hz, whose cycles take longer by a factor while the node records: in every second 2 s."""
    found = []
    for i, ms in enumerate(np.random.default_rng(0).uniform(2.0, 6.0, 4000)):
        stamp = 1000.0 + 0.01 * i
        total = ms * (slower if int(stamp / 2.0) % 2 == 0 else 1.0)
        times = {"total": total, "state_to_trajectory": total + 3.0}
        found.append({"stamp": {"sec": int(stamp), "nanosec": round(1e9 * (stamp % 1.0))}, "phases_ms": times})
    return found


@pytest.mark.parametrize("slower", [1.0, 1.2])
def test_ratios_are_those_of_the_cycles(slower: float, benchmark: ModuleType) -> None:
    turns = benchmark.by_turn(reports(slower))
    assert len(turns["recording"]) == len(turns["not recording"]) == 10
    assert benchmark.summary(turns["recording"])["times_ms"]["interval"]["max"] == pytest.approx(10.0, rel=1e-3)
    ratio = benchmark.ratio(turns)["total"]
    assert ratio["low"] <= slower * 1.01 and ratio["high"] >= slower * 0.99
    assert ratio["ratio"] == pytest.approx(slower, rel=0.02)


def test_a_bag_that_cannot_be_read_is_told(benchmark: ModuleType, tmp_path: Path) -> None:
    types = Types()
    bag = Bag(tmp_path / "bag", text_topics(types), 10**6, 10**7)
    for number in range(30):
        bag.write(0, 1000 + number, text(types, str(number)))
    bag.close()
    assert benchmark.read(tmp_path / "bag") == {"messages": 30, "last": 1029, "problem": ""}
    [file] = files_of(tmp_path / "bag")
    file.write_bytes(file.read_bytes()[:-40])
    assert "end magic" in benchmark.read(tmp_path / "bag")["problem"]
