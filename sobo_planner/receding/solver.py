"""The solver of the receding horizon: an iteration or two a cycle, resumed in the next (real-time iteration).

A cycle waits for its solve as long as it may, and a later one takes what took longer: meanwhile the arm follows the
motion that it has.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion import Motion, follow
from sobo_planner.planning.attempts import CLEARANCES
from sobo_planner.planning.judge import FEASIBLE
from sobo_planner.receding.background import Background, Solved
from sobo_planner.robot import SEMI_IMPLICIT_EULER
from sobo_planner.safety import Limit, PlanChecker, Violation
from sobo_planner.solver import Guess, Instance, Precision, Refinement, RefinementSolvers, Solution, SolverStatus
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Most iterations a cycle. The solver ends after one that leaves little to do; a third hardly improves on two.
ITERATIONS = 2
SHORTEST = 1e-4  # [s] of a solve: none would be no limit
# Torques beyond their limits by this much [Nm] cost as much as those at their limits.
TORQUE_ROUNDING = 1e-6
# Cycles for which the solver resumes an iterate that is cheaper than the start but not feasible yet.
UNFINISHED = 10
# For so long [s] after a solve that found nothing to improve, motions are only continued: at 200 Hz for one cycle.
SETTLED = 0.0099
# With its tool this near to the goal [m] the arm is steered with more weight on precision: the last centimetre is worth
# less to the task than the torque that it takes. A motion that ends further away does not lead to the goal.
NEAR = 0.1


class RecedingSolver:
    """Solvers of the task's refinements. The choice depends on earlier motions to the target and the distance to it.

    Args:
        task: The task.
        checker: Knows the positions that motions must keep to.
        solvers: Solvers of sequences; made for the task by default.
        gains: Whether solutions have gains. A cycle that publishes them waits for its solve to the end.
    """

    def __init__(
        self, task: ArmReach, checker: PlanChecker, solvers: RefinementSolvers | None = None, *, gains: bool = True
    ) -> None:
        self._task = task
        self._limits = checker.position_lower, checker.position_upper
        options = replace(task.solver_options, max_iterations=ITERATIONS, retry=False)
        own = solvers or RefinementSolvers(task, options, sequence=True, first_order=gains)
        # A native problem is used by one thread at a time: cycles have their own to compute costs with.
        self._costs = solvers or RefinementSolvers(task, options)
        for choice in product((False, True), repeat=3):  # none is built within a cycle
            for each in (own, self._costs):
                each.solver(_refinement(*choice))
        self._solves, self._gains = Background(own), own if gains else None
        self._refinement = _refinement(False, False, False)
        self._clear = self._limited = False
        self._unfinished: Motion | None = None
        self._unfinished_for = 0  # cycles
        self._waits = False  # for the next solve
        self._settled = -math.inf  # hand-over of the last solve that found nothing to improve [s]

    def adopt(self, task: ArmReach) -> None:
        """Solves for a view of the task at another pace from now on.

        The next cycle waits for its solve to the end: while the arm slows down, every one has another pace.
        """
        self._task, self._costs = task, self._costs.of(task)
        self._solves.adopt(task)
        if self._gains is not None:
            self._gains = self._gains.of(task)
        self._refinement = _refinement(self._clear, self._limited, False)
        self._unfinished, self._waits, self._settled = None, True, -math.inf

    @property
    def clear(self) -> bool:
        """Whether links are kept apart, because a motion to the target collided."""
        return self._clear

    @property
    def unfinished(self) -> bool:
        """Whether a solve goes on, or the next one resumes an iterate that could not be published."""
        return self._solves.busy or self._unfinished is not None

    def new_target(self) -> None:
        """Forgets collisions and limits that motions to the last target ran into."""
        self._clear = self._limited = False
        self.restart()

    def restart(self) -> None:
        """Ends the sequence: the next solve has its start, and neither an iterate nor multipliers of the last."""
        self._unfinished, self._settled = None, -math.inf
        self._solves.restart()

    def choose(self, instance: Instance) -> None:
        """Chooses the refinement for an instance."""
        near = self._task.distance(instance.x0, instance.target) < NEAR
        chosen = _refinement(self._clear, self._limited, near)
        if chosen != self._refinement:
            self._refinement = chosen
            self.restart()

    def cost(self, guess: Guess, target: Array) -> float:
        """Total cost of a trajectory."""
        return self._costs.solver(self._refinement).cost(guess.X, guess.U, target)

    def solve(self, instance: Instance, start: Guess, handover: float, budget: float) -> tuple[float, Solution | None]:
        """The start's cost, and what the solver makes of it, or of what it has not finished.

        Args:
            instance: What to solve.
            start: Where to begin.
            handover: When the motion begins [s].
            budget: How long to wait [s].

        Returns:
            The cost, and the solution: that of an earlier cycle's solve where this has ended meanwhile, from the state
            at the hand-over on; costs are those of then. None, and NaN, while the solve goes on, and where there is
            nothing to improve.
        """
        limit = max(budget, SHORTEST)
        if not self._solves.busy:
            if self._gains is None and 0.0 <= handover - self._settled < SETTLED:
                return math.nan, None
            resumed = None if self._unfinished is None else self._unfinished.shifted(handover)
            self._solves.begin(self._refinement, instance, start, handover, limit, resumed)
        solved = self._solves.take(None if self._waits or self._gains is not None else limit)
        if solved is None:
            return math.nan, None
        self._waits = False
        if solved.solution.converged and solved.solution.iterations == 0:
            self._settled = solved.handover
        return solved.start_cost, self._rest(solved, instance, handover)

    def _rest(self, solved: Solved, instance: Instance, handover: float) -> Solution:
        """A solution from a state at or after its hand-over on; one that can be executed stays so."""
        solution = solved.solution
        finite = np.isfinite(solution.X).all() and np.isfinite(solution.U).all()
        if solved.handover == handover or not finite:
            return solution
        motion = Motion(solved.handover, self._task.dt, solution.X, solution.U, solution.K)
        if solution.primal_residual > 0.5 * FEASIBLE:
            rest = motion.shifted(handover)
            rest.X[0] = instance.x0
            return replace(solution, X=rest.X, U=rest.U)
        rest = motion.from_time(self._task, handover, instance.x0)
        return replace(solution, X=rest.X, U=rest.U)

    def gains(self, instance: Instance, trajectory: Guess) -> Array:
        """See `Solver.gains`; for a solver with gains."""
        assert self._gains is not None
        return self._gains.solver(self._refinement).gains(instance, trajectory)

    def executable(self, solution: Solution, instance: Instance) -> tuple[float, Guess] | None:
        """The solver's trajectory after its cost, None where it is not finite.

        Where it is not consistent or leaves position limits, inverse dynamics follows it, along the limits.
        """
        if not (np.isfinite(solution.X).all() and np.isfinite(solution.U).all()):
            return None
        limit, n = self._task.torque_limit, self._task.nu
        states = solution.X[1:]
        Q = np.clip(states[:, :n], *self._limits)
        within = np.abs(Q - states[:, :n]).max() <= 0.5 * FEASIBLE
        if within and solution.primal_residual <= 0.5 * FEASIBLE:
            kept = Guess(solution.X, np.clip(solution.U, -limit, limit))
            rounding = np.abs(kept.U - solution.U).max() <= TORQUE_ROUNDING
            return solution.cost if rounding else self.cost(kept, instance.target), kept
        if not within:
            self._limited = True
            if self._task.integrator == SEMI_IMPLICIT_EULER:
                V = np.diff(Q, axis=0, prepend=instance.x0[None, :n]) / self._task.dt
            else:
                V = np.where(states[:, :n] == Q, states[:, n:], 0.0)
            states = np.hstack([Q, V])
        followed = follow(self._task, instance.x0, states)
        return self.cost(followed, instance.target), followed

    def collided(self, violation: Violation) -> None:
        """Records why a motion may not be published."""
        self._clear |= violation.limit in (Limit.SELF_COLLISION, Limit.COLLISION)

    def keep(self, solution: Solution, start_cost: float, published: bool, handover: float) -> None:
        """Keeps what the next solve resumes.

        Args:
            solution: What `solve` returned.
            start_cost: And the cost of the start.
            published: Whether the solution will be, in its executable form.
            handover: Where it begins [s].
        """
        promising = (
            not published
            and solution.status in (SolverStatus.MAX_ITERATIONS, SolverStatus.TIME_LIMIT)
            and solution.primal_residual > 0.5 * FEASIBLE
            and solution.cost < start_cost
            and self._unfinished_for < UNFINISHED
        )
        self._unfinished_for = self._unfinished_for + 1 if promising else 0
        if promising:
            self._unfinished = Motion(handover, self._task.dt, solution.X, solution.U, solution.K)
        else:
            self._unfinished = None
            if not (published or solution.converged):
                self._solves.restart()  # the multipliers of a failed solve are discarded


def _refinement(clear: bool, limited: bool, near: bool) -> Refinement:
    """Links kept apart, position limits as constraints, more weight on the goal."""
    return Refinement(
        position_limits=limited,
        clearance=CLEARANCES[0] if clear else 0.0,
        precision=Precision.THROUGHOUT if near else Precision.TASK,
    )
