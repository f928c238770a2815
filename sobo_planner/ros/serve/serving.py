"""What both modes of the planner node share: requests in, motions out, on one planning thread."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PlanningError, SoboError
from sobo_planner.motion import Motion, expected_state
from sobo_planner.motion.braking import Brakes
from sobo_planner.ros.inputs.inbox import Inbox, StampedState
from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.outputs.plan_outputs import PlanOutputs
from sobo_planner.ros.serve.clock_watch import ClockWatch
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.tasks import ArmReach

Vector = NDArray[np.float64]

# Times from a request to stop to the hand-over to the braking motion [s], tried in turn: it has to be computed by then,
# and a busy machine must stop too.
STOP_LEADS = (0.02, 0.05, 0.1, 0.2, 0.5)
# An arm that moves slower than this [rad/s] is at rest, whatever noise its encoders have.
MOVING = 0.02


@dataclass(frozen=True)
class Core:
    """What a server works with.

    Attributes:
        task: The task.
        inbox: Requests and states.
        outputs: Where plans go.
        ledger: Where everything is counted.
        brakes: Bring the arm to rest.
        values: The node's parameters, as they are now.
        now: ROS time [s].
        info: Logs a line.
        warn: Logs a warning, each status at most once in a while.
        defect: Logs an exception with its traceback.
    """

    task: ArmReach
    inbox: Inbox
    outputs: PlanOutputs
    ledger: Ledger
    brakes: Brakes
    values: Mapping[str, Any]
    now: Callable[[], float]
    info: Callable[[str], None]
    warn: Callable[[Status, str], None]
    defect: Callable[[str], None]


def moves(task: ArmReach, x: Vector) -> bool:
    """Whether the arm in state x (2n,) moves."""
    return bool(np.abs(x[task.nu :]).max() > MOVING)


class Server(ABC):
    """Serves requests until the inbox closes; `run` is the planning thread.

    Attributes:
        status: What it is doing.
        detail: What exactly, may be empty.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self.status, self.detail = Status.READY, ""
        self._watch, self._watching = ClockWatch(), threading.Lock()
        self._jump = 0.0  # of ROS time, not acted on yet [s]

    @abstractmethod
    def run(self) -> None:
        """Serves. Nothing that goes wrong ends it."""

    def fresh_state(self) -> StampedState:
        """The latest state. Raises Refused when there is none, or it is too old."""
        state = self.core.inbox.state
        if state is None:
            raise self.core.inbox.no_state
        timeout = self.core.values["state_timeout"]
        if state.age > timeout:
            raise Refused(Status.STALE_STATE, f"joint state is {state.age:.2f} s old, allowed are {timeout:g} s")
        return state

    def refuse(self, refusal: Refused, goal: Vector | None) -> None:
        """Refuses a goal, to its sender too."""
        self.core.ledger.count(refusal.status, refusal.detail)
        self.core.warn(refusal.status, refusal.detail)
        self.core.outputs.publish_refusal(refusal, goal)

    def note(self, status: Status, detail: str, times: int = 1) -> None:
        """Counts and logs a fault that nobody waits for an answer to."""
        self.core.ledger.count(status, detail, times)
        self.core.warn(status, detail)

    def guarded(self, goal: Vector | None, serve: Callable[[], Any]) -> bool:
        """Runs one step of the work; what it raises is a refusal of the goal. Returns whether nothing was raised."""
        try:
            serve()
            return True
        except Refused as refusal:
            self.refuse(refusal, goal)
        except SoboError as error:
            self.refuse(Refused(Status.PLANNING_FAILED, f"{type(error).__name__}: {error}"), goal)
        except Exception as error:  # the node goes on serving whatever a defect throws
            self.core.defect(f"serving {goal} failed")
            self.refuse(Refused(Status.INTERNAL_ERROR, f"{type(error).__name__}: {error}"), goal)
        return False

    def look_at_clock(self) -> bool:
        """Returns whether ROS time has jumped since `clock_jumped` was called.

        Any thread may call this. A small jump is only seen when looks are close together, so the thread that takes
        joint states looks too: plans take long.
        """
        with self._watching:
            self._jump += self._watch.jump(self.core.now(), time.monotonic())
            return self._jump != 0.0

    def clock_jumped(self) -> bool:
        """Whether ROS time jumped since the last call. What was measured and planned before is dropped then."""
        self.look_at_clock()
        with self._watching:
            jump, self._jump = self._jump, 0.0
        if jump:
            self.note(Status.CLOCK_JUMP, f"ROS time jumped by {jump:+.2f} s")
            self.core.inbox.drop_state()
            self.core.outputs.forget()
        return bool(jump)

    def stop_arm(self) -> Motion | None:
        """Publishes the motion that brings the arm to rest, if it moves. Returns that motion.

        Raises:
            Refused: There is no fresh state to stop from, or the braking motion may not be published.
        """
        details: dict[str, Any] = {"status": "braking", "source": "braking", "goal": None, "phases_ms": {}}
        for lead in STOP_LEADS:
            state, x, begin = self._stopping_from(lead)
            if x is None:
                return None
            try:
                stop = self.core.brakes.stop(x, begin)
            except PlanningError as error:
                raise Refused(Status.PLAN_REFUSED, str(error)) from error
            if self.core.now() < begin:
                self.publish(stop, state, details)
                return stop
        raise Refused(Status.DEADLINE_MISSED, f"the arm could not be stopped within {STOP_LEADS[-1]} s")

    def _stopping_from(self, lead: float) -> tuple[StampedState | None, Vector | None, float]:
        """Fresh state if there is one, the state (2n,) to brake from (None at rest), and when [s].

        Without a fresh state, which is no reason to let the arm go on, it is where it is meant to be.
        """
        core, now = self.core, self.core.now()
        begin, timeline = now + lead, core.outputs.timeline
        follows = timeline is not None and now < timeline.end
        try:
            state = self.fresh_state()
        except Refused:
            if timeline is None or not follows:
                raise
            return None, timeline.state(begin), begin
        if timeline is not None and follows:
            return state, expected_state(core.task, timeline, state.x, state.stamp, begin), begin
        return state, state.x if moves(core.task, state.x) else None, begin

    def publish(
        self, motion: Motion, state: StampedState | None, details: dict[str, Any], began: float | None = None
    ) -> dict[str, Any] | None:
        """Publishes a motion that begins in the future, or at once if its beginning is NaN.

        Args:
            motion: The motion.
            state: What it was planned from; None where that was not measured.
            details: What else the report says.
            began: Monotonic time at which planning began [s], if the total is to be taken up to here.

        Returns:
            Its report; None once the outputs are closed.

        Raises:
            Refused: DEADLINE_MISSED, it should have begun by now; STALE_STATE, states stopped or ROS time jumped
                meanwhile; PLAN_REFUSED, a rule of the controller is broken.
        """
        if self.look_at_clock():
            raise Refused(Status.STALE_STATE, "ROS time jumped while this was planned, so its state and times are void")
        if state is not None:
            self.fresh_state()
        now = self.core.now()
        if np.isnan(motion.begin):
            motion = replace(motion, begin=now)
        elif now >= motion.begin:
            raise Refused(Status.DEADLINE_MISSED, f"the motion was to begin {1e3 * (now - motion.begin):.1f} ms ago")
        phases = dict(details["phases_ms"])
        details = details | {"phases_ms": phases, "state_timeout": self.core.values["state_timeout"]}
        if state is not None:
            details["state_age_s"] = state.age
            phases["state_to_trajectory"] = 1e3 * state.age
        if began is not None:
            phases["total"] = 1e3 * (time.monotonic() - began)
        report = self.core.outputs.publish(motion, now, details)
        if report is not None:
            self.core.ledger.count_plan(report)
        return report
