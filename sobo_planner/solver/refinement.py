"""How a start is refined: which parts of the optimal control problem are on, and for how many iterations."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from sobo_planner import _native
from sobo_planner.solver.options import SolverOptions
from sobo_planner.solver.solver import Solver


class Precision(Enum):
    """Weight on the goal relative to the other costs of the task."""

    TASK = "task"  # as the task file says
    TERMINAL = "terminal"  # a hundred times the terminal weight: ten times closer, or better, at the end
    THROUGHOUT = "throughout"  # a thousand times the running weight as well, for a receding horizon


@dataclass(frozen=True)
class Refinement:
    """One way to refine a start.

    Attributes:
        position_limits: Whether position limits are constraints. Few motions need them, and every solve takes longer.
        clearance: Weight of the cost on links that come near each other [1/(m^2 s)]; 0 leaves it out.
        precision: Weight on the goal.
        iterations: Most solver iterations, without a second attempt; None: the task's own settings.
    """

    position_limits: bool = False
    clearance: float = 0.0
    precision: Precision = Precision.TASK
    iterations: int | None = None

    @property
    def problem(self) -> Refinement:
        """What the native problem depends on: everything but the number of iterations."""
        return replace(self, iterations=None)


class RefinableProblem(Protocol):
    """A task whose native problem has parts that can be switched on."""

    @property
    def solver_options(self) -> SolverOptions:
        """The task file's solver settings."""
        ...

    def make_worker(self, refinement: Refinement) -> _native.Worker:
        """Builds the native problem with these parts on, and a solver of its own."""
        ...

    @property
    def dynamics(self) -> _native.Robot:
        """What moves; the problem is switched to another one, too."""
        ...

    def adapt(self, worker: _native.Worker, refinement: Refinement) -> _native.Worker:
        """Switches the parts of a native problem that `make_worker` has built; another one where that is impossible."""
        ...


@dataclass(frozen=True)
class _Refined:
    task: RefinableProblem
    refinement: Refinement

    def make_worker(self) -> _native.Worker:
        return self.task.make_worker(self.refinement)


class _Shared:
    """The native problem that all refinements and paces of a task are solved with, one after the other."""

    def __init__(self) -> None:
        self._made_for: tuple[_Refined, _native.Robot] | None = None
        self._worker: _native.Worker | None = None

    def adapted(self, refined: _Refined) -> _native.Worker:
        """The problem with these parts switched on, which ends a sequence unless they are already."""
        made_for = (refined, refined.task.dynamics)
        if self._worker is None:
            self._worker = refined.make_worker()
        elif made_for != self._made_for:
            self._worker = refined.task.adapt(self._worker, refined.refinement)
        self._made_for = made_for
        return self._worker


class _RefinedSolver(Solver):
    """Solves one refinement of the shared problem."""

    def __init__(
        self, refined: _Refined, shared: _Shared, options: SolverOptions, sequence: bool, first_order: bool
    ) -> None:
        self._problem = self._refined = refined
        self._shared, self.options, self._sequence, self._first_order = shared, options, sequence, first_order
        self._workers = [self._worker()]

    def _worker(self) -> _native.Worker:
        return self._shared.adapted(self._refined)


class RefinementSolvers:
    """The solvers of one task's refinements. They share one native problem, whose parts are switched in place.

    They are used by one thread at a time; solving another refinement ends a sequence.

    Args:
        task: The task.
        options: Solver settings; the task's own by default.
        sequence: See `Solver`.
        first_order: See `Solver`.
    """

    def __init__(
        self,
        task: RefinableProblem,
        options: SolverOptions | None = None,
        *,
        sequence: bool = False,
        first_order: bool = True,
    ) -> None:
        self._task, self._options = task, options or task.solver_options
        self._sequence, self._first_order = sequence, first_order
        self._shared = _Shared()
        self._solvers: dict[Refinement, Solver] = {}

    def of(self, task: RefinableProblem) -> RefinementSolvers:
        """Those of a view of the task at another pace, with the same native problem."""
        other = copy.copy(self)
        other._task, other._solvers = task, {}
        return other

    def solver(self, refinement: Refinement) -> Solver:
        """The solver for a refinement."""
        problem, iterations = refinement.problem, refinement.iterations
        if problem not in self._solvers:
            refined = _Refined(self._task, problem)
            how = self._sequence, self._first_order
            self._solvers[problem] = _RefinedSolver(refined, self._shared, self._options, *how)
        solver = self._solvers[problem]
        if iterations is None:
            return solver
        most = min(iterations, self._options.max_iterations)
        return solver.with_options(replace(self._options, max_iterations=most, retry=False))
