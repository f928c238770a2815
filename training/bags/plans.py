"""Plans of this package in a recording, put together from the messages that carry their parts."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sobo_training.bags.decoding import array_of, header_stamp
from sobo_training.bags.joint_states import Array
from sobo_training.bags.records import SECOND, Batch

# Messages of one plan are recorded within this time [s]. Older ones are let go.
TOGETHER = 3.0
# No step of a plan is longer [s].
LONGEST_STEP = 10.0
# Statuses in reports of plans that are made once; a cycle of a receding horizon is no solution.
SOLVED = ("converged", "feasible", "short")
CYCLES = ("refined", "start")
#: Roles of the topics that plans are recorded on.
REPORT, TRAJECTORY, FEEDFORWARD = "plan_report", "joint_trajectory", "feedforward"
DATA, CONTROLS, SOLVER_GAINS = "plan_data", "solver_controls", "solver_gains"
PARTS = (TRAJECTORY, FEEDFORWARD, DATA, CONTROLS, SOLVER_GAINS)


@dataclass(frozen=True)
class LoggedPlan:
    """A plan as it was recorded.

    Attributes:
        recorded: When [ns].
        begin: When its motion begins [ns of ROS time].
        status: As reported.
        goal: As reported: in the base frame, or of the joints; or None.
        goal_type: `position`, `pose` or `joints`; empty where it was not recorded.
        error: Distance to the goal at its end, as reported [m or rad]; NaN without.
        dt: Step [s].
        X: States, (T+1, 2n).
        U: The solver's controls, (T, n), or None where they were not recorded.
        K: The solver's gains du/dx, (T, n, 2n), or None.
        nominal: Whether it was made with all of the robot's limits and without a payload.
        world: Version of the world that it was made in; None where it was not recorded.
    """

    recorded: int
    begin: int
    status: str
    goal: Array | None
    goal_type: str
    error: float
    dt: float
    X: Array
    U: Array | None
    K: Array | None
    nominal: bool
    world: int | None = None

    @property
    def duration(self) -> float:
        """How long it takes [s]."""
        return self.dt * (len(self.X) - 1)


@dataclass(frozen=True)
class Refusal:
    """A goal that was refused: when [ns], why, and what goal (in the base frame, None where it could not be read)."""

    recorded: int
    reason: str
    goal: Array | None


class Incomplete(Exception):
    """Parts of a plan are missing or damaged."""


class Plans:
    """Puts plans together, block by block.

    Args:
        decode: Decodes a payload of a type, or raises `ValueError`.
        names: The arm's joints, as the bag names them.

    Attributes:
        plans: Those found so far.
        refusals: Goals that were refused.
        unused: Reports that gave no plan, by cause.
        used: Messages that plans were made of, by role.
    """

    def __init__(self, decode: Callable[[str, bytes], Any], names: tuple[str, ...]) -> None:
        self._decode, self._names = decode, names
        self._parts: dict[str, list[tuple[int, bytes]]] = {role: [] for role in PARTS}
        self._reports: list[tuple[int, bytes]] = []
        self.plans: list[LoggedPlan] = []
        self.refusals: list[Refusal] = []
        self.unused: Counter[str] = Counter()
        self.undecoded: Counter[str] = Counter()

    def add(self, role: str, batch: Batch) -> None:
        """Takes messages of a topic."""
        into = self._reports if role == REPORT else self._parts[role]
        into.extend(zip(batch.times.tolist(), map(bytes, batch.payloads), strict=True))

    def settle(self, now: int, final: bool = False) -> None:
        """Makes plans of what has come in until a time [ns]; lets go of what is older than `TOGETHER`."""
        waiting = []
        for recorded, payload in self._reports:
            try:
                self._report(recorded, payload)
            except Incomplete as error:
                if final or abs(now - recorded) > TOGETHER * SECOND:
                    self.unused[str(error)] += 1
                else:
                    waiting.append((recorded, payload))
        self._reports = waiting
        for role, parts in self._parts.items():
            self._parts[role] = [each for each in parts if abs(now - each[0]) <= 2.0 * TOGETHER * SECOND]

    def _report(self, recorded: int, payload: bytes) -> None:
        try:
            report = json.loads(self._decode("std_msgs/msg/String", payload).data)
            status = str(report["status"])
            goal = report.get("goal")
            goal = None if goal is None else np.asarray(goal, float)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.undecoded[REPORT] += 1
            return
        if status == "refused":
            self.refusals.append(Refusal(recorded, str(report.get("reason")), goal))
        elif status in CYCLES:
            self.unused["a cycle of a receding horizon: the motion is taken from the joint states"] += 1
        elif status not in SOLVED:
            self.unused[f"status {status}"] += 1
        else:
            try:
                self.plans.append(self._plan(recorded, report, status, goal))
            except (KeyError, TypeError, IndexError, OverflowError) as error:
                raise Incomplete("the report lacks a part") from error
            except ValueError as error:
                raise Incomplete(str(error)) from error

    def _plan(self, recorded: int, report: dict[str, Any], status: str, goal: Array | None) -> LoggedPlan:
        stamp = report["stamp"]["sec"] * SECOND + report["stamp"]["nanosec"]
        lead, dt = float(report["lead"]), float(report["dt"])
        data = self._data(recorded, stamp)
        U, K = (
            self._solver(recorded, CONTROLS, ("T", "nu")),
            self._solver(recorded, SOLVER_GAINS, ("T", "rows", "cols")),
        )
        steps = len(U) if U is not None else self._steps(recorded, report)
        X = self._states(recorded, stamp, report, lead, dt, steps)
        if not np.array_equal(data.get("start", report["start"]), report["start"]):
            raise Incomplete("its parts contradict each other")
        if "end" in data:
            end = np.asarray(data["end"], float)
            if end.shape != X[-1].shape or np.abs(end - X[-1]).max() > 0.05:
                raise Incomplete("its parts contradict each other")
            X[-1] = end
        if not np.isfinite(X).all():
            raise Incomplete("a number is not finite")
        shares = (data.get("velocity_scaling", 1.0), data.get("acceleration_scaling", 1.0))
        nominal = shares == (1.0, 1.0) and data.get("payload_mass", 0.0) == 0.0
        error = float(report.get("tool_error", np.nan))
        begin = stamp + round(lead * SECOND)
        leaves = int(report.get("contact", {}).get("steps", 0))  # a contact first
        if not 0 <= leaves < len(X) - 1:
            raise Incomplete("its parts contradict each other")
        if leaves:
            begin, X, U, K = begin + round(leaves * dt * SECOND), X[leaves:], None, None
        world = data.get("world_version")
        return LoggedPlan(
            recorded,
            begin,
            status,
            goal,
            str(data.get("goal_type", "")),
            error,
            dt,
            X,
            U,
            K,
            nominal,
            None if world is None else int(world),
        )

    def _near(self, role: str, recorded: int) -> list[bytes]:
        near = [(abs(time - recorded), payload) for time, payload in self._parts[role]]
        return [payload for apart, payload in sorted(near, key=lambda each: each[0]) if apart <= TOGETHER * SECOND]

    def _states(
        self, recorded: int, stamp: int, report: dict[str, Any], lead: float, dt: float, steps: int | None
    ) -> Array:
        payload = next((each for each in self._near(TRAJECTORY, recorded) if header_stamp(each) == stamp), None)
        if payload is None:
            raise Incomplete("its trajectory is missing")
        message = self._decode("trajectory_msgs/msg/JointTrajectory", payload)
        if not set(self._names) <= set(message.joint_names):
            raise Incomplete("it is of other joints")
        order, start = [message.joint_names.index(name) for name in self._names], np.asarray(report["start"], float)
        passed = np.array([p.time_from_start.sec * SECOND + p.time_from_start.nanosec for p in message.points], "<i8")
        position, velocity = (
            np.array([getattr(p, name) for p in message.points], "<f8") for name in ("positions", "velocities")
        )
        content = passed.tobytes() + position.tobytes() + velocity.tobytes()
        if report.get("checksums", {}).get("joint_trajectory", zlib.crc32(content)) != zlib.crc32(content):
            raise Incomplete("its trajectory is damaged")
        times, states = 1e-9 * passed - lead, np.hstack([position[:, order], velocity[:, order]])
        if not 0.0 < dt < LONGEST_STEP:
            raise Incomplete("its parts contradict each other")
        knots = dt * np.arange(1, (round(float(times[-1]) / dt) if steps is None else steps) + 1)
        nearest = np.abs(times[None, :] - knots[:, None]).argmin(axis=1)
        if np.abs(times[nearest] - knots).max() > 0.01 * dt or start.shape != states[0].shape:
            raise Incomplete("its parts contradict each other")
        return np.vstack([start[None, :], states[nearest]])

    def _steps(self, recorded: int, report: dict[str, Any]) -> int | None:
        """How many steps the plan has, as its torques tell: the trajectory may end with a point that brakes."""
        for payload in self._near(FEEDFORWARD, recorded):
            values = array_of(self._decode("std_msgs/msg/Float64MultiArray", payload), ("T", "nu"))
            if zlib.crc32(np.ascontiguousarray(values, "<f8").tobytes()) == report["checksums"]["feedforward"]:
                return len(values)
        return None

    def _solver(self, recorded: int, role: str, labels: tuple[str, ...]) -> Array | None:
        """The array that was recorded at the same time, where there is one."""
        for time, payload in self._parts[role]:
            if time == recorded:
                return array_of(self._decode("std_msgs/msg/Float64MultiArray", payload), labels)
        return None

    def _data(self, recorded: int, stamp: int) -> dict[str, Any]:
        """What the recording adds to the report; empty for bags that others recorded."""
        for time, payload in self._parts[DATA]:
            if time == recorded:
                data = json.loads(self._decode("std_msgs/msg/String", payload).data)
                found = data["stamp"]
                if found["sec"] * SECOND + found["nanosec"] == stamp:
                    return dict(data)
        return {}
