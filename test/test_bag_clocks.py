"""Bags of others whose clocks were set, and what was recorded twice or late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

import logged_bags as logged
from foreign_bags import DURATIONS, PAUSE, RATE, ReadBags, check_motions
from mcap_made import mcap

from sobo_planner.tasks import ArmReach

# Messages of a chunk, and of the whole.
CHUNK = 50

pytest_plugins = ["bag_fixtures"]


def shifted(
    states: list[logged.Message], task: ArmReach, positions: np.ndarray, first: int, by: float
) -> list[logged.Message]:
    """The same joint states with stamps that are set from one on."""
    out = list(states)
    for i in range(first, len(out)):
        topic, kind, time, _ = out[i]
        content = logged.joint_state(task.robot.joint_names, positions[i], time + round(by * logged.SECOND))
        out[i] = (topic, kind, time, content)
    return out


@pytest.mark.parametrize("by", [-100.0, 100.0])
@pytest.mark.parametrize("at_rest", [True, False])
def test_clock_that_is_set(
    by: float,
    at_rest: bool,
    read: ReadBags,
    states: list,
    positions: np.ndarray,
    stops: list,
    task: ArmReach,
    tmp_path: Path,
) -> None:
    first = int((PAUSE + DURATIONS[0] + (0.5 * PAUSE if at_rest else PAUSE + 1.0)) * RATE)
    logged.write(tmp_path / "bag", shifted(states, task, positions, first, by))
    found = read(tmp_path / "bag")
    check_motions(found, stops, [0, 1, 2] if at_rest else [0, 2])
    assert "the clock of the stamps was set 1 times" in "\n".join(found.bags[0].notes)


def test_single_wrong_stamp_or_position_is_left_out(
    read: ReadBags, states: list, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    wrong = list(states)
    topic, kind, time, _ = wrong[230]
    wrong[230] = (topic, kind, time, logged.joint_state(task.robot.joint_names, positions[230], time + 10**12))
    wrong[260] = (
        topic,
        kind,
        wrong[260][2],
        logged.joint_state(task.robot.joint_names, positions[260] + 1.0, wrong[260][2]),
    )
    logged.write(tmp_path / "bag", wrong)
    found = read(tmp_path / "bag")
    check_motions(found, stops)
    assert found.uses()["out of line with those around them"] == 2


def test_repeated_and_late_states(read: ReadBags, states: list, stops: list, tmp_path: Path) -> None:
    content, _ = mcap([*states[:200], *states[190:195], *states[199:200], *states[200:]], CHUNK)
    path = tmp_path / "bag.mcap"
    path.write_bytes(content)
    found = read(path)
    check_motions(found, stops)
    assert found.uses()["out of order"] + found.uses().get("repeated", 0) == 6


def test_the_same_bag_counts_once(read: ReadBags, states: list, stops: list, tmp_path: Path) -> None:
    path = logged.write(tmp_path / "bag", states)
    (tmp_path / "copy.mcap").write_bytes(path.read_bytes())
    other = logged.write(tmp_path / "other", states, sqlite=True)
    found = read(tmp_path / "bag", tmp_path / "bag", tmp_path / "copy.mcap", other)
    check_motions(found, stops)
    assert found.found.unused["motion"] == {"recorded twice": 3}
    notes = [note for bag in found.bags for note in bag.notes]
    assert len(notes) == 2 and all("is a copy of" in note for note in notes)


def test_motions_do_not_depend_on_the_blocks_they_come_in(
    states: list, positions: np.ndarray, stops: list, read: ReadBags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged.write(tmp_path / "bag", states, sqlite=True)
    whole = read(tmp_path / "bag")
    monkeypatch.setattr("sobo_training.bags.motions.BLOCK", 30)
    monkeypatch.setattr("sobo_training.bags.sqlite_file.BLOCK", 37)
    parts = read(tmp_path / "bag")
    assert [each.key for each in parts.candidates] == [each.key for each in whole.candidates]
    assert parts.uses() == whole.uses()


def test_arm_that_creeps_between_motions(
    read: ReadBags, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    """As in a receding horizon that improves a posture, or with a controller that sags."""
    creep = np.zeros_like(positions)
    creep[:, 5] = 0.04 * np.arange(len(positions)) / RATE
    logged.write(tmp_path / "bag", logged.joint_states(task.robot.joint_names, positions + creep, RATE))
    found = read(tmp_path / "bag")
    assert len(found.candidates) == 3
    for candidate, start in zip(found.candidates, stops, strict=False):
        assert np.abs(candidate.instance.x0[:5] - start[:5]).max() < 0.02
        assert candidate.instance.x0[11] == pytest.approx(0.04, abs=0.02)
