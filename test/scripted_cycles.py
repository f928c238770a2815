"""What a server in mode `receding_horizon` works with, from a script: cycles without a solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scripted_serving import Script, coasting_motion
from server_bench import RATE

from sobo_planner.receding import Cycle
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.tasks.arm.timing import Pace


class ScriptedCycles:
    """In the place of a `RecedingPlanner`.

    Attributes:
        asked: State, its time, target and hand-over of each cycle.
        change: What the cycles bring besides a motion that coasts.
        raises: Raised instead, if any.
        meanwhile: Called in each cycle.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.asked: list[tuple[np.ndarray, float, np.ndarray, float]] = []
        self.change: dict[str, Any] = {}
        self.raises: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None

    def set_pace(self, pace: Pace) -> None:
        self.pace = pace

    def cycle(self, x: np.ndarray, measured: float, target: np.ndarray, handover: float) -> Cycle:
        self.asked.append((x, measured, target, handover))
        self.meanwhile()
        if self.raises is not None:
            raise self.raises
        motion = coasting_motion(x, handover, self._script.task.dt)
        cycle = Cycle(motion, "shifted", True, 1.5, 1e-4, 2, tool_error=0.001, phases_ms={"start": 1.0})
        return replace(cycle, **self.change)


class ScriptedProposer:
    def __init__(self) -> None:
        self.failures, self.problem, self.last_ms = 0, "not finite", 7.0


def ticks(script: Script, server: RecedingHorizon, times: int = 1) -> None:
    """Ticks of a server, each with a joint state right before it."""
    for _ in range(times):
        script.measure()
        server._tick()
        script.time += 1.0 / RATE
