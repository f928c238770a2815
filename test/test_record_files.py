"""Bags on the disk: readable at any time by two libraries, of bounded size, and whole after a full disk or a kill."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

from bag_tools import HAS_MCAP, NAMES, by_mcap, by_rosbags, metadata_of, text, text_topics

from sobo_planner.ros.record.bag import Bag
from sobo_planner.ros.record.mcap_file import McapFile
from sobo_planner.ros.record.types import Types

pwrite = os.pwrite
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def types() -> Types:
    return Types()


class KilledError(BaseException):
    """Stands for the end of the process: nothing handles it."""


class Disk:
    """Takes so many bytes, then raises; what is within the file's old size can still be written again."""

    def __init__(self, room: int, old_size: int, error: BaseException) -> None:
        self._room, self._old_size, self._error = room, old_size, error

    def pwrite(self, descriptor: int, piece: bytes, place: int) -> int:
        data = bytes(piece)
        if self._room <= 0 and (self._error is not FULL or place + len(data) > self._old_size):
            raise self._error
        data = data[: self._room] if self._room > 0 else data
        self._room -= len(data)
        return pwrite(descriptor, data, place)


def numbers(path: Path, topic: str = NAMES[0]) -> list[int]:
    """The numbers in the texts on a topic of a file or bag."""
    return [int(heard.message.data.split()[0]) for heard in by_rosbags(path) if heard.topic == topic]


def half_written(folder: Path, types: Types) -> tuple[McapFile, Path]:
    """A file with 40 texts that are written, and as many that are not yet: 20 kB."""
    path = folder / "texts_0.mcap"
    file = McapFile(path, text_topics(types))
    for number in range(80):
        if number == 40:
            file.flush()
        file.add(0, 1000 + number, text(types, f"{number} {'x' * 500}"))
    return file, path


