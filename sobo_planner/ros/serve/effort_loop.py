"""Torques at the rate of a controller, in a thread of their own: rclpy's timers take a millisecond of every tick."""

from __future__ import annotations

import threading
import time

from sobo_planner.ros.serve.core import FRESH, Core
from sobo_planner.ros.support.process import WorkerThread
from sobo_planner.ros.support.status import Status

# The arm is given so much time to come to rest before torques end [s].
RESTS_WITHIN = 2.0
# Looks at whether it rests are so far apart [s].
LOOK = 0.01


class EffortLoop:
    """Publishes what holds the arm to the motion that it follows, for the newest joint state.

    Nothing is published while nothing is followed, and for a state that is older than `FRESH`, which is noted.

    Args:
        core: Of the node.
        rate: Torques a second. Ticks that are missed are lost, not made up for.
    """

    def __init__(self, core: Core, rate: float) -> None:
        self._core, self._period = core, 1.0 / rate
        self._ended = threading.Event()
        self._thread = WorkerThread("efforts", self._run)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def end(self) -> None:
        """Ends once the arm is at rest: a controller holds the last torque."""
        core, until = self._core, time.monotonic() + RESTS_WITHIN
        while core.followed.timeline is not None and time.monotonic() < until:
            state = core.inbox.state
            if state is None or state.age > FRESH or not core.moves(state.x):
                break
            time.sleep(LOOK)
        self._ended.set()
        self._thread.join_within(1.0)

    def _run(self) -> None:
        tick = time.monotonic()
        while not self._ended.is_set():
            try:
                self.tick()
            except Exception as error:  # the next state may do better, whatever this one threw
                self._core.note(Status.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
                self._core.defect("a torque could not be published")
            tick = max(tick + self._period, time.monotonic())
            self._ended.wait(tick - time.monotonic())

    def tick(self) -> None:
        """Publishes one torque."""
        core = self._core
        if core.followed.timeline is None:
            return
        state = core.inbox.look()
        if state is None or state.age > FRESH:
            age = "not known" if state is None else f"{state.age:.3f} s old, allowed are {FRESH:g} s"
            core.note(Status.STALE_STATE, f"no torque is published: the joint state is {age}")
            return
        core.outputs.publish_effort(core.now(), state)
