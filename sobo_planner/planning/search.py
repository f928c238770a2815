"""The search for a plan: a loop over a queue of attempts.

What follows from a result joins the queue:

    starters --> proposals --> queue of attempts --> ProxDDP --> judge --> best so far
                                      ^                            |
                                      +--------- follow-ups <------+
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from sobo_planner.planning.agenda import Agenda, Starters
from sobo_planner.planning.attempts import IMPROVING, Attempt, Cause, Stage
from sobo_planner.planning.follow_ups import follow_ups
from sobo_planner.planning.known_motions import KnownMotions
from sobo_planner.planning.record import Account, Found, Record
from sobo_planner.planning.refiner import Judging, Refiner, Solvers
from sobo_planner.planning.starters import Starter
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance, Refinement
from sobo_planner.tasks import ArmReach


class Search:
    """Finds a motion for an instance of one task.

    Args:
        task: The task.
        starters: Propose the first starts.
        alternatives: Proposes other ones where those lead nowhere.
        solvers: Refine starts.
        judge: Says which motions may be executed.
        last: See `Starters`.
        around: See `Starters`.
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
        self._task, self._refiner = task, Refiner(solvers, judge)
        self._starters = Starters(starters, alternatives, last, around)

    def of(self, task: ArmReach) -> Search:
        """The same search for a view of the task at another pace."""
        other = copy.copy(self)
        other._task, other._refiner = task, self._refiner.of(task)
        return other

    def measure(self, instance: Instance, guess: Guess) -> None:
        """Makes an attempt of one iteration, so that the first plan with a deadline knows how long one takes."""
        attempt = Attempt(Stage.FIRST, Refinement(iterations=1), "measurement", guess)
        self._refiner.judge(self._refiner.refine(attempt, instance, UNLIMITED, Account()), instance)

    def run(self, instance: Instance, budget: Budget) -> Found:
        """Searches until a motion reaches the goal and has converged, nothing is left to try, or the budget is over.

        Returns:
            That motion; failing that, one that reaches the goal without having converged, or the one that ends closest.

        Raises:
            PlanningError: No start led to a motion that may be executed; PlanRefusedError if the checker refused one,
                DeadlineError if the time has passed, PlanInterruptedError after an interrupt.
        """
        record, known = Record(), KnownMotions()
        agenda = Agenda(self._starters, self._task, instance, budget, self._refiner, record)
        while not (late := budget.left() <= self._refiner.least) and not budget.interrupted:
            if agenda.add_more():
                continue
            attempt = agenda.queue.pop()
            if attempt is None:
                break
            refiner = self._at(attempt.duration)
            solution = refiner.refine(attempt, instance, budget, record.account)
            settled = solution.converged and attempt.cause not in IMPROVING
            if settled and not known.add(attempt.refinement, solution.X, attempt.duration):
                record.reasons.append(f"{attempt.source}: the same motion as from another start")
                continue
            verdict = refiner.judge(solution, instance)
            further = follow_ups(attempt, solution, verdict)
            if any(each.cause is Cause.TOO_LONG for each in further):
                agenda.queue.drop_follow_ups()  # of motions that ended short of the goal, which this one reaches
            agenda.queue.add(further)
            if record.take(attempt, solution, verdict, {each.cause for each in further}):
                break
        if late:
            self._refiner.not_begun()
        return record.result(self._task, instance, budget, late)

    def _at(self, duration: float | None) -> Refiner:
        """The refiner of motions of a duration [s]; None: the task's."""
        return self._refiner if duration is None else self._refiner.of(self._task.lasting(duration))
