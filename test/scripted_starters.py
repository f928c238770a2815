"""Scripted tasks for starters: they return trajectories as a test says."""

from __future__ import annotations

from typing import Any

import numpy as np
from scripted_planning import INSTANCE, guess

from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance


def diverged() -> Guess:
    """A trajectory that ends in a NaN."""
    out = guess()
    out.X[-1, 0] = np.nan
    return out


class Task:
    """Returns trajectories as a test says; costs are first positions."""

    goal_type, nu, fits = "position", 1, False
    least_clearance = 0.0  # no objects
    robot: Any = None

    def __init__(self, found: list[Guess], bent: list[Guess | None] | None = None) -> None:
        self.found, self.bent = found, list(bent or [])
        self.asked: list[Any] = []
        self.slow: Any = self
        self.nominal: Any = self

    def interpolations(self, instance: Instance, budget: Budget) -> list[Guess]:
        """The first trajectories."""
        self.asked.append("interpolations")
        return self.found[:4]

    def lines(self, instance: Instance, budget: Budget) -> list[np.ndarray]:
        """Their ways."""
        self.asked.append("lines")
        return [each.X[:, :1] for each in self.found[:4]]

    def starts(self, instance: Instance, n: int, rng: np.random.Generator, budget: Budget) -> list[Guess]:
        """All of them."""
        self.asked.append((n, rng.integers(1000), budget))
        return self.found

    def bend(self, way: Guess, instance: Instance, budget: Budget) -> Guess | None:
        """The next bent one."""
        return self.bent.pop(0)

    def cost(self, X: np.ndarray, U: np.ndarray, target: np.ndarray) -> float:
        """The first position."""
        assert np.isfinite(X).all()
        return float(X[0, 0])


class Fitting(Task):
    """A view whose motions last as long as a tenth of their first position, or a second to stay."""

    fits, duration = True, 7.0

    def __init__(self, found: list[Guess], bent: list[Guess | None] | None = None) -> None:
        super().__init__([])
        self.slow, self.nominal = Task(found), Task(found, bent)

    def duration_of(self, way: np.ndarray, x0: np.ndarray) -> float:
        """See `ArmPaces.duration_of`."""
        assert x0 is INSTANCE.x0 and np.isfinite(way).all()
        return 0.1 * float(way[0, 0]) or 1.0

    def lasting(self, duration: float) -> Any:
        """A view that costs its duration, beside the first position, and hurries along ways by moving them."""
        view = Task([])
        view.along = lambda way, instance: guess(way[0, 0] + duration)  # type: ignore[attr-defined]
        view.cost_along = lambda way, instance: 100.0 * duration + way[0, 0]  # type: ignore[attr-defined]
        return view

    def along(self, way: np.ndarray, instance: Instance) -> Guess:
        """See `ArmPaces.along`."""
        return guess(way[0, 0] + 1000.0)

    def cost_along(self, way: np.ndarray, instance: Instance) -> float:
        """See `ArmPaces.cost_along`."""
        return 10.0 * float(way[0, 0])


def propose(starter: Any, task: Task, budget: Budget = UNLIMITED) -> list[tuple[str, float]]:
    found = starter.propose(task, INSTANCE, budget)
    return [(each.source, float(each.guess.X[0, 0])) for each in found]
