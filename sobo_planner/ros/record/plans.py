"""What a bag holds of a motion beside the messages that were published."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from builtin_interfaces.msg import Time

from sobo_planner.motion import Motion
from sobo_planner.ros.record import fast_cdr

#: A role, the message in CDR or what makes it, and about how large it is [bytes].
Part = tuple[str, bytes | Callable[[], bytes], int]
LABELS = {2: ("T", "nu"), 3: ("T", "rows", "cols")}


@dataclass(frozen=True)
class Published:
    """A motion as it left.

    Attributes:
        plan_id: Its number.
        stamp: Stamp of its messages.
        lead: When it begins after the stamp [s].
        motion: The motion.
        trajectory: The message of its trajectory in CDR.
        context: What else was in force, for `plan_data`.
    """

    plan_id: int
    stamp: Time
    lead: float
    motion: Motion
    trajectory: bytes
    context: dict[str, Any]

    def data(self) -> dict[str, Any]:
        """What `plan_data` says."""
        return {
            "plan_id": self.plan_id,
            "stamp": {"sec": self.stamp.sec, "nanosec": self.stamp.nanosec},
            "lead": self.lead,
            "dt": float(self.motion.dt),
            "start": self.motion.X[0].tolist(),
            "end": self.motion.X[-1].tolist(),
            **self.context,
        }


def parts(published: Published) -> list[Part]:
    """The messages of a motion."""
    found: list[Part] = [
        ("joint_trajectory", published.trajectory, len(published.trajectory)),
        ("plan_data", lambda: fast_cdr.text(json.dumps(published.data())), 1000),
    ]
    if (optimum := published.motion.optimum) is not None:
        for role, values in (("solver_controls", optimum.U), ("solver_gains", optimum.K)):
            found.append((role, partial(fast_cdr.multi_array, values, LABELS[values.ndim]), values.nbytes))
    return found
