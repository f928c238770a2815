"""Messages <-> numpy. Pure functions: no node, no clock, no state.

Gains change their sign here. Inside they are K = du/dx, u = u* + K (x - x*), with x = [q, v] in the order of the
trajectory's joint names. On topics they are those of linear_feedback_controller, u = u* + K (x* - x): minus du/dx.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from builtin_interfaces.msg import Duration, Time
from numpy.typing import NDArray
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.safety import TOLERANCE

GAIN_LABELS = ("T", "rows", "cols")
FEEDFORWARD_LABELS = ("T", "nu")
# A remaining speed below this [rad/s] is rounded to rest; a faster end gets a braking point of its own.
REST_SPEED = 1e-2
BRAKE_ACCELERATION = 5.0  # [rad/s^2], well under what a UR5 joint delivers

Vector = NDArray[np.float64]


class Trajectory(Protocol):
    """What a trajectory message is made of: a plan or a motion."""

    @property
    def time(self) -> Vector:
        """Times of the states after the beginning [s], (T+1,)."""
        ...

    @property
    def X(self) -> Vector:
        """States [q, v], (T+1, 2n) [rad, rad/s]."""
        ...

    @property
    def U(self) -> Vector:
        """Torques (T, n) [Nm]."""
        ...


def duration_message(seconds: float) -> Duration:
    """Splits seconds into a Duration, rounded to the nanosecond."""
    whole, nanoseconds = divmod(round(seconds * 1e9), 1_000_000_000)
    return Duration(sec=whole, nanosec=nanoseconds)


def duration_seconds(message: Duration | Time) -> float:
    """Seconds of a Duration or Time message."""
    return float(message.sec + 1e-9 * message.nanosec)


def trajectory_message(
    plan: Trajectory,
    joint_names: Sequence[str],
    stamp: Time,
    publish_effort: bool = False,
    *,
    lead: float = 0.0,
    allow_nonzero_end_velocity: bool = False,
    position_limits: tuple[Vector, Vector] | None = None,
    points: list[JointTrajectoryPoint] | None = None,
) -> JointTrajectory:
    """Trajectory that joint_trajectory_controller accepts.

    Without a lead the plan's state at t = 0 is left out, because the controller wants a first point after 0. The last
    point is at rest: a plan that still moves faster than `REST_SPEED` at its end gets one more point, which brakes it
    at `BRAKE_ACCELERATION` or less.

    Args:
        plan: plan with time (T+1,) [s], X (T+1, 2n) [rad, rad/s] and U (T, n) [Nm].
        joint_names: n names as the controller knows them, prefix included.
        stamp: start of the motion; also the plan's identity on the topics.
        publish_effort: also fill `effort`. Off by default: a controller without an effort interface refuses
            the whole message when it is filled.
        lead: the plan's state at t = 0 is to be reached this long after the stamp [s] and is the first point.
        allow_nonzero_end_velocity: leave the end as it is, for a controller that was told to accept it.
        position_limits: lower and upper joint positions (n,) [rad] that braking must keep. None: not checked.
        points: points of an earlier message, which nobody needs any more, to be filled again; more are added.

    Raises:
        Refused: the plan cannot be braked within `position_limits`.
    """
    n, first = len(joint_names), 0 if lead > 0.0 else 1
    times, states = np.asarray(plan.time)[first:] + lead, np.asarray(plan.X)[first:]
    if not allow_nonzero_end_velocity:
        times, states = _with_rest_at_end(times, states, n)
        if position_limits is not None:
            _check_brake(states[-2:, :n], joint_names, position_limits)
    # U[t] acts from time[t] on; the last points repeat the last control.
    rows = np.minimum(np.arange(first, first + len(times)), len(plan.U) - 1)
    effort = doubles(np.asarray(plan.U)[rows]) if publish_effort else None
    message = JointTrajectory(joint_names=list(joint_names))
    message.header.stamp = stamp
    pool = [] if points is None else points
    message.points = _points(times, doubles(states[:, :n]), doubles(states[:, n:]), effort, n, pool)
    return message


def _points(
    times: Vector,
    positions: array[float],
    velocities: array[float],
    effort: array[float] | None,
    n: int,
    pool: list[JointTrajectoryPoint],
) -> list[JointTrajectoryPoint]:
    """Points of a trajectory. Slices of one array, fields set in place and points used again are thrice as fast."""
    nanoseconds = np.rint(1e9 * times).astype(np.int64)
    seconds, rest = (part.tolist() for part in np.divmod(nanoseconds, 1_000_000_000))
    pool.extend(JointTrajectoryPoint() for _ in range(len(seconds) - len(pool)))
    points = pool[: len(seconds)]
    for i, point in enumerate(points):
        part = slice(i * n, (i + 1) * n)
        point.positions, point.velocities = positions[part], velocities[part]
        if effort is not None or point.effort:
            point.effort = array("d") if effort is None else effort[part]
        point.time_from_start.sec, point.time_from_start.nanosec = seconds[i], rest[i]
    return points


def _with_rest_at_end(times: Vector, states: Vector, n: int) -> tuple[Vector, Vector]:
    """The points with the last one at rest, braked in a further point if it is fast."""
    velocity = states[-1, n:]
    speed = float(np.abs(velocity).max())
    if speed > REST_SPEED:
        step = float(times[-1] - times[-2]) if len(times) > 1 else float(times[-1])
        braking = max(step, speed / BRAKE_ACCELERATION)
        # A controller's cubic spline between these two points is a constant deceleration.
        rest = np.concatenate([states[-1, :n] + 0.5 * braking * velocity, np.zeros(n)])
        return np.append(times, times[-1] + braking), np.vstack([states, rest])
    states = states.copy()
    states[-1, n:] = 0.0
    return times, states


def _check_brake(last: Vector, joint_names: Sequence[str], limits: tuple[Vector, Vector]) -> None:
    """Refuses an end that is outside the limits and further out than the point before it; both are in `last`."""
    lower, upper = np.minimum(limits[0] - TOLERANCE, last[0]), np.maximum(limits[1] + TOLERANCE, last[0])
    beyond = np.maximum(lower - last[-1], last[-1] - upper)
    i = int(np.argmax(beyond))
    if beyond[i] > 0.0:
        bounds = f"[{limits[0][i]:.4f}, {limits[1][i]:.4f}]"
        detail = f"joint {joint_names[i]} would come to rest at {last[-1, i]:.4f} rad, allowed is {bounds}"
        raise Refused(Status.BAD_PLAN, detail)


def trajectory_arrays(message: JointTrajectory, joint_names: Sequence[str]) -> tuple[Vector, Vector]:
    """Times (N,) [s] and states (N, 2n) of a trajectory, in the order of `joint_names`.

    Raises:
        Refused: a joint is missing, a size is wrong, a number is not finite or times do not increase.
    """
    missing = [name for name in joint_names if name not in message.joint_names]
    if missing or not message.points:
        raise Refused(Status.BAD_PLAN, f"trajectory without points or without joints {missing}")
    order = [message.joint_names.index(name) for name in joint_names]
    size = len(message.joint_names)
    for i, point in enumerate(message.points):
        if len(point.positions) != size or len(point.velocities) != size:
            raise Refused(Status.BAD_PLAN, f"point {i}: positions and velocities need {size} values each")
    times = np.array([duration_seconds(point.time_from_start) for point in message.points])
    states = np.array([[*np.take(p.positions, order), *np.take(p.velocities, order)] for p in message.points])
    if not np.isfinite(states).all():
        raise Refused(Status.BAD_PLAN, "trajectory holds a number that is not finite")
    if times[0] <= 0.0 or (np.diff(times) <= 0.0).any():
        raise Refused(Status.BAD_PLAN, "time_from_start must be positive and strictly increasing")
    return times, states


def gains_message(gains: Vector) -> Float64MultiArray:
    """Feedback gains du/dx (T, n, 2n) as T row-major blocks of -du/dx, each what linear_feedback_controller takes."""
    return multiarray_message(-np.asarray(gains), GAIN_LABELS)


def gains_array(message: Float64MultiArray) -> Vector:
    """Inverse of `gains_message`: du/dx (T, n, 2n). Raises Refused when labels, sizes or data disagree."""
    return -multiarray_values(message, GAIN_LABELS)


def feedforward_message(controls: Vector) -> Float64MultiArray:
    """Feedforward torques U (T, nu) [Nm] as a row-major array with labelled dimensions."""
    return multiarray_message(controls, FEEDFORWARD_LABELS)


def feedforward_array(message: Float64MultiArray) -> Vector:
    """Inverse of `feedforward_message`. Raises Refused when labels, sizes or data disagree."""
    return multiarray_values(message, FEEDFORWARD_LABELS)


def multiarray_message(values: Vector, labels: Sequence[str]) -> Float64MultiArray:
    """Array of any rank; `stride` follows std_msgs (elements from this dimension inwards)."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    if values.ndim != len(labels):
        raise ValueError(f"{values.ndim} dimensions cannot carry the labels {tuple(labels)}")
    dims = [
        MultiArrayDimension(label=label, size=size, stride=int(np.prod(values.shape[i:])))
        for i, (label, size) in enumerate(zip(labels, values.shape, strict=True))
    ]
    return Float64MultiArray(layout=MultiArrayLayout(dim=dims, data_offset=0), data=doubles(values))


