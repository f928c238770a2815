"""What both modes of the planner node share: requests in, motions out, on one planning thread."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import SoboError
from sobo_planner.motion import Motion
from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.serve.clock_watch import ClockWatch
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.serve.stopping import STATE_AFTER_JUMP, STOP_LEADS, Stopper
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.solver import Budget
from sobo_planner.tasks import ArmReach

Vector = NDArray[np.float64]

# Time that stopping the arm may take [s].
STOPS_WITHIN = STATE_AFTER_JUMP + sum(STOP_LEADS)


class Pulse:
    """Signs of life of the planning thread.

    Attributes:
        beats: How many there were.
        within: How long the step that began with the last one may take [s].
    """

    def __init__(self) -> None:
        self.beats, self.within = 0, 1.0

    def beat(self, within: float) -> None:
        """Begins a step that may take so long [s]; infinity: for as long as it takes."""
        self.within = within
        self.beats += 1


class Progress(Budget):
    """Time without a limit, in which every look at it is a sign of life.

    The inverse kinematics of a goal out of reach takes a fifth of a second, and several times that on a busy computer.
    """

    def __init__(self, pulse: Pulse) -> None:
        super().__init__()
        self._pulse = pulse

    def over(self) -> bool:
        """See `Budget.over`: never, without a limit."""
        self._pulse.beat(self._pulse.within)
        return False


class Server(ABC):
    """Serves requests until the inbox closes; `run` is the planning thread.

    Attributes:
        core: What it works with.
        status: What it is doing.
        detail: What exactly, may be empty.
        pulse: Tells that the thread lives.
        serving: The goal that the thread is working on.
        lost: Why the thread does not serve any more, as far as the watchdog knows; empty while it does.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self.status, self.detail = Status.READY, ""
        self.pulse = Pulse()
        self.serving: Vector | None = None
        self.lost = ""
        self._stopper = Stopper(core, core.brakes)
        self._watch, self._watch_lock = ClockWatch(), threading.Lock()
        self._jumped = False  # and the arm was not stopped since

    @abstractmethod
    def run(self) -> None:
        """Serves. Nothing that goes wrong ends it."""

    def run_logged(self) -> None:
        """Serves; what ends it all the same is in the log."""
        try:
            self.run()
        except BaseException as error:
            self.core.defect(f"the planning thread died: {type(error).__name__}: {error}")
            raise

    def guarded(self, goal: Vector | None, serve: Callable[[], Any]) -> bool:
        """Runs one step of the work; what it raises is a refusal of the goal. Returns whether nothing was raised."""
        try:
            serve()
            return True
        except Refused as refusal:
            self.core.refuse(refusal, goal)
        except SoboError as error:
            self.core.refuse(Refused(Status.PLANNING_FAILED, f"{type(error).__name__}: {error}"), goal)
        except Exception as error:  # the node goes on serving whatever a defect throws
            self.core.defect(f"serving {goal} failed")
            self.core.refuse(Refused(Status.INTERNAL_ERROR, f"{type(error).__name__}: {error}"), goal)
        return False

    def clock_jumped(self) -> bool:
        """Whether ROS time jumped since the last look.

        Any thread may look: a small jump is only seen when looks are close together, and plans take long.
        States from before are dropped then, and so are goals. The motion that the arm follows goes on in the new time
        until the arm is stopped, which this asks for: a controller may make anything of a trajectory's old stamp.
        """
        with self._watch_lock:
            jump = self._watch.jump(self.core.now(), time.monotonic())
            if not jump:
                return False
            self._jumped = True
            self.core.inbox.drop_measured()
            self.core.followed.shift(jump)
            waiting = self.core.inbox.put(None)
        self.core.note(Status.CLOCK_JUMP, f"ROS time jumped by {jump:+.2f} s")
        if waiting is not None:
            self.core.refuse(self.dropped(), waiting)
        return True

    def dropped(self) -> Refused:
        """Why a goal is not served any more once a request to stop has come."""
        if self._jumped:
            return Refused(Status.CLOCK_JUMP, "ROS time jumped while the goal was served; send it again")
        return Refused(Status.CANCELLED, "the goal was cancelled while it was served")

    def stop_arm(self) -> Motion | None:
        """Publishes the motion that brings the arm to rest, if it moves. Returns that motion. Raises as `Stopper`."""
        self.pulse.beat(STOPS_WITHIN)
        jumped, self._jumped = self._jumped, False
        stop = self._stopper.stop(jumped)
        if jumped and stop is None:
            self.core.followed.forget()
        return stop

    def publish(
        self,
        motion: Motion,
        state: StampedState,
        details: dict[str, Any],
        began: float | None = None,
        among: ArmReach | None = None,
    ) -> dict[str, Any]:
        """Publishes what was planned for a goal. See `Core.publish`.

        Raises:
            Refused: As there, or a request to stop has come, or ROS time has jumped: the goal is not wanted any more.
        """
        interrupt = self.core.inbox.interrupt
        report = None if self.clock_jumped() else self.core.publish(motion, state, details, began, interrupt, among)
        if report is None:
            raise self.dropped()
        return report
