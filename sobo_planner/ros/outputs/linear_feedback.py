"""Messages for linear_feedback_controller (LAAS, AGIMUS), where its message package is installed.

The controller computes tau = feedforward + K (x_des - x) at its own rate with the last message that it got: x = [q, v]
is measured, x_des the state in the message. It never drops an old message: publish steadily, or bring the arm to rest
before stopping. It reads joints by position, not by name: its `moving_joint_names` must be in the task's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.qos import QoSProfile, ReliabilityPolicy

from sobo_planner.ros.outputs.conversions import doubles, multiarray_message
from sobo_planner.ros.support.status import Refused, Status

try:
    from linear_feedback_controller_msgs.msg import Control
except ImportError:
    Control = None

Vector = NDArray[np.float64]

# Relative to the node, as the controller's own.
TOPIC = "control"
QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
MATRIX_LABELS = ("rows", "cols")


def available() -> bool:
    """Whether `linear_feedback_controller_msgs` can be imported."""
    return Control is not None


def control_message(stamp: Time, joint_names: Sequence[str], x: Vector, u: Vector, K: Vector) -> Any:
    """A `linear_feedback_controller_msgs/Control` that follows one step of a plan.

    Args:
        stamp: When the state x is desired.
        joint_names: n names as the controller knows them, prefix included; with no name it ignores the message.
        x: desired state [q, v], (2n,) [rad, rad/s].
        u: feedforward torques (n,) [Nm], gravity included.
        K: feedback gains du/dx (n, 2n); the message holds -K, number for number a block of `feedback_gains`.

    Raises:
        Refused: sizes do not fit, or a number is not finite.
    """
    n = len(joint_names)
    for name, values, shape in (("x", x, (2 * n,)), ("u", u, (n,)), ("K", K, (n, 2 * n))):
        if n == 0 or np.shape(values) != shape:
            raise Refused(Status.BAD_PLAN, f"{name} has shape {np.shape(values)}, expected {shape} for {n} joints")
        if not np.isfinite(values).all():
            raise Refused(Status.BAD_PLAN, f"{name} holds a number that is not finite")
    message = Control()
    message.header.stamp = stamp
    message.feedback_gain = multiarray_message(-np.asarray(K), MATRIX_LABELS)
    message.feedforward = multiarray_message(np.reshape(u, (n, 1)), MATRIX_LABELS)
    message.initial_state.header.stamp = stamp
    state = message.initial_state.joint_state
    state.header.stamp = stamp
    state.name = list(joint_names)
    state.position, state.velocity = doubles(np.asarray(x)[:n]), doubles(np.asarray(x)[n:])
    return message
