"""Solves that go on while a cycle publishes what there is."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

from sobo_planner.receding.priority import give_way
from sobo_planner.solver import Guess, Instance, Interrupt, Refinement, RefinementSolvers, Solution
from sobo_planner.tasks import ArmReach


@dataclass(frozen=True)
class Solved:
    """What came of a solve.

    Attributes:
        solution: The solution.
        start_cost: Total cost of the start.
        handover: When the motion was to begin [s].
    """

    solution: Solution
    start_cost: float
    handover: float


@dataclass(frozen=True)
class _Job:
    solved: Future[Solved]
    interrupt: Interrupt


class Background:
    """Solves one instance at a time in a thread of its own, in sequences. Used by one other thread.

    Args:
        solvers: Solvers of sequences; from the first solve on they are that thread's.
    """

    def __init__(self, solvers: RefinementSolvers) -> None:
        self._solvers = solvers
        self._thread = ThreadPoolExecutor(1, "refinement", give_way)
        self._job: _Job | None = None
        self._restarts = False

    @property
    def busy(self) -> bool:
        """Whether a solve was begun whose solution was not taken."""
        return self._job is not None

    def adopt(self, task: ArmReach) -> None:
        """Solves for a view of the task from now on."""
        self._abandon()
        self._solvers = self._solvers.of(task)

    def restart(self) -> None:
        """Ends the sequence, see `Solver.restart`. A solve that goes on is not wanted any more."""
        self._abandon()
        self._restarts = True

    def begin(
        self,
        refinement: Refinement,
        instance: Instance,
        start: Guess,
        handover: float,
        limit: float,
        resumed: Guess | None,
    ) -> None:
        """Begins a solve.

        Args:
            refinement: The problem.
            instance: What to solve.
            start: Where to begin.
            handover: When the motion begins [s].
            limit: Time [s], as in `Solver.solve`.
            resumed: Where to begin instead of the start.
        """
        solvers, restarts, interrupt = self._solvers, self._restarts, Interrupt()
        self._restarts = False

        def solve() -> Solved:
            solver = solvers.solver(refinement)
            if restarts:
                solver.restart()
            cost = None if resumed is None else solver.cost(start.X, start.U, instance.target)
            solution = solver.solve(instance, start if resumed is None else resumed, limit, interrupt)
            return Solved(solution, solution.initial_cost if cost is None else cost, handover)

        self._job = _Job(self._thread.submit(solve), interrupt)

    def take(self, wait: float | None) -> Solved | None:
        """What came of the solve that was begun; None if that is not known within a time [s].

        Args:
            wait: Time to wait [s]; None: as long as it takes.

        Raises:
            SolverError: As `Solver.solve`.
        """
        assert self._job is not None
        job = self._job
        try:
            return job.solved.result(wait)
        except NotYet:
            return None
        finally:
            if job.solved.done():
                self._job = None

    def _abandon(self) -> None:
        """The solve ends with its iteration, and the next one begins then."""
        if self._job is not None:
            self._job.interrupt.set()
            self._job.solved.cancel()
            self._job, self._restarts = None, True
