"""Proposals: trajectories that the solver may begin from, as they are or as motions along their ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.solver import Guess, Instance
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

GRAVITY = "gravity"
GLOBAL = "global"


@dataclass(frozen=True)
class Proposal:
    """A start for the solver.

    Attributes:
        source: Where it comes from: `policy`, `interpolation`, `gravity`, `posture`, `global` or `sampling`.
        guess: The trajectory, all finite.
        cost: Its total cost; infinite where nobody asked for it.
        duration: Of the trajectory [s]; None: the task's.
        way: Positions (N, n) that it was made along, if it was: within the limits it may leave them at bends.
        in_cell: Whether it is of a policy that knows a world.
    """

    source: str
    guess: Guess
    cost: float = np.inf
    duration: float | None = None
    way: Array | None = None
    in_cell: bool = False


def priced(task: ArmReach, instance: Instance, source: str, guesses: Iterable[Guess]) -> list[Proposal]:
    """Finite trajectories with their costs."""
    if task.fits:
        return timed(task, instance, source, guesses)
    found = ((guess, task.cost(guess.X, guess.U, instance.target)) for guess in guesses if guess.finite)
    return [Proposal(source, guess, cost) for guess, cost in found if np.isfinite(cost)]


@dataclass(frozen=True)
class Way:
    """The way of a trajectory, the task for motions along it, and what one would cost without limits."""

    positions: Array
    view: ArmReach
    duration: float | None
    cost: float


def ways(task: ArmReach, instance: Instance, positions: Iterable[Array]) -> Iterator[Way]:
    """Of finite ways (N, n), those with finite costs.

    Limited motions overshoot the end of a way with bends: their cost says little about what the solver makes of them.
    """
    for way in positions:
        if not np.isfinite(way).all():
            continue
        duration = task.duration_of(way, instance.x0) if task.fits else None
        view = task if duration is None else task.lasting(duration)
        cost = view.cost_along(way, instance)
        if np.isfinite(cost):
            yield Way(way, view, duration, cost)


def motions(instance: Instance, source: str, along: Iterable[Way]) -> Iterator[Proposal]:
    """Finite motions along ways."""
    for way in along:
        motion = way.view.along(way.positions, instance)
        if motion.finite:
            yield Proposal(source, motion, way.cost, way.duration, way.positions)


def timed(task: ArmReach, instance: Instance, source: str, guesses: Iterable[Guess]) -> list[Proposal]:
    """Motions along the ways of trajectories, with what they would cost without limits."""
    positions = (guess.X[:, : task.nu] for guess in guesses)
    return list(motions(instance, source, ways(task, instance, positions)))


def fitted(task: ArmReach, instance: Instance, source: str, guess: Guess) -> Proposal:
    """A trajectory as a proposal; where durations fit, one along its way that lasts as long as that takes."""
    if not task.fits:
        return Proposal(source, guess)
    way = guess.X[:, : task.nu]
    duration = task.duration_of(way, instance.x0)
    return Proposal(source, task.lasting(duration).along(way, instance), duration=duration)
