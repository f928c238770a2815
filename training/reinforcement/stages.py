"""The cost of a single stage, which tasks only know as part of a whole trajectory's."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sobo_planner.tasks import Task

Array = NDArray[np.float64]


class StageCosts:
    """Running and terminal cost of a task whose stages all cost the same way.

    They are told apart by the same task with a horizon of one and of two steps: where the state rests, these cost
    l + l_T and 2 l + l_T.

    Args:
        task: The task.
    """

    def __init__(self, task: Task) -> None:
        self._one, self._two = _with_horizon(task, 1), _with_horizon(task, 2)

    def running(self, x: Array, u: Array, after: Array, target: Array) -> float:
        """Cost of the stage in which the control u (nu,) leads from the state x (nx,) to `after`."""
        return float(self._one.cost(np.stack([x, after]), u[None], target)) - self.terminal(after, target)

    def terminal(self, x: Array, target: Array) -> float:
        """Cost of ending in the state x (nx,)."""
        U = np.zeros((2, self._one.nu))
        one, two = self._one.cost(np.tile(x, (2, 1)), U[:1], target), self._two.cost(np.tile(x, (3, 1)), U, target)
        return float(2.0 * one - two)


def _with_horizon(task: Task, steps: int) -> Any:
    recipe = task._recipe
    config, *others = recipe.args
    problem = replace(config.problem, horizon=steps)
    return functools.partial(recipe.func, replace(config, problem=problem), *others, **recipe.keywords)()
