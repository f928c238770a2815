"""From a state and a goal to a plan that may be executed: propose, refine, verify.

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
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.errors import PlanningError, PolicyError
from sobo_planner.policy import Policy
from sobo_planner.rollout import rollouts
from sobo_planner.solver import Guess, Instance, Solution, Solver
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Largest violation of dynamics, torque and velocity limits that a plan may have.
FEASIBLE = 1e-3
# A plan that ends further from the goal than this [m] is not good enough.
REACHED = 0.01
# Starts tried when the first ones do not reach the goal.
MAX_STARTS = 6
# Iterations after which a start is given up for the next one: nearly all need fewer, the rest may need hundreds.
PATIENCE = 60


class PlanStatus(str, Enum):
    """How good a plan is."""

    CONVERGED = "converged"  # the solver's tolerances are met
    FEASIBLE = "feasible"  # out of time or iterations, but within limits and consistent with the dynamics


@dataclass(frozen=True)
class Plan:
    """A trajectory that may be executed, with its feedback.

    Attributes:
        status: How good it is.
        time: Times of the states from the start [s], (T+1,).
        X: States, (T+1, nx).
        U: Torques [Nm], (T, nu), within the limits.
        K: Feedback gains du/dx, (T, nu, ndx): u = U[t] + K[t] (x - X[t]).
        cost: Total cost.
        violation: Largest violation of dynamics and limits.
        iterations: Solver iterations, over everything that was refined.
        tool_error: Distance of the tool to the goal at the end [m].
        source: Where the start came from: `policy`, `interpolation`, `gravity` or `posture`.
        phases_ms: Wall time of `policy` (rollouts), `start` (other starts), `refine` and `total` [ms].
        goal: Position to reach [m], (3,).
    """

    status: PlanStatus
    time: Array
    X: Array
    U: Array
    K: Array
    cost: float
    violation: float
    iterations: int
    tool_error: float
    source: str
    phases_ms: dict[str, float]
    goal: Array

    @property
    def reached(self) -> bool:
        """Whether the tool ends within 1 cm of the goal."""
        return self.tool_error < REACHED


@dataclass
class _Effort:
    """What planning has cost so far."""

    began: float
    limit: float | None
    iterations: int = 0
    policy: float = 0.0
    start: float = 0.0
    refine: float = 0.0
    outside: list[tuple[str, Guess]] = field(default_factory=list)  # starts of plans that leave the position limits

    def left(self) -> float | None:
        """Seconds left, at least a little; None without a deadline."""
        return None if self.limit is None else max(self.limit - (time.monotonic() - self.began), 1e-4)

    def over(self) -> bool:
        return self.limit is not None and time.monotonic() - self.began >= self.limit

    def phases_ms(self) -> dict[str, float]:
        total = time.monotonic() - self.began
        phases = {"policy": self.policy, "start": self.start, "refine": self.refine, "total": total}
        return {name: 1e3 * seconds for name, seconds in phases.items()}


class Planner:
    """Plans for one task. Used by one thread at a time; the solver releases the interpreter lock.

    Args:
        task: The task.
        policy: Proposes starts; without one, interpolation does.
        samples: Noise samples rolled out, the cheapest of which is refined; the task file's number by default.
        seed: Of the diffusion noise. The noise is the same for every call, so that equal calls give equal plans.
    """

    def __init__(
        self, task: ArmReach, policy: Policy | None = None, *, samples: int | None = None, seed: int = 0
    ) -> None:
        self.task = task
        self.policy = policy
        self._samples = task.config.policy.samples if samples is None else samples
        self._seed = seed
        options = task.solver_options
        quick = replace(options, max_iterations=min(PATIENCE, options.max_iterations), retry=False)
        self._quick, self._patient = Solver(task, quick), Solver(task)
        self.policy_failures = 0

    def plan(self, state: ArrayLike, goal: ArrayLike, deadline: float | None = None) -> Plan:
        """Plans from a state to a goal.

        Args:
            state: [q, v], (nx,) [rad, rad/s].
            goal: Tool position, (3,) [m], in the base frame.
            deadline: Wall time [s] within which to answer, met to within one solver iteration; None to converge.

        Returns:
            The first converged plan that reaches the goal, from the cheapest start; failing that, one that reaches it
            without having converged, or the one that ends closest.

        Raises:
            TaskError: The state or the goal is refused.
            PlanningError: No start led to a plan within the limits.
        """
        if deadline is not None and not deadline > 0:
            raise PlanningError(f"the deadline must be positive, got {deadline} s")
        effort = _Effort(time.monotonic(), deadline)
        instance = Instance(np.array(state, float), np.array(goal, float))
        self.task.check(instance)
        best: tuple[tuple[bool, bool, float], Solution, str] | None = None
        reasons: list[str] = []
        for solver, source, guess in self._starts(instance, effort):
            solution, reason = self._attempt(solver, instance, source, guess, effort)
            error = self.task.final_error(solution.X, instance.target) if not reason else np.inf
            rank = (error >= REACHED, not solution.converged, error)
            if reason:
                reasons.append(f"{source}: {reason}")
            elif best is None or rank < best[0]:
                best = rank, solution, source
            if effort.over() or (error < REACHED and solution.converged):
                break
        if best is None:
            raise PlanningError(f"no start led to a plan within the limits ({'; '.join(reasons)})")
        (_, _, error), solution, source = best
        return self._finish(instance, error, solution, source, effort)

    def _attempt(
        self, solver: Solver, instance: Instance, source: str, guess: Guess, effort: _Effort
    ) -> tuple[Solution, str]:
        """Refines a start, and one that ends short of the goal again with more weight on precision.

        Returns:
            The solution, and why it may not be executed (empty if it may).
        """
        solution = self._refine(solver, instance, guess, effort)
        reason = self._objection(solution)
        if self._leaves_limits(solution):
            effort.outside.append((source, guess))
        if reason or effort.over() or self.task.final_error(solution.X, instance.target) < REACHED:
            return solution, reason
        closer = self._refine(self._precise, instance, Guess(solution.X, solution.U), effort)
        return (solution if self._objection(closer) else closer), ""

    @cached_property
    def _limited_quick(self) -> Solver:
        return Solver(self.task.within_position_limits(), self._quick.options)

    @cached_property
    def _limited(self) -> Solver:
        return Solver(self.task.within_position_limits(), self.task.solver_options)

    @cached_property
    def _precise(self) -> Solver:
        return Solver(self.task.precise(), self.task.solver_options)

    def _starts(self, instance: Instance, effort: _Effort) -> Iterator[tuple[Solver, str, Guess]]:
        """Solvers and starts, most promising first: policy or interpolation, whichever is cheaper, then others.

        With little patience; if none of them does, the first two again with all of it. Starts of plans that leave the
        position limits are refined with these as constraints, which takes long, once those beside them have been tried.
        """
        proposal = self._propose(instance, effort)
        began = time.monotonic()
        interpolation = self.task.interpolate(instance)
        cost = self.task.cost(interpolation.X, interpolation.U, instance.target)
        effort.start += time.monotonic() - began
        candidates = [(cost, "interpolation", interpolation)]
        if proposal is not None:
            candidates.append((proposal[0], "policy", proposal[1]))
        candidates.sort(key=lambda candidate: candidate[0])
        for _, source, guess in candidates:
            yield self._quick, source, guess
        for source, guess in tuple(effort.outside):
            yield self._limited_quick, source, guess
        others = self.task.starts(instance, MAX_STARTS, np.random.default_rng(self._seed))[1:]
        for source, guess in zip(["gravity"] + ["posture"] * len(others), others, strict=False):
            yield self._quick, source, guess
        for _, source, guess in candidates:
            yield self._patient, source, guess
            yield self._limited, source, guess

    def _propose(self, instance: Instance, effort: _Effort) -> tuple[float, Guess] | None:
        """The policy's cheapest rollout and its cost; None without a policy or when its output is not finite."""
        if self.policy is None:
            return None
        began = time.monotonic()
        try:
            rng = np.random.default_rng(self._seed)
            found = rollouts(self.task, self.policy, instance, rng=rng, samples=self._samples)
        except PolicyError:
            self.policy_failures += 1
            return None
        finally:
            effort.policy += time.monotonic() - began
        cost = float(found.costs.min())
        return (cost, found.best) if np.isfinite(cost) else None

    def _refine(self, solver: Solver, instance: Instance, guess: Guess, effort: _Effort) -> Solution:
        began = time.monotonic()
        solution = solver.solve(instance, guess, effort.left())
        effort.refine += time.monotonic() - began
        effort.iterations += solution.iterations
        return solution

    def _objection(self, solution: Solution) -> str:
        """Why a solution may not be executed; empty if it may."""
        arrays = (solution.X, solution.U, solution.K)
        if not all(np.all(np.isfinite(array)) for array in arrays) or not np.isfinite(solution.cost):
            return f"the solver diverged after {solution.iterations} iterations {solution.message}".rstrip()
        if solution.primal_residual > FEASIBLE:
            return (
                f"{solution.status.value} after {solution.iterations} iterations with a violation of "
                f"{solution.primal_residual:.1e}, allowed is {FEASIBLE:.0e}"
            )
        return self._leaves_limits(solution)

    def _leaves_limits(self, solution: Solution) -> str:
        """Which joint would leave its position limits, and by how much; empty if none would."""
        robot, q = self.task.robot, solution.X[1:, : self.task.nu]
        outside = np.maximum(robot.position_lower - q, q - robot.position_upper).max(axis=0)
        worst = int(np.argmax(outside))
        if not outside[worst] > FEASIBLE:
            return ""
        return f"joint {robot.joint_names[worst]} would leave its limits by {outside[worst]:.3f}"

    def _finish(self, instance: Instance, error: float, solution: Solution, source: str, effort: _Effort) -> Plan:
        limit = self.task.torque_limit
        return Plan(
            status=PlanStatus.CONVERGED if solution.converged else PlanStatus.FEASIBLE,
            time=np.linspace(0.0, self.task.horizon * self.task.dt, self.task.horizon + 1),
            X=solution.X,
            U=np.clip(solution.U, -limit, limit),  # the solver keeps the limits to its tolerance
            K=solution.K,
            cost=self.task.cost(solution.X, solution.U, instance.target),
            violation=solution.primal_residual,
            iterations=effort.iterations,
            tool_error=error,
            source=source,
            phases_ms=effort.phases_ms(),
            goal=instance.target,
        )
