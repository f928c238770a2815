"""What a bag holds of a motion beside the messages that were published."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray

from sobo_planner.motion import Motion
from sobo_planner.ros.record.fast_cdr import joint_trajectory
from sobo_planner.ros.record.topics import ARRAY, STRING
from sobo_planner.ros.record.types import Types
from sobo_planner.safety import Trajectory

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
        points: The points of its trajectory.
        joint_names: Their joints.
        effort: Whether the trajectory has efforts.
        acceleration: Whether it has accelerations.
        context: What else was in force, for `plan_data`.
    """

    plan_id: int
    stamp: Time
    lead: float
    motion: Motion
    points: Trajectory
    joint_names: Sequence[str]
    effort: bool
    acceleration: bool
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

    def trajectory(self) -> bytes:
        """The trajectory in CDR."""
        stamp = self.stamp.sec, self.stamp.nanosec
        return joint_trajectory(self.points, self.joint_names, stamp, self.effort, self.acceleration)


def entries(published: Published, types: Types) -> list[tuple[str, Callable[[], bytes], int]]:
    """Roles of the messages, what makes their data, and about how large that is [bytes]."""

    def text() -> bytes:
        return types.cdr(STRING, types.of(STRING, json.dumps(published.data())))

    points, optimum = published.points, published.motion.optimum
    found: list[tuple[str, Callable[[], bytes], int]] = [
        ("joint_trajectory", published.trajectory, 4 * points.positions.nbytes),
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
