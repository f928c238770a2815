"""What a bag holds of a motion beside the messages that were published."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray

from sobo_planner.motion import Motion
from sobo_planner.ros.record.topics import ARRAY, STRING
from sobo_planner.ros.record.types import Types

Array = NDArray[np.float64]

DIMENSION, LAYOUT = "std_msgs/msg/MultiArrayDimension", "std_msgs/msg/MultiArrayLayout"
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


def entries(published: Published, types: Types) -> list[tuple[str, Callable[[], bytes], int]]:
    """Roles of the messages, what makes their data, and about how large that is [bytes]."""

    def text() -> bytes:
        return types.cdr(STRING, types.of(STRING, json.dumps(published.data())))

    trajectory, optimum = published.trajectory, published.motion.optimum
    found: list[tuple[str, Callable[[], bytes], int]] = [
        ("joint_trajectory", lambda: trajectory, len(trajectory)),
        ("plan_data", text, 1000),
    ]
    if optimum is not None:
        for role, values in (("solver_controls", optimum.U), ("solver_gains", optimum.K)):
            found.append((role, partial(array, types, values), values.nbytes))
    return found


def array(types: Types, values: Array) -> bytes:
    """A Float64MultiArray in CDR with labelled dimensions."""
    shape = values.shape
    dimensions = [
        types.of(DIMENSION, label, size, int(np.prod(shape[i:])))
        for i, (label, size) in enumerate(zip(LABELS[values.ndim], shape, strict=True))
    ]
    return types.cdr(ARRAY, types.of(ARRAY, types.of(LAYOUT, dimensions, 0), np.ascontiguousarray(values).ravel()))
