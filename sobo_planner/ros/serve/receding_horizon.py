"""Mode `receding_horizon`: a new motion at every tick, towards the latest goal."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import GoalError, StartError, TaskError
from sobo_planner.motion import Motion
from sobo_planner.receding import LEAVING, NEAR, Cycle, RecedingPlanner
from sobo_planner.receding.proposer import Proposer
from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.inputs.worlds import SeenWorld
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.serve.cycle_report import CycleReport
from sobo_planner.ros.serve.lead import Lead
from sobo_planner.ros.serve.moving_world import MovingWorld
from sobo_planner.ros.serve.receding_goals import RecedingGoals
from sobo_planner.ros.serve.serving import Progress, Server
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.tasks.arm.timing import Pace

Vector = NDArray[np.float64]

# Cycles in a row after which a goal is dropped when no motion may begin.
BAD_STARTS = 10
# Time [s] after which a goal is tried again that an object occupies: to find that no posture is free there takes long.
OCCUPIED = 0.25
CYCLE_WITHIN = 0.3  # [s] that a cycle is known to take on a busy machine


class RecedingHorizon(Server):
    """Replans at a fixed rate. A cycle that takes too long skips the ticks that it misses; nothing is queued."""

    def __init__(self, core: Core, planner: RecedingPlanner, proposer: Proposer | None, rate: float) -> None:
        super().__init__(core)
        self._planner, self._period = planner, 1.0 / rate
        planner.progress = Progress(self.pulse)
        self._goals, self._lead = RecedingGoals(rate), Lead(self._period)
        self._world, self._report = MovingWorld(core, planner), CycleReport(core, proposer)
        self._told: Vector | None = None  # in `detail`
        self._bad_starts = 0
        self._paused = 0  # ticks without a cycle to come
        self._published: Motion | None = None  # in this cycle
        self._braking: Motion | None = None  # published last for an object

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
                if self._goals.taken_up is not None:
                    self.core.note(Status.DEADLINE_MISSED, f"a cycle ended {1e3 * behind:.1f} ms late", missed)
            self.core.inbox.sleep(tick - time.monotonic())

    def _tick(self) -> None:
        self.clock_jumped()
        request = self.core.inbox.take(0.0)
        if request is not None:
            if request.goal is None:
                self._stop(self.dropped())
                return
            self._goals.ask(request.goal)
            self._paused = 0
        goal = self.serving = self._goals.served
        if goal is None:
            return
        if self._goals.asked is not None:
            if not self.guarded(goal, lambda: self._first(goal)):
                self._goals.refuse_asked()
                if self._goals.served is None and self._told is goal:
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
            self._goals.take_up(goal)
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
            if fault.status is Status.BAD_START and not self._world.touches_arm():
                self._bad_starts = bad_starts + 1
                if self._bad_starts >= BAD_STARTS:
                    detail = f"no motion may begin at any of {BAD_STARTS} states in a row: {fault.detail}"
                    self._stop(Refused(Status.CANCELLED, detail))
        except Exception as error:  # the next cycle may do better, whatever this one threw
            self.core.defect("a cycle failed")
            self.core.note(Status.INTERNAL_ERROR, f"{type(error).__name__}: {error}")

    def _keep_clear(self) -> None:
        """Brings a moving arm to rest where its motion is about to run into an object, or where objects are not known.

        Its goal stays: the next cycles look for a motion past the object. What was published in this cycle was checked
        in the newest world.
        """
        why = self._world.danger(self._published, self._braking)
        if why is not None:
            self.core.note(why.status, f"{why.detail}; the arm is brought to rest")
            self._hold()

    def _stop(self, why: Refused) -> None:
        """Brings the arm to rest and drops its goals."""
        goals = self._goals.drop()
        self._rest()
        for goal in goals:
            self.core.refuse(why, goal)

    def _rest(self) -> None:
        """Brings the arm to rest, without a goal."""
        self.guarded(None, self.stop_arm)
        self.serving = None
        self._bad_starts = 0
        self.status, self.detail = Status.READY, ""

    def _serve(self, goal: Vector) -> None:
        self._published = None
        state, now, seen = self.core.fresh_state(), self.core.now(), self._world.take_over()
        began = time.monotonic()
        self._planner.set_pace(Pace(**self.core.shares))
        try:
            cycle = self._planner.cycle(state.x, state.stamp, goal, now + self._lead.seconds)
            self._report.note_faults(cycle)
            if self.core.inbox.interrupt.is_set():
                return  # the arm is to be stopped instead
            if cycle.motion is not None and self._publish(cycle, state, goal, began, seen):
                if self._told is not goal or self.status is not Status.TRACKING:
                    self.status, self.detail = Status.TRACKING, f"goal {np.round(goal, 4).tolist()}"
                    self._told = goal
                if cycle.tool_error <= NEAR and cycle.source != LEAVING:
                    self._goals.take_up(goal)
                    return
        except StartError as error:
            raise Refused(Status.BAD_START, str(error)) from error
        except GoalError as error:
            if self._world.occupies(goal, state.x):
                raise Refused(Status.OBSTACLE_AHEAD, f"{error}; the arm waits until it is free") from error
            raise Refused(Status.OUT_OF_REACH, str(error)) from error
        except TaskError as error:  # such as objects all around, among which no posture is found
            raise Refused(Status.PLANNING_FAILED, str(error)) from error
        finally:
            self._lead.took(time.monotonic() - began)
        if cycle.source != LEAVING:
            self._goals.tried(cycle)

    def _publish(self, cycle: Cycle, state: StampedState, goal: Vector, began: float, seen: SeenWorld | None) -> bool:
        """Publishes a cycle's motion if it is in time. Returns whether it did."""
        assert cycle.motion is not None
        details = self._report.details(cycle, goal, seen)
        try:
            self.publish(cycle.motion, state, details, began, None if seen is None else self._planner.task)
        except Refused as late:
            if self.core.inbox.interrupt.is_set():
                return False  # the arm is to be stopped instead
            if late.status is not Status.DEADLINE_MISSED:
                raise
            self.core.note(late.status, late.detail)  # the next cycle begins where this one arrived
            self._lead.late()
            return False
        self._published = cycle.motion
        self._lead.in_time()
        return True
