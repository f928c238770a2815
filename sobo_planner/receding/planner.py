"""Replanning in every cycle: one short solve, from the state predicted for the hand-over.

The solver begins with the cheapest of these starts; a thread of its own rolls out the policy:

    measured state --> predicted state at hand-over ---+
    motion so far --> shifted -----+                   |
    policy (another thread) -------+--> cheapest start +--> ProxDDP, one step or two --> checks --> next motion
    interpolation (goal moved) ----+
    unfinished iterate --> shifted --------------------+
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion import Followed, Motion, Timeline
from sobo_planner.motion.braking import Brakes, stopping_time
from sobo_planner.receding.choice import Start, choose
from sobo_planner.receding.current_task import CurrentTask
from sobo_planner.receding.cycle import LEAVING, Cycle
from sobo_planner.receding.drafts import Drafts
from sobo_planner.receding.handover import followed_from, state_at
from sobo_planner.receding.leaving import Leaver
from sobo_planner.receding.proposer import Proposer
from sobo_planner.receding.solver import NEAR, RecedingSolver
from sobo_planner.receding.starters import CycleStarts
from sobo_planner.safety import PlanChecker, Violation
from sobo_planner.solver import UNLIMITED, Instance, Solution
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains
from sobo_planner.tasks.arm.timing import Pace
from sobo_planner.world import World

Array = NDArray[np.float64]

# How long before the arm would have to brake it is stopped for what is ahead [s]: one that brakes takes up to 0.1 s
# to begin, and objects come nearer.
RESERVE = 0.3


class RecedingPlanner:
    """Plans one motion after another. Used by one thread; times are those of one monotonic clock, in seconds.

    Args:
        task: The task.
        checker: Passes every motion before it is returned.
        brakes: Bring an arm to rest that follows no motion of this planner.
        followed: What the arm follows. Whoever publishes a cycle's motion adds it there.
        proposer: The policy in another thread; without one, starts are shifted motions and interpolations.
        budget: Time a cycle may take [s].
        propose_every: Cycles between two proposals of the policy while the goal stays.
        starts: Where cycles start from; made from checker, proposer and `propose_every` by default.
        solver: Refines starts; made for the task by default.
        gains: Which gains motions have.
        margin: Distance [m] to be kept from the objects of worlds that are set.

    Attributes:
        progress: Looked at by what may take long in a cycle: inverse kinematics.
    """

    def __init__(
        self,
        task: ArmReach,
        checker: PlanChecker,
        brakes: Brakes,
        followed: Followed,
        proposer: Proposer | None = None,
        *,
        budget: float,
        propose_every: int,
        starts: CycleStarts | None = None,
        solver: RecedingSolver | None = None,
        gains: Gains = Gains.TRACKING,
        margin: float = 0.0,
    ) -> None:
        self._current = CurrentTask(task, checker, margin)
        self._gains = gains
        self.followed = followed
        self.progress = UNLIMITED
        self._brakes, self._budget = brakes, budget
        self._starts = starts or CycleStarts(task, checker, proposer, propose_every)
        self._solver = solver or RecedingSolver(task, checker, gains=gains is Gains.TASK)
        self._drafts, self._leaver = Drafts(), Leaver()
        self._sought: Array | None = None  # target of the last cycle
        self._tries = 0  # consecutive cycles without a motion to the target

    @property
    def task(self) -> ArmReach:
        """The task as cycles see it."""
        return self._current.task

    def set_pace(self, pace: Pace) -> None:
        """Sets the shares of the robot's speeds and accelerations that motions may use from the next cycle on."""
        self._adopt(self._current.set_pace(pace))

    def set_world(self, world: World) -> None:
        """Plans in a world from the next cycle on, instead of the one that the task was made in."""
        self._leaver.objects_move = True
        self._adopt(self._current.set_world(world))

    def _adopt(self, changed: bool) -> None:
        """Lets the parts of a cycle see the task as it is now."""
        if changed:
            self._starts.adopt(self.task, self._current.checker)
            self._solver.adopt(self.task)

    def contact_ahead(self, timeline: Timeline, now: float) -> Violation | None:
        """What the arm is about to run into in the world as it is, if it follows a timeline from now [s] on.

        Contacts so far ahead that the arm can be stopped later are left to the next cycles, which may find a way past
        them. What it touches already counts unless it is leaving that: objects may come after an arm that draws away.
        """
        n, dt = self.task.nu, self.task.dt
        soon = now + stopping_time(self.task, timeline.state(now)) + RESERVE
        times = np.arange(now, min(soon, timeline.end) + dt, dt)
        states, _, _ = timeline.commands(times)
        leaving = self._leaver.gave(timeline.last)
        return self._current.checker.contact(times - now, states[:, :n], states[:, n:], leaving=leaving)

    def cycle(self, x: Array, measured: float, target: Array, handover: float) -> Cycle:
        """Plans the next motion towards a target, or out of what the arm touches.

        Args:
            x: Measured state [q, v], (2n,).
            measured: When that was.
            target: What to reach, (3,) [m], or a pose (7,).
            handover: When the next motion begins.

        Raises:
            TaskError: The state is refused, or the target when it moves.
        """
        began = time.monotonic()
        followed = self.followed.timeline
        if not self._drafts.go_on(None if followed is None else followed.last):
            self._solver.restart()
        x, timeline = followed_from(self.task, self._brakes, followed, x, measured)
        if timeline is not followed:
            self._drafts.drop()
            self._solver.restart()
        lost = followed is not None and timeline is not followed
        x0, touches = state_at(self.task, timeline, x, measured, handover)
        if touches:
            return replace(self._leave(timeline, x0, target, handover), lost=lost)
        self._leaver.free()
        moved = self._seek(x, target)
        instance = Instance(x0, target)
        self._adopt(self._current.slow_down(instance.x0))
        self._solver.choose(instance)
        start = self._start(self._drafts.latest or timeline.last, instance, handover, moved)
        started = time.monotonic()
        start_cost, solution = self._solver.solve(instance, start.guess, handover, self._budget - (started - began))
        refined = time.monotonic()
        cycle = choose(self._current, self._solver, self._gains, instance, handover, start, start_cost, solution)
        self._keep(cycle, solution, start_cost, target, handover)
        checked = time.monotonic()
        phases = {"start": started - began, "refine": refined - started, "check": checked - refined}
        return replace(cycle, lost=lost, phases_ms={name: 1e3 * seconds for name, seconds in phases.items()})

    def _start(self, before: Motion, instance: Instance, handover: float, moved: bool) -> Start:
        """The cheapest start; `before` is shifted for one of them, `moved` says that no motion to the target exists."""
        tries = self._tries if moved or (self._tries > 0 and not self._solver.unfinished) else None
        source, guess = self._starts.best(before, instance, handover, self._solver, tries, self.progress)
        if source != "shifted":
            self._solver.restart()
        # Gains of what the solver has not finished are not those of the start.
        unfinished = self._gains is Gains.TASK and self._solver.unfinished and before.dt == self.task.dt
        return Start(source, guess, before.gains_from(handover) if unfinished else None)

    def _keep(self, cycle: Cycle, solution: Solution | None, start_cost: float, target: Array, handover: float) -> None:
        """Records what a cycle brought, for the next one."""
        if cycle.motion is not None:
            self._drafts.add(cycle.motion, target)
        if solution is not None:
            self._solver.keep(solution, start_cost, cycle.refined, handover)
            arrives = cycle.motion is not None and cycle.tool_error <= NEAR
            optimal = cycle.refined or (solution.converged and solution.iterations == 0)
            self._tries = 0 if arrives and (optimal or not self._solver.clear) else self._tries + 1

    def _leave(self, timeline: Timeline, x0: Array, target: Array, handover: float) -> Cycle:
        """A cycle of an arm that touches something at the hand-over. Raises StartError where it cannot leave that."""
        began = time.monotonic()
        found = self._leaver.motion(self.task, self._current.checker, timeline, x0, handover)
        if isinstance(found, str):
            return Cycle(None, LEAVING, objection=found)
        motion, left = found
        phases = {"start": 1e3 * (time.monotonic() - began), "refine": 0.0, "check": 0.0}
        error = self.task.final_error(motion.X, target)
        return Cycle(motion, LEAVING, tool_error=error, left=left, phases_ms=phases)

    def _seek(self, x: Array, target: Array) -> bool:
        """Records the target. Returns whether no motion to it was published yet."""
        moved = not self._drafts.reach(target)
        if moved:
            self.task.check_goal(Instance(x, target), self.progress)
        if self._sought is None or not np.array_equal(target, self._sought):
            self._sought = target
            self._solver.new_target()
        return moved
