"""Whether what the solver returns may be executed, and how far it ends from the goal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sobo_planner.planning.plan import IN_PLACE, ORIENTED, REACHED
from sobo_planner.safety import Limit, PlanChecker, Violation
from sobo_planner.solver import Instance, Solution
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains, commands

Array = NDArray[np.float64]

# Largest violation of dynamics, torque and velocity limits that a plan may have.
FEASIBLE = 1e-3


class Checker(Protocol):
    """What looks at a motion before it is returned: a `PlanChecker`."""

    def check(self, time: Array, X: Array, U: Array, K: Array) -> Violation | None:
        """The first violation found in states X (T+1, nx), torques U (T, nu) and gains K (T, nu, nx), or None."""
        ...

    def of(self, task: ArmReach) -> Checker:
        """The same for the arm in the world of a task."""
        ...


@dataclass(frozen=True)
class Verdict:
    """The judgement of a solution.

    Attributes:
        objection: Why it may not be executed: it diverged, violates its problem or leaves position limits. Empty if
            there is none.
        violation: Why the checker refuses it; None if it does not, or was not asked because of an objection.
        leaves_limits: Whether a joint leaves its position limits.
        miss: How far it ends from the goal, as a multiple of what still counts as reached; infinite where it may not be
            executed.
        fitting: How long a motion along its way is to last [s]; infinite where durations do not fit.
    """

    objection: str = ""
    violation: Violation | None = None
    leaves_limits: bool = False
    miss: float = np.inf
    fitting: float = np.inf

    @property
    def reason(self) -> str:
        """Why the solution may not be executed; empty if it may."""
        return self.objection or ("" if self.violation is None else str(self.violation))

    @property
    def collides(self) -> bool:
        """Whether the checker refuses it because links touch each other or an object."""
        return self.violation is not None and self.violation.limit in (Limit.SELF_COLLISION, Limit.COLLISION)


class Judge:
    """Judges the solutions of one task.

    Args:
        task: The task.
        checker: Looks at every motion that there is no objection to; None trusts solver and position limits.
        gains: Which gains motions are executed with.
    """

    def __init__(self, task: ArmReach, checker: Checker | None = None, gains: Gains = Gains.TRACKING) -> None:
        self._task, self._checker, self._gains = task, checker, gains

    def of(self, task: ArmReach) -> Judge:
        """The same for a view of the task, at another pace or in another world."""
        checker = self._checker
        if task.robot is not self._task.robot:
            checker = PlanChecker(task) if checker is None else checker.of(task)
        return Judge(task, checker, self._gains)

    def judge(self, solution: Solution, instance: Instance) -> Verdict:
        """Looks at a solution of an instance."""
        diverged = _diverged(solution)
        limits = None if diverged else self._leaves_limits(solution.X)
        objection = diverged or _infeasible(solution) or limits
        if objection:
            return Verdict(objection, leaves_limits=bool(limits))
        violation = self._check(solution)
        if violation is not None:
            return Verdict(violation=violation)
        way = solution.X[:, : self._task.nu]
        fitting = self._task.duration_of(way, instance.x0) if self._task.fits else np.inf
        return Verdict(miss=self.miss(solution.X, instance.target), fitting=fitting)

    def miss(self, X: Array, target: Array) -> float:
        """How far a trajectory X (T+1, nx) ends from the target, as a multiple of what still counts as reached."""
        if self._task.goal_type == "joints":
            return max(self._task.tool_distance(X[-1], target) / REACHED, self._task.final_error(X, target) / IN_PLACE)
        miss = self._task.final_error(X, target) / REACHED
        if self._task.goal_type == "pose":
            miss = max(miss, self._task.orientation_error(X[-1], target) / ORIENTED)
        return miss

    def _check(self, solution: Solution) -> Violation | None:
        if self._checker is None:
            return None
        time: Array = self._task.dt * np.arange(len(solution.X), dtype=np.float64)
        U, K = commands(self._task, self._gains, solution.X, solution.U, solution.K)
        return self._checker.check(time, solution.X, U, K)

    def _leaves_limits(self, X: Array) -> str | None:
        """Which joint leaves its position limits on X (T+1, nx), and by how much; None if none does."""
        robot, q = self._task.robot, X[1:, : self._task.nu]
        outside = np.maximum(robot.position_lower - q, q - robot.position_upper).max(axis=0)
        worst = int(np.argmax(outside))
        if not outside[worst] > FEASIBLE:
            return None
        return f"joint {robot.joint_names[worst]} would leave its limits by {outside[worst]:.3f}"


def _diverged(solution: Solution) -> str | None:
    arrays = (solution.X, solution.U, solution.K)
    if all(np.isfinite(array).all() for array in arrays) and np.isfinite(solution.cost):
        return None
    return f"the solver diverged after {solution.iterations} iterations {solution.message}".rstrip()


def _infeasible(solution: Solution) -> str | None:
    if solution.primal_residual <= FEASIBLE:
        return None
    return (
        f"{solution.status.value} after {solution.iterations} iterations with a violation of "
        f"{solution.primal_residual:.1e}, allowed is {FEASIBLE:.0e}"
    )
