"""How the planner node logs faults."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.support.status import Refused, Status

LOG_PERIOD = 2.0  # [s] between two log lines of the same status

Transition: TypeAlias = Callable[[Any, LifecycleState], TransitionCallbackReturn]


class FaultLog:
    """Logs faults, and counts those that nobody else counts. May be used by any thread.

    Args:
        node: Whose log it is.
        ledger: Where faults are counted.
    """

    def __init__(self, node: Node, ledger: Ledger) -> None:
        self._node, self._ledger = node, ledger
        self._last: dict[Status, float] = {}

    def note(self, refusal: Refused) -> None:
        """Counts and logs a fault."""
        self._ledger.count(refusal.status, refusal.detail)
        self.warn(refusal.status, refusal.detail)

    def warn(self, status: Status, detail: str) -> None:
        """Logs a fault, those of one status at most every `LOG_PERIOD`."""
        now = time.monotonic()
        # rclpy throttles by source line; here each status must get through on its own.
        if now - self._last.get(status, -LOG_PERIOD) >= LOG_PERIOD:
            self._last[status] = now
            self._node.get_logger().warning(f"{status.value}: {detail}")

    def defect(self, text: str) -> None:
        """Logs the exception that is being handled, with its traceback; rclpy's loggers take no `exc_info`."""
        _log_exception(self._node, text)


def logged(transition: Transition) -> Transition:
    """Logs what a node's transition throws: rclpy keeps it to itself."""

    @wraps(transition)
    def logged(node: Node, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception:
            _log_exception(node, f"{transition.__name__} failed")
            raise

    return logged


def _log_exception(node: Node, text: str) -> None:
    node.get_logger().error(f"{text}\n{traceback.format_exc()}")
