"""What every reader of a bag's file returns: blocks of messages, and what of the file is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
SECOND = 1_000_000_000  # [ns]


@dataclass(frozen=True)
class Channel:
    """Where messages come from.

    Attributes:
        topic: Name of the topic.
        type: Name of the type, such as `sensor_msgs/msg/JointState`.
        encoding: How messages are serialised; `cdr` is what can be decoded.
    """

    topic: str
    type: str
    encoding: str = "cdr"


@dataclass(frozen=True)
class Batch:
    """Messages of one channel in the order of the file.

    Attributes:
        channel: Their channel.
        times: When they were recorded [ns], (N,).
        payloads: Their serialised content.
    """

    channel: Channel
    times: Times
    payloads: Sequence[bytes | memoryview]


@dataclass(frozen=True)
class Damage:
    """A part of a file that cannot be read.

    Attributes:
        file: Name of the file.
        what: What is wrong, and where.
        messages: How many messages are lost by it; None where nobody can know.
    """

    file: str
    what: str
    messages: int | None = None

    def __str__(self) -> str:
        lost = "" if self.messages is None else f"; {self.messages} messages are lost"
        return f"{self.file}: {self.what}{lost}"


@dataclass
class Findings:
    """What reading a file brings to light beside messages.

    Attributes:
        damages: Parts that cannot be read.
        skipped: Messages of channels that nobody asked for, by topic.
        types: Type of each topic.
        passed: Bytes of the file that are read so far, about.
    """

    damages: list[Damage] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    types: dict[str, str] = field(default_factory=dict)
    passed: int = 0


Wanted = Callable[[Channel], bool]


class Reader(Protocol):
    """Reads one file of a bag."""

    def __call__(self, wanted: Wanted, findings: Findings) -> Iterator[list[Batch]]:
        """Yields blocks of messages of the channels that are wanted, in the order of the file."""
        ...
