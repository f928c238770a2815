"""What the planner node tells about itself: counters, phase times, diagnostics and the plan report."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from sobo_planner.motion import Motion
from sobo_planner.planning.plan import LeftContact
from sobo_planner.ros.support.status import TEXTS, Refused, Status

# Numbers of the last plan that are repeated in the diagnostics, under `last_<name>`.
LAST_PLAN_KEYS = ("status", "source", "cost", "violation", "iterations", "tool_error")
# Plans over which the phases' percentiles are taken.
WINDOW = 1000


class Ledger:
    """Counts plans and what each status was met for, and remembers the last of each. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans = 0
        self._counts: Counter[Status] = Counter()
        self._last_problem = ""
        self._last_plan: dict[str, Any] = {}
        self._phases: dict[str, deque[float]] = {}

    def count_plan(self, report: dict[str, Any]) -> None:
        """Notes a published plan."""
        with self._lock:
            self._plans += 1
            self._last_plan = report
            for phase, ms in report["phases_ms"].items():
                self._phases.setdefault(phase, deque(maxlen=WINDOW)).append(ms)

    def count(self, status: Status, detail: str = "", times: int = 1) -> None:
        """Notes a refusal or a fault."""
        with self._lock:
            self._counts[status] += times
            self._last_problem = f"{status.value}: {detail}"

    def values(self) -> dict[str, str]:
        """Everything as the strings that diagnostics carry."""
        with self._lock:
            values = {"plans": str(self._plans)}
            values.update({f"count_{status.value}": str(self._counts[status]) for status in Status})
            if self._last_problem:
                values["last_problem"] = self._last_problem
            last = self._last_plan
            phases = {phase: np.array(times) for phase, times in self._phases.items()}
        values.update({f"last_{key}": str(last[key]) for key in LAST_PLAN_KEYS if key in last})
        for phase, times in phases.items():
            p50, p99 = np.interp((0.5, 0.99), np.linspace(0.0, 1.0, len(times)), np.sort(times))
            values |= {f"{phase}_ms_p50": f"{p50:.3f}", f"{phase}_ms_p99": f"{p99:.3f}"}
        return values


def status_message(
    hardware_id: str, status: Status, detail: str, problems: list[str], values: dict[str, str]
) -> DiagnosticStatus:
    """The diagnostics of the node.

    Args:
        hardware_id: Name of the robot.
        status: What the node is doing, or what keeps it from that.
        detail: What exactly, may be empty.
        problems: What else is not as it should be, though the node works: raises the level to WARN.
        values: Counters and numbers.
    """
    level = TEXTS[status].level
    if problems and level == DiagnosticStatus.OK:
        level = DiagnosticStatus.WARN
    head = f"{status.value}: {detail or TEXTS[status].meaning}"
    pairs = [KeyValue(key=key, value=value) for key, value in ({"status": status.value} | values).items()]
    return DiagnosticStatus(
        level=level, name="planner", message="; ".join([head, *problems]), hardware_id=hardware_id, values=pairs
    )


def diagnostics_message(stamp: Time, status: DiagnosticStatus, node: str) -> DiagnosticArray:
    """An array of one status, under the full name of its node: by `planner` alone, two arms would be one.

    Args:
        stamp: ROS time.
        status: The status; it gets the name, and the robot's name the namespace.
        node: The node's name with its namespace, as `/left/planner`.
    """
    status.name = node.lstrip("/")
    namespace = status.name.rpartition("/")[0]
    if namespace and status.hardware_id:
        status.hardware_id = f"{namespace}/{status.hardware_id}"
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message


def plan_report(plan_id: int, stamp: Time, lead: float, motion: Motion, details: dict[str, Any]) -> dict[str, Any]:
    """Report of a published plan, the JSON of `plan_report`.

    `stamp` equals the trajectory's header stamp and `checksums` those of the two arrays: a consumer that
    needs all three knows by them which belong together. The motion begins `lead` seconds after the stamp, in the state
    `start`.
    """
    return {
        "plan_id": plan_id,
        "stamp": {"sec": stamp.sec, "nanosec": stamp.nanosec},
        "lead": lead,
        "start": [float(value) for value in motion.X[0]],
        "dt": float(motion.dt),
        **details,
    }


def contact_of(left: LeftContact | None) -> dict[str, Any]:
    """What a report says of the contact that a motion leaves."""
    if left is None:
        return {}
    return {"contact": {"first": left.first, "second": left.second, "distance": left.distance, "steps": left.steps}}


def refusal_report(refusal: Refused, goal: list[float] | None) -> dict[str, Any]:
    """Report of a refused goal, so that whoever sent it learns why."""
    return {"status": "refused", "reason": refusal.status.value, "detail": refusal.detail, "goal": goal}


def to_json(report: dict[str, Any]) -> str:
    """Strict JSON: a NaN is a defect here, not something to send on."""
    return json.dumps(report, allow_nan=False)
