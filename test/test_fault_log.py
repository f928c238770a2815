"""What the planner node logs of its faults."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.serve import fault_log
from sobo_planner.ros.serve.fault_log import FaultLog, logged
from sobo_planner.ros.support.status import Refused, Status


class Node:
    """Takes what is logged."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def get_logger(self) -> Any:
        return SimpleNamespace(warning=self.warnings.append, error=self.errors.append)


def test_each_status_is_logged_every_two_seconds_and_always_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    node, ledger, clock = Node(), Ledger(), SimpleNamespace(time=50.0)
    monkeypatch.setattr(fault_log, "time", SimpleNamespace(monotonic=lambda: clock.time))
    log = FaultLog(node, ledger)  # type: ignore[arg-type]
    for after in (0.0, 1.9, 2.0):
        clock.time = 50.0 + after
        log.note(Refused(Status.BAD_GOAL, f"after {after} s"))
        log.note(Refused(Status.BAD_START, f"after {after} s"))
    logged = [f"{status}: after {after} s" for after in (0.0, 2.0) for status in ("BAD_GOAL", "BAD_START")]
    assert node.warnings == logged and ledger.values()["count_BAD_GOAL"] == "3"


def test_what_a_transition_throws_is_logged_and_thrown_on() -> None:
    node = Node()

    @logged
    def on_configure(node: Any, state: Any) -> Any:
        raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError):
        on_configure(node, None)  # type: ignore[arg-type]
    (told,) = node.errors
    assert told.startswith("on_configure failed\nTraceback") and "by nothing" in told
