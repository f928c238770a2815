"""Messages <-> numpy. Pure functions: no node, no clock, no state.

Gains change their sign here. Inside they are K = du/dx, u = u* + K (x - x*), with x = [q, v] in the order of the
trajectory's joint names. On topics they are those of linear_feedback_controller, u = u* + K (x* - x): minus du/dx.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from numpy.typing import NDArray
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sobo_planner.ros.record import fast_cdr
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.safety import Trajectory

GAIN_LABELS = ("T", "rows", "cols")
FEEDFORWARD_LABELS = ("T", "nu")

Vector = NDArray[np.float64]


def duration_message(seconds: float) -> Duration:
    """Splits seconds into a Duration, rounded to the nanosecond."""
    whole, nanoseconds = divmod(round(seconds * 1e9), 1_000_000_000)
    return Duration(sec=whole, nanosec=nanoseconds)


def duration_seconds(message: Duration | Time) -> float:
    """Seconds of a Duration or Time message."""
    return float(message.sec + 1e-9 * message.nanosec)


def trajectory_message(
    trajectory: Trajectory,
    joint_names: Sequence[str],
    stamp: Time,
    publish_effort: bool = False,
    publish_acceleration: bool = False,
) -> JointTrajectory:
    """The points of a trajectory as joint_trajectory_controller takes them, number for number.

    Args:
        trajectory: The points.
        joint_names: n names as the controller knows them, prefix included.
        stamp: What the points' times count from; also the plan's identity on the topics.
        publish_effort: also fill `effort`. Off by default: a controller without an effort interface refuses
            the whole message when it is filled.
        publish_acceleration: also fill `accelerations`. Off by default: joint_trajectory_controller then makes quintic
            splines of the points, which are not what was planned.
    """
    n = len(joint_names)
    positions, velocities = doubles(trajectory.positions), doubles(trajectory.velocities)
    effort = doubles(trajectory.effort) if publish_effort else None
    acceleration = doubles(trajectory.accelerations) if publish_acceleration else None
    seconds, rest = (part.tolist() for part in np.divmod(trajectory.nanoseconds, 1_000_000_000))
    message = JointTrajectory(joint_names=list(joint_names))
    message.header.stamp = stamp
    message.points = [JointTrajectoryPoint() for _ in seconds]
    # Slices of one array and fields set in place are twice as fast.
    for i, point in enumerate(message.points):
        part = slice(i * n, (i + 1) * n)
        point.positions, point.velocities = positions[part], velocities[part]
        if effort is not None:
            point.effort = effort[part]
        if acceleration is not None:
            point.accelerations = acceleration[part]
        point.time_from_start.sec, point.time_from_start.nanosec = seconds[i], rest[i]
    return message


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
    check_points(times, states)
    return times, states


def check_points(times: Vector, states: Vector) -> None:
    """Raises Refused where a number is not finite, or times (N,) [s] do not increase from above 0 on."""
    if not np.isfinite(states).all():
        raise Refused(Status.BAD_PLAN, "trajectory holds a number that is not finite")
    if times[0] <= 0.0 or (np.diff(times) <= 0.0).any():
        raise Refused(Status.BAD_PLAN, "time_from_start must be positive and strictly increasing")


def gains_message(gains: Vector) -> Float64MultiArray:
    """Feedback gains du/dx (T, n, 2n) as T row-major blocks of -du/dx, each what linear_feedback_controller takes."""
    return multiarray_message(-np.asarray(gains), GAIN_LABELS)


def gains_cdr(gains: Vector) -> tuple[bytes, int]:
    """The message of `gains_message` in CDR, and its `checksum`, in a tenth of the time."""
    return _array_cdr(-np.asarray(gains), GAIN_LABELS)


def gains_array(message: Float64MultiArray) -> Vector:
    """Inverse of `gains_message`: du/dx (T, n, 2n). Raises Refused when labels, sizes or data disagree."""
    return -multiarray_values(message, GAIN_LABELS)


def feedforward_message(controls: Vector) -> Float64MultiArray:
    """Feedforward torques U (T, nu) [Nm] as a row-major array with labelled dimensions."""
    return multiarray_message(controls, FEEDFORWARD_LABELS)


def feedforward_cdr(controls: Vector) -> tuple[bytes, int]:
    """The message of `feedforward_message` in CDR, and its `checksum`."""
    return _array_cdr(controls, FEEDFORWARD_LABELS)


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


def _array_cdr(values: Vector, labels: tuple[str, ...]) -> tuple[bytes, int]:
    data = fast_cdr.multi_array(values, labels)
    return data, zlib.crc32(memoryview(data)[len(data) - 8 * values.size :])


def doubles(values: Vector) -> array[float]:
    """array('d') of a numpy array: the one sequence type that rclpy stores without checking every element."""
    doubles = array("d")
    doubles.frombytes(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return doubles
