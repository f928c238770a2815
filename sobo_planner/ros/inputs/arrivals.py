"""Joint states on their way from the topic to the inbox, taken when somebody wants to know the arm's state."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.inputs.intake import StateIntake
from sobo_planner.ros.support.state_cdr import StateDecoder, Values
from sobo_planner.ros.support.status import Refused, Status


class Topic(Protocol):
    """Of a `StateTopic` as much as is used."""

    def waiting(self) -> Iterable[tuple[bytes, float]]:
        """Takes what waits: messages in CDR, and for how long they waited [s]."""
        ...


class Arrivals:
    """Takes joint states in. Thread-safe: the planning thread looks when it plans, the executor's now and then.

    Args:
        topic: Where they wait.
        now: ROS time [s].
        values: The node's parameters.
        record: Told the messages that came in together, without what may follow their end, and for how long each of
            them waited [s].
        refused: Told what is wrong with a message.
    """

    def __init__(
        self,
        topic: Topic,
        now: Callable[[], float],
        values: Mapping[str, Any],
        record: Callable[[Sequence[tuple[bytes, float]]], None],
        refused: Callable[[Refused], None],
    ) -> None:
        self._topic, self._now, self._values = topic, now, values
        self._record, self._refused = record, refused
        self._lock = threading.Lock()
        self._decoder = StateDecoder()
        self._to: tuple[StateIntake, Inbox] | None = None
        self._taken = -math.inf

    def open(self, intake: StateIntake, inbox: Inbox) -> None:
        """Messages that come in from now on are taken there."""
        self.drop()
        self._to = intake, inbox

    def close(self) -> None:
        """Takes what has come in; later messages are recorded only."""
        self.take()
        self._to = None

    def take(self) -> None:
        """Takes in what has come in; the inbox then holds the latest state."""
        with self._lock:
            messages = self._waiting()
            if not messages or self._to is None:
                return
            intake, inbox = self._to
            bounds = self._values["state_timeout"], self._values["stamp_ahead"]
            intake.take_all(messages, inbox, self._now(), time.monotonic(), *bounds, self._refused)

    def take_rest(self, after: float) -> None:
        """Takes in what has come in, if nobody did for some time [s]."""
        if time.monotonic() - self._taken >= after:
            self.take()

    def drop(self) -> None:
        """Takes what has come in, for the recording only."""
        with self._lock:
            self._waiting()

    def _waiting(self) -> list[tuple[Values, float]]:
        messages, self._taken = [], time.monotonic()
        for data, waited in self._topic.waiting():
            try:
                messages.append((self._decoder.read(data), waited))
            except Exception as error:  # of rclpy, which raises what it likes
                if self._to is not None:
                    self._refused(Refused(Status.BAD_STATE, f"a joint state cannot be read: {error}"))
        if messages:
            self._record([(values.data, waited) for values, waited in messages])
        return messages
