"""The thread that writes: what waits is bounded, what is dropped is counted, and failure ends it, once."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_serving import wait

from sobo_planner.ros.record import writer as module
from sobo_planner.ros.record.bounded_queue import BoundedQueue
from sobo_planner.ros.record.writer import Entry, Writer


class Sink:
    """Keeps what is written; its disk may be slow or full."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.flushed: list[bytes] = []
        self.closed = self.flushes = 0
        self.full = False
        self.ready = threading.Event()
        self.ready.set()

    @property
    def pending(self) -> int:
        return len(self.written)

    def write(self, topic: int, time: int, data: bytes) -> None:
        self.written.append(data)

    def flush(self) -> None:
        self.ready.wait()
        if self.full:
            raise OSError(28, "No space left on device")
        self.flushed += self.written
        self.flushes += bool(self.written)
        self.written = []

    def describe(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1
        self.flush()


def entry(number: int, size: int = 10) -> Entry:
    return Entry([(0, number, str(number).encode())], size)


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Sink:
    """Flushed at every message."""
    monkeypatch.setattr(module, "FLUSH_SIZE", 1)
    return Sink()


def test_the_queue_is_bounded_in_number_and_size() -> None:
    queue: BoundedQueue[int] = BoundedQueue(3, 100)
    assert [queue.put(i, 10) for i in range(5)] == [True, True, True, False, False]
    assert (queue.dropped, queue.take(), queue.put(5, 90)) == (2, 0, False)
    assert queue.put(6, 80) and [queue.take() for _ in range(4)] == [1, 2, 6, None]
    assert queue.put(7, 100)
    queue.close()
    assert not queue.put(8, 1) and queue.take() is None and queue.dropped == 5


def test_messages_of_one_item_are_queued_and_dropped_together() -> None:
    queue: BoundedQueue[str] = BoundedQueue(10, 100)
    assert queue.put("plan", 20, 4) and not queue.half_full
    assert queue.put("states", 10, 2) and queue.half_full, "six messages of ten"
    assert not queue.put("plan", 20, 5) and queue.dropped == 5
    assert (queue.take(), len(queue), queue.half_full) == ("plan", 2, False)
    assert queue.put("large", 40) and queue.half_full, "50 bytes of 100"
    queue.close()
    assert (queue.dropped, len(queue)) == (8, 0)


def test_everything_is_written_in_order_before_the_end(sink: Sink, failures: list[str]) -> None:
    writer = Writer(sink, failures.append)
    for number in range(300):
        writer.put(entry(number))
    assert writer.close(20.0)
    assert sink.flushed == [str(number).encode() for number in range(300)]
    assert (writer.written, writer.dropped, sink.closed, failures) == (300, 0, 1, [])


def test_a_disk_that_hangs_costs_messages_and_nobody_waits(
    sink: Sink, failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 20)
    sink.ready.clear()
    writer = Writer(sink, failures.append)
    writer.put(entry(0))
    wait(lambda: sink.written)
    for number in range(1, 101):
        writer.put(entry(number))  # comes back although nothing is written
    assert writer.dropped == 80 and not writer.close(0.01)
    sink.ready.set()
    assert writer.close(20.0)
    assert sink.flushed == [str(number).encode() for number in range(21)] and writer.written == 21


def test_a_full_disk_ends_it_with_one_line(sink: Sink, failures: list[str]) -> None:
    writer = Writer(sink, failures.append)
    writer.put(entry(0))
    wait(lambda: writer.written == 1)
    sink.full = True
    writer.put(entry(1))
    wait(lambda: failures)
    writer.put(entry(2))
    assert writer.problem == "OSError: [Errno 28] No space left on device" and failures == [writer.problem]
    assert (writer.written, writer.dropped, sink.closed, sink.flushed) == (1, 2, 1, [b"0"])
    assert writer.close(20.0)


def test_a_message_that_cannot_be_serialised_costs_itself_alone(sink: Sink, failures: list[str]) -> None:
    writer = Writer(sink, failures.append)
    writer.put(entry(0))
    writer.put(Entry([(0, 1, b"1"), (0, 2, lambda: b"" + None), (0, 3, lambda: b"3")], 10))  # type: ignore[operator]
    writer.put(entry(4))
    assert writer.close(20.0)
    assert sink.flushed == [b"0", b"1", b"3", b"4"] and (writer.written, writer.dropped) == (4, 1) and not failures


def test_what_was_put_is_written_a_period_later_and_at_once(
    failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wakes the thread, and what was put meanwhile is one flush."""
    monkeypatch.setattr(module, "PERIOD", 0.2)
    sink = Sink()
    writer = Writer(sink, failures.append)
    for number in range(50):
        writer.put(entry(number))
    wait(lambda: writer.written == 50)
    assert sink.flushes <= 2, "2: the thread looked while they were put"
    writer.close(20.0)


def test_a_queue_that_fills_up_is_not_left_to_wait(failures: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD", 1000.0)
    monkeypatch.setattr(module, "MOST_WAITING", 20)
    sink = Sink()
    writer = Writer(sink, failures.append)
    for number in range(9):
        writer.put(entry(number))
    assert not sink.flushed
    writer.put(entry(9))
    wait(lambda: writer.written == 10)
    assert writer.dropped == 0 and writer.close(20.0)
