"""Checks everything that a planner publishes during a test: no NaN, nothing beyond a limit, nothing stale.

It shares no code with the planner's own checks, and judges each message when it arrives, so that its memory is bounded.
"""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from builtin_interfaces.msg import Time
from controller_decision import controller_accepts
from motion_faults import TOLERANCE, motion_faults
from sensor_msgs.msg import JointState
from state_ages import StateAges
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.ros.outputs.trajectory_rules import Rules
from sobo_planner.tasks import ArmReach, load_task

GAIN_CAP = 134.0  # of a joint's torque limit [1/rad, s/rad]
LATE = 1.0  # [s] from the stamp of a message to its publication
KEPT = 64  # trajectories and arrays that a report may still name
SHOWN = 10  # violations that are told


class Monitor:
    """Judges every message of a planner.

    Attributes:
        violations: What was wrong, in the order in which it came.
        messages: How many messages were judged.
        task_name: The planner's `task`.
        prefix: The planner's `tf_prefix`.
        effort: Whether `effort` may be filled.
        moving_end: Whether a trajectory may end with a velocity.
        wall_clock: Whether stamps are on the computer's clock.
        joint_box: Bounds of the joints [rad] beside the robot's, if any.
        tool_box: Bounds of the tool [m], if any.
        state_timeout: The largest age of a joint state that was ever allowed [s].
    """

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.messages = 0
        self.task_name, self.prefix = "ur5", ""
        self.effort = self.moving_end = False
        self.wall_clock = True
        self.joint_box: tuple[Any, Any] | None = None
        self.tool_box: tuple[Any, Any] | None = None
        self.state_timeout = 0.5
        self._ages = StateAges()
        self._seen: dict[str, OrderedDict[Any, Any]] = {
            kind: OrderedDict() for kind in ("trajectory", "feedback_gains", "feedforward")
        }

    def configure(self, parameters: dict[str, Any]) -> None:
        """Takes over what the planner was told."""
        self.task_name = parameters.get("task", self.task_name)
        self.prefix = parameters.get("tf_prefix") or self.prefix
        # Not taken back: a plan from before may still be on its way.
        self.effort = self.effort or bool(parameters.get("publish_effort"))
        self.moving_end = self.moving_end or bool(parameters.get("allow_nonzero_velocity_at_trajectory_end"))
        self.wall_clock = self.wall_clock and not parameters.get("use_sim_time")
        self.state_timeout = max(self.state_timeout, parameters.get("state_timeout", 0.0))
        if "joint_box" in parameters:
            self.joint_box = tuple(np.reshape(parameters["joint_box"], (-1, 2)).T)
        if "tool_box" in parameters:
            self.tool_box = tuple(np.reshape(parameters["tool_box"], (2, -1)))

    def verdict(self) -> None:
        """Fails with what was wrong."""
        self.violations += self._ages.faults(self.state_timeout)
        assert not self.violations, f"{len(self.violations)} violations:\n" + "\n".join(self.violations[:SHOWN])

    @cached_property
    def _task(self) -> ArmReach:
        return load_task(self.task_name)

    @property
    def names(self) -> tuple[str, ...]:
        """The joints, in the robot's order."""
        return tuple(self.prefix + name for name in self._task.robot.joint_names)

    # ---------------------------------------------------------------- messages

    def state(self, message: JointState, published: int, publisher: bytes = b"", number: int | None = None) -> None:
        """Records a joint state that was sent; `published` is when [ns], `number` which one of that publisher's."""
        self._ages.losses.heard(publisher, number, published)
        self._ages.state(message, self.names, published, self.wall_clock)

    def trajectory(self, message: JointTrajectory, published: int) -> None:
        """Judges a trajectory; `published` is when [ns]."""
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        self._ages.trajectory(stamp, published)
        self._begin(f"trajectory of {stamp[0]}.{stamp[1]:09d}")
        names = self.names
        age = (published - stamp[0] * 10**9 - stamp[1]) * 1e-9
        self._require(not self.wall_clock or abs(age) <= LATE, f"published {age:.3f} s after its stamp")
        rules = Rules(names, self.effort, self.moving_end)
        # The controller's present is that of the publication.
        now = Time(sec=published // 10**9, nanosec=published % 10**9) if self.wall_clock else message.header.stamp
        self._require(controller_accepts(message, rules, now), "the controller would drop it")
        self._require(tuple(message.joint_names) == names, f"joints {message.joint_names}, expected {names}")
        points = message.points
        times = np.array([point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in points])
        columns = [[getattr(point, name) for point in points] for name in ("positions", "velocities")]
        if not all(len(row) == len(names) for column in columns for row in column) or not points:
            self._require(False, "a point has not one position and one velocity for each joint")
            return
        Q, V = (np.array(column) for column in columns)
        efforts = [value for point in points for value in (*point.effort, *point.accelerations)]
        self._require(all(np.isfinite(part).all() for part in (Q, V, efforts)), "a number is not finite")
        self._require(times[0] > 0.0, f"the first point is at {times[0]} s")
        known = self._seen["trajectory"].get(stamp)
        self._require(known is None or np.array_equal(known[1], Q), "another trajectory had the same stamp")
        nanoseconds = [point.time_from_start.sec * 10**9 + point.time_from_start.nanosec for point in points]
        data = np.array(nanoseconds, "<i8").tobytes() + b"".join(part.astype("<f8").tobytes() for part in (Q, V))
        self._keep("trajectory", stamp, (times, Q, V, zlib.crc32(data)))
        for fault in motion_faults(self._task.robot, times, Q, V, self.joint_box, self.tool_box):
            self._require(False, fault)

    def gains(self, message: Float64MultiArray) -> None:
        """Judges feedback gains."""
        n = self._task.nu
        K = self._array("feedback_gains", message, ("T", "rows", "cols"), (n, 2 * n))
        size = (np.abs(K).max(axis=2, initial=0.0) / self._task.torque_limit).max(initial=0.0)
        self._require(size <= GAIN_CAP, f"a gain of {size:.3g} times the torque limit, allowed is {GAIN_CAP:.3g}")

    def feedforward(self, message: Float64MultiArray) -> None:
        """Judges feedforward torques."""
        U = self._array("feedforward", message, ("T", "nu"), (self._task.nu,))
        over = (np.abs(U) - self._task.torque_limit).max(initial=-np.inf)
        self._require(over <= 1e-6, f"a torque exceeds its limit by {over:.3g} Nm")

    def report(self, message: String) -> None:
        """Judges a report, and that it belongs to the messages that it names."""
        self._begin("plan_report")
        try:
            report = json.loads(message.data, parse_constant=_refuse)
        except ValueError as error:
            self._require(False, f"not strict JSON: {error}")
            return
        self._begin(f"plan_report {report.get('plan_id')} ({report.get('status')})")
        if "checksums" not in report:
            self._require("stamp" not in report and "start" not in report, "neither a plan nor a refusal")
            return
        stamp = (report["stamp"]["sec"], report["stamp"]["nanosec"])
        self._ages.told(stamp, report["status"], report.get("state_age_s"))
        if report["status"] == "braking":  # an arm whose states have stopped is not left to go on
            self._ages.excuse(stamp)
        start, limit = np.array(report["start"]), self._task.robot.velocity_limit
        self._require(start.shape == (self._task.nx,), f"start has shape {start.shape}")
        steps = {len(v) for k in ("feedback_gains", "feedforward") if (v := self._named(k, report)) is not None}
        self._require(len(steps) <= 1, f"gains and feedforward have {steps} steps")
        trajectory = self._seen["trajectory"].get((report["stamp"]["sec"], report["stamp"]["nanosec"]))
        if trajectory is not None and start.shape == (self._task.nx,):
            times, Q, _, checksum = trajectory
            checked = report["checksums"]["joint_trajectory"]
            self._require(checksum == checked, f"points of checksum {checksum}, those checked have {checked}")
            jump = np.abs(Q[0] - start[: self._task.nu]) - times[0] * limit
            self._require(jump.max() <= TOLERANCE, f"{jump.max():.3g} rad too far from start to first point")
            self._require(
                all(step * report["dt"] <= times[-1] + 1e-6 for step in steps), "the controls outlast the trajectory"
            )

    # ---------------------------------------------------------------- parts

    def _begin(self, what: str) -> None:
        self.messages += 1
        self._what = what

    def _require(self, good: Any, otherwise: str) -> None:
        if not good:
            self.violations.append(f"{self._what}: {otherwise}")

    def _keep(self, kind: str, key: Any, value: Any) -> None:
        self._seen[kind][key] = value
        while len(self._seen[kind]) > KEPT:
            self._seen[kind].popitem(last=False)

    def _named(self, kind: str, report: dict[str, Any]) -> Any:
        return self._seen[kind].get(report["checksums"][kind])

    def _array(self, kind: str, message: Float64MultiArray, labels: Sequence[str], shape: tuple[int, ...]) -> Any:
        self._begin(kind)
        values = np.array(message.data)
        dimensions = message.layout.dim
        found = tuple(dim.label for dim in dimensions)
        self._require(found == tuple(labels), f"labelled {found}")
        sizes = tuple(dim.size for dim in dimensions)
        self._require(sizes[1:] == shape and values.size == np.prod(sizes), f"{values.size} values for {sizes}")
        self._require(np.isfinite(values).all(), "a number is not finite")
        values = values[: values.size - values.size % int(np.prod(shape))].reshape(-1, *shape)
        self._keep(kind, zlib.crc32(np.array(message.data, "<f8").tobytes()), values)
        return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}")
