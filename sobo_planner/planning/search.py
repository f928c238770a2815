"""The search for a plan: a loop over a queue of attempts.

What follows from a result joins the queue:

    starters --> proposals --> queue of attempts --> ProxDDP --> judge --> best so far
                                      ^                            |
                                      +--------- follow-ups <------+
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from sobo_planner.errors import DeadlineError, PlanInterruptedError, PlanningError, PlanRefusedError
from sobo_planner.planning.attempts import (
    IMPROVING,
    Attempt,
    Cause,
    KnownMotions,
    Queue,
    Stage,
    alternative_attempts,
    first_attempts,
    follow_ups,
    last_attempts,
)
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.mending import is_free
from sobo_planner.planning.starters import Proposal, Starter
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance, Interrupt, Refinement, Solution, WorkEstimate
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.problem import AMONG_WEIGHT

# Depth [m] to which policies' ways may lie in objects for no way round these to be searched for at first: the solver
# leads them out.
GRAZING = 0.02


class RefiningSolver(Protocol):
    """What solves one refinement of the task: a `Solver`."""

    @property
    def shortest_solve(self) -> float:
        """See `Solver.shortest_solve`."""
        ...

    def solve(
        self, instance: Instance, guess: Guess, time_limit: float | None = None, interrupt: Interrupt | None = None
    ) -> Solution:
        """See `Solver.solve`."""
        ...


class Solvers(Protocol):
    """Solvers by refinement: `RefinementSolvers`."""

    def solver(self, refinement: Refinement) -> RefiningSolver:
        """The solver for a refinement."""
        ...

    def of(self, task: ArmReach) -> Solvers:
        """The same for a view of the task at another pace."""
        ...


class Judging(Protocol):
    """Judges solutions: a `Judge`."""

    def judge(self, solution: Solution, instance: Instance) -> Verdict:
        """Looks at a solution of an instance."""
        ...

    def of(self, task: ArmReach) -> Judging:
        """The same for a view of the task at another pace."""
        ...


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
class _Record:
    """What the attempts of one search have brought."""

    best: tuple[tuple[bool, bool, float], Solution, Attempt] | None = None
    reasons: list[str] = field(default_factory=list)
    refused: str = ""  # why the checker refused a motion, the first one that it did
    collided: bool = False

    def take(self, attempt: Attempt, solution: Solution, verdict: Verdict, follow: set[Cause]) -> bool:
        """Records a result.

        Returns:
            Whether the search is over: it converged and reaches the goal, and what follows would not improve it; or it
            was to be an improvement of one that did, and cannot be improved itself.
        """
        if attempt.cause is Cause.TOO_LONG:
            if not verdict.reason and verdict.miss < 1 and solution.converged:
                self.best = (False, False, verdict.miss), solution, attempt
            return Cause.TOO_LONG not in follow
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
        return self.best is None or self.misses

    @property
    def misses(self) -> bool:
        """Whether the best motion ends too far from the goal."""
        return self.best is not None and self.best[0][0]


class Search:
    """Finds a motion for an instance of one task.

    Args:
        task: The task.
        starters: Propose the first starts.
        alternatives: Proposes other ones where those lead nowhere.
        solvers: Refine starts.
        judge: Says which motions may be executed.
        last: Proposes starts where none of them has reached the goal.
        around: Propose starts among objects: the first one where no other start is free of contact, the second where
            those lead nowhere, and each of the rest where those before lead nowhere. Without objects each where those
            before lead nowhere, for goals of the joints on whose ways links touch.
    """

    def __init__(
        self,
        task: ArmReach,
        starters: Sequence[Starter],
        alternatives: Starter,
        solvers: Solvers,
        judge: Judging,
        last: Starter | None = None,
        around: Sequence[Starter] = (),
    ) -> None:
        self._task, self._starters, self._alternatives, self._last = task, starters, alternatives, last
        self._around = around
        self._solvers, self._judge = solvers, judge
        self._attempting, self._judging = WorkEstimate(), WorkEstimate()

    def of(self, task: ArmReach) -> Search:
        """The same search for a view of the task at another pace."""
        other = copy.copy(self)
        other._task, other._solvers, other._judge = task, self._solvers.of(task), self._judge.of(task)
        return other

    def _lasting(self, duration: float | None) -> Search:
        return self if duration is None else self.of(self._task.lasting(duration))

    def measure(self, instance: Instance, guess: Guess) -> None:
        """Makes an attempt of one iteration, so that the first plan with a deadline knows how long one takes."""
        attempt = Attempt(Stage.FIRST, Refinement(iterations=1), "measurement", guess)
        self._judged(self._refine(attempt, instance, UNLIMITED, Account()), instance)

    def run(self, instance: Instance, budget: Budget) -> Found:
        """Searches until a motion reaches the goal and has converged, nothing is left to try, or the budget is over.

        Returns:
            That motion; failing that, one that reaches the goal without having converged, or the one that ends closest.

        Raises:
            PlanningError: No start led to a motion that may be executed; PlanRefusedError if the checker refused one,
                DeadlineError if the time has passed, PlanInterruptedError after an interrupt.
        """
        account, record, known = Account(), _Record(), KnownMotions()
        rank = functools.partial(self._rank, instance=instance)
        proposals = [p for starter in self._starters for p in self._propose(starter, instance, budget, account)]
        among, joints = bool(self._around) and self._task.least_clearance > 0.0, self._task.goal_type == "joints"
        later: list[Proposal] | None = None
        if among:
            free = [each for each in proposals if self._is_free(each)]
            if not free:
                proposals += self._propose(self._around[0], instance, budget, account)
            elif all(each.in_cell for each in free):  # what touches, and the way round, come after it
                proposals, later = free, [each for each in proposals if not each.in_cell]
        queue, alternatives_due = Queue(first_attempts(proposals, self._task.least_clearance)), True
        last = self._last if self._task.least_clearance == 0.0 else None  # it knows no objects
        rest, detours = list(self._around[2:]) if among else [], list[Proposal]()
        while not (late := budget.left() <= self._least()) and not budget.interrupted:
            if later is not None and not any(each.stage is Stage.FIRST for each in queue.waiting):
                later += self._propose(self._around[0], instance, budget, account)
                queue.add(first_attempts(later, self._task.least_clearance))
                later = None
                continue
            if alternatives_due and not any(each.stage < Stage.ALTERNATIVE for each in queue.waiting):
                alternatives_due = False
                more = self._propose(self._alternatives, instance, budget, account)
                if among or (joints and record.collided):
                    first, rest = (self._around[1:2], rest) if among else (self._around[:1], list(self._around[1:]))
                    ways = [p for each in first for p in self._propose(each, instance, budget, account)]
                    detours, more = (more, ways) if joints else ([], [*more, *ways])
                clearance = AMONG_WEIGHT if joints and record.collided else self._task.least_clearance
                queue.add(alternative_attempts(more, record.collided, rank, clearance))
                continue
            if last is not None and not any(each.stage < Stage.SAMPLED for each in queue.waiting):
                if record.reaches_nothing:
                    found = self._propose(last, instance, budget, account)
                    queue.add(last_attempts(found, record.collided))
                last = None
                continue
            if (rest or detours) and not any(each.stage < Stage.SAMPLED for each in queue.waiting):
                # With a goal of the joints other starts go by way of anywhere: further ways past objects come first.
                ways = self._propose(rest.pop(0), instance, budget, account) if rest else detours
                detours = detours if ways is not detours else []
                queue.add(alternative_attempts(ways, True, rank, AMONG_WEIGHT))
                continue
            attempt = queue.pop()
            if attempt is None:
                break
            paced = self._lasting(attempt.duration)
            solution = paced._refine(attempt, instance, budget, account)
            settled = solution.converged and attempt.cause not in IMPROVING
            if settled and not known.add(attempt.refinement, solution.X, attempt.duration):
                record.reasons.append(f"{attempt.source}: the same motion as from another start")
                continue
            verdict = paced._judged(solution, instance)
            further = follow_ups(attempt, solution, verdict)
            queue.add(further)
            if record.take(attempt, solution, verdict, {each.cause for each in further}):
                break
        if late:
            self._attempting.not_begun()
        return self._result(record, instance, budget, account, late)

    def _propose(self, starter: Starter, instance: Instance, budget: Budget, account: Account) -> list[Proposal]:
        """A starter's proposals; none if it takes so long that no time would be left to refine any."""
        with account.phase(starter.phase):
            try:
                return starter.propose(self._task, instance, budget.keeping(self._least()))
            except DeadlineError:
                return []

    def _least(self) -> float:
        """Time [s] that the shortest attempt takes."""
        return self._attempting.seconds + self._judging.seconds

    def _refine(self, attempt: Attempt, instance: Instance, budget: Budget, account: Account) -> Solution:
        limit = None if budget.limit is None else max(budget.left() - self._judging.seconds, 1e-4)
        with account.phase("refine"):
            solver = self._solvers.solver(attempt.refinement)
            solution = solver.solve(instance, attempt.guess, limit, budget.interrupt)
        self._attempting.measured(solver.shortest_solve)
        account.iterations += solution.iterations
        return solution

    def _judged(self, solution: Solution, instance: Instance) -> Verdict:
        began = time.thread_time()
        verdict = self._judge.judge(solution, instance)
        self._judging.measured(time.thread_time() - began)
        return verdict

    def _is_free(self, proposal: Proposal) -> bool:
        """Whether a proposal touches nothing, or its way is so near to one that does that the solver finds that.

        The latter holds for policies' ways: whatever else touches, touches deep.
        """
        Q = proposal.guess.X[:, : self._task.nu] if proposal.way is None else proposal.way
        robot = self._task.robot
        if is_free(self._task, Q):
            return True
        if not proposal.in_cell:
            return False
        contacts = [contact for q in Q if (contact := robot.contact(q)) is not None]
        return all(contact.object and contact.distance > -GRAZING for contact in contacts)

    def _rank(self, proposal: Proposal, instance: Instance) -> tuple[bool, float]:
        """Whether a proposal collides, and its cost."""
        guess, task = proposal.guess, self._lasting(proposal.duration)._task
        collides = task.robot.first_collision(guess.X[:, : task.nu]) is not None
        return collides, task.cost(guess.X, guess.U, instance.target)

    def _result(self, record: _Record, instance: Instance, budget: Budget, account: Account, late: bool) -> Found:
        if budget.interrupted:
            raise PlanInterruptedError("planning was interrupted")
        best, reasons = record.best, list(record.reasons)
        if best is not None and record.misses and record.refused:
            # A motion that misses the goal does not stand in for one that the checker refused.
            miss = self._task.final_error(best[1].X, instance.target)
            reasons.append(f"{best[2].source}: ends {miss:.3f} m from the goal")
            best = None
        if best is not None:
            return Found(best[1], best[2].source, account, best[2].duration, best[2].proposal)
        if record.refused:  # the refusal first: what was tried after it may have failed for other reasons
            tried = "; ".join([record.refused, *reasons])
            raise PlanRefusedError(f"no start led to a plan within the limits ({tried})")
        if late:
            tried = f" ({'; '.join(reasons)})" if reasons else ""
            raise DeadlineError(f"no plan was found within the deadline of {budget.limit:g} s{tried}; allow more time")
        raise PlanningError(f"no start led to a plan within the limits ({'; '.join(reasons) or 'no start was found'})")
