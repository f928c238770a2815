"""From a state and a goal to a plan that may be executed: propose, refine, verify.

For a pose the policy proposes ways to the position. As they are, and bent to end with the pose, they compete with the
interpolation by the cost of the pose.

policy rollouts --+
                  +--> cheapest start --> ProxDDP --> checks --> Plan
interpolation ----+         ^                           |
                            |                           +--> ProxDDP with links kept apart (if it collides)
                            |                           +--> ProxDDP with more weight on precision (if it ends short)
                            +--------- next start <-----+
                                       (with position limits as constraints once free plans have left them)
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.errors import PlanInterruptedError, PlanningError, PlanRefusedError
from sobo_planner.planning.budget import Effort
from sobo_planner.planning.plan import REACHED, Plan, PlanStatus
from sobo_planner.planning.refinement import FEASIBLE, PATIENCE, Refiner, Variant
from sobo_planner.planning.starters import Starts
from sobo_planner.policy import Policy
from sobo_planner.safety import Limit, PlanChecker
from sobo_planner.solver import Guess, Instance, Interrupt, Solution, Solver
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Plans that end further from the goal, as a multiple of what counts as reached, are near another optimum, and weight on
# precision takes long to bring them closer: other starts come first.
NEAR_MISS = 2.0

__all__ = ["FEASIBLE", "PATIENCE", "REACHED", "Plan", "PlanStatus", "Planner"]


class Planner:
    """Plans for one task. Used by one thread at a time; the solver releases the interpreter lock.

    Args:
        task: The task.
        policy: Proposes starts; without one, interpolation does.
        checker: Passes every plan before it is returned.
        samples: Noise samples rolled out, the cheapest of which is refined; the task file's number by default.
        seed: Of the diffusion noise. The noise is the same for every call, so that equal calls give equal plans.
    """

    def __init__(
        self,
        task: ArmReach,
        policy: Policy | None = None,
        checker: PlanChecker | None = None,
        *,
        samples: int | None = None,
        seed: int = 0,
    ) -> None:
        self.task = task
        self.policy = policy
        self._checker = checker
        self._starts = Starts(policy, task.config.policy.samples if samples is None else samples, seed)
        self._refiners = {task.goal_type: Refiner(task, checker)}

    @property
    def policy_failures(self) -> int:
        """How often the policy's output was not finite."""
        return self._starts.policy_failures

    def prepare(self, goal_type: str = "position") -> None:
        """Builds all solvers for a type of goal, `position` or `pose`; otherwise the first plans that need them do.

        Raises:
            PlanningError: There is no such type.
        """
        if goal_type not in ("position", "pose"):
            raise PlanningError(f"unknown type of goal {goal_type!r}; use position or pose")
        self._refiner(goal_type).prepare()

    def _refiner(self, goal_type: str) -> Refiner:
        if goal_type not in self._refiners:
            self._refiners[goal_type] = Refiner(self.task.with_orientation(), self._checker)
        return self._refiners[goal_type]

    def plan(
        self,
        state: ArrayLike,
        goal: ArrayLike,
        deadline: float | None = None,
        interrupt: Interrupt | None = None,
    ) -> Plan:
        """Plans from a state to a goal.

        Args:
            state: [q, v], (nx,) [rad, rad/s].
            goal: Tool position, (3,) [m], or pose, (7,) [x, y, z, qx, qy, qz, qw], in the base frame.
            deadline: Wall time [s] within which to answer, met to within one solver iteration; None to converge.
            interrupt: Another thread sets it to end planning, within one solver iteration too.

        Returns:
            The first converged plan that reaches the goal, from the cheapest start; failing that, one that reaches it
            without having converged, or the one that ends closest.

        Raises:
            TaskError: The state or the goal is refused.
            PlanningError: No start led to a plan within the limits; PlanRefusedError if the checker refused one,
                PlanInterruptedError after an interrupt.
        """
        if deadline is not None and not deadline > 0:
            raise PlanningError(f"the deadline must be positive, got {deadline} s")
        effort = Effort(time.monotonic(), deadline, interrupt)
        instance = Instance(np.array(state, float), np.array(goal, float))
        refiner = self._refiner("pose" if instance.target.shape == (7,) else "position")
        refiner.task.check(instance)
        best: tuple[tuple[bool, bool, float], Solution, str] | None = None
        reasons: list[str] = []
        for variant, source, guess in self._starts.of(refiner.task, instance, effort):
            solution, reason = self._attempt(refiner, variant, instance, source, guess, effort)
            miss = refiner.miss(solution.X, instance.target) if not reason else np.inf
            rank = (miss >= 1, not solution.converged, miss)
            if reason:
                reasons.append(f"{source}: {reason}")
            elif best is None or rank < best[0]:
                best = rank, solution, source
            if effort.over() or (miss < 1 and solution.converged):
                break
        if effort.interrupted:
            raise PlanInterruptedError("planning was interrupted")
        if best is not None and best[0][0] and effort.refused:  # another plan than what was asked for is none
            reasons.append(f"{best[2]}: ends {self.task.final_error(best[1].X, instance.target):.3f} m from the goal")
            best = None
        if best is None:
            error = PlanRefusedError if effort.refused else PlanningError
            if effort.refused:  # what stands in the way; what was tried then may have failed otherwise
                reasons.insert(0, effort.refused)
            raise error(f"no start led to a plan within the limits ({'; '.join(reasons)})")
        return self._finish(refiner.task, instance, *best[1:], effort)

    def _attempt(
        self, refiner: Refiner, variant: Variant, instance: Instance, source: str, guess: Guess, effort: Effort
    ) -> tuple[Solution, str]:
        """Refines a start; one that collides with a cost on that, one that ends short with more weight on precision.

        Starts that converge to where another one has before are left there: what came of that would come again.

        Returns:
            The solution, and why it may not be executed (empty if it may).
        """
        solution = self._refine(refiner.solver(variant), instance, guess, effort)
        if solution.converged and not effort.is_new(variant, solution.X):
            return solution, "the same motion as from another start"
        reason, violation = refiner.objection(solution), None
        if not reason and (violation := refiner.refusal(solution)) is not None:
            reason = str(violation)
            effort.refused = effort.refused or f"{source}: {reason}"
            effort.collided |= violation.limit is Limit.SELF_COLLISION
        if refiner.leaves_limits(solution.X):
            effort.outside.append((replace(variant, limited=True, patient=False), source, guess))
        if effort.over():
            return solution, reason
        if violation is not None and violation.limit is Limit.SELF_COLLISION and variant.clearer is not None:
            return self._attempt(refiner, variant.clearer, instance, source, Guess(solution.X, solution.U), effort)
        miss = refiner.miss(solution.X, instance.target)
        if reason or miss < 1 or variant.precise:
            return solution, reason
        precise = replace(variant, precise=True, patient=True)
        if miss > NEAR_MISS:
            effort.short.append((precise, source, Guess(solution.X, solution.U)))
            return solution, ""
        closer = self._refine(refiner.solver(precise), instance, Guess(solution.X, solution.U), effort)
        return (solution if refiner.objection(closer) or refiner.refusal(closer) else closer), ""

    def _refine(self, solver: Solver, instance: Instance, guess: Guess, effort: Effort) -> Solution:
        began = time.monotonic()
        solution = solver.solve(instance, guess, effort.left(), effort.interrupt)
        effort.refine += time.monotonic() - began
        effort.iterations += solution.iterations
        return solution

    def _finish(self, task: ArmReach, instance: Instance, solution: Solution, source: str, effort: Effort) -> Plan:
        limit, target = task.torque_limit, instance.target
        return Plan(
            status=PlanStatus.CONVERGED if solution.converged else PlanStatus.FEASIBLE,
            time=np.linspace(0.0, task.horizon * task.dt, task.horizon + 1),
            X=solution.X,
            U=np.clip(solution.U, -limit, limit),  # the solver keeps the limits to its tolerance
            K=solution.K,
            cost=task.cost(solution.X, solution.U, target),
            violation=solution.primal_residual,
            iterations=effort.iterations,
            tool_error=task.final_error(solution.X, target),
            orientation_error=task.orientation_error(solution.X[-1], target) if task.goal_type == "pose" else None,
            source=source,
            phases_ms=effort.phases_ms(),
            goal=target,
        )
