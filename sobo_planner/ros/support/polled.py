"""Subscriptions whose messages wait in the middleware until they are asked for.

For each message, rclpy's executor makes a new wait set of everything that the node has: 0.3 ms with the interpreter
locked.
"""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.qos import QoSProfile


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


class PolledTopic:
    """A subscription whose messages are taken when somebody asks.

    Args:
        node: Owner of the subscription.
        kind: Type of the messages.
        topic: Its name.
        quality: How many messages may wait, among others.
    """

    def __init__(self, node: Node, kind: type[Any], topic: str, quality: QoSProfile) -> None:
        self._group, self._kind, self._depth = Polled(), kind, quality.depth
        self._subscription = node.create_subscription(
            kind, topic, lambda message: None, quality, callback_group=self._group
        )

    def take(self) -> list[tuple[bytes, Any]]:
        """What waits, in the order in which it came in: messages in CDR, with what the middleware says of each.

        At most as many as may wait at once, so that it ends however fast messages come in.
        """
        handle, messages = self._subscription.handle, list[tuple[bytes, Any]]()
        try:
            with handle:
                while len(messages) < self._depth and (taken := handle.take_message(self._kind, True)) is not None:
                    messages.append(taken)
        except InvalidHandle:  # the node is being destroyed
            pass
        return messages
