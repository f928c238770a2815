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
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import SolverError
from sobo_planner.motion import LOST, Followed, Motion, Timeline, expected_state, unwound, within_limits
from sobo_planner.motion.braking import Brakes, stopping_time
from sobo_planner.planning.plan import LeftContact
from sobo_planner.receding.leaving import Leaver
from sobo_planner.receding.proposer import Proposer
from sobo_planner.receding.solver import NEAR, RecedingSolver
from sobo_planner.receding.starters import CycleStarts
from sobo_planner.safety import PlanChecker, Violation
from sobo_planner.solver import UNLIMITED, Guess, Instance, Solution
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains, commands
from sobo_planner.tasks.arm.timing import Pace
from sobo_planner.world import World

Array = NDArray[np.float64]

# A joint may be this far beyond its limit [rad] while it follows a motion that keeps the limit.
OVERSHOOT = 0.05
# How long before the arm would have to brake it is stopped for what is ahead [s]: one that brakes takes up to 0.1 s
# to begin, and objects come nearer.
RESERVE = 0.3
# Share of the acceleration limits by which a joint that is too fast slows down at least.
SLOWING = 0.5
LEAVING = "leaving"


@dataclass(frozen=True)
class Cycle:
    """Result of one cycle.

    Attributes:
        motion: What to publish; None when nothing that may be published was found: the previous motion continues.
        source: Where the start came from: `shifted`, `policy` or `interpolation`; `leaving` for a motion that leaves a
            contact, also while that goes on.
        refined: Whether the solver's result is published, and not its start.
        cost: Total cost of the motion; NaN where the start continues the motion before and the solver had nothing to
            say.
        violation: Largest violation of dynamics and limits that the solver left.
        iterations: Solver iterations.
        lost: Whether planning restarted from the measured state because the arm did not follow.
        objection: Why the first choice was not published; empty if it was.
        tool_error: Distance of the tool to the goal at the end [m].
        left: The contact that the motion leaves.
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
    left: LeftContact | None = None
    phases_ms: dict[str, float] = field(default_factory=dict)


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
        self.task = self._given = task
        self._margin, self._world = margin, (task.robot.world.version, task.robot.native)
        self._pace, self._gains = Pace(), gains
        self.followed = followed
        self.progress = UNLIMITED
        self._checker, self._brakes, self._budget = checker, brakes, budget
        self._starts = starts or CycleStarts(task, checker, proposer, propose_every)
        self._solver = solver or RecedingSolver(task, checker, gains=gains is Gains.TASK)
        self._draft: Motion | None = None  # that the last cycle brought, published in time or not
        self._draft_target: Array | None = None  # what it leads to
        self._leaver = Leaver()
        self._published: Motion | None = None  # the last motion of ours that was published
        self._target: Array | None = None  # what that one leads to
        self._sought: Array | None = None  # target of the last cycle
        self._tries = 0  # consecutive cycles without a motion to the target

    def set_pace(self, pace: Pace) -> None:
        """Sets the shares of the robot's speeds and accelerations that motions may use from the next cycle on."""
        if pace != self._pace:
            self._pace = pace
            self._adopt(self.task.nominal.paced(pace))

    def set_world(self, world: World) -> None:
        """Plans in a world from the next cycle on, instead of the one that the task was made in."""
        self._leaver.objects_move = True
        this = world.version, self._given.robot.native  # payloads are set in place
        if this == self._world:
            return
        self._world = this
        task = self._given.with_world(world, self._margin)
        self._checker = self._checker.of(task)
        self._adopt(task.paced(self._pace))

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
        return self._checker.contact(times - now, states[:, :n], states[:, n:], leaving=leaving)

    def _adopt(self, task: ArmReach) -> None:
        self.task = task
        self._starts.adopt(task, self._checker)
        self._solver.adopt(task)

    def _slow_down(self, x: Array) -> None:
        """Where a joint is faster at a hand-over than its share, it may be so: a bit slower from step to step."""
        n, nominal = self.task.nu, self.task.nominal
        usual = self._pace.velocity_scaling * nominal.robot.velocity_limit
        slower = np.maximum(np.abs(x[n:]) - SLOWING * self.task.acceleration_limit * self.task.dt, 0.0)
        if (slower > usual).any() or (self.task.velocity_limit > usual).any():
            self._adopt(nominal.paced(self._pace, np.concatenate([x[:n], slower])))

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
        self._take_note(None if followed is None else followed.last)
        if followed is not None and np.shape(x) == (self.task.nx,):
            x = unwound(self.task, x, followed.state(measured))
        timeline, lost = self._follow(followed, x, measured)
        x0, touches = self._state_at(timeline, x, measured, handover)
        if touches:
            return replace(self._leave(timeline, x0, target, handover), lost=lost)
        self._leaver.free()
        moved = self._seek(x, target)
        instance = Instance(x0, target)
        self._slow_down(instance.x0)
        self._solver.choose(instance)
        tries = self._tries if moved or (self._tries > 0 and not self._solver.unfinished) else None
        before = self._draft or timeline.last
        source, start = self._starts.best(before, instance, handover, self._solver, tries, self.progress)
        if source != "shifted":
            self._solver.restart()
        # Gains of what the solver has not finished are not those of the start.
        unfinished = self._gains is Gains.TASK and self._solver.unfinished and before.dt == self.task.dt
        gains = before.gains_from(handover) if unfinished else None
        started = time.monotonic()
        start_cost, solution = self._solver.solve(instance, start, handover, self._budget - (started - began))
        refined = time.monotonic()
        cycle = self._choose(source, start, start_cost, gains, solution, instance, handover)
        if cycle.motion is not None:
            self._draft, self._draft_target = cycle.motion, target
        if solution is not None:
            self._solver.keep(solution, start_cost, cycle.refined, handover)
            arrives = cycle.motion is not None and cycle.tool_error <= NEAR
            optimal = cycle.refined or (solution.converged and solution.iterations == 0)
            self._tries = 0 if arrives and (optimal or not self._solver.clear) else self._tries + 1
        checked = time.monotonic()
        phases = {"start": started - began, "refine": refined - started, "check": checked - refined}
        return replace(cycle, lost=lost, phases_ms={name: 1e3 * seconds for name, seconds in phases.items()})

    def _leave(self, timeline: Timeline, x0: Array, target: Array, handover: float) -> Cycle:
        """A cycle of an arm that touches something at the hand-over. Raises StartError where it cannot leave that."""
        began = time.monotonic()
        found = self._leaver.motion(self.task, self._checker, timeline, x0, handover)
        if isinstance(found, str):
            return Cycle(None, LEAVING, objection=found)
        motion, left = found
        phases = {"start": 1e3 * (time.monotonic() - began), "refine": 0.0, "check": 0.0}
        error = self.task.final_error(motion.X, target)
        return Cycle(motion, LEAVING, tool_error=error, left=left, phases_ms=phases)

    def _take_note(self, last: Motion | None) -> None:
        """Finds out what became of the last draft, from the motion that was published last (None: nothing is known).

        It is the draft; or the motion before, because the draft came too late to be published: then the next cycle
        starts from the draft all the same. Or it is somebody else's, such as a braking motion.
        """
        if last is not None and last is self._draft:
            self._published, self._target = last, self._draft_target
        elif last is None or last is not self._published:
            self._draft = self._target = None
            self._published = last
            self._solver.restart()

    def _follow(self, timeline: Timeline | None, x: Array, measured: float) -> tuple[Timeline, bool]:
        """What the arm follows, and whether that is new because the arm was far from its motion.

        Raises StartError where no motion may begin. An arm in motion may be a little off what it follows, which keeps
        limits and links apart.
        """
        n = self.task.nu
        if timeline is not None and np.shape(x) == (self.task.nx,):
            within = within_limits(self.task, x)
            if np.abs(x - within)[:n].max() <= OVERSHOOT:
                if np.abs(x[:n] - timeline.state(measured)[:n]).max() <= LOST:
                    return timeline, False
                x = within
        self.task.check_limits(x)
        self._draft = None
        self._solver.restart()
        return Timeline(self._brakes.motion(x, measured)), timeline is not None

    def _seek(self, x: Array, target: Array) -> bool:
        """Records the target. Returns whether no motion to it was published yet."""
        moved = self._target is None or not np.array_equal(target, self._target)
        if moved:
            self.task.check_goal(Instance(x, target), self.progress)
        if self._sought is None or not np.array_equal(target, self._sought):
            self._sought = target
            self._solver.new_target()
        return moved

    def _state_at(self, timeline: Timeline, x: Array, measured: float, handover: float) -> tuple[Array, bool]:
        """Where the arm will be at the hand-over, or is meant to be if it would touch something; whether it does so."""
        n, robot = self.task.nu, self.task.robot
        expected = expected_state(self.task, timeline, x, measured, handover)
        if robot.contact(expected[:n]) is None:
            return expected, False
        desired = timeline.state(handover)
        return desired, robot.contact(desired[:n]) is not None

    def _choose(
        self,
        source: str,
        start: Guess,
        start_cost: float,
        start_gains: Array | None,
        solution: Solution | None,
        instance: Instance,
        handover: float,
    ) -> Cycle:
        """The cheaper of the solver's result and the start that may be published. Gains are the solver's or given."""
        options = [(start_cost, False, start)]
        refined = None if solution is None else self._solver.executable(solution, instance)
        if refined is not None:
            options.append((refined[0], True, refined[1]))
        options.sort(key=lambda option: option[0])
        iterations = 0 if solution is None else solution.iterations
        gains = None if solution is None else solution.K
        if self._gains is Gains.TASK and (gains is None or not np.isfinite(gains).all()):
            try:
                gains = self._solver.gains(instance, start)
            except SolverError as missing:
                return Cycle(None, source, iterations=iterations, objection=str(missing))
        objections: list[str] = []
        for cost, is_refined, guess in options:
            own = gains if is_refined or start_gains is None else start_gains
            motion = Motion(handover, self.task.dt, guess.X, *commands(self.task, self._gains, guess.X, guess.U, own))
            violation = self._checker.check(motion.time, motion.X, motion.U, motion.K)
            if violation is None:
                return Cycle(
                    motion,
                    source,
                    is_refined,
                    cost,
                    solution.primal_residual if solution is not None and is_refined else 0.0,
                    iterations,
                    objection="; ".join(objections),
                    tool_error=self.task.final_error(guess.X, instance.target),
                )
            self._solver.collided(violation)
            objections.append(f"{'refined' if is_refined else 'start'}: {violation.detail}")
        return Cycle(None, source, iterations=iterations, objection="; ".join(objections))
