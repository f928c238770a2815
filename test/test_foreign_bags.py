"""Bags that others recorded: every format, joint order and damage gives what can be read, and a reason for the rest."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

import logged_bags as logged
from foreign_bags import RATE, ReadBags, check_motions
from mcap_made import mcap

from sobo_planner.errors import DatasetError
from sobo_planner.tasks import ArmReach
from sobo_training.bags.packing import zstandard
from sobo_training.bags.topics import Names

# Messages of a chunk, and of the whole.
CHUNK = 50

pytest_plugins = ["bag_fixtures"]


@pytest.mark.parametrize("kind", ["mcap", "zstd", "sqlite"])
def test_joint_states_alone(
    kind: str, read: ReadBags, states: list, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    logged.write(tmp_path / "bag", states, sqlite=kind == "sqlite", zstd=kind == "zstd")
    found = read(tmp_path / "bag")
    check_motions(found, stops)
    assert not found.damages and set(found.uses()) == {"in motions", "at rest"}
    for candidate, end in zip(found.candidates, stops[1:], strict=True):
        assert np.allclose(candidate.instance.target, task.robot.tool_position(end), atol=3e-3)


def test_other_order_and_a_gripper(
    read: ReadBags, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    order = [3, 0, 5, 1, 4, 2]
    names = ["finger", *(task.robot.joint_names[i] for i in order)]
    wide = np.hstack([np.zeros((len(positions), 1)), positions[:, order]])
    logged.write(tmp_path / "bag", logged.joint_states(names, wide, RATE))
    check_motions(read(tmp_path / "bag"), stops)


def test_arm_in_two_messages_and_a_gripper_in_a_third(
    read: ReadBags, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    names, count = list(task.robot.joint_names), len(positions)
    parts = logged.joint_states(names[:2], positions[:, :2], RATE) + logged.joint_states(
        names[2:], positions[:, 2:], RATE
    )
    parts += logged.joint_states(["finger"], np.zeros((count, 1)), RATE)
    logged.write(tmp_path / "bag", parts)
    found = read(tmp_path / "bag")
    check_motions(found, stops)
    assert found.uses()["no joint of the arm"] == count
    assert found.uses()["a part of the arm's joints, merged with the others"] == count


def packed(file: Path, to: Path, each: bool = False) -> None:
    """Compresses a bag as a whole, or each message of an SQLite bag by itself."""
    if not each:
        to.write_bytes(zstandard().compress(file.read_bytes()))
        return
    to.write_bytes(file.read_bytes())
    with closing(sqlite3.connect(to)) as database, database:
        rows = database.execute("SELECT id, data FROM messages").fetchall()
        database.executemany(
            "UPDATE messages SET data = ? WHERE id = ?", [(zstandard().compress(raw), n) for n, raw in rows]
        )


@pytest.mark.parametrize("sqlite, each", [(False, False), (True, False), (True, True)])
def test_compressed_file_or_messages(
    sqlite: bool, each: bool, read: ReadBags, states: list, stops: list, tmp_path: Path
) -> None:
    file = logged.write(tmp_path / "bag", states, sqlite=sqlite)
    path = tmp_path / (file.name if each else f"{file.name}.zstd")
    packed(file, path, each)
    check_motions(read(path), stops)
    raw = path.read_bytes()
    path.write_bytes(raw[:-10])
    cut = read(path)
    assert sum(cut.uses().values()) < len(states) or each
    assert "decompressed" in cut.damages or each


def test_bag_of_several_files_in_a_folder_of_bags(read: ReadBags, states: list, stops: list, tmp_path: Path) -> None:
    """Motions go on from file to file, of which the tenth comes last."""
    folder = tmp_path / "bags" / "today"
    folder.mkdir(parents=True)
    size = len(states) // 11 + 1
    for number in range(11):
        (folder / f"today_{number}.mcap").write_bytes(mcap(states[number * size : (number + 1) * size], CHUNK)[0])
    found = read(tmp_path / "bags")
    assert [bag.bag.path for bag in found.bags] == [folder]
    check_motions(found, stops)


def test_prefix_and_missing_stamps(
    read: ReadBags, positions: np.ndarray, stops: list, task: ArmReach, tmp_path: Path
) -> None:
    names = [f"left_{name}" for name in task.robot.joint_names]
    kind = "sensor_msgs/msg/JointState"
    unstamped = [
        ("/left/joint_states", kind, time, logged.joint_state(names, q, 0))
        for (_, _, time, _), q in zip(logged.joint_states(names, positions, RATE), positions, strict=True)
    ]
    place = task.robot.tool_position(stops[1]) + [0.003, 0.0, 0.0]
    local = task.robot.placement("base_link").inverse().goal(place)
    goal = logged.pose_goal(local, logged.BEGIN + logged.SECOND // 4, frame="left_base_link")
    logged.write(tmp_path / "bag", [*unstamped, goal])
    found = read(tmp_path / "bag", names=Names(prefix="left_"))
    check_motions(found, stops)
    assert np.allclose(found.candidates[0].instance.target, place)


def test_missing_joint_is_named(read: ReadBags, positions: np.ndarray, task: ArmReach, tmp_path: Path) -> None:
    logged.write(tmp_path / "bag", logged.joint_states(task.robot.joint_names[1:], positions[:, 1:], RATE))
    found = read(tmp_path / "bag")
    assert not found.candidates
    assert "no state of the joints shoulder_pan_joint" in "\n".join(found.bags[0].notes)


def test_names_by_option(read: ReadBags, positions: np.ndarray, stops: list, tmp_path: Path) -> None:
    logged.write(tmp_path / "bag", logged.joint_states(list("abcdef"), positions, RATE, topic="/left/state"))
    wrong = read(tmp_path / "bag", names=Names({"joint_states": "/right/state"}))
    assert not wrong.candidates and wrong.bags[0].notes == [
        "no topic /right/state of the type sensor_msgs/msg/JointState; the topics there: /left/state"
    ]
    names = Names({"joint_states": "left/state"}, tuple("abcdef"))
    check_motions(read(tmp_path / "bag", names=names), stops)


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZSTD"])
def test_second_library(compression: str, read: ReadBags, states: list, stops: list, tmp_path: Path) -> None:
    """`mcap` reads the bags of these tests, and what it writes is read here, checksums included."""
    pytest.importorskip("mcap", reason="needs mcap: the extra `test`")
    from mcap.reader import make_reader
    from mcap.writer import CompressionType, Writer

    path = tmp_path / "bag.mcap"
    path.write_bytes(mcap(states, CHUNK)[0])
    with path.open("rb") as file:
        found = [(message.log_time, message.data) for _, _, message in make_reader(file).iter_messages()]
    assert [time for time, _ in found] == [time for _, _, time, _ in states]
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=10_000, compression=CompressionType[compression])
        writer.start(profile="ros2")
        schema = writer.register_schema("sensor_msgs/msg/JointState", "ros2msg", b"")
        channel = writer.register_channel("/joint_states", "cdr", schema)
        for time, data in found:
            writer.add_message(channel, time, data, time)
        writer.finish()
    check_motions(read(path), stops)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x01
    path.write_bytes(raw)
    damaged = read(path)
    assert len(states) - 60 < sum(damaged.uses().values()) < len(states) and "messages are lost" in damaged.damages


def test_folder_without_bags(read: ReadBags, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no bag in"):
        read(tmp_path)
    with pytest.raises(DatasetError, match="no bag at"):
        read(tmp_path / "nothing")