@pytest.mark.parametrize("room", [100, 5000, 23_000])
def test_a_full_disk_leaves_the_file_as_it_was(
    room: int, types: Types, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the summary moves, within the chunk, and within the new summary."""
    file, path = half_written(tmp_path, types)
    before = path.read_bytes()
    monkeypatch.setattr(os, "pwrite", Disk(room, len(before), FULL).pwrite)
    with pytest.raises(OSError, match="No space left"):
        file.flush()
    assert path.read_bytes()[: file.size] == before and path.stat().st_size == file.size
    file.close()
    assert numbers(path) == list(range(40))


def test_a_file_whose_process_ends_within_a_chunk(
    types: Types, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, path = half_written(tmp_path, types)
    monkeypatch.setattr(os, "pwrite", Disk(15_000, file.size, KilledError()).pwrite)
    with pytest.raises(KilledError):
        file.flush()
    assert numbers(path) == list(range(40))
    assert not HAS_MCAP or len(by_mcap(path)) == 40


def test_every_flush_can_be_read(types: Types, tmp_path: Path) -> None:
    """By both libraries, in the order of time; metadata.yaml counts what is there."""
    bag = Bag(tmp_path / "bag", text_topics(types), 10**6, 10**7)
    expected = []
    for number in range(120):
        topic, time = number % 2, 1000 + (number ^ 1)  # two threads: neighbours out of order
        data = text(types, f"{number}")
        bag.write(topic, time, data)
        expected.append((NAMES[topic], time, data))
        if number % 40 == 39:
            bag.flush()
            bag.describe()
            expected.sort(key=lambda message: message[1])
            assert not HAS_MCAP or by_mcap(tmp_path / "bag") == expected
            assert [(heard.topic, heard.time) for heard in by_rosbags(tmp_path / "bag")] == [m[:2] for m in expected]
            said = metadata_of(tmp_path / "bag")
            assert said["message_count"] == len(expected) == 2 * said["topics_with_message_count"][1]["message_count"]
            assert said["starting_time"]["nanoseconds_since_epoch"] == 1000
    bag.close()
    assert [heard.time for heard in by_rosbags(tmp_path / "bag")] == [time for _, time, _ in expected]
    assert not HAS_MCAP or by_mcap(tmp_path / "bag") == expected


def test_the_oldest_files_go(types: Types, tmp_path: Path) -> None:
    """Each file has the head, sizes are kept to, and what is left is the newest without gaps."""
    folder, limits = tmp_path / "bag", (20_000, 80_000)
    bag = Bag(folder, text_topics(types), *limits, head=lambda: [(1, 5, text(types, "7"))])
    for number in range(400):
        bag.write(0, 1000 + number, text(types, f"{number} {'x' * 500}"))
        if number % 10 == 9:
            bag.flush()
            assert sum(path.stat().st_size for path in folder.iterdir()) <= limits[1] + limits[0]
    bag.close()
    names = metadata_of(folder)["relative_file_paths"]
    assert {path.name for path in folder.glob("*.mcap")} == set(names) and len(names) >= 2
    first = int(names[0].split("_")[-1].removesuffix(".mcap"))
    assert names == [f"bag_{number}.mcap" for number in range(first, first + len(names))]
    left = numbers(folder)
    assert left == list(range(left[0], 400)) and left[0] > 100
    assert numbers(folder, NAMES[1]) == [7] * len(names)
    for name in names:
        assert numbers(folder / name, NAMES[1]) == [7]


def test_the_newest_file_stays_however_little_is_allowed(types: Types, tmp_path: Path) -> None:
    bag = Bag(tmp_path / "bag", text_topics(types), 10_000, 1)
    for number in range(60):
        bag.write(0, 1000 + number, text(types, f"{number} {'x' * 500}"))
        bag.flush()
    bag.write(0, 2000, text(types, "60"))
    bag.close()
    said = metadata_of(tmp_path / "bag")
    [name] = said["relative_file_paths"]
    path = tmp_path / "bag" / name
    assert path.stat().st_mode & 0o600 == 0o600 and numbers(tmp_path / "bag")[-1] == 60
    assert [each["message_count"] for each in said["topics_with_message_count"]] == [said["message_count"], 0]


def test_records_as_the_format_has_them(types: Types, tmp_path: Path) -> None:
    """Header, types and topics; chunks, each with the indexes of its channels; the end of the data; the summary."""
    file, path = half_written(tmp_path, types)
    file.add(1, 5, text(types, "other"))
    file.close()
    data, place, codes = path.read_bytes(), 8, []
    while place < len(data) - 8:
        codes.append(data[place])
        place += 9 + int.from_bytes(data[place + 1 : place + 9], "little")
    assert place == len(data) - 8
    chunks = [6, 7, 6, 7, 7]
    assert codes == [1, 3, 4, 4, *chunks, 15, 3, 4, 4, 8, 8, 11, 2]


WRITER = """
import itertools, sys
from pathlib import Path
from bag_tools import text, text_topics
from sobo_planner.ros.record.bag import Bag
from sobo_planner.ros.record.types import Types
types = Types()
bag = Bag(Path(sys.argv[1]), text_topics(types), 2 * 10**6, 10**9)
for number in itertools.count():
    bag.write(0, 1000 + number, text(types, f"{number} {'x' * 5000}"))
    if number % 50 == 49:
        bag.flush()
        print(number, flush=True)
"""


def test_a_killed_process_leaves_its_bag(tmp_path: Path) -> None:
    """Everything that was flushed is there, whatever the process was doing."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    command = [sys.executable, "-c", WRITER]
    processes = [
        subprocess.Popen([*command, str(tmp_path / f"bag{i}")], stdout=subprocess.PIPE, text=True, env=environment)
        for i in range(2)
    ]
    for i, process in enumerate(processes):
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5 + 15 * i)]  # the second one is in its second file by then
        process.kill()
        flushed = int([*lines, *process.stdout.readlines()][-1])
        process.wait()
        found = numbers(tmp_path / f"bag{i}")
        assert found == list(range(len(found))) and len(found) > flushed
        assert not HAS_MCAP or len(by_mcap(tmp_path / f"bag{i}")) == len(found)
