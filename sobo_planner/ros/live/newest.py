"""Subscriptions that are asked for their newest message, instead of calling back for each."""

from __future__ import annotations

from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from sobo_planner.ros.support.polled import Polled

NEWEST = QoSProfile(depth=1)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Newest:
    """The newest message of a topic: of a planner that sends a hundred trajectories a second, few are looked at.

    Args:
        node: Owner of the subscription.
        kind: Type of the messages.
        topic: Name of the topic.
        quality: Of the subscription; its depth is 1.
    """

    def __init__(self, node: Node, kind: Any, topic: str, quality: QoSProfile = NEWEST) -> None:
        self._kind = kind
        self._subscription = node.create_subscription(
            kind, topic, lambda message: None, quality, callback_group=Polled()
        )

    def take(self) -> Any:
        """The message that came in since this was asked last; None if none did."""
        handle = self._subscription.handle
        try:
            with handle:
                taken = handle.take_message(self._kind, False)
        except InvalidHandle:  # the node is being destroyed
            return None
        return None if taken is None else taken[0]
