"""What an arm that replans follows, and where it will be at the hand-over to the next motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion import LOST, Timeline, expected_state, unwound, within_limits
from sobo_planner.motion.braking import Brakes
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# A joint may be this far beyond its limit [rad] while it follows a motion that keeps the limit.
OVERSHOOT = 0.05


def followed_from(
    task: ArmReach, brakes: Brakes, timeline: Timeline | None, x: Array, measured: float
) -> tuple[Array, Timeline]:
    """The state that planning counts with, and what the arm follows from it on.

    An arm in motion may be a little off what it follows, which keeps limits and links apart.

    Args:
        task: The task.
        brakes: Bring an arm to rest that follows nothing, or is far from what it should.
        timeline: What the arm should follow, or None.
        x: Measured state [q, v], (2n,).
        measured: When that was [s].

    Returns:
        The state, unwound to the timeline. The timeline, or a new one where the arm is braked from where it is.

    Raises:
        StartError: No motion may begin there.
    """
    where = x
    if timeline is not None and np.shape(x) == (task.nx,):
        x = where = unwound(task, x, timeline.state(measured))
        within = within_limits(task, x)
        if np.abs(x - within)[: task.nu].max() <= OVERSHOOT:
            if np.abs(x - timeline.state(measured))[: task.nu].max() <= LOST:
                return x, timeline
            where = within
    task.check_limits(where)
    return x, Timeline(brakes.motion(where, measured))


def state_at(task: ArmReach, timeline: Timeline, x: Array, measured: float, handover: float) -> tuple[Array, bool]:
    """Where the arm will be at the hand-over, or is meant to be if it would touch something; whether it does so."""
    n, robot = task.nu, task.robot
    expected = expected_state(task, timeline, x, measured, handover)
    if robot.contact(expected[:n]) is None:
        return expected, False
    desired = timeline.state(handover)
    return desired, robot.contact(desired[:n]) is not None
