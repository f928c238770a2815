"""Mode `plan_once`: one trajectory for each goal."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import DeadlineError, GoalError, PlanInterruptedError, PlanRefusedError, StartError
from sobo_planner.motion import LOST, POSITION_JUMP, VELOCITY_JUMP, Motion, Timeline, expected_state, unwound
from sobo_planner.planning.plan import Surroundings
from sobo_planner.planning.planner import Plan, Planner
from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.inputs.worlds import SeenWorld
from sobo_planner.ros.outputs.diagnostics import contact_of
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.serve.serving import Server
from sobo_planner.ros.support.status import Refused, Status

Vector = NDArray[np.float64]

# Times from the state that a moving arm is planned for to the hand-over [s], tried in turn: planning has to end before.
# As many times is planned for an arm at rest that turns out to have moved meanwhile.
LEADS = (0.25, 0.5, 1.0)
# Time between two looks at the clock [s]: a small jump is not to be lost in a long wait.
CLOCK_PERIOD = 0.2
# Time after the beginning of a motion [s] within which the arm may not be seen to move yet, and after its end within
# which it may still settle.
YOUNG = 0.05
SETTLING = 0.5
# Speed [rad/s] from which an arm that follows nothing of ours is not planned for: within a short plan of a tenth of a
# second it is further away than a first point may be. A slower one is planned for and compared with where it is then.
DRIFT = 0.2
PUBLISHES_WITHIN = 1.0  # [s]
AT_ONCE = math.nan  # as the beginning of a motion


@dataclass(frozen=True)
class Start:
    """Where a plan begins.

    Attributes:
        state: The joint state that it was made from.
        x: State (2n,) at its beginning.
        begin: When that is [s]; `AT_ONCE`, when it is published.
        follows: What the arm follows; None for an arm that follows nothing.
    """

    state: StampedState
    x: Vector
    begin: float = AT_ONCE
    follows: Timeline | None = None


class PlanOnce(Server):
    """Serves goals one after the other: planned once, from where the arm is then or, if it moves, will be soon."""

    def __init__(self, core: Core, planner: Planner) -> None:
        super().__init__(core)
        self._planner = planner
        self._policy_failures = 0

    def run(self) -> None:
        """See `Server.run`."""
        while not self.core.inbox.closed:
            self.pulse.beat(CLOCK_PERIOD)
            request = self.core.inbox.take(CLOCK_PERIOD)
            self.clock_jumped()
            if request is None:
                continue
            if request.goal is None:
                self.guarded(None, self.stop_arm)
                self.status, self.detail = Status.READY, ""
            else:
                self.serving = request.goal
                self.guarded(request.goal, partial(self._serve, request.goal))
                self.serving = None

    def _serve(self, goal: Vector) -> None:
        for lead in LEADS:
            self._check_wanted()
            start, seen = self._start(lead), self.core.fresh_world()
            plan = self._plan(start.x, goal, seen)
            self._check_wanted()
            late = self._late(start, lead)
            if late is None and seen is not None:
                plan, seen, late = self._in_newest_world(plan, seen)
            if late is None:
                return self._publish(plan, start, seen)
            if lead == LEADS[-1]:
                raise late
            self.core.note(late.status, late.detail)

    def _check_wanted(self) -> None:
        if self.clock_jumped() or self.core.inbox.interrupt.is_set():
            raise self.dropped()

    def _start(self, lead: float) -> Start:
        """Where a plan is to begin now. Raises Refused for an arm that moves and follows nothing of ours."""
        core, state, now = self.core, self.core.fresh_state(), self.core.now()
        timeline = core.followed.timeline
        if timeline is not None and self._follows(timeline, state, now):
            x = expected_state(core.task, timeline, state.x, state.stamp, now + lead)
            return Start(state, x, now + lead, timeline)
        v = state.x[core.task.nu :]
        i = int(np.argmax(np.abs(v)))
        if abs(v[i]) > DRIFT:
            joint = core.task.robot.joint_names[i]
            detail = f"{joint} moves at {v[i]:.2f} rad/s, allowed are {DRIFT} for an arm that follows nothing of ours"
            raise Refused(Status.ARM_MOVES, f"{detail}; wait until it rests, or call `cancel`, which brakes it")
        return Start(state, state.x)

    def _follows(self, timeline: Timeline, state: StampedState, now: float) -> bool:
        """Whether the arm moves along what was published, or is just about to."""
        if now >= timeline.end + SETTLING or self._off(timeline, state) > LOST:
            return False
        return 0.0 <= now - timeline.at(now).begin < YOUNG or self.core.moves(state.x)

    def _off(self, timeline: Timeline, state: StampedState) -> float:
        """How far a joint is from where it is meant to be [rad]."""
        desired = timeline.state(state.stamp)
        return float(np.abs(unwound(self.core.task, state.x, desired) - desired)[: self.core.task.nu].max())

    def _late(self, start: Start, lead: float) -> Refused | None:
        """Why a plan comes too late to be published: its beginning has passed, or the arm has left its start."""
        newest, n = self.core.fresh_state(), self.core.task.nu
        if start.follows is not None:
            if self.core.now() >= start.begin:
                return Refused(Status.DEADLINE_MISSED, f"planning for a moving arm took longer than {lead} s")
            off = self._off(start.follows, newest)
            if off > LOST:
                detail = f"the arm is {off:.2f} rad from its motion, allowed are {LOST}"
                return Refused(Status.TRACKING_LOST, detail)
            return None
        change = np.abs(unwound(self.core.task, newest.x, start.x) - start.x)
        i = int(np.argmax(change / np.repeat([POSITION_JUMP, VELOCITY_JUMP], n)))
        if change[i] <= (POSITION_JUMP if i < n else VELOCITY_JUMP):
            return None
        by, joint = change[i], self.core.task.robot.joint_names[i % n]
        change_of = f"position by {by:.3f} rad" if i < n else f"velocity by {by:.3f} rad/s"
        allowed = f"{POSITION_JUMP} rad and {VELOCITY_JUMP} rad/s"
        detail = f"{joint} changed its {change_of} while it was planned for, allowed are {allowed}"
        return Refused(Status.ARM_MOVES, detail)

    def _in_newest_world(self, plan: Plan, seen: SeenWorld) -> tuple[Plan, SeenWorld, Refused | None]:
        """The plan and the world as it is by now, and why the plan cannot be published there.

        Raises:
            Refused: The world is too old by now.
        """
        newest = self.core.fresh_world()
        assert newest is not None
        if newest.world is seen.world:
            return plan, newest, None
        try:
            return self._planner.recheck(plan, newest.world), newest, None
        except PlanRefusedError as error:
            return plan, newest, Refused(Status.PLAN_REFUSED, str(error))

    def _plan(self, x: Vector, goal: Vector, seen: SeenWorld | None = None) -> Plan:
        deadline = self.core.values["deadline"] or None
        self.pulse.beat(math.inf if deadline is None else deadline)
        try:
            shares = self.core.shares
            joints = goal if self.core.task.goal_type == "joints" else None
            plan = self._planner.plan(
                x,
                goal if joints is None else None,
                deadline,
                self.core.inbox.interrupt,
                joints=joints,
                velocity_scaling=shares["velocity_scaling"],
                acceleration_scaling=shares["acceleration_scaling"],
                world=None if seen is None else seen.world,
            )
        except StartError as error:
            raise Refused(Status.BAD_START, str(error)) from error
        except GoalError as error:
            raise Refused(Status.OUT_OF_REACH, str(error)) from error
        except PlanInterruptedError as error:
            raise self.dropped() from error
        except DeadlineError as error:
            raise Refused(Status.DEADLINE_MISSED, str(error)) from error
        except PlanRefusedError as error:
            raise Refused(Status.PLAN_REFUSED, str(error)) from error
        finally:
            self.pulse.beat(PUBLISHES_WITHIN)
        if self._planner.policy_failures > self._policy_failures:
            self._policy_failures = self._planner.policy_failures
            self.core.note(Status.POLICY_FAILED, f"the policy's output is not finite; the plan began at {plan.source}")
        return plan

    def _publish(self, plan: Plan, start: Start, seen: SeenWorld | None = None) -> None:
        motion = Motion(start.begin, float(plan.time[1]), plan.X, plan.U, plan.K, plan.optimum)
        among = None if seen is None else self._planner.among(seen.world)
        report = self.publish(motion, start.state, details_of(plan, seen), among=among)
        self.status = Status.PLANNED
        self.detail = (
            f"plan {report['plan_id']} {plan.status.value} from {plan.source}: {plan.iterations} iterations, "
            f"cost {plan.cost:.4g}, {report['phases_ms']['total']:.0f} ms"
        )
        self.core.info(self.detail)


def details_of(plan: Plan, seen: SeenWorld | None = None) -> dict[str, Any]:
    """What the report says of a plan, and of a world from topics; a `reason` only where it does not reach its goal."""
    around = plan.surroundings
    if around is None and seen is not None:
        around = Surroundings(seen.world.version, seen.world.hash, 0)
    world = {} if around is None else {"world": asdict(around) | ({} if seen is None else {"age_s": seen.age})}
    return {
        "status": plan.status.value,
        **({"reason": plan.reason} if plan.reason else {}),
        "source": plan.source,
        "goal": [float(value) for value in plan.goal],
        "cost": float(plan.cost),
        "violation": float(plan.violation),
        "iterations": int(plan.iterations),
        "duration": plan.duration,
        "tool_error": float(plan.tool_error),
        "orientation_error": plan.orientation_error,
        **({} if plan.joint_error is None else {"joint_error": plan.joint_error}),
        **contact_of(plan.left),
        **world,
        "phases_ms": {phase: float(ms) for phase, ms in plan.phases_ms.items()},
    }
