"""What is to be tried because of a result: more clearance, limits, time or precision, or less time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sobo_planner.planning.attempts import (
    AMONG_CAPPED,
    CAPPED,
    CLEARANCES,
    SHORTENED_CAPPED,
    Attempt,
    Cause,
    Stage,
    Worked,
)
from sobo_planner.planning.judge import Verdict
from sobo_planner.solver import Guess, Precision, Solution
from sobo_planner.tasks.arm.problem import SELF_WEIGHT

#: Where a start is refined again, with position limits as constraints, once its motion has left them.
LIMITS_AFTER = {Stage.FIRST: Stage.LIMITS, Stage.APART: Stage.APART_LIMITS}
# Motions that end further from the goal, as a multiple of what counts as reached, are near another local optimum. More
# weight on the goal takes long to bring them closer: other starts come first.
NEAR_MISS = 2.0
# What does not reach the goal in the time that its way should take gets so much more.
LONGER = 1.25
# A motion is made shorter where its way should take less than this share of its duration. The solver then takes a
# shorter way, which may take even less time; nearly always that ends after two rounds.
TOO_LONG = 0.9
# Among objects motions are made shorter by this factor at most at a time, and by half as much where that fails, as long
# as it gains enough: more after a step that failed.
GRADUALLY = 0.75
LEAST_GAIN = 0.97
LEAST_GAIN_HALVED = 0.93
# One more weight there: motions that graze an object come clear of it.
AMONG_CLEARANCES = (*CLEARANCES, 100 * SELF_WEIGHT)


def follow_ups(attempt: Attempt, solution: Solution, verdict: Verdict) -> list[Attempt]:
    """What is to be tried because of a result.

    Args:
        attempt: What was tried.
        solution: What the solver made of it.
        verdict: The judgement of it.
    """
    if attempt.cause is Cause.NEAR_MISS:
        return []
    if attempt.rest and not solution.converged:
        return _looked_at(attempt, solution, verdict)
    if attempt.cause is Cause.TOO_LONG or (not verdict.reason and verdict.miss < 1):
        return _shortened(attempt, solution, verdict)
    found = [*_within_limits(attempt, verdict), *_apart(attempt, solution, verdict)]
    return found if verdict.reason else [*found, *_nearer(attempt, solution, verdict)]


def _looked_at(attempt: Attempt, solution: Solution, verdict: Verdict) -> list[Attempt]:
    """A motion that has not converged yet is made shorter if it is fit for that, else the solver goes on with it."""
    fit = not verdict.reason and verdict.miss < 1
    shorter = _shortened_among(attempt, solution, verdict, fit)
    return shorter or [_continued(attempt, _reached(solution), attempt.rest)]


def _continued(attempt: Attempt, guess: Guess, rest: int) -> Attempt:
    """The solver goes on with a motion for the rest of its iterations."""
    refinement = replace(attempt.refinement, iterations=rest)
    return replace(attempt, guess=guess, refinement=refinement, cause=Cause.UNFINISHED, rest=0, worked=None)


def _within_limits(attempt: Attempt, verdict: Verdict) -> list[Attempt]:
    """The same start with position limits as constraints, if its motion has left them."""
    refinement, stage = attempt.refinement, attempt.stage
    if not verdict.leaves_limits or refinement.position_limits or stage not in LIMITS_AFTER:
        return []
    within = replace(refinement, position_limits=True, iterations=CAPPED)
    return [replace(attempt, stage=LIMITS_AFTER[stage], refinement=within, cause=Cause.START)]


def _apart(attempt: Attempt, solution: Solution, verdict: Verdict) -> list[Attempt]:
    """A motion that collides, with more weight on what comes near."""
    weights = AMONG_CLEARANCES if attempt.among else CLEARANCES
    more = next((weight for weight in weights if weight > attempt.refinement.clearance), None)
    if not verdict.collides or more is None:
        return []
    apart = replace(attempt.refinement, clearance=more, iterations=AMONG_CAPPED if attempt.among else CAPPED)
    again = replace(attempt, refinement=apart, guess=_reached(solution), cause=Cause.COLLISION)
    if attempt.among and attempt.stage is Stage.FIRST:  # another start takes less time, and succeeds more often
        again = replace(again, stage=Stage.LIMITS, cause=Cause.START)
    return [again]


def _nearer(attempt: Attempt, solution: Solution, verdict: Verdict) -> list[Attempt]:
    """A motion that may be executed but ends short of the goal, with more precision or in more time."""
    if attempt.refinement.precision is not Precision.TASK:
        return []
    reached, found = _reached(solution), []
    precise = replace(attempt, refinement=replace(attempt.refinement, precision=Precision.TERMINAL, iterations=None))
    if attempt.among and attempt.duration is not None and verdict.fitting <= attempt.duration:
        # It has time enough: the weight on what is near holds it off the goal.
        nearer = replace(precise, guess=reached, cause=Cause.TOO_SHORT, longer=0)
        found.append(replace(nearer, refinement=replace(precise.refinement, iterations=CAPPED)))
    if attempt.duration is not None and attempt.longer > 0:
        again = _lasting(attempt, reached, LONGER * attempt.duration, Cause.TOO_SHORT)
        found.append(replace(again, longer=attempt.longer - 1))
    elif verdict.miss <= NEAR_MISS:
        found.append(replace(precise, guess=reached, cause=Cause.NEAR_MISS))
    elif attempt.stage < Stage.GOAL:
        found.append(replace(precise, stage=Stage.GOAL, guess=reached, cause=Cause.START))
    return found


def _shortened(attempt: Attempt, solution: Solution, verdict: Verdict) -> list[Attempt]:
    """What a motion is improved by that is fit to be a plan, if its way should take less time."""
    fit = not verdict.reason and verdict.miss < 1 and solution.converged
    if attempt.among:
        return _shortened_among(attempt, solution, verdict, fit)
    if attempt.duration is None or not fit or verdict.fitting >= TOO_LONG * attempt.duration or not attempt.shorter:
        return []
    shorter = _lasting(attempt, _reached(solution), verdict.fitting, Cause.TOO_LONG)
    return [replace(shorter, shorter=attempt.shorter - 1)]


def _shortened_among(attempt: Attempt, solution: Solution, verdict: Verdict, fit: bool) -> list[Attempt]:
    """The same among objects, step by step; a step that failed is halved. In the end what worked is to converge."""
    if attempt.duration is None or not (fit or attempt.worked):
        return []
    if fit:
        rest = 0 if solution.converged else attempt.rest
        worked = Worked(_reached(solution), attempt.duration, rest)
        duration, enough = max(verdict.fitting, GRADUALLY * attempt.duration), LEAST_GAIN
    else:
        assert attempt.worked is not None
        worked, enough = attempt.worked, LEAST_GAIN_HALVED
        duration = float(np.sqrt(worked.duration * attempt.duration))
    before = replace(attempt, duration=worked.duration)
    if not attempt.shorter or duration >= enough * worked.duration:
        unfinished = not fit and worked.rest > 0
        return [replace(_continued(before, worked.guess, worked.rest), shorter=0)] if unfinished else []
    refinement = replace(attempt.refinement, iterations=SHORTENED_CAPPED)
    shorter = _lasting(before, worked.guess, duration, Cause.TOO_LONG)
    return [replace(shorter, shorter=attempt.shorter - 1, refinement=refinement, rest=0, worked=worked)]


def _lasting(attempt: Attempt, reached: Guess, duration: float, cause: Cause) -> Attempt:
    """The same with another duration [s], from what was reached, which goes as much slower or faster."""
    assert attempt.duration is not None
    X, n = reached.X.copy(), reached.X.shape[1] // 2
    X[1:, n:] *= attempt.duration / duration
    return replace(attempt, guess=Guess(X, reached.U), cause=cause, duration=duration)


def _reached(solution: Solution) -> Guess:
    """A solution as the next start."""
    return Guess(solution.X, solution.U)
