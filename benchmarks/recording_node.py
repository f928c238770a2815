"""A planner node that records in every second turn of its clock only: for benchmarks/recording.py."""

from __future__ import annotations

import time
from typing import Any

from rclpy.clock import Clock, ClockType

from sobo_planner.ros.planner_node import PlannerNode
from sobo_planner.ros.record.writer import Writer
from sobo_planner.ros.support.process import run_node

TURN = 2.0  # [s]
LOOK_PERIOD = 0.01  # [s]


def records(seconds: float) -> bool:
    """Whether a node records at a time of the system's clock [s]."""
    return int(seconds / TURN) % 2 == 0


class AlternatingNode(PlannerNode):
    """Takes the writer out of its recording for every second turn: what comes in then is not recorded."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kept: Writer | None = None
        self.create_timer(LOOK_PERIOD, self._alternate, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _alternate(self) -> None:
        recording = self._recording
        if records(time.time()):
            recording._writer = recording._writer or self._kept
        else:
            self._kept, recording._writer = recording._writer or self._kept, None

    def destroy_node(self) -> None:
        """Ends the recording as well."""
        self._recording._writer = self._recording._writer or self._kept
        super().destroy_node()


if __name__ == "__main__":
    raise SystemExit(run_node(AlternatingNode))
