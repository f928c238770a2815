"""What the planner node tells about itself: counters, diagnostics and the plan report."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from sobo_planner.ros.refusal import Reason, Refused

if TYPE_CHECKING:
    from sobo_planner.planner import Plan

# Numbers of the last plan that are repeated in the diagnostics, under `last_<name>`.
LAST_PLAN_KEYS = ("status", "source", "cost", "violation", "iterations", "tool_error")


class Ledger:
    """Counts plans and refusals and remembers the last of each. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans = 0
        self._refusals: Counter[Reason] = Counter()
        self._last_refusal: Refused | None = None
        self._last_plan: dict[str, Any] = {}

    def count_plan(self, report: dict[str, Any]) -> None:
        """Notes a published plan."""
        with self._lock:
            self._plans += 1
            self._last_plan = report

    def count_refusal(self, refusal: Refused) -> None:
        """Notes a refused message or goal."""
        with self._lock:
            self._refusals[refusal.reason] += 1
            self._last_refusal = refusal

    def values(self) -> dict[str, str]:
        """Everything as the strings that diagnostics carry."""
        with self._lock:
            values = {"plans": str(self._plans), "refusals": str(self._refusals.total())}
            values.update({f"refused_{reason.value}": str(self._refusals[reason]) for reason in Reason})
            if self._last_refusal is not None:
                values["last_refusal"] = str(self._last_refusal)
            last = self._last_plan
        values.update({f"last_{key}": str(last[key]) for key in LAST_PLAN_KEYS if key in last})
        values.update({f"last_{phase}_ms": f"{ms:.3f}" for phase, ms in last.get("phases_ms", {}).items()})
        return values


def status_message(
    name: str, hardware_id: str, problems: list[tuple[bytes, str]], values: dict[str, str]
) -> DiagnosticStatus:
    """One status: the worst level of `problems`, all of their texts, and the values."""
    level = max((level for level, _ in problems), default=DiagnosticStatus.OK)
    text = "; ".join(text for _, text in problems) or "ready"
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=text, hardware_id=hardware_id, values=pairs)


def diagnostics_message(stamp: Time, status: DiagnosticStatus) -> DiagnosticArray:
    """An array of one status."""
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message


def plan_report(plan_id: int, stamp: Time, plan: Plan, policy: str, checksums: dict[str, int]) -> dict[str, Any]:
    """Report of a published plan, the JSON of `plan_report`.

    `stamp` equals the trajectory's header stamp and `checksums` those of the two arrays: a consumer that
    needs all three knows by them which belong together. `start` is the state at t = 0, which the trajectory
    leaves out.
    """
    return {
        "plan_id": plan_id,
        "stamp": {"sec": stamp.sec, "nanosec": stamp.nanosec},
        "status": plan.status.value,
        "source": str(getattr(plan.source, "value", plan.source)),
        "goal": [float(value) for value in plan.goal],
        "start": [float(value) for value in plan.X[0]],
        "dt": float(plan.time[1] - plan.time[0]),
        "cost": float(plan.cost),
        "violation": float(plan.violation),
        "iterations": int(plan.iterations),
        "tool_error": float(plan.tool_error),
        "phases_ms": {phase: float(ms) for phase, ms in plan.phases_ms.items()},
        "policy": policy,
        "checksums": checksums,
    }


def refusal_report(refusal: Refused, goal: list[float] | None) -> dict[str, Any]:
    """Report of a refused goal, so that whoever sent it learns why."""
    return {"status": "refused", "reason": refusal.reason.value, "detail": refusal.detail, "goal": goal}


def to_json(report: dict[str, Any]) -> str:
    """Strict JSON: a NaN is a defect here, not something to send on."""
    return json.dumps(report, allow_nan=False)
