"""Where the arm will be when the next motion begins."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion.timeline import Timeline
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# What the desired state may jump by at a hand-over, beside the motion itself [rad, rad/s]. Larger deviations of the arm
# from its plan are corrected over several cycles.
POSITION_JUMP = 0.02
VELOCITY_JUMP = 0.2
PREDICTION_STEP = 2e-3  # [s]
# A joint this far from its motion [rad] does not follow it.
LOST = 0.3


def expected_state(task: ArmReach, timeline: Timeline, x: Array, measured: float, handover: float) -> Array:
    """Where the arm will be at the hand-over, under the feedback of what it follows.

    Args:
        task: The arm.
        timeline: What it follows.
        x: Measured state (2n,).
        measured: When that was [s].
        handover: When the next motion begins [s].

    Returns:
        The state (2n,) under the feedback on the way, within the limits, and no further from the desired one than
        `POSITION_JUMP` and `VELOCITY_JUMP`: that is the largest step in desired position and velocity.
    """
    x = unwound(task, x, timeline.state(measured))
    count = max(math.ceil((handover - measured) / PREDICTION_STEP), 0)
    times = measured + PREDICTION_STEP * np.arange(count, dtype=np.float64)
    steps = np.minimum(handover - times, PREDICTION_STEP)
    states, torques, gains = timeline.commands(times)
    acting = torques - task.robot.friction_torque(states[:, task.nu :])  # the rest overcomes dry friction
    x = task.robot.follow_feedback(x, states, acting, gains, steps, task.torque_limit, task.integrator)
    n, desired = task.nu, timeline.state(handover)
    jump = np.concatenate([np.full(n, POSITION_JUMP), np.full(n, VELOCITY_JUMP)])
    deviation = x - desired
    if not np.isfinite(deviation).all():  # gains that do not fit what the arm does: trust the plan
        return desired
    return within_limits(task, desired + np.clip(deviation, -jump, jump))


def unwound(task: ArmReach, x: Array, reference: Array) -> Array:
    """The state (2n,) like x whose position is nearest to that of a reference (2n,), see `Robot.unwound`.

    A driver may report a joint that turns without end within [-pi, pi], and jump by a turn while the joint moves on.
    """
    n = task.nu
    return np.concatenate([task.robot.unwound(x[:n], reference[:n]), x[n:]])


def coasting_state(task: ArmReach, x: Array, seconds: float) -> Array:
    """Where an arm in state x (2n,) will be if it goes on at its velocity for so long [s], within the limits.

    That is all that is known of an arm which follows nothing of ours.
    """
    q, v = np.split(x, 2)
    return within_limits(task, np.concatenate([q + max(seconds, 0.0) * v, v]))


def within_limits(task: ArmReach, x: Array) -> Array:
    """The state (2n,) nearest to x within the robot's position and velocity limits."""
    robot = task.robot
    lower = np.concatenate([robot.position_lower, -robot.velocity_limit])
    out: Array = np.clip(x, lower, np.concatenate([robot.position_upper, robot.velocity_limit]))
    return out