def multiarray_values(message: Float64MultiArray, labels: Sequence[str]) -> Vector:
    """Inverse of `multiarray_message`.

    Raises:
        Refused: labels, sizes or data disagree, or a number is not finite.
    """
    found = tuple(dim.label for dim in message.layout.dim)
    if found != tuple(labels):
        raise Refused(Status.BAD_PLAN, f"dimensions are labelled {found}, expected {tuple(labels)}")
    shape = tuple(dim.size for dim in message.layout.dim)
    values = np.array(message.data, dtype=np.float64)[message.layout.data_offset :]
    if values.size != int(np.prod(shape)):
        raise Refused(Status.BAD_PLAN, f"{values.size} values do not fill the dimensions {shape}")
    if not np.isfinite(values).all():
        raise Refused(Status.BAD_PLAN, "array holds a number that is not finite")
    return values.reshape(shape)


def checksum(message: Float64MultiArray) -> int:
    """CRC-32 of an array's data. The plan report names its arrays by it: they carry no header to match."""
    return zlib.crc32(np.asarray(message.data, dtype="<f8").tobytes())


def doubles(values: Vector) -> array[float]:
    """array('d') of a numpy array: the one sequence type that rclpy stores without checking every element."""
    doubles = array("d")
    doubles.frombytes(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return doubles
