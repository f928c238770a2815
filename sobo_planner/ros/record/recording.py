"""The recording of a node: takes what comes in and goes out, and has it written on a thread of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterEvent
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.paths import user_path
from sobo_planner.ros.record.bag import Bag, Message
from sobo_planner.ros.record.mcap_file import Topic
from sobo_planner.ros.record.metadata import qos
from sobo_planner.ros.record.plans import Part, Published, parts
from sobo_planner.ros.record.topics import PARAMETERS, RECORDING, STRING, WORLD, Role, roles
from sobo_planner.ros.record.types import Types
from sobo_planner.ros.record.worlds import Surrounding
from sobo_planner.ros.record.writer import Entry, Writer

MEGABYTE = 10**6
ENDS_WITHIN = 5.0  # [s] that the end may wait for the disk
OVERHEAD = 500  # [bytes] of a message beside its numbers and texts
STANDSTILL = 10**6  # plans that come at the same time are told apart by nanoseconds, up to so many


class Recording:
    """Records while it is open; otherwise its methods do nothing. Thread-safe, and never waits for the disk.

    Args:
        node: Whose clock, names and log are used.

    Attributes:
        problem: What ended the recording; empty while nothing did.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._folder = Path()
        self._numbers: dict[str, int] = {}
        self._roles: dict[str, Role] = {}
        self._parameters: dict[str, Any] = {}
        self._last_plan = 0
        self._world: Surrounding | None = None  # the last one that was recorded

    def begin(self, values: Mapping[str, Any], description: Callable[[], Mapping[str, Any]]) -> None:
        """Begins a bag if the parameters say so.

        Args:
            values: The node's parameters.
            description: Gives what the first message of every file says of the node.

        Raises:
            SoboError: rosbags is not installed, or the folder cannot be written to.
        """
        self.end()
        if not values["record"]:
            return
        sizes = values["record_file_size"] * MEGABYTE, values["record_total_size"] * MEGABYTE
        if sizes[1] < 2 * sizes[0]:
            raise ConfigError(
                f"the parameter record_total_size must be at least twice record_file_size "
                f"({values['record_file_size']} MB), got {values['record_total_size']} MB"
            )
        types = Types()
        topics = self._topics(types)
        names = {role: topics[number].name for role, number in self._numbers.items()}
        text = json.dumps({"node": self._node.get_fully_qualified_name(), "topics": names, **description()})
        self._parameters = {
            name: parameter.to_parameter_msg() for name, parameter in self._node.get_parameters_by_prefix("").items()
        }
        self._types, self._world = types, None
        try:
            self._folder = _new_folder(user_path(values["record"]), self._node.get_fully_qualified_name())
            bag = Bag(self._folder, topics, *sizes, head=lambda: self._head(text))
        except OSError as error:
            raise SoboError(f"cannot record in {values['record']}: {error.strerror}") from error
        self._writer = Writer(bag, self._failed)

    def end(self) -> None:
        """Has everything written and ends the bag."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None and not writer.close(ENDS_WITHIN):
            self._node.get_logger().error(f"the recording {self._folder} could not be written within {ENDS_WITHIN} s")

    @property
    def folder(self) -> str:
        """The bag; empty while nothing is recorded."""
        return "" if self._writer is None else str(self._folder)

    @property
    def problem(self) -> str:
        """What ended the recording; empty if nothing did."""
        writer = self._writer
        return "" if writer is None or not writer.problem else f"recording ended: {writer.problem}"

    def values(self) -> dict[str, str]:
        """What the diagnostics say."""
        writer = self._writer
        if writer is None:
            return {}
        return {
            "recording": str(self._folder),
            "recording_messages": str(writer.written),
            "recording_dropped": str(writer.dropped),
            "recording_problem": writer.problem,
        }

    def note(self, role: str, message: Any) -> None:
        """Records a message that came in or went out: of rclpy, which nothing may change afterwards, or in CDR."""
        writer = self._writer
        if writer is not None and role in self._numbers:
            self._put(writer, role, message)

    def note_all(self, role: str, messages: Sequence[tuple[bytes, float]]) -> None:
        """Records messages in CDR that came in some time ago [s]."""
        writer = self._writer
        if writer is not None and messages:
            number, now = self._numbers[role], self._now()
            noted = [(number, now - round(1e9 * ago), data) for data, ago in messages]
            writer.put(Entry(noted, sum(OVERHEAD + len(data) for data, _ in messages)))

    def parameters(self, changed: Iterable[Parameter]) -> None:
        """Records parameters that changed."""
        writer = self._writer
        if writer is None:
            return
        messages = {parameter.name: parameter.to_parameter_msg() for parameter in changed}
        self._parameters = {**self._parameters, **messages}
        self._put(writer, PARAMETERS, self._event(changed_parameters=list(messages.values())))

    def refusal(self, report: bytes, around: Surrounding | None = None) -> None:
        """Records the report of a goal that was refused, in CDR, and the world then if it is another one."""
        writer = self._writer
        if writer is not None:
            now, world = self._now(), self._new(around)
            found = [*world, ("plan_report", report, len(report))]
            size = sum(OVERHEAD + size for _, _, size in found)
            self._took(around, writer.put(Entry([(self._numbers[role], now, data) for role, data, _ in found], size)))

    def _new(self, around: Surrounding | None) -> list[Part]:
        """The message of a world that was not recorded last."""
        if around is None or (self._world is not None and around.world.version == self._world.world.version):
            return []
        return [(WORLD, around.cdr, around.size)]

    def _took(self, around: Surrounding | None, fits: bool) -> None:
        """What is dropped has its world dropped, too, which comes with the next one then."""
        if around is not None:
            self._world = around if fits else None

    def plan(self, published: Published, messages: Mapping[str, bytes], around: Surrounding | None = None) -> None:
        """Records a motion that was published.

        Args:
            published: The motion.
            messages: What else was published with it, by role, in CDR.
            around: The world that it was checked in; recorded before it where it is not the last one that was.
        """
        with self._lock:
            writer, now = self._writer, self._now()
            if writer is None:
                return
            if 0 <= self._last_plan - now < STANDSTILL:
                now = self._last_plan + 1
            self._last_plan = now
        others = [(role, data, len(data)) for role, data in messages.items()]
        found = [*self._new(around), *parts(published), *others]
        size = sum(OVERHEAD + size for _, _, size in found)
        self._took(around, writer.put(Entry([(self._numbers[role], now, data) for role, data, _ in found], size)))

    def _put(self, writer: Writer, role: str, message: Any) -> None:
        data, size = message, OVERHEAD
        if isinstance(message, bytes):
            size += len(message)
        else:
            data = partial(self._types.serialised, self._roles[role].type, message)
        writer.put(Entry([(self._numbers[role], self._now(), data)], size))

    def _topics(self, types: Types) -> list[Topic]:
        """The topics of the bag. One whose messages cannot be described is left out, which the log says."""
        topics: list[Topic] = []
        self._roles, self._numbers = roles(), {}
        for name, role in self._roles.items():
            resolved = self._node.resolve_topic_name(role.topic)
            try:
                topics.append(types.topic(resolved, role.type, qos("transient_local", 1) if role.latched else qos()))
            except ConfigError as error:
                self._node.get_logger().warning(f"{resolved} is not recorded: {error}")
            else:
                self._numbers[name] = len(topics) - 1
        return topics

    def _head(self, text: str) -> list[Message]:
        """What every file begins with."""
        now, types, around = self._now(), self._types, self._world
        event = self._event(new_parameters=list(self._parameters.values()))
        return [
            (self._numbers[RECORDING], now, types.cdr(STRING, types.of(STRING, text))),
            (self._numbers[PARAMETERS], now, types.serialised(self._roles[PARAMETERS].type, event)),
            *([] if around is None else [(self._numbers[WORLD], now, around.cdr())]),
        ]

    def _event(self, **parameters: Sequence[Any]) -> ParameterEvent:
        stamp = Time(nanoseconds=self._now()).to_msg()
        return ParameterEvent(stamp=stamp, node=self._node.get_fully_qualified_name(), **parameters)

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _failed(self, problem: str) -> None:
        self._node.get_logger().error(f"recording ended: {problem}; planning continues")


def _new_folder(parent: Path, node: str) -> Path:
    """A name for a bag that is not taken: the node's, and the date."""
    name = f"{node.strip('/').replace('/', '_')}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    count = 1
    while (folder := parent / (name if count == 1 else f"{name}-{count}")).exists():
        count += 1
    return folder
