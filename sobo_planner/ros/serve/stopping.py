"""Bringing a moving arm to rest, whatever it follows and whatever is known of it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PlanningError
from sobo_planner.motion import LOST, Motion, Timeline, coasting_state, expected_state, unwound
from sobo_planner.motion.braking import Brakes, StopTouchesError
from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.tasks import ArmReach

Vector = NDArray[np.float64]

# Times from a request to stop to the hand-over to the braking motion [s], tried in turn: it has to be computed by then,
# and a busy machine must stop too.
STOP_LEADS = (0.02, 0.05, 0.1, 0.2, 0.5)
# Time within which a joint state is measured after ROS time has jumped [s]; drivers send at 10 Hz and more.
STATE_AFTER_JUMP = 0.15


class Stopper:
    """Publishes braking motions. Used by one thread at a time.

    Args:
        core: What it works with.
        brakes: Make the motions; nobody else's, so that a planning thread that hangs does not hold them.
    """

    def __init__(self, core: Core, brakes: Brakes) -> None:
        self._core, self._brakes = core, brakes
        self._among: tuple[tuple[int, object], ArmReach] | None = None  # of the last world

    def stop(self, jumped: bool = False) -> Motion | None:
        """Publishes the motion that brings the arm to rest, if it moves. Returns that motion.

        Args:
            jumped: ROS time has jumped: a simulated arm may be somewhere else, so that what is measured from then on
                counts, and what the arm was to follow only if nothing is.

        Raises:
            Refused: There is no fresh state to stop from, or the braking motion may not be published.
        """
        if jumped and not self._await_state():
            return None
        details: dict[str, Any] = {"status": "braking", "source": "braking", "goal": None, "phases_ms": {}}
        among = self._world(details)
        for lead in STOP_LEADS:
            state, x, begin, along = self._begin_at(lead, jumped)
            if x is None:
                return None
            checked_in, touches = among, ""
            try:
                stop = self._brakes.stop(x, begin, among=among, along=along)
            except StopTouchesError as error:  # to go on would be worse
                stop, checked_in, touches = error.motion, error.task, str(error)
            except PlanningError as error:
                raise Refused(Status.PLAN_REFUSED, str(error)) from error
            if self._core.now() < begin:
                if touches:
                    self._core.note(Status.OBSTACLE_AHEAD, touches)
                self._core.publish(stop, state, details, among=checked_in)
                return stop
        raise Refused(Status.DEADLINE_MISSED, f"the arm could not be stopped within {STOP_LEADS[-1]} s")

    def _world(self, details: dict[str, Any]) -> ArmReach | None:
        """The task in the world as it was heard of last, however old; None where it does not come from topics.

        Without a margin: that is there for objects to come nearer while the arm stops, and to stop later is worse.
        """
        if self._core.worlds is None:
            return None
        seen, task = self._core.worlds.seen, self._core.task
        details["world"] = seen.summary
        made_for = seen.world.version, task.robot.native  # payloads are set in place
        if self._among is None or self._among[0] != made_for:
            self._among = made_for, task.with_world(seen.world)
        return self._among[1]

    def _await_state(self) -> bool:
        """Waits for a joint state. Returns whether there is something to stop from: a state, or what is followed."""
        end = time.monotonic() + STATE_AFTER_JUMP
        while self._core.inbox.look() is None and time.monotonic() < end:
            time.sleep(0.002)
        return self._core.inbox.state is not None or self._core.followed.timeline is not None

    def _begin_at(self, lead: float, jumped: bool) -> tuple[StampedState | None, Vector | None, float, Timeline | None]:
        """Fresh state if there is one, the state (2n,) to brake from (None at rest), when [s], and what is followed.

        Without a fresh state, which is no reason to let the arm go on, it is where it is meant to be. Where it does not
        follow what it is meant to, it coasts.
        """
        core, now = self._core, self._core.now()
        begin, timeline = now + lead, core.followed.timeline
        follows = timeline is not None and now < timeline.end
        try:
            state = core.fresh_state()
        except Refused:
            if timeline is None or not follows:
                raise
            return None, timeline.state(begin), begin, timeline
        if timeline is not None and follows and not jumped and self._is_near(timeline, state):
            x = expected_state(core.task, timeline, state.x, state.stamp, begin)
            return state, x, begin, timeline
        if follows or core.moves(state.x):
            return state, coasting_state(core.task, state.x, begin - state.stamp), begin, None
        return state, None, begin, None

    def _is_near(self, timeline: Timeline, state: StampedState) -> bool:
        """Whether the arm is about where it is meant to be."""
        desired, task = timeline.state(state.stamp), self._core.task
        return bool(np.abs(unwound(task, state.x, desired) - desired)[: task.nu].max() <= LOST)
