"""Mode `receding_horizon`: a new motion at every tick, towards the latest goal."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import GoalError, StartError, TaskError
from sobo_planner.motion import Motion
from sobo_planner.receding import LEAVING, NEAR, Cycle, RecedingPlanner
from sobo_planner.receding.proposer import Proposer
from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.inputs.worlds import SeenWorld
from sobo_planner.ros.outputs.diagnostics import contact_of
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.serve.serving import Progress, Server
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.solver import Instance
from sobo_planner.tasks.arm.timing import Pace

Vector = NDArray[np.float64]

# Cycles in a row after which a goal is refused when none finds a motion to it, and how long they are [s] at least; or
# after which it is dropped when no motion may begin.
MAX_TRIES, TRIED_FOR = 80, 0.8
BAD_STARTS = 10
# Time [s] after which a goal is tried again that an object occupies: to find that no posture is free there takes long.
OCCUPIED = 0.25
# Periods from a cycle's beginning to the hand-over: one to compute, one to send the motion before it begins. More where
# cycles take longer, measured over the last ones, up to a bound [s], which doubles with each motion in a row that comes
# too late, up to another [s]: on a computer that is too slow, motions begin late rather than never.
LEAD_PERIODS = 2.0
LONGEST_LEAD = 0.2
LONGEST_LATE_LEAD = 1.0
WINDOW = 50
CYCLE_WITHIN = 0.3  # [s] that a cycle is known to take on a busy machine


class RecedingHorizon(Server):
    """Replans at a fixed rate. A cycle that takes too long skips the ticks that it misses; nothing is queued."""

    def __init__(self, core: Core, planner: RecedingPlanner, proposer: Proposer | None, rate: float) -> None:
        super().__init__(core)
        self._planner, self._proposer, self._period = planner, proposer, 1.0 / rate
        self._most_tries = max(MAX_TRIES, round(TRIED_FOR * rate))
        planner.progress = Progress(self.pulse)
        self._goal: Vector | None = None  # replanned for
        self._asked: Vector | None = None  # without a motion to it so far
        self._replaced: Vector | None = None  # what was asked for before that, without one either
        self._told: Vector | None = None  # in `detail`
        self._reachable: Vector | None = None  # a goal that is free but for what came on topics
        self._tries = self._bad_starts = 0
        self._paused = 0  # ticks without a cycle to come
        self._longest_lead = LONGEST_LEAD
        self._published: Motion | None = None  # in this cycle
        self._braking: Motion | None = None  # published last for an object
        self._policy_failures = 0
        self._durations: deque[float] = deque(maxlen=WINDOW)

    def _lead(self) -> float:
        """Time from now to the hand-over [s]."""
        wanted = max(LEAD_PERIODS * self._period, 1.2 * max(self._durations, default=0.0))
        return float(min(wanted, self._longest_lead))

    def run(self) -> None:
        """See `Server.run`."""
        tick = time.monotonic()
        while not self.core.inbox.closed:
            self.pulse.beat(self._period + CYCLE_WITHIN)
            self._tick()
            tick += self._period
            behind = time.monotonic() - tick
            missed = int(behind / self._period)
            if missed > 0:  # ticks at which no cycle began: they are lost, not made up for
                tick += missed * self._period
                if self._goal is not None:
                    self.core.note(Status.DEADLINE_MISSED, f"a cycle ended {1e3 * behind:.1f} ms late", missed)
            self.core.inbox.sleep(tick - time.monotonic())

    def _tick(self) -> None:
        self.clock_jumped()
        request = self.core.inbox.take(0.0)
        if request is not None:
            if request.goal is None:
                self._stop(self.dropped())
                return
            self._replaced, self._asked, self._tries, self._paused = self._asked, request.goal, 0, 0
        goal = self._goal if self._asked is None else self._asked
        self.serving = goal
        if goal is None:
            return
        if self._asked is not None:
            if not self.guarded(goal, lambda: self._first(goal)):
                self._asked, self._replaced, self._tries = self._replaced, None, 0
                if self._goal is None and self._asked is None and self._told is goal:
                    self._rest()  # motions that end elsewhere have been published for it
        elif self._paused:
            self._paused -= 1
        else:
            self._follow(goal)
        if self.core.worlds is not None:
            self.guarded(None, self._keep_clear)

    def _first(self, goal: Vector) -> None:
        """A cycle towards a goal without a motion to it so far. One that an object occupies is waited for, at rest."""
        try:
            self._serve(goal)
        except Refused as fault:
            if fault.status is not Status.OBSTACLE_AHEAD:
                raise
            self._goal, self._asked = goal, None
            self._wait(fault)
            self.guarded(None, self._hold)

    def _hold(self) -> None:
        self._braking = self.stop_arm()

    def _wait(self, fault: Refused) -> None:
        """Until an object leaves the goal."""
        self.core.note(fault.status, fault.detail)
        self.status, self.detail = fault.status, fault.detail
        self._paused = int(OCCUPIED / self._period)

    def _follow(self, goal: Vector) -> None:
        """A cycle towards a goal to which there is a motion: a fault is noted, and that motion continues."""
        bad_starts, self._bad_starts = self._bad_starts, 0
        try:
            self._serve(goal)
        except Refused as fault:
            if fault.status is Status.OBSTACLE_AHEAD:
                self._wait(fault)
                return
            self.core.note(fault.status, fault.detail)
            if fault.status is Status.BAD_START and not self._touched():
                self._bad_starts = bad_starts + 1
                if self._bad_starts >= BAD_STARTS:
                    detail = f"no motion may begin at any of {BAD_STARTS} states in a row: {fault.detail}"
                    self._stop(Refused(Status.CANCELLED, detail))
        except Exception as error:  # the next cycle may do better, whatever this one threw
            self.core.defect("a cycle failed")
            self.core.note(Status.INTERNAL_ERROR, f"{type(error).__name__}: {error}")

    def _touched(self) -> bool:
        """Whether a state is bad for an object that came to where the arm is, and may go away again."""
        if self.core.worlds is None:
            return False
        try:
            self.core.task.check_start(self.core.fresh_state().x)
        except (StartError, Refused):
            return False
        return True

    def _keep_clear(self) -> None:
        """Brings a moving arm to rest where its motion is about to run into an object, or where objects are not known.

        Its goal stays: the next cycles look for a motion past the object. What was published in this cycle was checked
        in the newest world.
        """
        timeline, now = self.core.followed.timeline, self.core.now()
        if timeline is None or now >= timeline.end:
            return
        if timeline.last is self._published or timeline.last is self._braking:
            return
        try:
            self._world()
            contact = self._planner.contact_ahead(timeline, now)
            why = None if contact is None else Refused(Status.OBSTACLE_AHEAD, contact.detail)
        except Refused as refusal:
            why = refusal
        if why is not None:
            self.core.note(why.status, f"{why.detail}; the arm is brought to rest")
            self._hold()

    def _stop(self, why: Refused) -> None:
        """Brings the arm to rest and drops its goals."""
        goals = self._goal, self._asked
        self._rest()
        for goal in goals:
            if goal is not None:
                self.core.refuse(why, goal)

    def _rest(self) -> None:
        """Brings the arm to rest, without a goal."""
        self.guarded(None, self.stop_arm)
        self._goal = self._asked = self.serving = None
        self._bad_starts = 0
        self.status, self.detail = Status.READY, ""

    def _world(self) -> SeenWorld | None:
        """The world as it is now, which the planner takes over; None where it does not come from topics."""
        seen = self.core.fresh_world()
        if seen is not None:
            self._planner.set_world(seen.world)
        return seen

    def _serve(self, goal: Vector) -> None:
        self._published = None
        state, now, seen = self.core.fresh_state(), self.core.now(), self._world()
        began = time.monotonic()
        self._planner.set_pace(Pace(**self.core.shares))
        try:
            cycle = self._planner.cycle(state.x, state.stamp, goal, now + self._lead())
            self._note_faults(cycle)
            if self.core.inbox.interrupt.is_set():
                return  # the arm is to be stopped instead
            if cycle.motion is not None and self._publish(cycle, state, goal, began, seen):
                if self._told is not goal or self.status is not Status.TRACKING:
                    self.status, self.detail = Status.TRACKING, f"goal {np.round(goal, 4).tolist()}"
                    self._told = goal
                if cycle.tool_error <= NEAR and cycle.source != LEAVING:
                    self._goal, self._asked = goal, None
                    return
        except StartError as error:
            raise Refused(Status.BAD_START, str(error)) from error
        except GoalError as error:
            if self._may_become_free(state.x, goal):
                raise Refused(Status.OBSTACLE_AHEAD, f"{error}; the arm waits until it is free") from error
            raise Refused(Status.OUT_OF_REACH, str(error)) from error
        except TaskError as error:  # such as objects all around, among which no posture is found
            raise Refused(Status.PLANNING_FAILED, str(error)) from error
        finally:
            self._durations.append(time.monotonic() - began)
        if cycle.source != LEAVING:
            self._give_up_late(cycle)

    def _may_become_free(self, x: Vector, goal: Vector) -> bool:
        """Whether a goal can be reached once the objects are gone that came on topics."""
        if self.core.worlds is None:
            return False
        if self._reachable is not goal:
            try:
                self.core.task.check_goal(Instance(x, goal), self._planner.progress)
            except TaskError:
                return False
            self._reachable = goal
        return True

    def _publish(
        self, cycle: Cycle, state: StampedState, goal: Vector, began: float, seen: SeenWorld | None = None
    ) -> bool:
        """Publishes a cycle's motion if it is in time. Returns whether it did."""
        assert cycle.motion is not None
        phases = dict(cycle.phases_ms)
        if self._proposer is not None:
            phases["policy"] = self._proposer.last_ms
        try:
            details = details_of(replace(cycle, phases_ms=phases), goal, seen)
            self.publish(cycle.motion, state, details, began, None if seen is None else self._planner.task)
            self._published = cycle.motion
        except Refused as late:
            if self.core.inbox.interrupt.is_set():
                return False  # the arm is to be stopped instead
            if late.status is not Status.DEADLINE_MISSED:
                raise
            self.core.note(late.status, late.detail)  # the next cycle begins where this one arrived
            self._longest_lead = min(2.0 * self._longest_lead, LONGEST_LATE_LEAD)
            return False
        self._longest_lead = LONGEST_LEAD
        return True

    def _note_faults(self, cycle: Cycle) -> None:
        if cycle.lost:
            self.core.note(Status.TRACKING_LOST, "the arm is far from its motion")
        if self._proposer is not None and self._proposer.failures > self._policy_failures:
            self._policy_failures = self._proposer.failures
            self.core.note(Status.POLICY_FAILED, self._proposer.problem)
        if cycle.left is not None:
            first, second, distance = cycle.left.first, cycle.left.second, cycle.left.distance
            self.core.info(f"{first} is {1e3 * distance:.1f} mm from {second}: the arm leaves that first")
        if cycle.motion is None and (cycle.objection or cycle.source != LEAVING):
            self.core.note(Status.BAD_START if cycle.source == LEAVING else Status.FALLBACK, cycle.objection)

    def _give_up_late(self, cycle: Cycle) -> None:
        """Refuses a goal to which no motion was found for long; the previous goal is served again."""
        self._tries += 1
        if self._asked is not None and self._tries >= self._most_tries:
            why = cycle.objection or f"the last one ends {cycle.tool_error:.2f} m from it"
            raise Refused(Status.PLAN_REFUSED, f"no cycle of {self._tries} found a motion to the goal: {why}")


def details_of(cycle: Cycle, goal: Vector, seen: SeenWorld | None = None) -> dict[str, Any]:
    """What the report says of a cycle, and of a world from topics."""
    world = {} if seen is None else {"world": seen.summary}
    return {
        "status": "leaving" if cycle.left is not None else "refined" if cycle.refined else "start",
        "source": cycle.source,
        "goal": goal.tolist(),
        "cost": None if np.isnan(cycle.cost) else float(cycle.cost),
        "violation": float(cycle.violation),
        "iterations": int(cycle.iterations),
        "tool_error": float(cycle.tool_error),
        "objection": cycle.objection,
        **contact_of(cycle.left),
        **world,
        "phases_ms": cycle.phases_ms,
    }
