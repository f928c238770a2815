"""What a cycle of the receding horizon brings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sobo_planner.motion import Motion
from sobo_planner.planning.plan import LeftContact

LEAVING = "leaving"


@dataclass(frozen=True)
class Cycle:
    """Result of one cycle.

    Attributes:
        motion: What to publish; None when nothing that may be published was found: the previous motion continues.
        source: Where the start came from: `shifted`, `policy` or `interpolation`; `leaving` for a motion that leaves a
            contact, also while that goes on.
        refined: Whether the solver's result is published, and not its start.
        cost: Total cost of the motion; NaN where the start continues the motion before and the solver had nothing to
            say.
        violation: Largest violation of dynamics and limits that the solver left.
        iterations: Solver iterations.
        lost: Whether planning restarted from the measured state because the arm did not follow.
        objection: Why the first choice was not published; empty if it was.
        tool_error: Distance of the tool to the goal at the end [m].
        left: The contact that the motion leaves.
        phases_ms: Wall time of `start`, `refine` and `check` [ms].
    """

    motion: Motion | None
    source: str
    refined: bool = False
    cost: float = 0.0
    violation: float = 0.0
    iterations: int = 0
    lost: bool = False
    objection: str = ""
    tool_error: float = np.inf
    left: LeftContact | None = None
    phases_ms: dict[str, float] = field(default_factory=dict)
