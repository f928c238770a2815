"""Which starts are refined how, in which order, and what follows from each result."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import count

import numpy as np
from numpy.typing import NDArray

from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.starters import GLOBAL, GRAVITY, Proposal
from sobo_planner.solver import Guess, Precision, Refinement, Solution
from sobo_planner.tasks.arm.problem import SELF_WEIGHT

Array = NDArray[np.float64]

# Iterations after which a start is given up for the next one: nearly all need fewer, the rest may need hundreds.
CAPPED = 60
# Weights on links that come near each other, in the order in which motions that collide are refined with them.
CLEARANCES = (SELF_WEIGHT, 10 * SELF_WEIGHT)
# Motions that end further from the goal, as a multiple of what counts as reached, are near another local optimum. More
# weight on the goal takes long to bring them closer: other starts come first.
NEAR_MISS = 2.0
# What does not reach the goal in the time that its way should take gets so much more, so many times at most: 2.4 times.
LONGER = 1.25
LENGTHENINGS = 4
# A motion is made shorter where its way should take less than this share of its duration. The solver then takes a
# shorter way, which may take even less time; nearly always that ends after two rounds.
TOO_LONG = 0.9
SHORTENINGS = 4
# Among objects motions are made shorter by this factor at most at a time, and by half as much where that fails, as long
# as it gains enough: more after a step that failed. So many iterations are enough for it, for more weight on what comes
# near, and for a policy's way: good ones need few.
GRADUALLY = 0.75
LEAST_GAIN = 0.97
LEAST_GAIN_HALVED = 0.93
AMONG_CAPPED = 30
# One more weight there: motions that graze an object come clear of it.
AMONG_CLEARANCES = (*CLEARANCES, 100 * SELF_WEIGHT)
# Joint positions [rad] by which two solutions may differ and still be one local optimum: the solver ends before they
# agree.
SAME = 0.02


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


#: Where a start is refined again, with position limits as constraints, once its motion has left them.
LIMITS_AFTER = {Stage.FIRST: Stage.LIMITS, Stage.APART: Stage.APART_LIMITS}


class Cause(IntEnum):
    """Why an attempt is made."""

    START = 0  # its start is to be tried
    COLLISION = 1  # the motion before collides: it is refined at once, with links kept further apart
    NEAR_MISS = 2  # the motion before may be executed, but ends just short of the goal: it is improved if possible
    TOO_SHORT = 3  # the motion before ends short of the goal: it is refined at once, in more time
    TOO_LONG = 4  # the motion before takes longer than its way should: it is improved if possible


#: Attempts to improve on a motion that may be executed.
IMPROVING = (Cause.NEAR_MISS, Cause.TOO_LONG)


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
        worked: The motion that this one is to improve by being shorter, and its duration [s]; among objects alone.
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
    worked: tuple[Guess, float] | None = None
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

    def pop(self) -> Attempt | None:
        """Takes the next attempt; None when there is none."""
        return heapq.heappop(self._heap)[-1] if self._heap else None

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
    return [replace(each, among=among) for each in first + full]


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
    among = clearance > 0.0
    if not collided:
        refinement = Refinement(clearance=clearance, iterations=CAPPED)
        return [replace(_attempt(Stage.ALTERNATIVE, refinement, each), among=among) for each in proposals]
    refinement = Refinement(clearance=max(CLEARANCES[0], clearance), iterations=CAPPED)
    postures = sorted((each for each in proposals if each.source != GRAVITY), key=rank)
    return [replace(_attempt(Stage.APART, refinement, each), among=among) for each in postures]


def last_attempts(proposals: Sequence[Proposal], collided: bool) -> list[Attempt]:
    """The attempts with starts of the last resort; links are kept apart where a motion has collided."""
    refinement = Refinement(clearance=CLEARANCES[0] if collided else 0.0)
    return [_attempt(Stage.SAMPLED, refinement, each) for each in proposals]


def follow_ups(attempt: Attempt, solution: Solution, verdict: Verdict) -> list[Attempt]:
    """What is to be tried because of a result.

    Args:
        attempt: What was tried.
        solution: What the solver made of it.
        verdict: The judgement of it.
    """
    if attempt.cause is Cause.NEAR_MISS:
        return []
    if attempt.cause is Cause.TOO_LONG:
        return _shortened(attempt, solution, verdict)
    refinement, stage, found = attempt.refinement, attempt.stage, []
    reached = Guess(solution.X, solution.U)
    if verdict.leaves_limits and not refinement.position_limits and stage in LIMITS_AFTER:
        within = replace(refinement, position_limits=True, iterations=CAPPED)
        found.append(replace(attempt, stage=LIMITS_AFTER[stage], refinement=within, cause=Cause.START))
    weights = AMONG_CLEARANCES if attempt.among else CLEARANCES
    more = next((weight for weight in weights if weight > refinement.clearance), None)
    if verdict.collides and more is not None:
        apart = replace(refinement, clearance=more, iterations=AMONG_CAPPED if attempt.among else CAPPED)
        again = replace(attempt, refinement=apart, guess=reached, cause=Cause.COLLISION)
        if attempt.among and attempt.source != GLOBAL and stage is Stage.FIRST:  # a start that is free comes first
            again = replace(again, stage=Stage.LIMITS, cause=Cause.START)
        found.append(again)
    if verdict.reason:
        return found
    if verdict.miss < 1:
        return _shortened(attempt, solution, verdict)
    if refinement.precision is not Precision.TASK:
        return found
    precise = replace(attempt, refinement=replace(refinement, precision=Precision.TERMINAL, iterations=None))
    if attempt.among and attempt.duration is not None and verdict.fitting <= attempt.duration:
        # It has time enough: the weight on what is near holds it off the goal.
        nearer = replace(precise, guess=reached, cause=Cause.TOO_SHORT, longer=0)
        found.append(replace(nearer, refinement=replace(precise.refinement, iterations=CAPPED)))
    if attempt.duration is not None and attempt.longer > 0:
        again = _lasting(attempt, reached, LONGER * attempt.duration, Cause.TOO_SHORT)
        found.append(replace(again, longer=attempt.longer - 1))
    elif verdict.miss <= NEAR_MISS:
        found.append(replace(precise, guess=reached, cause=Cause.NEAR_MISS))
    elif stage < Stage.GOAL:
        found.append(replace(precise, stage=Stage.GOAL, guess=reached, cause=Cause.START))
    return found


def _shortened(attempt: Attempt, solution: Solution, verdict: Verdict) -> list[Attempt]:
    """What a motion is improved by that is fit to be a plan, if its way should take less time."""
    fit = not verdict.reason and verdict.miss < 1 and solution.converged
    if attempt.among:
        return _shortened_among(attempt, solution, verdict, fit)
    if attempt.duration is None or not fit or verdict.fitting >= TOO_LONG * attempt.duration or not attempt.shorter:
        return []
    shorter = _lasting(attempt, Guess(solution.X, solution.U), verdict.fitting, Cause.TOO_LONG)
    return [replace(shorter, shorter=attempt.shorter - 1)]


def _shortened_among(attempt: Attempt, solution: Solution, verdict: Verdict, fit: bool) -> list[Attempt]:
    """The same among objects, step by step; a step that failed is halved."""
    if attempt.duration is None or not attempt.shorter:
        return []
    refinement = replace(attempt.refinement, iterations=AMONG_CAPPED)
    if fit:
        reached = Guess(solution.X, solution.U)
        duration, enough = max(verdict.fitting, GRADUALLY * attempt.duration), LEAST_GAIN
        worked = (reached, attempt.duration)
    elif attempt.worked is not None:
        reached, before = worked = attempt.worked
        duration, enough = float(np.sqrt(before * attempt.duration)), LEAST_GAIN_HALVED
        attempt = replace(attempt, duration=before)
    else:
        return []
    assert attempt.duration is not None
    if duration >= enough * attempt.duration:
        return []
    shorter = _lasting(attempt, reached, duration, Cause.TOO_LONG)
    return [replace(shorter, shorter=attempt.shorter - 1, refinement=refinement, worked=worked)]


def _lasting(attempt: Attempt, reached: Guess, duration: float, cause: Cause) -> Attempt:
    """The same with another duration [s], from what was reached, which goes as much slower or faster."""
    assert attempt.duration is not None
    X, n = reached.X.copy(), reached.X.shape[1] // 2
    X[1:, n:] *= attempt.duration / duration
    return replace(attempt, guess=Guess(X, reached.U), cause=cause, duration=duration)


class KnownMotions:
    """The local optima that attempts have converged to. The same refinement would not lead on from there."""

    def __init__(self) -> None:
        self._known: list[tuple[tuple[Refinement, float | None], Array]] = []

    def add(self, refinement: Refinement, X: Array, duration: float | None = None) -> bool:
        """Adds a motion X (T+1, nx).

        Returns whether it was not known for this refinement, whatever its iterations, and duration.
        """
        Q, problem = X[:, : X.shape[1] // 2], (refinement.problem, duration)
        if any(problem == other and np.abs(Q - known).max() <= SAME for other, known in self._known):
            return False
        self._known.append((problem, Q))
        return True
