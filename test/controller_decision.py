"""What joint_trajectory_controller decides about a message, written down a second time."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.ros.outputs.trajectory_rules import Rules


def controller_accepts(message: JointTrajectory, rules: Rules, now: Time) -> bool:
    """joint_trajectory_controller's own decision, written down from its documentation and source; not from ours."""
    n = len(message.joint_names)
    if n != len(rules.joint_names) or n == 0 or len(message.points) == 0:
        return False
    if any(name not in rules.joint_names for name in message.joint_names):
        return False
    last = message.points[-1]
    if not rules.allow_nonzero_velocity_at_trajectory_end and any(
        abs(v) > np.finfo(np.float32).eps for v in last.velocities
    ):
        return False
    start = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    ends = start + last.time_from_start.sec * 10**9 + last.time_from_start.nanosec
    if start != 0 and ends < now.sec * 10**9 + now.nanosec:
        return False
    times = [point.time_from_start.sec * 10**9 + point.time_from_start.nanosec for point in message.points]
    if any(after <= before for before, after in zip(times[:-1], times[1:], strict=True)):
        return False
    for point in message.points:
        sizes = (len(point.positions), len(point.velocities), len(point.accelerations))
        if sizes[0] != n or any(size not in (0, n) for size in sizes[1:]):
            return False
        if len(point.effort) and not rules.effort_interface:
            return False
    return True
