"""A plan as a controller sees it, and how its messages are put together again."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.motion import reference
from sobo_planner.ros.outputs import conversions
from sobo_planner.ros.simulator.plan_cdr import Points, read_trajectory
from sobo_planner.ros.simulator.spline import Spline
from sobo_planner.ros.support.status import Refused, Status

Vector = NDArray[np.float64]
KEPT_MESSAGES = 4  # of each topic: enough for messages that overtake each other, and bounded


@dataclass(frozen=True)
class TrackedPlan:
    """Reference, feedforward and gains over time.

    Attributes:
        plan_id: number that the planner gave it.
        time: knots (N+1,) [s], from 0.
        X: reference states [q, v] at the knots (N+1, 2n).
        U: feedforward torques (T, n) [Nm], U[t] from t dt to (t+1) dt.
        K: feedback gains (T, n, 2n), du/dx.
        dt: control step [s].
        begin: ROS time of the first knot [s]; None: when the plan arrives.
    """

    plan_id: int
    time: Vector
    X: Vector
    U: Vector
    K: Vector
    dt: float
    begin: float | None = None

    @property
    def duration(self) -> float:
        """Time of the last knot [s]."""
        return float(self.time[-1])

    def reference(self, t: float) -> Vector:
        """State (2n,) at time t [s], along the splines between knots, the last knot afterwards."""
        return self._spline.state(t)

    @cached_property
    def _spline(self) -> Spline:
        return Spline(self.time, self.X)

    def control(self, t: float, x: Vector, use_gains: bool, end_torque: Vector, speed: Vector) -> Vector:
        """Torque (n,) [Nm]: u* + K (x - x*), with u* and K held over each control step.

        Args:
            t: time since the plan began [s].
            x: measured state (2n,).
            use_gains: False leaves the feedback out.
            end_torque: feedforward (n,) [Nm] once the controls are used up.
            speed: rated speeds (n,) [rad/s], with which the arm catches up at most.
        """
        step = int(t / self.dt + 1e-9)
        last = len(self.U) - 1
        feedforward = self.U[step] if step <= last else end_torque
        if not use_gains:
            return feedforward
        gains = self.K[min(step, last)]
        return feedforward + gains @ (x - reference(self.reference(t), x, gains, speed))


class PlanAssembler:
    """Joins trajectory, gains, feedforward and report of one plan, in whatever order they come in.

    The report names the trajectory by its stamp and the two arrays by their checksums, so that pieces of
    different plans are never mixed, not even after a message was lost or a bag was joined in the middle.
    """

    def __init__(self, joint_names: Sequence[str]) -> None:
        self._joint_names = list(joint_names)
        self._pieces: dict[str, OrderedDict[Any, Any]] = {
            kind: OrderedDict() for kind in ("trajectory", "feedback_gains", "feedforward")
        }
        self._report: dict[str, Any] | None = None

    def add_trajectory(self, message: JointTrajectory) -> TrackedPlan | None:
        """Takes a trajectory. Returns the plan if it is complete now."""
        stamp = message.header.stamp
        arrays = partial(conversions.trajectory_arrays, message, self._joint_names)
        return self._add("trajectory", (stamp.sec, stamp.nanosec), arrays)

    def add_trajectory_cdr(self, data: bytes) -> TrackedPlan | None:
        """The same, for a message in CDR."""
        points = read_trajectory(data)
        if points is None or points.names != self._joint_names:
            return self.add_trajectory(deserialize_message(data, JointTrajectory))
        return self._add("trajectory", points.stamp, partial(_arrays, points))

    def add_gains(self, message: Float64MultiArray) -> TrackedPlan | None:
        """Takes feedback gains. Returns the plan if it is complete now."""
        return self._add("feedback_gains", conversions.checksum(message), message)

    def add_feedforward(self, message: Float64MultiArray) -> TrackedPlan | None:
        """Takes feedforward torques. Returns the plan if it is complete now."""
        return self._add("feedforward", conversions.checksum(message), message)

    def add_report(self, text: str) -> TrackedPlan | None:
        """Takes a plan report; those of refused goals are ignored. Returns the plan if it is complete now.

        Raises:
            Refused: the report is not what the planner writes.
        """
        try:
            report = json.loads(text)
            if report["status"] == "refused":
                return None
            _ = (
                report["plan_id"],
                report["stamp"]["sec"],
                report["stamp"]["nanosec"],
                report["start"],
                report["dt"],
                report["lead"],
            )
            _ = report["checksums"]["feedback_gains"], report["checksums"]["feedforward"]
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(Status.BAD_PLAN, f"plan report cannot be read: {error!r}") from error
        self._report = report
        return self._complete()

    def _add(self, kind: str, key: Any, message: Any) -> TrackedPlan | None:
        pieces = self._pieces[kind]
        pieces[key] = message
        while len(pieces) > KEPT_MESSAGES:
            pieces.popitem(last=False)
        return self._complete()

    def _complete(self) -> TrackedPlan | None:
        report = self._report
        if report is None:
            return None
        stamp = report["stamp"]
        trajectory = self._pieces["trajectory"].get((stamp["sec"], stamp["nanosec"]))
        gains = self._pieces["feedback_gains"].get(report["checksums"]["feedback_gains"])
        feedforward = self._pieces["feedforward"].get(report["checksums"]["feedforward"])
        if trajectory is None or gains is None or feedforward is None:
            return None
        self._report = None  # each plan is handed over once
        times, states = trajectory()
        U, K = conversions.feedforward_array(feedforward), conversions.gains_array(gains)
        return build_plan(report, times, states, U, K)


def _arrays(points: Points) -> tuple[Vector, Vector]:
    """As `conversions.trajectory_arrays`."""
    states = np.hstack([points.positions, points.velocities])
    conversions.check_points(points.times, states)
    return points.times, states


def build_plan(report: dict[str, Any], times: Vector, states: Vector, U: Vector, K: Vector) -> TrackedPlan:
    """Plan from its report and arrays.

    Raises:
        Refused: shapes, start or time step do not fit together.
    """
    nx = states.shape[1]
    start, dt = np.asarray(report["start"], dtype=np.float64), float(report["dt"])
    if start.shape != (nx,) or not np.isfinite(start).all():
        raise Refused(Status.BAD_PLAN, f"start {start} is not a finite state of {nx} numbers")
    if U.shape[1] != nx // 2 or K.shape != (len(U), nx // 2, nx):
        raise Refused(Status.BAD_PLAN, f"feedforward {U.shape} and gains {K.shape} do not fit {nx} states")
    if not (np.isfinite(dt) and dt > 0.0 and len(U) * dt <= times[-1] - float(report["lead"]) + 1e-6):
        raise Refused(Status.BAD_PLAN, f"{len(U)} controls of {dt} s do not fit a trajectory of {times[-1]} s")
    lead = float(report["lead"])
    if lead > 0.0:  # the trajectory's first point is the start
        stamp = report["stamp"]
        begin = stamp["sec"] + 1e-9 * stamp["nanosec"] + lead
        return TrackedPlan(int(report["plan_id"]), times - times[0], states, U, K, dt, begin)
    return TrackedPlan(int(report["plan_id"]), np.append(0.0, times), np.vstack([start, states]), U, K, dt)
