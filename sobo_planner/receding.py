"""Replanning on the fly: one short solve a cycle, from where the arm will be at the hand-over.

measured state --> expected state at hand-over ----+
motion so far --> shifted -----+                   |
policy (beside the loop) ------+--> cheapest start +--> ProxDDP, a few iterations --> checks --> next motion
interpolation (goal moved) ----+
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner.brakes import Brakes
from sobo_planner.errors import SolverError
from sobo_planner.motion import Motion, Timeline, expected_state, follow, within_limits
from sobo_planner.planner import FEASIBLE
from sobo_planner.proposer import Proposer
from sobo_planner.safety import Limit, PlanChecker, Violation
from sobo_planner.solver import Guess, Instance, Solution, Solver
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Iterations a cycle. One leaves half of the plans of a moving arm unconverged, a third hardly improves on two.
ITERATIONS = 2
# A joint this far from where its motion wants it [rad] is not following it.
LOST = 0.3
# With its tool this near to the goal [m] the arm is steered with more weight on precision: the last centimetre is worth
# less to the task than the torque that it takes. A motion that ends further away does not lead to the goal.
NEAR = 0.1
# A joint may be this far beyond its limit [rad] while it follows a motion that keeps the limit.
OVERSHOOT = 0.05


@dataclass(frozen=True)
class Cycle:
    """What one cycle brought.

    Attributes:
        motion: What to publish; None when nothing that may be published was found: the motion before goes on.
        source: Where the start came from: `shifted`, `policy` or `interpolation`.
        refined: Whether the solver's result is published, and not its start.
        cost: Total cost of the motion.
        violation: Largest violation of dynamics and limits that the solver left.
        iterations: Solver iterations.
        lost: Whether planning began anew because the arm did not follow.
        objection: Why the first choice was not published; empty if it was.
        tool_error: Distance of the tool to the goal at the end [m].
        phases_ms: Wall time of `start`, `refine` and `check` [ms].
    """

    motion: Motion | None
    source: str
    refined: bool = False
    cost: float = 0.0
    violation: float = 0.0
    iterations: int = 0
    lost: bool = False
    objection: str = ""
    tool_error: float = np.inf
    phases_ms: dict[str, float] = field(default_factory=dict)


class RecedingPlanner:
    """Keeps one motion going. Used by one thread; times are those of one monotonic clock, in seconds.

    Args:
        task: The task.
        checker: Passes every motion before it is returned.
        brakes: Bring an arm to rest that no motion of ours moves.
        proposer: The policy beside the loop; without one, starts are shifted motions and interpolations.
        budget: Time a cycle may take [s].
        propose_every: Cycles between two proposals of the policy while the goal stays.
    """

    def __init__(
        self,
        task: ArmReach,
        checker: PlanChecker,
        brakes: Brakes,
        proposer: Proposer | None = None,
        *,
        budget: float,
        propose_every: int,
    ) -> None:
        self.task = task
        self._checker, self._brakes, self._proposer = checker, brakes, proposer
        self._budget, self._propose_every = budget, propose_every
        options = replace(task.solver_options, max_iterations=ITERATIONS, retry=False)
        # By whether links are kept apart, and whether the tool is near to the goal.
        self._variants = [
            [(variant, Solver(variant, options, sequence=True)) for variant in (each, each.precise(throughout=True))]
            for each in (task, task.avoiding_self_collision())
        ]
        self._cost_task, self._solver = self._variants[0][0]
        self._timeline: Timeline | None = None  # what the arm follows
        self._draft: Motion | None = None  # that the last cycle brought, published in time or not
        self._target: Array | None = None
        self._sought: Array | None = None  # target of the last cycle
        self._clear = False  # whether a motion to it collided
        self._cycles = self._tries = 0
        self._rng = np.random.default_rng(0)

    def forget(self) -> None:
        """Drops the motion: the next cycle begins where the arm is measured."""
        self._timeline = self._draft = self._target = None

    def accept(self, motion: Motion, target: Array | None, now: float) -> None:
        """Takes note that a cycle's motion was published: the arm follows it from its beginning on."""
        self._timeline = Timeline(motion) if self._timeline is None else self._timeline.then(motion, now)
        self._draft, self._target = motion, target

    def cycle(self, x: Array, measured: float, target: Array, handover: float) -> Cycle:
        """Plans the next motion towards a target.

        Args:
            x: Measured state [q, v], (2n,).
            measured: When that was.
            target: What to reach, (3,) [m], or a pose (7,).
            handover: When the next motion begins.

        Raises:
            TaskError: The state is refused, or the target when it moves.
        """
        began = time.monotonic()
        self._check_start(x)
        moved = self._target is None or not np.array_equal(target, self._target)
        if moved:
            self.task.check_goal(Instance(x, target))
        if self._sought is None or not np.array_equal(target, self._sought):
            self._sought, self._clear = target, False
        timeline, lost = self._follow(x, measured)
        instance = Instance(expected_state(self.task, timeline, x, measured, handover), target)
        self._cost_task, self._solver = self._variants[self._clear][self.task.distance(instance.x0, target) < NEAR]
        source, start, start_cost = self._best_start(timeline.last, instance, handover, moved or self._tries > 0)
        started = time.monotonic()
        solution = self._solver.solve(instance, start, max(self._budget - (started - began), 1e-4))
        refined = time.monotonic()
        cycle = self._choose(source, start, start_cost, solution, instance, handover)
        checked = time.monotonic()
        phases = {"start": started - began, "refine": refined - started, "check": checked - refined}
        self._draft = cycle.motion or self._draft
        self._cycles += 1
        arrives = cycle.motion is not None and cycle.tool_error <= NEAR and (cycle.refined or not self._clear)
        self._tries = 0 if arrives else self._tries + 1
        return replace(cycle, lost=lost, phases_ms={name: 1e3 * seconds for name, seconds in phases.items()})

    def _check_start(self, x: Array) -> None:
        """Refuses a state that no motion may begin at; feedback may take a moving joint a little past its limits."""
        if self._timeline is not None and np.shape(x) == (self.task.nx,):
            within = within_limits(self.task, x)
            if np.abs(x - within)[: self.task.nu].max() <= OVERSHOOT:
                x = within
        self.task.check_start(x)

    def _follow(self, x: Array, measured: float) -> tuple[Timeline, bool]:
        """What the arm follows, and whether that had to begin anew because the arm does not."""
        n, timeline = self.task.nu, self._timeline
        lost = timeline is not None and bool(np.abs(x[:n] - timeline.state(measured)[:n]).max() > LOST)
        if timeline is None or lost:
            self._draft, timeline = None, Timeline(self._brakes.motion(x, measured))
        return timeline, lost

    def _best_start(
        self, previous: Motion, instance: Instance, handover: float, moved: bool
    ) -> tuple[str, Guess, float]:
        """The cheapest start; of those that keep the limits and the links apart, if there is one and need be."""
        starts = sorted(self._starts(previous, instance, handover, moved), key=lambda start: start[2])
        if moved or starts[0][0] == "policy":
            times = self.task.dt * np.arange(self.task.horizon + 1, dtype=np.float64)
            no_gains = np.zeros((self.task.horizon, self.task.nu, self.task.nx))
            for start in starts:
                if self._checker.check(times, start[1].X, start[1].U, no_gains) is None:
                    return start
        return starts[0]

    def _starts(
        self, previous: Motion, instance: Instance, handover: float, moved: bool
    ) -> Iterator[tuple[str, Guess, float]]:
        """Starts and their costs. All begin at the expected state and agree with the dynamics and the torque limits."""
        task, x, target = self._cost_task, instance.x0, instance.target
        shifted = (self._draft or previous).from_time(task, handover, x)
        yield "shifted", shifted, task.cost(shifted.X, shifted.U, target)
        if moved:  # to the nearest posture at first, then to others
            straight = task.interpolate(instance) if self._tries == 0 else self._to_posture(instance)
            yield "interpolation", straight, task.cost(straight.X, straight.U, target)
        if self._proposer is None:
            return
        proposal = self._proposer.take(target)
        if proposal is not None:
            rolled = proposal.from_time(task, handover, x)
            yield "policy", rolled, task.cost(rolled.X, rolled.U, target)
        if moved or self._cycles % self._propose_every == 0:
            self._proposer.ask(instance, handover)

    def _to_posture(self, instance: Instance) -> Guess:
        return self.task.starts(instance, 3, self._rng)[-1]

    def _choose(
        self, source: str, start: Guess, start_cost: float, solution: Solution, instance: Instance, handover: float
    ) -> Cycle:
        """The cheaper of the solver's result and its start that may be published."""
        options = [(start_cost, False, start)]
        refined = self._executable(solution, instance)
        if refined is not None:
            options.append((self._cost_task.cost(refined.X, refined.U, instance.target), True, refined))
        options.sort(key=lambda option: option[0])
        gains = solution.K
        if not np.isfinite(gains).all():
            try:
                gains = self._solver.gains(instance, start)
            except SolverError as missing:
                return Cycle(None, source, iterations=solution.iterations, objection=str(missing))
        objections: list[str] = []
        for cost, is_refined, guess in options:
            motion = Motion(handover, self.task.dt, guess.X, guess.U, gains)
            violation = self._check(motion)
            if violation is None:
                error = self.task.final_error(guess.X, instance.target)
                violated = solution.primal_residual if is_refined else 0.0
                return Cycle(
                    motion, source, is_refined, cost, violated, solution.iterations, False, "; ".join(objections), error
                )
            self._clear |= violation.limit is Limit.SELF_COLLISION
            objections.append(f"{'refined' if is_refined else 'start'}: {violation.detail}")
        return Cycle(None, source, iterations=solution.iterations, objection="; ".join(objections))

    def _executable(self, solution: Solution, instance: Instance) -> Guess | None:
        """The solver's trajectory; followed by inverse dynamics where it is not consistent or leaves position limits.

        None where it is not finite.
        """
        if not (np.isfinite(solution.X).all() and np.isfinite(solution.U).all()):
            return None
        limit, n = self.task.torque_limit, self.task.nu
        states = solution.X[1:]
        Q = np.clip(states[:, :n], self._checker.position_lower, self._checker.position_upper)
        within = np.abs(Q - states[:, :n]).max() <= 0.5 * FEASIBLE
        if within and solution.primal_residual <= 0.5 * FEASIBLE:
            return Guess(solution.X, np.clip(solution.U, -limit, limit))
        if not within:  # along the limits instead of beyond them
            states = np.hstack([Q, np.diff(Q, axis=0, prepend=instance.x0[None, :n]) / self.task.dt])
        return follow(self.task, instance.x0, states)

    def _check(self, motion: Motion) -> Violation | None:
        return self._checker.check(motion.time, motion.X, motion.U, motion.K)
