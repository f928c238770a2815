"""The solver of the receding horizon: an iteration or two a cycle, resumed in the next (real-time iteration)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion import Motion, follow
from sobo_planner.planning.attempts import CLEARANCES
from sobo_planner.planning.judge import FEASIBLE
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
# With its tool this near to the goal [m] the arm is steered with more weight on precision: the last centimetre is worth
# less to the task than the torque that it takes. A motion that ends further away does not lead to the goal.
NEAR = 0.1


class RecedingSolver:
    """Solvers of the task's refinements. The choice depends on earlier motions to the target and the distance to it.

    Args:
        task: The task.
        checker: Knows the positions that motions must keep to.
        solvers: Solvers of sequences; made for the task by default.
        gains: Whether solutions have gains.
    """

    def __init__(
        self, task: ArmReach, checker: PlanChecker, solvers: RefinementSolvers | None = None, *, gains: bool = True
    ) -> None:
        self._task = task
        self._limits = checker.position_lower, checker.position_upper
        options = replace(task.solver_options, max_iterations=ITERATIONS, retry=False)
        self._solvers = solvers or RefinementSolvers(task, options, sequence=True, first_order=gains)
        for choice in product((False, True), repeat=3):  # none is built within a cycle
            self._solvers.solver(_refinement(*choice))
        self._solver = self._solvers.solver(_refinement(False, False, False))
        self._clear = self._limited = False
        self._unfinished: Motion | None = None
        self._unfinished_for = 0  # cycles

    def adopt(self, task: ArmReach) -> None:
        """Solves for a view of the task at another pace from now on."""
        self._task, self._solvers = task, self._solvers.of(task)
        self._solver = self._solvers.solver(_refinement(self._clear, self._limited, False))
        self._unfinished = None

    @property
    def clear(self) -> bool:
        """Whether links are kept apart, because a motion to the target collided."""
        return self._clear

    @property
    def unfinished(self) -> bool:
        """Whether the next solve resumes an iterate that could not be published."""
        return self._unfinished is not None

    def new_target(self) -> None:
        """Forgets collisions and limits that motions to the last target ran into."""
        self._clear = self._limited = False
        self.restart()

    def restart(self) -> None:
        """Ends the sequence: the next solve has its start, and neither an iterate nor multipliers of the last."""
        self._unfinished = None
        self._solver.restart()

    def choose(self, instance: Instance) -> None:
        """Chooses the refinement for an instance."""
        near = self._task.distance(instance.x0, instance.target) < NEAR
        chosen = self._solvers.solver(_refinement(self._clear, self._limited, near))
        if chosen is not self._solver:
            self._solver = chosen
            self.restart()

    def cost(self, guess: Guess, target: Array) -> float:
        """Total cost of a trajectory."""
        return self._solver.cost(guess.X, guess.U, target)

    def solve(self, instance: Instance, start: Guess, handover: float, budget: float) -> tuple[float, Solution]:
        """The start's cost, and what the solver makes of it, or of what it has not finished, within a time [s]."""
        if self._unfinished is None:
            solution = self._solver.solve(instance, start, max(budget, SHORTEST))
            return solution.initial_cost, solution
        solution = self._solver.solve(instance, self._unfinished.shifted(handover), max(budget, SHORTEST))
        return self.cost(start, instance.target), solution

    def gains(self, instance: Instance, trajectory: Guess) -> Array:
        """See `Solver.gains`."""
        return self._solver.gains(instance, trajectory)

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
                self._solver.restart()  # the multipliers of a failed solve are discarded


def _refinement(clear: bool, limited: bool, near: bool) -> Refinement:
    """Links kept apart, position limits as constraints, more weight on the goal."""
    return Refinement(
        position_limits=limited,
        clearance=CLEARANCES[0] if clear else 0.0,
        precision=Precision.THROUGHOUT if near else Precision.TASK,
    )
