"""Mode `plan_once`: one trajectory for each goal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import DeadlineError, GoalError, PlanInterruptedError, PlanRefusedError, StartError
from sobo_planner.motion import Motion, Timeline, expected_state
from sobo_planner.planning.planner import Plan, Planner
from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.serve.serving import Core, Server, moves
from sobo_planner.ros.support.status import Refused, Status

Vector = NDArray[np.float64]

# Times from the state that a moving arm is planned for to the hand-over [s], tried in turn: planning has to end before.
LEADS = (0.25, 0.5, 1.0)
# Time between two looks at the clock [s]: a small jump is not to be lost in a long wait.
CLOCK_PERIOD = 0.2
# Time after the beginning of a motion [s] within which the arm may not be seen to move yet.
YOUNG = 0.05
CANCELLED = "the goal was cancelled while it was planned for"
AT_ONCE = math.nan  # as the beginning of a motion


class PlanOnce(Server):
    """Serves goals one after the other: planned once, from where the arm is then or, if it moves, will be soon."""

    def __init__(self, core: Core, planner: Planner) -> None:
        super().__init__(core)
        self._planner = planner
        self._policy_failures = 0

    def run(self) -> None:
        """See `Server.run`."""
        while not self.core.inbox.closed:
            request = self.core.inbox.take(CLOCK_PERIOD)
            self.clock_jumped()
            if request is None:
                continue
            goal = request.goal
            if goal is None:
                self.guarded(None, self.stop_arm)
                self.status, self.detail = Status.READY, ""
            else:
                self.guarded(goal, lambda goal=goal: self._serve(goal))  # type: ignore[misc]

    def _serve(self, goal: Vector) -> None:
        for lead in LEADS:
            state = self.fresh_state()
            timeline, now = self.core.outputs.timeline, self.core.now()
            if timeline is None or not self._follows(timeline, state, now):
                return self._publish(self._plan(state.x, goal), AT_ONCE, state)
            begin = now + lead
            x = expected_state(self.core.task, timeline, state.x, state.stamp, begin)
            plan = self._plan(x, goal)
            if self.core.now() < begin:
                return self._publish(plan, begin, state)
            if lead < LEADS[-1]:
                self.note(Status.DEADLINE_MISSED, f"planning for a moving arm took longer than {lead} s")
        raise Refused(Status.DEADLINE_MISSED, f"planning for a moving arm took longer than {LEADS[-1]} s")

    def _follows(self, timeline: Timeline, state: StampedState, now: float) -> bool:
        """Whether the arm moves along what was published, or is just about to."""
        if now >= timeline.end:
            return False
        return 0.0 <= now - timeline.at(now).begin < YOUNG or moves(self.core.task, state.x)

    def _plan(self, x: Vector, goal: Vector) -> Plan:
        try:
            plan = self._planner.plan(x, goal, self.core.values["deadline"] or None, self.core.inbox.interrupt)
        except StartError as error:
            raise Refused(Status.BAD_START, str(error)) from error
        except GoalError as error:
            raise Refused(Status.OUT_OF_REACH, str(error)) from error
        except PlanInterruptedError as error:
            raise Refused(Status.CANCELLED, CANCELLED) from error
        except DeadlineError as error:
            raise Refused(Status.DEADLINE_MISSED, str(error)) from error
        except PlanRefusedError as error:
            raise Refused(Status.PLAN_REFUSED, str(error)) from error
        if self._planner.policy_failures > self._policy_failures:
            self._policy_failures = self._planner.policy_failures
            self.note(Status.POLICY_FAILED, f"the policy's output is not finite; the plan began at {plan.source}")
        return plan

    def _publish(self, plan: Plan, begin: float, state: StampedState) -> None:
        if self.core.inbox.interrupt.is_set():
            raise Refused(Status.CANCELLED, CANCELLED)
        motion = Motion(begin, float(plan.time[1] - plan.time[0]), plan.X, plan.U, plan.K)
        report = self.publish(motion, state, details_of(plan))
        if report is not None:
            self.status = Status.PLANNED
            phases = report["phases_ms"]
            self.detail = (
                f"plan {report['plan_id']} {plan.status.value} from {plan.source}: {plan.iterations} iterations, "
                f"cost {plan.cost:.4g}, {phases['total']:.0f} ms"
            )
            self.core.info(self.detail)


def details_of(plan: Plan) -> dict[str, Any]:
    """What the report says of a plan; a `reason` only where it does not reach its goal."""
    return {
        "status": plan.status.value,
        **({"reason": plan.reason} if plan.reason else {}),
        "source": plan.source,
        "goal": [float(value) for value in plan.goal],
        "cost": float(plan.cost),
        "violation": float(plan.violation),
        "iterations": int(plan.iterations),
        "tool_error": float(plan.tool_error),
        "orientation_error": plan.orientation_error,
        "phases_ms": {phase: float(ms) for phase, ms in plan.phases_ms.items()},
    }
