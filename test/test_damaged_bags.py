"""Damaged bags of others: what is whole is read, and every part that is lost has a reason."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

import logged_bags as logged
from foreign_bags import ReadBags, check_motions
from mcap_made import mcap

# Messages of a chunk, and of the whole.
CHUNK = 50

pytest_plugins = ["bag_fixtures"]


@pytest.mark.parametrize("compression", ["", "lz4"])
def test_cut_file_is_read_up_to_its_cut(
    compression: str, read: ReadBags, states: list, stops: list, tmp_path: Path
) -> None:
    content, places = mcap(states, CHUNK, compression)
    path = tmp_path / "cut.mcap"
    inside = places[8] + (places[9] - places[8]) // 2
    path.write_bytes(content[:inside])
    found = read(path)
    check_motions(found, stops, [0, 1][: len(found.candidates)])
    assert "is cut by the end of the file" in found.damages
    # lz4 gives nothing back of a block that is cut
    least = 8 * CHUNK + (CHUNK // 3 if compression == "" else 0)
    assert least <= sum(found.uses().values()) < 9 * CHUNK
    whole = tmp_path / "unfinished.mcap"
    whole.write_bytes(content[: places[-1]])
    assert sum(read(whole).uses().values()) == CHUNK * (len(places) - 1)


@pytest.mark.parametrize("compression", ["", "lz4"])
def test_flipped_byte_costs_its_chunk(
    compression: str, read: ReadBags, states: list, stops: list, tmp_path: Path
) -> None:
    content, places = mcap(states, CHUNK, compression)
    raw = bytearray(content)
    raw[(places[5] + places[6]) // 2 - 400] ^= 0x10  # in the second motion
    path = tmp_path / "flipped.mcap"
    path.write_bytes(raw)
    found = read(path)
    assert sum(found.uses().values()) == len(states) - CHUNK
    assert f"the chunk at byte {places[5]}" in found.damages and f"{CHUNK} messages are lost" in found.damages
    check_motions(found, stops, [0, 2])
    assert found.found.unused["motion"] == {
        "the arm moves where the states end": 1,
        "the arm moves where the states begin": 1,
    }


@pytest.mark.parametrize("chunked", [True, False])
def test_damaged_length_is_passed_over(chunked: bool, read: ReadBags, states: list, tmp_path: Path) -> None:
    content, places = mcap(states, CHUNK, chunked=chunked)
    raw = bytearray(content)
    raw[places[3] : places[3] + 40] = b"\xff" * 40  # opcode, length and head
    path = tmp_path / "damaged.mcap"
    path.write_bytes(raw)
    found = read(path)
    assert sum(found.uses().values()) == len(states) - (CHUNK if chunked else 1)
    assert f"bytes {places[3]} to {places[4]} are damaged" in found.damages


def test_first_chunk_of_a_finished_file_may_be_lost(read: ReadBags, states: list, tmp_path: Path) -> None:
    """The chunk that describes the channels: the summary repeats them."""
    many = [*states, *((topic, kind, time + 10 * logged.SECOND, content) for topic, kind, time, content in states)]
    while len(many) < 5000:
        many += [(topic, kind, time + 100 * logged.SECOND, content) for topic, kind, time, content in many]
    path = logged.write(tmp_path / "bag", many)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"\x06", 9 + 8)  # the first chunk's opcode, behind the header
    raw[place + 9 + 24 : place + 9 + 28] = b"\x01\x02\x03\x04"  # a checksum that its content has not
    path.write_bytes(raw)
    found = read(path)
    assert 0 < sum(found.uses().values()) < len(many) and "does not match its checksum" in found.damages


def test_damaged_page_of_sqlite(read: ReadBags, states: list, tmp_path: Path) -> None:
    path = logged.write(tmp_path / "bag", states, sqlite=True)
    with sqlite3.connect(path) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
    raw = bytearray(path.read_bytes())
    leaves = [place for place in range(0, len(raw), size) if raw[place] == 0x0D]  # pages that hold rows
    middle = leaves[len(leaves) // 2]
    raw[middle : middle + 64] = b"\xff" * 64
    path.write_bytes(raw)
    found = read(path)
    assert len(states) - 60 < sum(found.uses().values()) < len(states)
    assert "cannot be read: database disk image is malformed" in found.damages
    path.write_bytes(raw[: len(raw) // 3])
    assert 0 < sum(read(path).uses().values()) < len(states) // 2


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "the file is empty"),
        (b"#ROSBAG V2.0\n", "ROS 1"),
        (b"\x89MCAP0\r\n", ""),
        (b"not a bag at all" * 10, "does not begin as an MCAP file does"),
        (b"SQLite format 3\0" + b"\x10" * 200, "cannot be read"),
        (b"\x28\xb5\x2f\xfd" + b"\x10" * 200, "cannot be decompressed"),
    ],
)
def test_what_is_no_bag_has_a_reason(content: bytes, reason: str, read: ReadBags, tmp_path: Path) -> None:
    path = tmp_path / "bag.mcap"
    path.write_bytes(content)
    found = read(path)
    assert not found.candidates and reason in found.damages
