"""One attempt: a start is refined and the result judged, in the time that this takes."""

from __future__ import annotations

import copy
import time
from typing import Protocol

from sobo_planner.planning.attempts import Attempt
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.record import Account
from sobo_planner.solver import Budget, Guess, Instance, Interrupt, Refinement, Solution, WorkEstimate
from sobo_planner.tasks import ArmReach


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


class Refiner:
    """Refines starts of one task, has the results judged, and measures how long both take.

    Args:
        solvers: Refine starts.
        judge: Says which motions may be executed.
    """

    def __init__(self, solvers: Solvers, judge: Judging) -> None:
        self._solvers, self._judge = solvers, judge
        self._refining, self._judging = WorkEstimate(), WorkEstimate()

    def of(self, task: ArmReach) -> Refiner:
        """The same for a view of the task at another pace, with the same measurements."""
        other = copy.copy(self)
        other._solvers, other._judge = self._solvers.of(task), self._judge.of(task)
        return other

    @property
    def least(self) -> float:
        """Time [s] that the shortest attempt takes."""
        return self._refining.seconds + self._judging.seconds

    def not_begun(self) -> None:
        """There was too little time for the shortest attempt."""
        self._refining.not_begun()

    def refine(self, attempt: Attempt, instance: Instance, budget: Budget, account: Account) -> Solution:
        """Solves an attempt at an instance, and leaves time to judge the result.

        Args:
            attempt: A start, and how it is refined.
            instance: What is solved.
            budget: Time, and who may interrupt.
            account: Is told of time and iterations.
        """
        limit = None if budget.limit is None else max(budget.left() - self._judging.seconds, 1e-4)
        with account.phase("refine"):
            solver = self._solvers.solver(attempt.refinement)
            solution = solver.solve(instance, attempt.guess, limit, budget.interrupt)
        self._refining.measured(solver.shortest_solve)
        account.iterations += solution.iterations
        return solution

    def judge(self, solution: Solution, instance: Instance) -> Verdict:
        """Judges a solution of an instance."""
        began = time.thread_time()
        verdict = self._judge.judge(solution, instance)
        self._judging.measured(time.thread_time() - began)
        return verdict
