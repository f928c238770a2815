"""What every part of a serving node works with: the latest state in, motions out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion import Followed, Motion
from sobo_planner.motion.braking import Brakes
from sobo_planner.ros.inputs.inbox import Inbox, StampedState
from sobo_planner.ros.inputs.worlds import SeenWorld, Worlds
from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.outputs.plan_outputs import PlanOutputs
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.solver import Interrupt
from sobo_planner.tasks import ArmReach

Vector = NDArray[np.float64]

# An arm that moves slower than this [rad/s] is at rest, whatever noise its encoders have.
MOVING = 0.02
# Age [s] up to which a state says where the arm is now.
FRESH = 0.05


@dataclass(frozen=True)
class Core:
    """What a server works with. Its methods may be called from any thread.

    Attributes:
        task: The task.
        inbox: Requests and states.
        outputs: Where plans go.
        followed: What the arm follows.
        ledger: Where everything is counted.
        brakes: Bring the arm to rest; the planning thread's.
        values: The node's parameters, as they are now.
        now: ROS time [s].
        info: Logs a line.
        warn: Logs a warning, each status at most once in a while.
        defect: Logs an exception with its traceback.
        worlds: What is known of the world, where it comes from topics; None where it does not.
    """

    task: ArmReach
    inbox: Inbox
    outputs: PlanOutputs
    followed: Followed
    ledger: Ledger
    brakes: Brakes
    values: Mapping[str, Any]
    now: Callable[[], float]
    info: Callable[[str], None]
    warn: Callable[[Status, str], None]
    defect: Callable[[str], None]
    worlds: Worlds | None = None

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the robot's speeds and accelerations that motions may use now."""
        return {name: self.values[name] for name in ("velocity_scaling", "acceleration_scaling")}

    def moves(self, x: Vector) -> bool:
        """Whether the arm in state x (2n,) moves."""
        return bool(np.abs(x[self.task.nu :]).max() > MOVING)

    def fresh_state(self) -> StampedState:
        """The latest state. Raises Refused when there is none, or it is too old."""
        state = self.inbox.look()
        if state is None:
            raise self.inbox.no_state
        timeout = self.values["state_timeout"]
        if state.age > timeout:
            raise Refused(Status.STALE_STATE, f"joint state is {state.age:.2f} s old, allowed are {timeout:g} s")
        return state

    def fresh_world(self) -> SeenWorld | None:
        """The world as topics say it is; None where it does not come from any.

        Raises:
            Refused: NO_WORLD or STALE_WORLD, see `Worlds.fresh`.
        """
        return None if self.worlds is None else self.worlds.fresh(self.values["world_timeout"])

    def states_go_on(self) -> None:
        """Raises as `fresh_state`. What has come in is only taken where the latest known state is too old."""
        state = self.inbox.state
        if state is None or state.age > self.values["state_timeout"]:
            self.fresh_state()

    def refuse(self, refusal: Refused, goal: Vector | None) -> None:
        """Refuses a goal, to its sender too."""
        self.note(refusal.status, refusal.detail)
        self.outputs.publish_refusal(refusal, goal)

    def note(self, status: Status, detail: str, times: int = 1) -> None:
        """Counts and logs a fault that nobody waits for an answer to."""
        self.ledger.count(status, detail, times)
        self.warn(status, detail)

    def publish(
        self,
        motion: Motion,
        state: StampedState | None,
        details: dict[str, Any],
        began: float | None = None,
        unless: Interrupt | None = None,
        among: ArmReach | None = None,
    ) -> dict[str, Any] | None:
        """Publishes a motion that begins in the future, or at once if its beginning is NaN.

        Args:
            motion: The motion.
            state: What it was planned from; None where that was not measured.
            details: What else the report says.
            began: Monotonic time at which planning began [s], if the total is to be taken up to here.
            unless: Nothing is published once it is set.
            among: The task in the world that it is checked in; None: that of the node's file.

        Returns:
            Its report; None once the outputs are closed, or `unless` is set.

        Raises:
            Refused: DEADLINE_MISSED, it should have begun by now; STALE_STATE, states stopped meanwhile; PLAN_REFUSED,
                the checker refuses it or a rule of the controller is broken.
        """
        still_fresh = None if state is None else self.states_go_on
        if still_fresh is not None:
            still_fresh()
        now = self.now()
        if np.isnan(motion.begin):
            motion = replace(motion, begin=now)
        elif now >= motion.begin:
            raise Refused(Status.DEADLINE_MISSED, f"the motion was to begin {1e3 * (now - motion.begin):.1f} ms ago")
        phases = dict(details["phases_ms"])
        details = details | {"phases_ms": phases, "state_timeout": self.values["state_timeout"]}
        if state is not None:
            details["state_age_s"] = state.age
            phases["state_to_trajectory"] = 1e3 * state.age
        if began is not None:
            phases["total"] = 1e3 * (time.monotonic() - began)
        report = self.outputs.publish(motion, now, details, unless, still_fresh, among)
        if report is not None:
            self.ledger.count_plan(report)
        return report
