"""From a state and a goal to a plan that may be executed: propose, refine, verify.

For a pose the policy proposes ways to the position. As they are, and bent to end with the pose, they compete with the
interpolation by the cost of the pose.

policy rollouts --+
                  +--> cheapest start --> ProxDDP --> checks --> Plan
interpolation ----+         ^                           |
                            |                           +--> ProxDDP with more weight on precision (if it ends short)
                            +--------- next start <-----+
                                       (with position limits as constraints once free plans have left them)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.effort import Effort
from sobo_planner.errors import PlanningError, PlanRefusedError, PolicyError
from sobo_planner.plan import REACHED, Plan, PlanStatus
from sobo_planner.policy import Policy
from sobo_planner.refiner import FEASIBLE, PATIENCE, PATIENT, QUICK, Refiner, Variant
from sobo_planner.rollout import rollouts
from sobo_planner.safety import Limit, PlanChecker
from sobo_planner.solver import Guess, Instance, Solution, Solver
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Starts tried when the first ones do not reach the goal.
MAX_STARTS = 6

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
        self._samples = task.config.policy.samples if samples is None else samples
        self._seed = seed
        self._refiners = {task.goal_type: Refiner(task, checker)}
        self.policy_failures = 0

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

    def plan(self, state: ArrayLike, goal: ArrayLike, deadline: float | None = None) -> Plan:
        """Plans from a state to a goal.

        Args:
            state: [q, v], (nx,) [rad, rad/s].
            goal: Tool position, (3,) [m], or pose, (7,) [x, y, z, qx, qy, qz, qw], in the base frame.
            deadline: Wall time [s] within which to answer, met to within one solver iteration; None to converge.

        Returns:
            The first converged plan that reaches the goal, from the cheapest start; failing that, one that reaches it
            without having converged, or the one that ends closest.

        Raises:
            TaskError: The state or the goal is refused.
            PlanningError: No start led to a plan within the limits; PlanRefusedError if the checker refused one.
        """
        if deadline is not None and not deadline > 0:
            raise PlanningError(f"the deadline must be positive, got {deadline} s")
        effort = Effort(time.monotonic(), deadline)
        instance = Instance(np.array(state, float), np.array(goal, float))
        refiner = self._refiner("pose" if instance.target.shape == (7,) else "position")
        refiner.task.check(instance)
        best: tuple[tuple[bool, bool, float], Solution, str] | None = None
        reasons: list[str] = []
        for variant, source, guess in self._starts(refiner, instance, effort):
            solution, reason = self._attempt(refiner, variant, instance, source, guess, effort)
            miss = refiner.miss(solution.X, instance.target) if not reason else np.inf
            rank = (miss >= 1, not solution.converged, miss)
            if reason:
                reasons.append(f"{source}: {reason}")
            elif best is None or rank < best[0]:
                best = rank, solution, source
            if effort.over() or (miss < 1 and solution.converged):
                break
        if best is None:
            error = PlanRefusedError if effort.refused else PlanningError
            raise error(f"no start led to a plan within the limits ({'; '.join(reasons)})")
        return self._finish(refiner.task, instance, *best[1:], effort)

    def _attempt(
        self, refiner: Refiner, variant: Variant, instance: Instance, source: str, guess: Guess, effort: Effort
    ) -> tuple[Solution, str]:
        """Refines a start; one that collides with a cost on that, one that ends short with more weight on precision.

        Returns:
            The solution, and why it may not be executed (empty if it may).
        """
        solution = self._refine(refiner.solver(variant), instance, guess, effort)
        reason, violation = refiner.objection(solution), None
        if not reason and (violation := refiner.refusal(solution)) is not None:
            effort.refused, reason = True, str(violation)
            effort.collided |= violation.limit is Limit.SELF_COLLISION
        if refiner.leaves_limits(solution.X):
            effort.outside.append((replace(variant, limited=True, patient=False), source, guess))
        if effort.over():
            return solution, reason
        if violation is not None and violation.limit is Limit.SELF_COLLISION and variant.clearer is not None:
            return self._attempt(refiner, variant.clearer, instance, source, Guess(solution.X, solution.U), effort)
        if reason or refiner.miss(solution.X, instance.target) < 1:
            return solution, reason
        precise = refiner.solver(replace(variant, precise=True, patient=True))
        closer = self._refine(precise, instance, Guess(solution.X, solution.U), effort)
        return (solution if refiner.objection(closer) or refiner.refusal(closer) else closer), ""

    def _starts(self, refiner: Refiner, instance: Instance, effort: Effort) -> Iterator[tuple[Variant, str, Guess]]:
        """Variants and starts, most promising first: policy or interpolation, whichever is cheaper, then others.

        With little patience; if none of them does, the first two again with all of it. Starts of plans that leave the
        position limits are refined with these as constraints, which takes long, once those beside them have been tried.
        """
        task = refiner.task
        proposal = self._propose(task, instance, effort)
        began = time.monotonic()
        interpolation = task.interpolate(instance)
        cost = task.cost(interpolation.X, interpolation.U, instance.target)
        effort.start += time.monotonic() - began
        candidates = [(cost, "interpolation", interpolation)]
        if proposal is not None:
            candidates.append((proposal[0], "policy", proposal[1]))
        candidates.sort(key=lambda candidate: candidate[0])
        for _, source, guess in candidates:
            yield QUICK, source, guess
        yield from tuple(effort.outside)
        others = task.starts(instance, MAX_STARTS, np.random.default_rng(self._seed))[1:]
        if effort.collided:
            effort.outside.clear()
            for guess in self._free_starts(task, instance, others[1:]):
                yield Variant(clear=1), "posture", guess
            yield from tuple(effort.outside)
            return
        for source, guess in zip(["gravity"] + ["posture"] * len(others), others, strict=False):
            yield QUICK, source, guess
        for _, source, guess in candidates:
            yield PATIENT, source, guess
            yield replace(PATIENT, limited=True), source, guess

    def _free_starts(self, task: ArmReach, instance: Instance, guesses: list[Guess]) -> Iterator[Guess]:
        """Those that do not collide themselves first, cheaper ones first: few plans leave the side of an obstacle."""

        def rank(guess: Guess) -> tuple[bool, float]:
            collides = task.robot.first_collision(guess.X[:, : task.nu]) is not None
            return collides, task.cost(guess.X, guess.U, instance.target)

        yield from sorted(guesses, key=rank)

    def _propose(self, task: ArmReach, instance: Instance, effort: Effort) -> tuple[float, Guess] | None:
        """The policy's cheapest rollout and its cost; None without a policy or when its output is not finite."""
        if self.policy is None:
            return None
        began = time.monotonic()
        try:
            rng = np.random.default_rng(self._seed)
            found = rollouts(task, self.policy, instance, rng=rng, samples=self._samples)
        except PolicyError:
            self.policy_failures += 1
            return None
        finally:
            effort.policy += time.monotonic() - began
        began = time.monotonic()
        finite = [(float(cost), guess) for cost, guess in zip(found.costs, found.guesses, strict=True) if cost < np.inf]
        if not finite:
            self.policy_failures += 1
            return None
        if task.goal_type == "pose":  # what it proposes are ways to the position
            bent = [task.bend(guess, instance) for _, guess in finite]
            finite += [(task.cost(each.X, each.U, instance.target), each) for each in bent if each is not None]
        effort.start += time.monotonic() - began
        return min(finite, key=lambda candidate: candidate[0])

    def _refine(self, solver: Solver, instance: Instance, guess: Guess, effort: Effort) -> Solution:
        began = time.monotonic()
        solution = solver.solve(instance, guess, effort.left())
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
