"""Joint states that wait until they are asked for.

For each message, rclpy's executor makes a new wait set of everything that the node has: 0.3 ms with the interpreter
locked, a sixth of a processor at 500 Hz, for which the planning thread waits. So the executor does not know of this
subscription. Messages wait in the middleware, which takes nothing of the interpreter, until a thread wants to know the
state.
"""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

# Messages that may wait: two seconds at 500 Hz. The oldest are lost then.
DEPTH = 1000
# Best effort takes both kinds of publishers.
WAITING = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
LONGEST_WAIT = 5.0  # [s] that a message may have waited; more than this is a clock that was set


class Polled(CallbackGroup):
    """A callback group that keeps executors from waiting for its messages: they are taken when somebody asks."""

    def can_execute(self, entity: Any) -> bool:
        """See `CallbackGroup.can_execute`."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """See `CallbackGroup.beginning_execution`."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """See `CallbackGroup.ending_execution`."""


class StateTopic:
    """The subscription to joint states of a node.

    Args:
        node: Owner of the subscription.
    """

    def __init__(self, node: Node) -> None:
        self._group = Polled()
        self._subscription = node.create_subscription(
            JointState, "joint_states", lambda message: None, WAITING, callback_group=self._group
        )

    def waiting(self) -> list[tuple[bytes, float]]:
        """Takes what waits, in the order in which it came in: messages in CDR, and for how long they waited [s].

        At most as many as may wait at once, so that it ends however fast messages come in.
        """
        handle, messages = self._subscription.handle, list[tuple[bytes, float]]()
        try:
            with handle:
                while len(messages) < DEPTH and (taken := handle.take_message(JointState, True)) is not None:
                    messages.append((taken[0], _waited(taken[1])))
        except InvalidHandle:  # the node is being destroyed
            pass
        return messages


def _waited(info: Any) -> float:
    """How long a message waited [s]; 0 where the middleware does not say when it came in."""
    waited = 1e-9 * (time.time_ns() - int(info.get("received_timestamp") or 0))
    return float(waited) if 0.0 < waited < LONGEST_WAIT else 0.0
