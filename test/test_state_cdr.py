"""Joint states read from their CDR: as rclpy reads them, whatever they hold and wherever their numbers lie."""

from __future__ import annotations

import struct

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState

from sobo_planner.ros.support.state_cdr import StateDecoder, Values

NUMBERS = st.lists(st.floats(width=64), max_size=4)
TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=6)
DECODER = StateDecoder()


def same(found: Values, expected: Values) -> bool:
    numbers = zip(found[1:3], expected[1:3], strict=True)
    texts = (found.names, found[3:5]) == (expected.names, expected[3:5])
    return texts and all(np.array_equal(a, b, equal_nan=True) for a, b in numbers)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=4), NUMBERS, NUMBERS, NUMBERS, TEXTS, st.integers(-(2**31), 2**31 - 1))
def test_as_rclpy_reads_it(
    names: list[str], position: list[float], velocity: list[float], effort: list[float], frame: str, sec: int
) -> None:
    """Also after messages with other names, which the decoder remembers."""
    message = JointState(name=names, position=position, velocity=velocity, effort=effort)
    message.header.frame_id, message.header.stamp = frame, Time(sec=sec, nanosec=7)
    found = DECODER.read(serialize_message(message))
    assert same(found, Values.of(message))
    assert deserialize_message(found.data, JointState) == message or not np.isfinite(position + velocity + effort).all()


def test_names_are_kept_from_one_message_to_the_next() -> None:
    decoder = StateDecoder()
    first, second, other = (
        decoder.read(serialize_message(JointState(name=names, position=[1.0])))
        for names in (["a", "b"], ["a", "b"], ["a", "bc"])
    )
    assert first.names is second.names and other.names == ["a", "bc"]


def test_what_follows_the_end_is_left_out() -> None:
    data = StateDecoder().read(serialize_message(JointState(name=["a"], position=[1.0]))).data
    assert StateDecoder().read(data + bytes(12)).data == data


def test_another_encoding_is_left_to_rclpy() -> None:
    """Big endian, which no rclpy writes here."""
    text = struct.pack(">I", 2) + b"a\0\0\0"
    body = struct.pack(">iI", 5, 6) + struct.pack(">I", 1) + bytes(4) + struct.pack(">I", 1) + text
    body += struct.pack(">I", 1) + bytes(-(len(body) + 4) % 8) + struct.pack(">d", 2.5) + bytes(8)
    found = StateDecoder().read(b"\x00\x00\x00\x00" + body)
    assert (found.names, found[3:5], found.position.tolist()) == (["a"], (5, 6), [2.5])


@pytest.mark.parametrize("size", [3, 9, 20, 33])
def test_a_message_that_was_cut_off_is_an_error(size: int) -> None:
    data = serialize_message(JointState(name=["a", "b"], position=[1.0, 2.0], velocity=[1.0, 2.0]))
    with pytest.raises(Exception, match=r".+"):
        StateDecoder().read(data[:size])
