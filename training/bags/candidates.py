"""Instances from bags, each with what was recorded of it: what the solver is given."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from sobo_planner.solver import Instance
from sobo_training.bags.joint_states import Array
from sobo_training.bags.plans import SOLVED
from sobo_training.bags.worlds import LoggedWorld

#: Kinds of candidates: plans of this package, what was measured, what others commanded, goals that led to no motion.
KINDS = ("plan", "motion", "trajectory", "goal")


@dataclass(frozen=True)
class Filters:
    """What of the bags is used.

    Attributes:
        statuses: Of plans.
        region: Box of tool goals, lower and upper corner (2, 3) [m] in the task's base frame; None: everywhere.
        tool_error: How far from their goal plans and motions may have ended [m]; None: anywhere.
    """

    statuses: tuple[str, ...] = SOLVED
    region: Array | None = None
    tool_error: float | None = None


@dataclass(frozen=True)
class Candidate:
    """An instance from a bag.

    Attributes:
        kind: One of `KINDS`.
        bag: Path of the bag.
        recorded: When [ns].
        instance: Start and target, at the task's pace.
        states: What was recorded, at the task's knots and pace, (T+1, nx); None for a goal without a motion.
        controls: The solver's controls with it, (T, nu), where they belong to this very problem.
        gains: The solver's gains, (T, nu, nx), likewise.
        stretch: How many times longer than the task's motions the recorded one took.
        world: That it was made in; None for an arm without surroundings, or where none was recorded.
    """

    kind: str
    bag: str
    recorded: int
    instance: Instance
    states: Array | None = None
    controls: Array | None = None
    gains: Array | None = None
    stretch: float = 1.0
    world: LoggedWorld | None = None

    @property
    def key(self) -> str:
        """The same for the same recording, whatever file it is in."""
        parts = [self.instance.x0, self.instance.target, *([] if self.states is None else [self.states])]
        content = b"".join(np.round(part, 9).tobytes() for part in parts)
        world = "" if self.world is None else f"{self.world.key} "
        return hashlib.sha256(f"{self.kind} {self.recorded} {world}".encode() + content).hexdigest()


@dataclass
class Found:
    """Candidates, and what gave none: how many of each kind, by cause."""

    candidates: list[Candidate] = field(default_factory=list)
    unused: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})


class UnusedError(Exception):
    """Why something gives no candidate."""
