"""The messages of a batch that can be used: those in a time range, unpacked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_training.bags.packing import ZSTD, unpack_zstd
from sobo_training.bags.records import SECOND, Batch, Times

# Times of this size [s] and more are UNIX times; smaller ones count from the beginning of a bag.
UNIX_TIME = 1e9
OUTSIDE = "outside of the time range"
# No message is larger [bytes].
LARGEST = 1 << 28


@dataclass(frozen=True)
class TimeRange:
    """The part of a bag that is read: begin and end [s], since the bag's beginning or in UNIX time; None: all."""

    begin: float | None = None
    end: float | None = None

    def holds(self, times: Times, first: int) -> NDArray[np.bool_]:
        """Whether times [ns] are inside; `first` is that of the bag's beginning."""

        def bound(value: float) -> float:
            return value * SECOND if value >= UNIX_TIME else first + value * SECOND

        inside = np.ones(len(times), bool)
        if self.begin is not None:
            inside &= times >= bound(self.begin)
        if self.end is not None:
            inside &= times <= bound(self.end)
        return inside


class Usable:
    """Leaves messages out.

    Args:
        time_range: What to read.
        use: Told of each topic what its messages were left out for, and how many.
    """

    def __init__(self, time_range: TimeRange, use: Callable[[str, str, int], None]) -> None:
        self._range, self._use = time_range, use

    def of(self, batch: Batch, first: int) -> Batch:
        """The usable messages of a batch of a bag that begins at a time [ns]."""
        return self._plain(self._within(batch, first))

    def _within(self, batch: Batch, first: int) -> Batch:
        inside = self._range.holds(batch.times, first)
        if inside.all():
            return batch
        self._use(batch.channel.topic, OUTSIDE, int((~inside).sum()))
        payloads = [payload for payload, kept in zip(batch.payloads, inside, strict=True) if kept]
        return Batch(batch.channel, batch.times[inside], payloads)

    def _plain(self, batch: Batch) -> Batch:
        """Without messages that cannot be decoded in any case; those that were compressed one by one unpacked."""
        if batch.channel.encoding != "cdr":
            self._use(batch.channel.topic, f"serialised as {batch.channel.encoding!r}", len(batch.payloads))
            return Batch(batch.channel, batch.times[:0], [])
        if not any(payload[:4] == ZSTD for payload in batch.payloads):
            return batch
        times, payloads = [], []
        for time, payload in zip(batch.times, batch.payloads, strict=True):
            try:
                payloads.append(unpack_zstd(bytes(payload), LARGEST) if payload[:4] == ZSTD else payload)
                times.append(time)
            except Exception:  # the library's own
                self._use(batch.channel.topic, "cannot be decompressed", 1)
        return Batch(batch.channel, np.array(times, np.int64), payloads)
