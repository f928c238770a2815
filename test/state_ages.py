"""How old the joint states were behind what a planner published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sensor_msgs.msg import JointState

STALE = 0.1  # [s] that a trajectory may leave after the last state has become too old: it is checked, then written
GRAIN = 10**7  # [ns] between two states that are remembered

Stamp = tuple[int, int]


class StateAges:
    """When joint states and trajectories were published [ns]. Only states count that can be used."""

    def __init__(self) -> None:
        self._states: list[int] = []
        self._trajectories: dict[Stamp, int] = {}

    def state(self, message: JointState, names: Sequence[str], published: int) -> None:
        """Takes note of a joint state of an arm with these joints."""
        if (not self._states or published - self._states[-1] > GRAIN) and usable(message, names):
            self._states.append(published)

    def trajectory(self, stamp: Stamp, published: int) -> None:
        """Takes note of a trajectory."""
        self._trajectories[stamp] = published

    def excuse(self, stamp: Stamp) -> None:
        """That trajectory needs no state."""
        self._trajectories.pop(stamp, None)

    def faults(self, timeout: float) -> Iterator[str]:
        """No trajectory without a state shortly before: compared at the end, for messages overtake each other."""
        states = np.sort(np.array(self._states, dtype=np.int64))
        allowed = timeout + STALE + GRAIN * 1e-9
        for published in self._trajectories.values():
            before = int(np.searchsorted(states, published, side="right"))
            age = (published - states[before - 1]) * 1e-9 if before else np.inf
            if not age <= allowed:
                yield (
                    f"trajectory published at {published}: "
                    f"{age:.3f} s after the last joint state, allowed are {allowed:.3f} s"
                )


def usable(message: JointState, wanted: Sequence[str]) -> bool:
    """Whether a joint state says where every joint is."""
    columns = [column for column in (message.position, message.velocity) if len(column)]
    if not len(message.position) or any(len(column) != len(message.name) for column in columns):
        return False
    names = list(message.name)
    if any(names.count(name) != 1 for name in wanted):
        return False
    return all(np.isfinite([column[names.index(name)] for name in wanted]).all() for column in columns)
