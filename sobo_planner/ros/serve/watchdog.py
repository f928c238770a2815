"""Watches the planning thread from the executor's thread: a thread that died or hangs cannot say so itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from sobo_planner.ros.serve.serving import Server
from sobo_planner.ros.serve.stopping import Stopper
from sobo_planner.ros.support.status import Refused, Status

PERIOD = 0.05  # [s] between two looks
# What a step may take beyond the time that was announced for it [s]: other processes need the processor, too.
GRACE = 0.5
# Looks at which the arm is tried to be stopped.
STOP_TRIES = 20


class Watchdog:
    """Sees that the planning thread lives: it beats before each step and announces how long that may take.

    When the thread is lost, its goals are refused, the diagnostics say so at once, and a moving arm is braked. A thread
    that only took very long serves again afterwards. Time in which this process was stopped does not count. The clock
    is looked at, too, which the thread does not do while it plans.

    Args:
        server: What the thread serves.
        alive: Whether the thread runs.
        stopper: Brings the arm to rest; not the thread's.
        tell: Publishes the diagnostics.
    """

    def __init__(self, server: Server, alive: Callable[[], bool], stopper: Stopper, tell: Callable[[], None]) -> None:
        self._server, self._alive, self.stopper, self._tell = server, alive, stopper, tell
        self._beats, self._silent, self._looked = server.pulse.beats, 0.0, math.inf
        self._tries = 0

    def look(self, now: float | None = None) -> None:
        """To be called every `PERIOD`, at a monotonic time `now` [s]."""
        now = time.monotonic() if now is None else now
        self._silent += min(max(now - self._looked, 0.0), 2.0 * PERIOD)
        self._looked = now
        server, pulse = self._server, self._server.pulse
        if pulse.beats != self._beats:
            self._beats, self._silent = pulse.beats, 0.0
        if not self._alive():
            self._lose("the planning thread has died; the log holds its traceback")
        elif self._silent > pulse.within + GRACE:
            self._lose(f"the planning thread has not answered for {self._silent:.1f} s")
        elif server.lost:
            server.lost = ""
            server.core.info("the planning thread answers again")
            self._tell()
        else:
            server.clock_jumped()
        if server.lost and self._tries > 0:
            self._stop()

    def _lose(self, why: str) -> None:
        if self._server.lost:
            return
        refusal, core = Refused(Status.NOT_RESPONDING, why), self._server.core
        known = core.inbox.state is not None or core.followed.timeline is not None
        self._server.lost, self._tries = why, STOP_TRIES if known else 0
        goals = [core.inbox.put(None), self._server.serving]  # a thread that goes on after all publishes nothing
        for goal in goals:
            if goal is not None:
                core.refuse(refusal, goal)
        if all(goal is None for goal in goals):
            core.note(refusal.status, why)
        self._tell()

    def _stop(self) -> None:
        self._tries -= 1
        try:
            self.stopper.stop()
            self._tries = 0
        except Refused as refusal:
            self._server.core.note(refusal.status, refusal.detail)
        except Exception as error:  # the next try may do better, whatever this one threw
            self._server.core.defect(f"stopping the arm failed: {type(error).__name__}: {error}")
