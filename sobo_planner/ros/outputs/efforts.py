"""Torques for a controller of efforts: first-order corrections of the newest motion, between solves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rclpy.qos import QoSProfile, ReliabilityPolicy

from sobo_planner.motion import Timeline, reference

Vector = NDArray[np.float64]

# Relative to the node. Group controllers of ros2_control subscribe reliably to `~/commands`; only the newest matters.
TOPIC = "effort_commands"
QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


def corrected_torque(
    timeline: Timeline, now: float, x: Vector, measured: float, end_torque: Vector, speed: Vector, limit: Vector
) -> Vector | None:
    """u = u* + K (x - x*), within the torque limits.

    u* and K are those of now; x* is where the arm was to be when x was measured, so that the age of the state is not
    taken for a deviation.

    Args:
        timeline: What the arm follows.
        now: ROS time [s].
        x: Measured state [q, v], (2n,).
        measured: When that was, in ROS time [s].
        end_torque: Torque (n,) [Nm] that holds the arm after the last motion's end.
        speed: Rated speeds (n,), with which the arm catches up at most, see `reference`.
        limit: Torque limits (n,) [Nm].

    Returns:
        Torques (n,) [Nm]; None before the first motion begins, and where a number is not finite.
    """
    motion = timeline.at(now)
    if now < motion.begin:
        return None
    stage = motion.stage(now)
    feedforward, gains = motion.U[stage] if now <= motion.end else end_torque, motion.K[stage]
    torque = feedforward + gains @ (x - reference(timeline.state(measured), x, gains, speed))
    return np.clip(torque, -limit, limit) if np.isfinite(torque).all() else None
