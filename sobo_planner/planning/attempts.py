"""Which starts are refined how, and in which order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import count

from sobo_planner.planning.proposals import GLOBAL, GRAVITY, Proposal
from sobo_planner.solver import Guess, Refinement
from sobo_planner.tasks.arm.problem import SELF_WEIGHT

# Iterations after which a start is given up for the next one: nearly all need fewer, the rest may need hundreds.
CAPPED = 60
# Weights on links that come near each other, in the order in which motions that collide are refined with them.
CLEARANCES = (SELF_WEIGHT, 10 * SELF_WEIGHT)
# A motion is made longer, and shorter, so many times at most: 2.4 times as long at most.
LENGTHENINGS = 4
SHORTENINGS = 4
# So many iterations are enough among objects for more weight on what comes near and for a policy's way, and so many
# for a motion that is made shorter: good ones need few.
AMONG_CAPPED = 30
SHORTENED_CAPPED = 25
# A way past objects is looked at after so many iterations: where it is to be made shorter anyway, it need not converge.
FIRST_LOOK = 6


class Stage(IntEnum):
    """When an attempt has its turn: all of one stage before those of the next."""

    FIRST = 0  # the policy's rollout and the interpolation, with a cap on iterations
    LIMITS = 1  # those whose motions left the position limits, with these as constraints, which takes long
    ALTERNATIVE = 2  # gravity and other postures, where no motion has collided
    APART = 3  # other postures, with links kept apart, where one has
    APART_LIMITS = 4  # those of them that left the position limits
    GOAL = 5  # motions that ended far from the goal, with more weight on it
    SAMPLED = 6  # a motion found by sampling, where nothing has reached the goal
    FULL = 7  # the first starts again, without the cap


class Cause(IntEnum):
    """Why an attempt is made."""

    START = 0  # its start is to be tried
    COLLISION = 1  # the motion before collides: it is refined at once, with links kept further apart
    NEAR_MISS = 2  # the motion before may be executed, but ends just short of the goal: it is improved if possible
    TOO_SHORT = 3  # the motion before ends short of the goal: it is refined at once, in more time
    TOO_LONG = 4  # the motion before takes longer than its way should: it is improved if possible
    UNFINISHED = 5  # it was looked at before the solver had converged: that goes on at once


#: Attempts to improve on a motion that may be executed.
IMPROVING = (Cause.NEAR_MISS, Cause.TOO_LONG)


@dataclass(frozen=True)
class Worked:
    """A motion among objects that was fit to be a plan.

    Attributes:
        guess: The motion.
        duration: Its duration [s].
        rest: Iterations that the solver has left for it; 0 where it has converged.
    """

    guess: Guess
    duration: float
    rest: int = 0


@dataclass(frozen=True)
class Attempt:
    """A start, and how it is refined.

    Attributes:
        stage: When.
        refinement: How.
        source: Where the start comes from.
        guess: The start.
        cause: Why.
        duration: Of the motion [s]; None: the task's.
        longer: How often it may be made longer.
        shorter: How often it may be made shorter.
        among: Whether it is among objects.
        rest: Iterations that are left after the refinement's, if it has not converged by then.
        worked: The motion that this one is to improve by being shorter; among objects alone.
        proposal: What it all began with.
    """

    stage: Stage
    refinement: Refinement
    source: str
    guess: Guess
    cause: Cause = Cause.START
    duration: float | None = None
    longer: int = 0
    shorter: int = 0
    among: bool = False
    rest: int = 0
    worked: Worked | None = None
    proposal: Proposal | None = None


class Queue:
    """Attempts that wait: what follows at once from a result first, then stage by stage in the order of adding."""

    def __init__(self, attempts: Iterable[Attempt] = ()) -> None:
        self._heap: list[tuple[bool, Stage, int, Attempt]] = []
        self._numbers = count()
        self.add(attempts)

    def add(self, attempts: Iterable[Attempt]) -> None:
        """Adds attempts."""
        for attempt in attempts:
            later = attempt.cause is Cause.START
            heapq.heappush(self._heap, (later, attempt.stage, next(self._numbers), attempt))

    def drop_follow_ups(self) -> None:
        """Drops what was to follow at once from earlier results."""
        self._heap = [entry for entry in self._heap if entry[-1].cause is Cause.START]
        heapq.heapify(self._heap)

    def pop(self) -> Attempt | None:
        """Takes the next attempt; None when there is none."""
        return heapq.heappop(self._heap)[-1] if self._heap else None

    def holds_before(self, stage: Stage) -> bool:
        """Whether an attempt of an earlier stage waits."""
        return any(entry[-1].stage < stage for entry in self._heap)

    @property
    def waiting(self) -> list[Attempt]:
        """All attempts, in their order."""
        return [entry[-1] for entry in sorted(self._heap)]


def first_attempts(proposals: Sequence[Proposal], clearance: float = 0.0) -> list[Attempt]:
    """The attempts that planning begins with: the cheapest proposal first, and all again at the very end.

    Args:
        proposals: The starts.
        clearance: Weight of the cost on links that come near each other or an object.
    """
    ordered = sorted(proposals, key=lambda proposal: proposal.cost)
    among = clearance > 0.0
    caps = [AMONG_CAPPED if among and each.in_cell else CAPPED for each in ordered]
    first = [
        _attempt(Stage.FIRST, Refinement(clearance=clearance, iterations=cap), each)
        for cap, each in zip(caps, ordered, strict=True)
    ]
    full = [
        _attempt(Stage.FULL, Refinement(position_limits=limits, clearance=clearance), each)
        for each in ordered
        for limits in (False, True)
    ]
    return (
        [*(_start_among(each) for each in first), *(replace(each, among=True) for each in full)]
        if among
        else first + full
    )


def _start_among(attempt: Attempt) -> Attempt:
    """An attempt of a start among objects: ways past these are looked at first."""
    cap = attempt.refinement.iterations
    if attempt.source != GLOBAL or cap is None:
        return replace(attempt, among=True)
    refinement = replace(attempt.refinement, iterations=FIRST_LOOK)
    return replace(attempt, among=True, refinement=refinement, rest=cap - FIRST_LOOK)


def _attempt(stage: Stage, refinement: Refinement, proposal: Proposal) -> Attempt:
    """An attempt with a proposal, which may be made longer if its duration was not asked for."""
    if proposal.duration is None:
        return Attempt(stage, refinement, proposal.source, proposal.guess, proposal=proposal)
    return Attempt(
        stage,
        refinement,
        proposal.source,
        proposal.guess,
        duration=proposal.duration,
        longer=LENGTHENINGS,
        shorter=SHORTENINGS,
        proposal=proposal,
    )


def alternative_attempts(
    proposals: Sequence[Proposal],
    collided: bool,
    rank: Callable[[Proposal], tuple[bool, float]],
    clearance: float = 0.0,
) -> list[Attempt]:
    """The attempts with other starts.

    Args:
        proposals: The other starts, most promising first.
        collided: Whether a motion has collided. Links are kept apart then, and the order is that of `rank`; to hold
            still against gravity would keep no links apart.
        rank: Whether a proposal collides, and its cost: the solver does not take links past each other.
        clearance: See `first_attempts`.
    """
    if collided:
        stage, weight = Stage.APART, max(CLEARANCES[0], clearance)
        proposals = sorted((each for each in proposals if each.source != GRAVITY), key=rank)
    else:
        stage, weight = Stage.ALTERNATIVE, clearance
    refinement = Refinement(clearance=weight, iterations=CAPPED)
    attempts = [_attempt(stage, refinement, each) for each in proposals]
    return [_start_among(each) for each in attempts] if clearance > 0.0 else attempts


def last_attempts(proposals: Sequence[Proposal], collided: bool) -> list[Attempt]:
    """The attempts with starts of the last resort; links are kept apart where a motion has collided."""
    refinement = Refinement(clearance=CLEARANCES[0] if collided else 0.0)
    return [_attempt(Stage.SAMPLED, refinement, each) for each in proposals]
