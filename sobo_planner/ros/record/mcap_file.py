"""An MCAP file that can be read at any time while it grows, also after its process was killed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sobo_planner.ros.record import mcap_records as mcap


@dataclass(frozen=True)
class Topic:
    """A topic of a bag.

    Attributes:
        name: Its full name.
        type: Its type, as `std_msgs/msg/String`.
        definition: The definition of the type and of those that it is made of, as in .msg files.
        type_hash: Identifies the type, RIHS01.
        qos: The offered quality of service, as rosbag2 writes it.
    """

    name: str
    type: str
    definition: str
    type_hash: str
    qos: str


class McapFile:
    """Writes messages in chunks, without compression. Not thread-safe.

    The file ends with a summary of all chunks so far, as a finished file does: `close` has nothing left to write but
    the last chunk. When a chunk is added, a copy of the old summary is first written where the file is going to end;
    then the chunk is written, as part of a record that readers skip; at last it gets its own head, and the file the new
    summary. A process that is killed while it writes a chunk leaves a file with what was there before.

    Args:
        path: The file, which must not be there yet.
        topics: Its topics; messages name them by their place in this list.
        library: What writes it.

    Attributes:
        span: Times and numbers of the messages written so far.
        size: Of the file [bytes].

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: Path, topics: Sequence[Topic], library: str = "sobo_planner") -> None:
        self.span = mcap.Span()
        self._topics = len(topics)
        self._sequence = 0
        self._chunk = mcap.Chunk()
        types = {topic.type: topic.definition for topic in topics}
        numbers = {name: number for number, name in enumerate(types, 1)}
        schemas = [mcap.schema(numbers[name], name, "ros2msg", definition) for name, definition in types.items()]
        channels = [
            mcap.channel(number, numbers[topic.type], topic.name, _metadata(topic))
            for number, topic in enumerate(topics)
        ]
        self._types, self._definitions = len(types), b"".join([*schemas, *channels])
        self._chunks, self._index = 0, bytearray()
        start = mcap.MAGIC + mcap.header("ros2", library) + self._definitions
        self._end_of_data = len(start)
        self._summary = self._summarised()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            self.size = self._write(0, start + _ending(self._end_of_data, self._summary))
        except OSError:
            os.close(self._descriptor)
            raise

    @property
    def pending(self) -> int:
        """Size of the messages that are not in the file yet [bytes]."""
        return self._chunk.size

    def add(self, topic: int, time: int, data: bytes) -> None:
        """Adds a message of the topic with this number, in CDR, recorded at a time [ns]. `flush` writes it."""
        self._sequence += 1
        self._chunk.add(topic, self._sequence, time, data)

    def flush(self) -> None:
        """Writes what has been added.

        Raises:
            OSError: It cannot be written. What was written before can be read; what was added is lost.
        """
        if self._chunk.size == 0:
            return
        chunk, self._chunk = self._chunk, mcap.Chunk()
        pieces, entry = chunk.records(self._end_of_data)
        before = self._summary
        self.span.include(chunk.span)
        self._index += entry
        self._chunks += 1
        self._summary = self._summarised()
        try:
            self._append(pieces, before)
        except OSError:
            self._take_back(before)
            raise

    def _append(self, pieces: mcap.Pieces, before: bytes) -> None:
        """Puts a chunk and the new summary at the end; until that is done, the file ends with the summary before."""
        start = self._end_of_data
        end = start + sum(map(len, pieces))
        ending = _ending(end, self._summary)
        size = end + len(ending)
        moved = size - len(_ending(0, before))
        self._write(moved, _ending(moved, before))
        self._write(start, mcap.record_head(mcap.PRIVATE, moved - start - mcap.HEAD_SIZE) + pieces.head)
        place = self._write(start + len(pieces.record_head) + len(pieces.head), pieces.messages)
        self._write(place, pieces.indexes)
        self._write(start, pieces.record_head)
        self._write(end, ending)
        self._end_of_data, self.size = end, size

    def _take_back(self, before: bytes) -> None:
        """Restores the end of the file as it was, which needs no more room on the disk."""
        self._summary = before
        with contextlib.suppress(OSError):
            self._write(self._end_of_data, _ending(self._end_of_data, before))
            os.ftruncate(self._descriptor, self.size)

    def close(self) -> None:
        """Writes what has been added and closes the file; once is enough.

        Raises:
            OSError: As `flush`; the file is closed.
        """
        if self._descriptor < 0:
            return
        try:
            self.flush()
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def _summarised(self) -> bytes:
        statistics = mcap.statistics(self.span, self._types, self._topics, self._chunks)
        return b"".join((self._definitions, self._index, statistics))

    def _write(self, place: int, data: bytes) -> int:
        """Writes data at a place. Returns where they end."""
        left = memoryview(data)
        while left:
            written = os.pwrite(self._descriptor, left, place)
            left, place = left[written:], place + written
        return place


def _metadata(topic: Topic) -> dict[str, str]:
    """What rosbag2 keeps of a topic beside its type."""
    return {"offered_qos_profiles": topic.qos, "topic_type_hash": topic.type_hash}


def _ending(place: int, summary: bytes) -> bytes:
    """What follows the data of a file that ends at a place."""
    data_end = mcap.data_end()
    return b"".join((data_end, summary, mcap.footer(place + len(data_end), summary), mcap.MAGIC))
