"""States of one arm over time, from joint states by name: in any order, with other joints, in several messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_training.bags.joint_states import Array, Decoder, JointStates
from sobo_training.bags.records import Batch, Times

# Positions beyond a limit by more than this [rad or m] are none that the arm had.
BEYOND = 0.2


@dataclass(frozen=True)
class Track:
    """Positions of all joints of an arm over time.

    Attributes:
        times: When they were recorded [ns], (N,).
        stamps: When they were measured [ns], (N,).
        position: Positions, (N, n).
    """

    times: Times
    stamps: Times
    position: Array

    def __len__(self) -> int:
        return len(self.times)

    def part(self, rows: slice | NDArray[np.bool_]) -> Track:
        """Some of the states."""
        return Track(self.times[rows], self.stamps[rows], self.position[rows])

    @classmethod
    def join(cls, tracks: Sequence[Track]) -> Track:
        """Tracks one after the other."""
        parts = [(each.times, each.stamps, each.position) for each in tracks]
        times, stamps, position = (np.concatenate(each) for each in zip(*parts, strict=True))
        return cls(times, stamps, position)


class ArmStates:
    """Makes tracks of an arm from joint states.

    Args:
        names: Its joints, as the bag names them.
        lower: Lower limits of their positions, (n,).
        upper: Upper limits, (n,).

    Attributes:
        unused: Messages that gave no state, by cause.
    """

    def __init__(self, names: Sequence[str], lower: Array, upper: Array) -> None:
        self._names, self._lower, self._upper = tuple(names), lower - BEYOND, upper + BEYOND
        self._decoder = Decoder()
        self._latest = np.full(len(self._names), np.nan)  # for arms whose joints come in several messages
        self._fresh = np.zeros(len(self._names), bool)
        self.unused: Counter[str] = Counter()
        self.seen: set[str] = set()

    def read(self, batch: Batch) -> Track | None:
        """The states that a batch of messages gives, in their order; None without any."""
        found = list(self._decoder.decode(batch.payloads))
        self.unused["cannot be decoded"] += len(batch.payloads) - sum(len(each.rows) for each in found)
        parts, partial = [], []
        for each in found:
            self.seen.update(each.names)
            have = [name in each.names for name in self._names]
            if all(have):
                order = [each.names.index(name) for name in self._names]
                parts.append((each.rows, each.stamps, each.position[:, order]))
            elif any(have):
                partial.append(each)
            else:
                self.unused["no joint of the arm"] += len(each.rows)
        if partial:
            parts.append(self._merge(partial))
        if not parts:
            return None
        rows, stamps, position = (np.concatenate(each) for each in zip(*parts, strict=True))
        if not len(rows):
            return None
        sequence = np.argsort(rows, kind="stable")
        rows, stamps, position = rows[sequence], stamps[sequence], position[sequence]
        times = batch.times[rows]
        stamps = np.where(stamps > 0, stamps, times)  # a missing stamp is 0
        return self._sound(Track(times, stamps, position))

    def _sound(self, track: Track) -> Track:
        finite = np.isfinite(track.position).all(axis=1)
        with np.errstate(invalid="ignore"):
            inside = np.all((track.position >= self._lower) & (track.position <= self._upper), axis=1)
        self.unused["a position is not finite"] += int((~finite).sum())
        self.unused["a joint is beyond its limits"] += int((finite & ~inside).sum())
        return track if inside.all() else track.part(inside)

    def _merge(self, found: list[JointStates]) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """One state whenever every joint has come in since the state before."""
        columns = []
        for each in found:
            pairs = [(own, each.names.index(name)) for own, name in enumerate(self._names) if name in each.names]
            columns.append(tuple(np.array(pairs).T))
        messages = sorted((row, kind, i) for kind, each in enumerate(found) for i, row in enumerate(each.rows))
        rows, stamps, positions = [], [], []
        for row, kind, i in messages:
            own, theirs = columns[kind]
            self._latest[own] = found[kind].position[i, theirs]
            self._fresh[own] = True
            if self._fresh.all():
                rows.append(row)
                stamps.append(found[kind].stamps[i])
                positions.append(self._latest.copy())
                self._fresh[:] = False
            else:
                self.unused["a part of the arm's joints, merged with the others"] += 1
        shape = (len(positions), len(self._names))
        return np.array(rows, np.int64), np.array(stamps, np.int64), np.array(positions, float).reshape(shape)
