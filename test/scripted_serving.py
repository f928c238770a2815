"""What a server works with, from a script: no solver, no publisher, and time that only the test lets pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sobo_planner.errors import PlanningError
from sobo_planner.motion import Followed, Motion, StopTouchesError, Timeline
from sobo_planner.planning.plan import Plan, PlanStatus
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.tasks import ArmReach

N = 6
T = 100
GOAL = np.array([0.4, 0.1, 0.3])


def coasting_motion(x: np.ndarray, begin: float, dt: float, steps: int = T) -> Motion:
    """A motion that goes on at the velocity of x; nobody asks whether an arm could."""
    q, v = np.split(np.asarray(x, float), 2)
    Q = q + dt * np.arange(steps + 1)[:, None] * v
    X = np.hstack([Q, np.tile(v, (steps + 1, 1))])
    return Motion(begin, dt, X, np.zeros((steps, N)), np.zeros((steps, N, 2 * N)))


class ScriptedOutputs:
    """Takes what is published.

    Attributes:
        motions: In order.
        among: The tasks in whose worlds they were checked.
        details: What their reports say.
        refusals: With their goals, in order.
        refuses: Raised instead of publishing, if any.
    """

    def __init__(self, followed: Followed) -> None:
        self._followed = followed
        self.motions: list[Motion] = []
        self.among: list[ArmReach | None] = []
        self.details: list[dict[str, Any]] = []
        self.refusals: list[tuple[Refused, np.ndarray | None]] = []
        self.refuses: Refused | None = None
        self.closed = False

    def publish(
        self,
        motion: Motion,
        now: float,
        details: dict[str, Any],
        unless: Any = None,
        still_fresh: Any = None,
        among: Any = None,
    ) -> dict | None:
        if self.refuses is not None:
            raise self.refuses
        if self.closed or (unless is not None and unless.is_set()):
            return None
        if still_fresh is not None:
            still_fresh()
        self.motions.append(motion)
        self.among.append(among)
        self.details.append(details)
        self._followed.add(motion, now)
        phases = {"total": 0.0} | details["phases_ms"]
        return {"plan_id": len(self.motions), **details, "phases_ms": phases}

    def publish_refusal(self, refusal: Refused, goal: np.ndarray | None) -> None:
        self.refusals.append((refusal, goal))


class ScriptedBrakes:
    """Stops at once where the arm is.

    Attributes:
        meanwhile: Called for each motion, before it is made.
        objection: Raised instead, if not empty.
        touches: Whether that is an object that cannot be avoided.
        asked: In which world each stop is to be, and what was followed.
    """

    def __init__(self, task: ArmReach) -> None:
        self._task = task
        self.meanwhile: Callable[[], object] = lambda: None
        self.objection, self.touches = "", False
        self.asked: list[tuple[ArmReach | None, Timeline | None]] = []

    def motion(self, x: np.ndarray, begin: float) -> Motion:
        return coasting_motion([*x[:N], *np.zeros(N)], begin, self._task.dt)

    def stop(
        self, x: np.ndarray, begin: float, *, among: ArmReach | None = None, along: Timeline | None = None
    ) -> Motion:
        self.meanwhile()
        self.asked.append((among, along))
        motion = self.motion(x, begin)
        motion.X[0] = x
        if self.touches:
            raise StopTouchesError(self.objection, motion, self._task)
        if self.objection:
            raise PlanningError(self.objection)
        return motion


class ScriptedPlanner:
    """Plans that stay at their start's velocity.

    Attributes:
        starts: What was planned from, in order.
        deadlines: And within which time.
        meanwhile: Called while planning.
        raises: Raised instead of a plan, if any.
        status: Of the plans.
        policy_failures: See `Planner`.
    """

    def __init__(self, task: ArmReach) -> None:
        self._task = task
        self.starts: list[np.ndarray] = []
        self.deadlines: list[float | None] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.raises: Exception | None = None
        self.status = PlanStatus.CONVERGED
        self.policy_failures = 0

    def plan(
        self, state: np.ndarray, goal: np.ndarray, deadline: float | None = None, interrupt: Any = None, **how: Any
    ) -> Plan:
        self.starts.append(np.array(state))
        self.how = how
        self.deadlines.append(deadline)
        self.meanwhile()
        if self.raises is not None:
            raise self.raises
        motion = coasting_motion(state, 0.0, self._task.dt)
        numbers = {"cost": 1.0, "violation": 0.0, "iterations": 3, "tool_error": 0.001}
        return Plan(
            self.status, motion.time, motion.X, motion.U, motion.K, **numbers, source="policy", phases_ms={}, goal=goal
        )


class Script:
    """The surroundings of a server.

    Attributes:
        time: ROS time [s].
        warned: Faults that were logged.
    """

    def __init__(self, task: ArmReach, home: np.ndarray) -> None:
        self.task, self.home, self.time = task, home, 1000.0
        self.values: dict[str, Any] = {
            "state_timeout": 60.0,
            "deadline": 5.0,
            "velocity_scaling": 1.0,
            "acceleration_scaling": 1.0,
            "world_margin": 0.0,
        }
        self.followed, self.inbox, self.ledger = Followed(), Inbox(), Ledger()
        self.outputs, self.brakes = ScriptedOutputs(self.followed), ScriptedBrakes(task)
        self.said: list[str] = []
        self.warned: list[tuple[Status, str]] = []
        self.defects: list[str] = []

    @property
    def core(self) -> Core:
        parts: tuple[Any, ...] = (self.task, self.inbox, self.outputs, self.followed, self.ledger, self.brakes)
        return Core(
            *parts,
            self.values,
            now=lambda: self.time,
            info=self.said.append,
            warn=lambda status, detail: self.warned.append((status, detail)),
            defect=self.defects.append,
        )

    def counts(self) -> dict[str, int]:
        values = self.ledger.values()
        return {status.value: count for status in Status if (count := int(values[f"count_{status.value}"]))}

    def rest(self) -> np.ndarray:
        """The state of the arm at home, at rest."""
        return np.concatenate([self.home, np.zeros(N)])

    def measure(self, x: np.ndarray | None = None) -> None:
        """A joint state comes in: at home and at rest by default."""
        self.inbox.put_state(self.rest() if x is None else np.asarray(x, float), self.time)

    def moving(self, speed: float, joint: int = 0, by: float = 0.0) -> np.ndarray:
        """A state with one joint `by` [rad] from home and at a speed [rad/s]."""
        x = self.rest()
        x[joint], x[N + joint] = x[joint] + by, speed
        return x

    def follow(self, speed: float, ago: float = 0.5) -> Motion:
        """Lets the arm follow a motion of that speed [rad/s] of the first joint; measures it there."""
        motion = coasting_motion(self.moving(speed), self.time - ago, self.task.dt)
        self.followed.add(motion, self.time - ago)
        self.measure(motion.state(self.time))
        return motion


def in_thread(function: Callable[[], object]) -> threading.Thread:
    """Runs a function in a thread of its own."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def wait(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Waits for another thread."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)
