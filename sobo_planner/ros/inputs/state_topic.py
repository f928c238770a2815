"""Joint states that wait until they are asked for.

At 500 Hz, rclpy's executor would hold the interpreter for a sixth of the time, for which the planning thread waits. So
it does not know of this subscription. Messages wait in the middleware, which takes nothing of the interpreter, until a
thread wants to know the state.
"""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from sobo_planner.ros.support.polled import PolledTopic

# Messages that may wait: two seconds at 500 Hz. The oldest are lost then.
DEPTH = 1000
# Best effort takes both kinds of publishers.
WAITING = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
LONGEST_WAIT = 5.0  # [s] that a message may have waited; more than this is a clock that was set


class StateTopic:
    """The subscription to joint states of a node.

    Args:
        node: Owner of the subscription.
    """

    def __init__(self, node: Node) -> None:
        self._topic = PolledTopic(node, JointState, "joint_states", WAITING)

    def waiting(self) -> list[tuple[bytes, float]]:
        """Takes what waits, in the order in which it came in: messages in CDR, and for how long they waited [s]."""
        return [(data, _waited(info)) for data, info in self._topic.take()]


def _waited(info: Any) -> float:
    """How long a message waited [s]; 0 where the middleware does not say when it came in."""
    waited = 1e-9 * (time.time_ns() - int(info.get("received_timestamp") or 0))
    return float(waited) if 0.0 < waited < LONGEST_WAIT else 0.0
