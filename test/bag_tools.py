"""Shared by the tests of recordings: bags read back with both libraries, and what to write into them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sobo_planner.ros.record.mcap_file import Topic
from sobo_planner.ros.record.metadata import qos
from sobo_planner.ros.record.topics import STRING
from sobo_planner.ros.record.types import Types

HAS_MCAP = find_spec("mcap") is not None
NAMES = ("/left/numbers", "/left/others")


class Heard(NamedTuple):
    """A message of a bag."""

    topic: str
    time: int
    message: Any


def by_rosbags(bag: Path) -> list[Heard]:
    """All messages of a bag, or of one of its files, read with rosbags."""
    from rosbags.highlevel import AnyReader

    with AnyReader([bag]) as reader:
        return [
            Heard(connection.topic, time, reader.deserialize(raw, connection.msgtype))
            for connection, time, raw in reader.messages()
        ]


def files_of(bag: Path) -> list[Path]:
    """The files that the metadata of a bag names."""
    return [bag / name for name in metadata_of(bag)["relative_file_paths"]]


def metadata_of(bag: Path) -> dict[str, Any]:
    """What metadata.yaml says."""
    found: dict[str, Any] = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    return found


def by_mcap(bag: Path) -> list[tuple[str, int, bytes]]:
    """The same with mcap, by the indexes and by reading from the beginning: both have to give the same messages."""
    from mcap.reader import NonSeekingReader, SeekingReader

    found = []
    for path in files_of(bag) if bag.is_dir() else [bag]:
        with path.open("rb") as indexed, path.open("rb") as streamed:
            ways = [
                [(channel.topic, message.log_time, message.data) for _, channel, message in reader.iter_messages()]
                for reader in (
                    SeekingReader(indexed, validate_crcs=True),
                    NonSeekingReader(streamed, validate_crcs=True),
                )
            ]
        assert ways[0] == ways[1]
        found.extend(ways[0])
    return found


def text_topics(types: Types, names: Sequence[str] = NAMES) -> list[Topic]:
    """Topics of texts."""
    return [types.topic(name, STRING, qos()) for name in names]


def text(types: Types, value: str) -> bytes:
    """A text in CDR."""
    return types.cdr(STRING, types.of(STRING, value))
