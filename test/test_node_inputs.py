"""What ordinary and faulty drivers send, 10 000 joint states over real DDS: no motion begins away from the arm.

A tenth of the states comes late, another tenth is an hour old or ahead, many come in halves, velocities are NaN or
missing. The arm follows its trajectories exactly, so that its true state is known at any time.
"""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Time
from node_tools import POSITION_JUMP, VELOCITY_JUMP, Desired, StiffArm, count, plans, seconds, serving
from ros_harness import Probe
from sensor_msgs.msg import JointState

from sobo_planner.tasks import Task

MESSAGES = 5000  # in each mode
RATE = 150.0  # [Hz]
HOUR = 3600.0
LATE = 0.1  # [s] that states out of order come late
ROUNDING = 1e-4  # of the times of points and stamps, as positions [rad] and velocities [rad/s]
FADES = 0.5  # [s] from a jump of the arm to when the motions before it no longer matter
GOALS = 1.5  # [s] between two goals
PROMPT = 0.02  # [s] within which a trajectory that begins at once comes, and the arm has hardly moved


class FaultyDriver:
    """Sends where the arm is, with everything that ordinary and faulty drivers do.

    Attributes:
        sent: Messages so far.
    """

    def __init__(self, probe: Probe, arm: StiffArm, rng: np.random.Generator) -> None:
        self._probe, self._arm, self._rng = probe, arm, rng
        self._names = probe.joint_names
        self._waiting: deque[tuple[float, JointState]] = deque()
        self._next = self._now()
        self.sent = 0

    def _now(self) -> float:
        return 1e-9 * self._probe.get_clock().now().nanoseconds

    def tick(self) -> None:
        """Sends what is due."""
        if self._now() < self._next:
            return
        self._next = max(self._next + 1.0 / RATE, self._now() - 2.0 / RATE)
        while self._waiting and self._waiting[0][0] <= self._now():
            self._publish(self._waiting.popleft()[1])
        now = self._now()
        q, v = np.split(self._arm.state(), 2)
        kind = self._rng.choice(["late", "hour", "future", "whole", "halves"], p=[0.1, 0.05, 0.05, 0.4, 0.4])
        if kind == "late":
            self._waiting.append((now + LATE, self._message(range(6), q, v, now)))
        elif kind == "hour":
            self._publish(self._message(range(6), q + 1.0, v, now - HOUR))
        elif kind == "future":
            self._publish(self._message(range(6), q + 1.0, v, now + HOUR))
        elif kind == "whole":
            self._publish(self._message(self._rng.permutation(6), q, v, now))
        else:
            for joints in ((0, 1, 2), (3, 4, 5)):
                self._publish(self._message(joints, q, v, now))
            self._publish(JointState(name=["gripper"], position=[0.5]))

    def _message(self, joints: object, q: np.ndarray, v: np.ndarray, stamp: float) -> JointState:
        chosen = [int(i) for i in joints]  # type: ignore[attr-defined]
        message = JointState(name=[self._names[i] for i in chosen], position=[float(q[i]) for i in chosen])
        message.header.stamp = Time(sec=int(stamp), nanosec=int(1e9 * (stamp % 1.0)))
        velocities = self._rng.choice(["measured", "missing", "nan", "some"])
        if velocities != "missing":
            unknown = {"measured": 0.0, "nan": 1.0, "some": 0.5}[str(velocities)]
            message.velocity = [math.nan if self._rng.random() < unknown else float(v[i]) for i in chosen]
        return message

    def _publish(self, message: JointState) -> None:
        self._probe.state_publisher.publish(message)
        self.sent += 1


class Truth:
    """Where the arm was on its way when each trajectory came; one that comes after it has begun makes the arm jump."""

    def __init__(self, probe: Probe, home: np.ndarray) -> None:
        self._probe, self._desired = probe, Desired(home)
        self._before: dict[tuple[int, int], Desired] = {}
        self._late = [-math.inf]

    def look(self) -> None:
        """Takes note of trajectories, as the arm does."""
        now = 1e-9 * self._probe.get_clock().now().nanoseconds
        for message in self._probe.trajectories[len(self._before) :]:
            stamp = message.header.stamp
            self._before[stamp.sec, stamp.nanosec] = copy.copy(self._desired)
            self._desired.add(message)
            if now > seconds(stamp) + max(seconds(message.points[0].time_from_start), PROMPT):
                self._late.append(now)

    def start_errors(self) -> np.ndarray:
        """How far each motion begins from where the arm is then, (N, 12); without those about a jump of the arm."""
        late, errors = np.array(self._late), []
        for report in plans(self._probe):
            stamp = report["stamp"]
            begin = stamp["sec"] + 1e-9 * stamp["nanosec"] + report["lead"]
            before = self._before.get((stamp["sec"], stamp["nanosec"]))
            if before is not None and (np.abs(begin - late) > FADES).all():
                errors.append(np.abs(before.at(begin) - report["start"]))
        return np.array(errors)


@pytest.mark.parametrize("mode", ["plan_once", "receding_horizon"])
def test_no_motion_begins_away_from_the_arm(task: Task, home: np.ndarray, tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(7)
    targets = [task.robot.tool_position(home + rng.uniform(-0.4, 0.4, 6)) for _ in range(100)]
    with serving(tmp_path, task, home, mode, "policy:=none") as (probe, arm):
        driver, truth, begin, asked = FaultyDriver(probe, arm, rng), Truth(probe, home), time.monotonic(), 0
        while driver.sent < MESSAGES:
            driver.tick()
            truth.look()
            if time.monotonic() > begin + GOALS * asked:
                probe.goal_publisher.publish(probe.goal(targets[asked]))
                asked += 1
            for wait in (0.001, 0.0, 0.0, 0.0, 0.0, 0.0):  # what has come in, or else the next message
                probe.spin(wait)
        before = probe.values()
        probe.wait(lambda: probe.values() is not before and probe.values() != before, each=driver.tick)
        errors = truth.start_errors()
        assert len(errors) >= 3, [report.get("detail") for report in probe.reports]
        assert errors[:, :6].max() <= POSITION_JUMP + ROUNDING, errors[:, :6].max(axis=1)
        assert errors[:, 6:].max() <= VELOCITY_JUMP + ROUNDING, errors[:, 6:].max(axis=1)
        values = probe.values()
        assert int(values["states_out_of_order"]) > 100 and int(values["states_without_velocity"]) > 500
        assert int(values["states_without_our_joints"]) > 100
        assert count(probe, "STALE_STATE") > 100 and count(probe, "BAD_STATE") == 0
