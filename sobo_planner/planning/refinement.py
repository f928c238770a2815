"""ProxDDP on the variants of one task that planning needs, and what makes its solutions unfit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner.planning.plan import ORIENTED, REACHED
from sobo_planner.safety import PlanChecker, Violation
from sobo_planner.solver import Solution, Solver
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.task import SELF_WEIGHT

Array = NDArray[np.float64]

# Largest violation of dynamics, torque and velocity limits that a plan may have.
FEASIBLE = 1e-3
# Iterations after which a start is given up for the next one: nearly all need fewer, the rest may need hundreds.
PATIENCE = 60
# Weights on links that come near each other, in the order in which plans that collide are refined with them.
CLEARANCES = (0.0, SELF_WEIGHT, 10 * SELF_WEIGHT)


@dataclass(frozen=True)
class Variant:
    """How a start is refined.

    Attributes:
        patient: With the task's own patience, not for `PATIENCE` iterations.
        limited: With the position limits as constraints.
        clear: With links kept apart; which of `CLEARANCES`.
        precise: With more weight on the goal.
    """

    patient: bool = False
    limited: bool = False
    clear: int = 0
    precise: bool = False

    def of(self, task: ArmReach) -> ArmReach:
        """The task that this variant solves."""
        if self.limited:
            task = task.within_position_limits()
        if self.clear:
            task = task.avoiding_self_collision(CLEARANCES[self.clear])
        return task.precise() if self.precise else task

    @property
    def clearer(self) -> Variant | None:
        """What a plan that collides is refined with next; None after the last of `CLEARANCES`."""
        more = self.clear + 1
        return replace(self, clear=more, patient=False) if more < len(CLEARANCES) else None


QUICK = Variant()
PATIENT = Variant(patient=True)
#: Those that more than one plan in a hundred needs; each takes 7 MB.
PREPARED = (
    QUICK,
    PATIENT,
    Variant(limited=True),
    Variant(limited=True, patient=True),
    Variant(precise=True, patient=True),
    Variant(clear=1),
)


class Refiner:
    """Solvers for one type of goal, built when they are first used, or by `prepare`.

    Args:
        task: The task for this type of goal.
        checker: Passes every plan; without one, limits of the solver and of the joints are all that count.

    Attributes:
        task: The task for this type of goal.
    """

    def __init__(self, task: ArmReach, checker: PlanChecker | None = None) -> None:
        self.task = task
        self._checker = checker
        self._solvers: dict[Variant, Solver] = {}
        _ = self.solver(QUICK), self.solver(PATIENT)

    def solver(self, variant: Variant) -> Solver:
        """The solver of a variant."""
        if variant not in self._solvers:
            options = self.task.solver_options
            if not variant.patient:
                options = replace(options, max_iterations=min(PATIENCE, options.max_iterations), retry=False)
            twin = self._solvers.get(replace(variant, patient=not variant.patient))
            self._solvers[variant] = twin.with_options(options) if twin else Solver(variant.of(self.task), options)
        return self._solvers[variant]

    def prepare(self) -> None:
        """Builds the solvers that are not rare."""
        for variant in PREPARED:
            self.solver(variant)

    def miss(self, X: Array, target: Array) -> float:
        """How far a trajectory X (T+1, nx) ends from the target, as a multiple of what still counts as reached."""
        miss = self.task.final_error(X, target) / REACHED
        if self.task.goal_type == "pose":
            miss = max(miss, self.task.orientation_error(X[-1], target) / ORIENTED)
        return miss

    def objection(self, solution: Solution) -> str:
        """Why a solution may not be executed; empty if it may."""
        arrays = (solution.X, solution.U, solution.K)
        if not all(np.all(np.isfinite(array)) for array in arrays) or not np.isfinite(solution.cost):
            return f"the solver diverged after {solution.iterations} iterations {solution.message}".rstrip()
        if solution.primal_residual > FEASIBLE:
            return (
                f"{solution.status.value} after {solution.iterations} iterations with a violation of "
                f"{solution.primal_residual:.1e}, allowed is {FEASIBLE:.0e}"
            )
        return self.leaves_limits(solution.X)

    def refusal(self, solution: Solution) -> Violation | None:
        """Why the checker refuses a solution; None if it does not."""
        if self._checker is None:
            return None
        time, limit = self.task.dt * np.arange(len(solution.X)), self.task.torque_limit
        return self._checker.check(time, solution.X, np.clip(solution.U, -limit, limit), solution.K)

    def leaves_limits(self, X: Array) -> str:
        """Which joint leaves its position limits on X (T+1, nx), and by how much; empty if none does."""
        robot, q = self.task.robot, X[1:, : self.task.nu]
        outside = np.maximum(robot.position_lower - q, q - robot.position_upper).max(axis=0)
        worst = int(np.argmax(outside))
        if not outside[worst] > FEASIBLE:
            return ""
        return f"joint {robot.joint_names[worst]} would leave its limits by {outside[worst]:.3f}"
