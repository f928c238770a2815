"""ProxDDP on the variants of one task that planning needs, and what makes its solutions unfit."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sobo_planner.plan import ORIENTED, REACHED
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Solution, Solver
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Largest violation of dynamics, torque and velocity limits that a plan may have.
FEASIBLE = 1e-3
# Iterations after which a start is given up for the next one: nearly all need fewer, the rest may need hundreds.
PATIENCE = 60


class Refiner:
    """Solvers for one type of goal. Those that few plans need are built when they are first used, or by `prepare`.

    Args:
        task: The task for this type of goal.
        checker: Passes every plan; without one, limits of the solver and of the joints are all that count.

    Attributes:
        task: The task for this type of goal.
        quick: Gives a start up after `PATIENCE` iterations.
        patient: Has the task's own patience.
    """

    def __init__(self, task: ArmReach, checker: PlanChecker | None = None) -> None:
        self.task = task
        self._checker = checker
        options = task.solver_options
        quick = replace(options, max_iterations=min(PATIENCE, options.max_iterations), retry=False)
        self.quick, self.patient = Solver(task, quick), Solver(task)

    @cached_property
    def limited_quick(self) -> Solver:
        """As `quick`, with the position limits as constraints."""
        return Solver(self.task.within_position_limits(), self.quick.options)

    @cached_property
    def limited(self) -> Solver:
        """As `patient`, with the position limits as constraints."""
        return Solver(self.task.within_position_limits(), self.task.solver_options)

    @cached_property
    def precise(self) -> Solver:
        """With more weight on the goal."""
        return Solver(self.task.precise(), self.task.solver_options)

    def prepare(self) -> None:
        """Builds every solver."""
        _ = self.limited_quick, self.limited, self.precise

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
        return self.leaves_limits(solution)

    def refusal(self, solution: Solution) -> str:
        """Why the checker refuses a solution; empty if it does not."""
        if self._checker is None:
            return ""
        time, limit = self.task.dt * np.arange(len(solution.X)), self.task.torque_limit
        violation = self._checker.check(time, solution.X, np.clip(solution.U, -limit, limit), solution.K)
        return "" if violation is None else str(violation)

    def leaves_limits(self, solution: Solution) -> str:
        """Which joint would leave its position limits, and by how much; empty if none would."""
        robot, q = self.task.robot, solution.X[1:, : self.task.nu]
        outside = np.maximum(robot.position_lower - q, q - robot.position_upper).max(axis=0)
        worst = int(np.argmax(outside))
        if not outside[worst] > FEASIBLE:
            return ""
        return f"joint {robot.joint_names[worst]} would leave its limits by {outside[worst]:.3f}"
