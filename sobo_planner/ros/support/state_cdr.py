"""Joint states read from their CDR, in a few microseconds each: rclpy takes ten times as long to make a message."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState

Vector = NDArray[np.float64]

LITTLE_ENDIAN = b"\x00\x01"
START = 4  # where places in a message count from
STAMP_END = START + 8
_COUNT = struct.Struct("<I")
_STAMP = struct.Struct("<iI")


class Values(NamedTuple):
    """What a joint state says.

    Attributes:
        names: Its joints; the same list for messages that follow each other with the same names.
        position: As it was sent, of any length.
        velocity: The same.
        sec: Seconds of its stamp.
        nanosec: Nanoseconds beside them.
        data: The message in CDR, without what may follow its end; empty where that is not known.
    """

    names: list[str]
    position: Vector
    velocity: Vector
    sec: int
    nanosec: int
    data: bytes = b""

    @classmethod
    def of(cls, message: JointState) -> Values:
        """What a message of rclpy says."""
        stamp = message.header.stamp
        columns = np.asarray(message.position, float), np.asarray(message.velocity, float)
        return cls(list(message.name), *columns, stamp.sec, stamp.nanosec)

    @property
    def stamp(self) -> float:
        """The stamp [s]."""
        return self.sec + 1e-9 * self.nanosec


class StateDecoder:
    """Reads messages, most of which begin with the names of the one before."""

    def __init__(self) -> None:
        self._head, self._names = b"", list[str]()

    def read(self, data: bytes) -> Values:
        """What a message says. What is not encoded as usual is left to rclpy, whose errors are raised."""
        try:
            values = self._read(data)
        except (struct.error, ValueError):  # shorter than it says, or a name that is no text
            values = None
        return values or Values.of(deserialize_message(data, JointState))._replace(data=data)

    def _read(self, data: bytes) -> Values | None:
        if data[:2] != LITTLE_ENDIAN:
            return None
        sec, nanosec = _STAMP.unpack_from(data, START)
        if not (self._head and data.startswith(self._head, STAMP_END)):
            self._names, end = _texts(data, _text(data, STAMP_END)[1])
            self._head = data[STAMP_END:end]
        place = STAMP_END + len(self._head)
        position, place = _doubles(data, place)
        velocity, place = _doubles(data, place)
        _, place = _doubles(data, place)  # efforts
        return Values(self._names, position, velocity, sec, nanosec, data[:place])


def _text(data: bytes, place: int) -> tuple[str, int]:
    place += -place % 4
    (size,) = _COUNT.unpack_from(data, place)
    end = place + 4 + size
    if size == 0 or end > len(data):
        raise ValueError("a text does not end within the message")
    return data[place + 4 : end - 1].decode(), end


def _texts(data: bytes, place: int) -> tuple[list[str], int]:
    place += -place % 4
    (count,) = _COUNT.unpack_from(data, place)
    place, texts = place + 4, []
    for _ in range(count):
        text, place = _text(data, place)
        texts.append(text)
    return texts, place


def _doubles(data: bytes, place: int) -> tuple[Vector, int]:
    """A sequence of doubles, and where it ends."""
    place += -place % 4
    (count,) = _COUNT.unpack_from(data, place)
    place += 4
    if count == 0:
        return np.zeros(0), place
    place += -(place - START) % 8
    return np.frombuffer(data, "<f8", count, place), place + 8 * count
