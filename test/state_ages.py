"""How old the joint states were behind what a planner published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sensor_msgs.msg import JointState

STALE = 0.1  # [s] that a trajectory may leave after the last state has become too old: it is checked, then written
GRAIN = 10**7  # [ns] between two states that are remembered
AHEAD = 10**9  # [ns] that a stamp may be ahead of its publication: more is not believed by any planner here

Stamp = tuple[int, int]


class Losses:
    """When messages of a topic were sent that did not arrive, as their numbers tell."""

    def __init__(self) -> None:
        self._last: dict[bytes, tuple[int, int]] = {}
        self._spans: list[tuple[int, int]] = []

    def heard(self, publisher: bytes, number: int | None, published: int) -> None:
        """Records a message: which one of its publisher's it is, if that is known, and when it was sent [ns]."""
        if number is None:
            return
        last = self._last.get(publisher)
        if last is not None and number > last[0] + 1:
            self._spans.append((last[1], published))
        self._last[publisher] = number, published

    def within(self, begin: float, end: float) -> bool:
        """Whether a message that was lost may have been sent in that time [ns]."""
        return any(first < end and last > begin for first, last in self._spans)


class StateAges:
    """When joint states were measured and trajectories published [ns]. Only what can be used of a state counts."""

    def __init__(self) -> None:
        self.losses = Losses()
        self._measured: dict[str, int] = {}
        self._states: list[tuple[int, int]] = []  # when it was published, when the oldest joint was measured
        self._trajectories: dict[Stamp, int] = {}
        self._excused: set[Stamp] = set()
        self._told: dict[Stamp, tuple[str, float | None]] = {}

    def state(self, message: JointState, names: Sequence[str], published: int, wall_clock: bool = True) -> None:
        """Records a joint state of an arm with these joints."""
        stamp = message.header.stamp
        measured = stamp.sec * 10**9 + stamp.nanosec if wall_clock else 0
        if measured > published + AHEAD:
            return
        for name in usable(message, names) or ():
            self._measured[name] = max(self._measured.get(name, 0), min(measured or published, published))
        if len(self._measured) < len(names):
            return
        oldest = min(self._measured.values())
        if not self._states or oldest - self._states[-1][1] > GRAIN:
            self._states.append((published, oldest))

    def trajectory(self, stamp: Stamp, published: int) -> None:
        """Records a trajectory."""
        self._trajectories[stamp] = published

    def excuse(self, stamp: Stamp) -> None:
        """That trajectory needs no state."""
        self._excused.add(stamp)  # its report may come before itself

    def told(self, stamp: Stamp, status: str, age: float | None) -> None:
        """What the planner says of that trajectory: its status, and the age of the state that it was made from [s]."""
        self._told[stamp] = status, age

    def faults(self, timeout: float) -> Iterator[str]:
        """No trajectory without a state shortly before: compared at the end, for messages overtake each other.

        On a busy computer a test loses states that the planner gets: what the planner says of the state that it used
        counts, too. Where its report is lost as well, nothing is known of that trajectory.
        """
        states = np.array(sorted(self._states), dtype=np.int64).reshape(-1, 2)
        allowed = timeout + STALE + GRAIN * 1e-9
        for stamp, published in self._trajectories.items():
            if stamp in self._excused:
                continue
            before = int(np.searchsorted(states[:, 0], published, side="right"))
            age = (published - states[:before, 1].max()) * 1e-9 if before else np.inf
            status, told = self._told.get(stamp, ("nothing", None))
            if told is None and self.losses.within(published - allowed * 1e9, published):
                continue
            if not age <= allowed and not (told is not None and told <= allowed):
                around = ((published - states[max(before - 3, 0) : before + 3]) * 1e-9).round(3).tolist()
                yield (
                    f"trajectory published at {published}: "
                    f"{age:.3f} s after the last joint state, allowed are {allowed:.3f} s; states around it were "
                    f"published and measured {around} s before; the planner says: {status}, from a state of {told} s"
                )


def usable(message: JointState, wanted: Sequence[str]) -> list[str] | None:
    """The joints that a joint state tells the position of; None if it is malformed."""
    names = list(message.name)
    ours = [name for name in wanted if name in names]
    if not ours:
        return []
    columns = [message.position, *([message.velocity] if len(message.velocity) else [])]
    if any(len(column) != len(names) for column in columns) or any(names.count(name) != 1 for name in ours):
        return None
    positions, *velocities = ([column[names.index(name)] for name in ours] for column in columns)
    good = np.isfinite(positions).all() and not np.isinf(velocities).any()
    return ours if good else None
