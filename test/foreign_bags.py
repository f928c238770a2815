"""Reading of bags that others recorded, for tests: a UR5 that moves three times, and what is read of its bags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import logged_bags as logged
import numpy as np
import pytest

from sobo_planner.tasks import ArmReach
from sobo_training.bags.candidates import Candidate, Filters, Found
from sobo_training.bags.contents import Contents
from sobo_training.bags.conversion import BagOptions, survey
from sobo_training.bags.selection import Selection
from sobo_training.bags.topics import Names
from sobo_training.bags.usable import TimeRange

RATE = 100.0
MOVES = ([0.5, 0.2, -0.3, 0.2, 0.1, 0.0], [-0.5, 0.3, -0.3, 0.2, 0.1, 0.3], [0.1, 0.0, 0.2, -0.2, 0.3, 0.0])
DURATIONS = [1.0, 2.0, 1.5]
PAUSE = 0.5


def rests(home: np.ndarray) -> list[np.ndarray]:
    """Where the arm rests."""
    return [home, *(home + np.array(move) for move in MOVES)]


def moved(stops: list[np.ndarray]) -> np.ndarray:
    """Three motions with pauses between."""
    return logged.path(stops, DURATIONS, PAUSE, RATE)


class Read:
    """What was read of bags: contents, candidates and what gave none."""

    def __init__(self, task: ArmReach, paths: Sequence[Path], filters: Filters, options: BagOptions) -> None:
        selection, self.bags = Selection(task, filters), list[Contents]()
        for contents in survey(paths, task, options, progress=False):
            selection.add(contents)
            self.bags.append(contents)
        self.found: Found = selection.found

    @property
    def candidates(self) -> list[Candidate]:
        """The instances."""
        return self.found.candidates

    @property
    def damages(self) -> str:
        """All damages, as text."""
        return "\n".join(str(damage) for bag in self.bags for damage in bag.damages)

    def uses(self, topic: str = "/joint_states") -> dict[str, int]:
        """What became of a topic's messages."""
        return {what: count for bag in self.bags for what, count in bag.uses.get(topic, {}).items() if count}


ReadBags = Callable[..., Read]


def reader(task: ArmReach) -> ReadBags:
    """Reads bags, and checks that every message is accounted for."""

    def run(
        *paths: Path, filters: Filters | None = None, times: TimeRange | None = None, names: Names | None = None
    ) -> Read:
        options = BagOptions(names or Names(), times or TimeRange())
        found = Read(task, paths, filters or Filters(), options)
        for bag in found.bags:
            assert {topic: sum(uses.values()) for topic, uses in bag.uses.items()} == dict(bag.totals)
        return found

    return run


def check_motions(found: Read, stops: list[np.ndarray], which: Sequence[int] = (0, 1, 2)) -> None:
    """The instances are these of the three motions."""
    assert [each.kind for each in found.candidates] == ["motion"] * len(which)
    for candidate, i in zip(found.candidates, which, strict=True):
        assert candidate.states is not None
        assert np.abs(candidate.instance.x0 - [*stops[i], *np.zeros(6)]).max() < 3e-3
        assert np.abs(candidate.states[-1, :6] - stops[i + 1]).max() < 3e-3
        # at the task's pace, two seconds; the motion includes a tenth of a second of rest at either end
        assert candidate.stretch == pytest.approx((DURATIONS[i] + 0.1) / 2.0, abs=0.06)
