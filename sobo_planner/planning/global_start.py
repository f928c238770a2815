"""Starts that lead round objects: a way through free space, timed within the limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.planning.proposals import GLOBAL, Proposal
from sobo_planner.solver import Budget, Instance
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Distances [m] that a way keeps from objects beyond those it has to, and after how many samples the next is tried. The
# solver shortens ways; those that graze objects give it less room.
ROOM = ((0.01, 1000), (0.0, 20_000))
# How far beyond start and goal joints may go [rad or m], and where that was in vain.
AROUND = np.pi
EVERYWHERE = 2.0 * np.pi


class GlobalStarter:
    """A way past objects by RRT-Connect and shortcuts (`src/global_path.cpp`).

    Args:
        seed: Of the random configurations.
    """

    phase = "start"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def propose(self, task: ArmReach, instance: Instance, budget: Budget) -> list[Proposal]:
        """See `Starter.propose`."""
        way = free_way(task, instance, budget, self._seed)
        if way is None:
            return []
        guess, duration = task.past_bends(way, instance)
        return [Proposal(GLOBAL, guess, duration=duration if task.fits else None)] if guess.finite else []


def free_way(task: ArmReach, instance: Instance, budget: Budget, seed: int = 0) -> Array | None:
    """A way (N, n) by straight lines from the start to the goal that touches nothing; None where none was found."""
    robot, q = task.robot, instance.x0[: task.nu]
    goals = [instance.target] if task.goal_type == "joints" else task.goal_postures(instance, budget)
    options = _native.GlobalPathOptions()
    options.seed, options.interrupt = seed, budget.interrupt
    for around in (AROUND, EVERYWHERE):
        lower = np.maximum(np.min([q, *goals], axis=0) - around, robot.position_lower)
        upper = np.minimum(np.max([q, *goals], axis=0) + around, robot.position_upper)
        for beyond, samples in ROOM:
            options.time_limit = 0.0 if budget.limit is None else max(budget.left(), 1e-3)
            options.beyond, options.max_samples = beyond, samples
            way = robot.native.global_path(q, np.array(goals), np.minimum(lower, q), np.maximum(upper, q), options)
            if way is not None or budget.over():
                return way
    return None
