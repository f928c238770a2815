"""What a search has taken, what its attempts have brought, and its result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sobo_planner.errors import DeadlineError, PlanInterruptedError, PlanningError, PlanRefusedError
from sobo_planner.planning.attempts import Attempt, Cause
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.proposals import Proposal
from sobo_planner.solver import Budget, Instance, Solution
from sobo_planner.tasks import ArmReach


@dataclass
class Account:
    """What a search has taken.

    Attributes:
        iterations: Solver iterations, over all attempts.
        seconds: Wall time of each phase [s].
    """

    iterations: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"policy": 0.0, "start": 0.0, "refine": 0.0})

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Accounts for the time within."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - began


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Attributes:
        solution: What may be executed.
        source: Where its start came from.
        account: What it has taken.
        duration: Of the motion [s]; None: the task's.
        proposal: The start itself.
    """

    solution: Solution
    source: str
    account: Account
    duration: float | None = None
    proposal: Proposal | None = None


@dataclass
class Record:
    """What the attempts of one search have taken and brought.

    Attributes:
        account: What they have taken.
        best: The best motion that may be executed, the attempt that found it, and its rank: smaller is better.
        reasons: Why other motions may not be executed.
        refused: Why the checker refused a motion, the first one that it did; empty while it has refused none.
        collided: Whether it refused one because links touch each other or an object.
    """

    account: Account = field(default_factory=Account)
    best: tuple[tuple[bool, bool, float], Solution, Attempt] | None = None
    reasons: list[str] = field(default_factory=list)
    refused: str = ""
    collided: bool = False

    def take(self, attempt: Attempt, solution: Solution, verdict: Verdict, follow: set[Cause]) -> bool:
        """Records a result.

        Args:
            attempt: What was tried.
            solution: What the solver made of it.
            verdict: The judgement of it.
            follow: Causes of the attempts that follow from it.

        Returns:
            Whether the search is over: it converged and reaches the goal, and what follows would not improve it; or it
            was to be an improvement of one that did, and cannot be improved itself.
        """
        if attempt.cause is Cause.TOO_LONG:
            if not verdict.reason and verdict.miss < 1 and solution.converged:
                self.best = (False, False, verdict.miss), solution, attempt
            return not follow & {Cause.TOO_LONG, Cause.UNFINISHED}
        if Cause.UNFINISHED in follow:
            return False
        if verdict.violation is not None and attempt.cause is not Cause.NEAR_MISS:
            self.refused = self.refused or f"{attempt.source}: {verdict.reason}"
            self.collided |= verdict.collides
        if verdict.reason:
            if Cause.COLLISION not in follow:
                self.reasons.append(f"{attempt.source}: {verdict.reason}")
            return False
        rank = (verdict.miss >= 1, not solution.converged, verdict.miss)
        if self.best is None or rank < self.best[0]:
            self.best = rank, solution, attempt
        return rank[:2] == (False, False) and Cause.TOO_LONG not in follow

    @property
    def reaches_nothing(self) -> bool:
        """Whether no motion that may be executed ends at the goal."""
        return self.best is None or self._misses

    @property
    def _misses(self) -> bool:
        """Whether the best motion ends too far from the goal."""
        return self.best is not None and self.best[0][0]

    def result(self, task: ArmReach, instance: Instance, budget: Budget, late: bool) -> Found:
        """The best motion.

        Args:
            task: The task.
            instance: What was searched for.
            budget: What the search was given.
            late: Whether it ended because the time has passed.

        Raises:
            PlanningError: See `Search.run`.
        """
        if budget.interrupted:
            raise PlanInterruptedError("planning was interrupted")
        reasons = list(self.reasons)
        if self.best is not None:
            _, solution, attempt = self.best
            if not (self._misses and self.refused):
                return Found(solution, attempt.source, self.account, attempt.duration, attempt.proposal)
            # A motion that misses the goal does not stand in for one that the checker refused.
            miss = task.final_error(solution.X, instance.target)
            reasons.append(f"{attempt.source}: ends {miss:.3f} m from the goal")
        if self.refused:  # the refusal first: what was tried after it may have failed for other reasons
            tried = "; ".join([self.refused, *reasons])
            raise PlanRefusedError(f"no start led to a plan within the limits ({tried})")
        if late:
            tried = f" ({'; '.join(reasons)})" if reasons else ""
            raise DeadlineError(f"no plan was found within the deadline of {budget.limit:g} s{tried}; allow more time")
        raise PlanningError(f"no start led to a plan within the limits ({'; '.join(reasons) or 'no start was found'})")
