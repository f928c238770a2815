"""A direct policy in the loop with the discrete dynamics, on many instances at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import SoboError
from sobo_planner.solver import Guess, Instance

if TYPE_CHECKING:
    from sobo_planner.tasks import Task

Array = NDArray[np.float64]
#: Controls (n, nu) at states (n, nx) with targets (n, 3) and a step of the horizon.
Act = Callable[[Array, Array, int], Array]
#: A state with a larger entry has diverged.
DIVERGED = 1e4


@dataclass(frozen=True)
class Rollout:
    """What a policy did on an instance.

    Attributes:
        guess: The trajectory; None where it diverged.
        reason: Why there is none, empty otherwise.
    """

    guess: Guess | None
    reason: str = ""


def roll_out(task: Task, act: Act, instances: Sequence[Instance]) -> list[Rollout]:
    """Rolls a policy out over the whole horizon; controls are clipped to their bounds.

    A rollout that diverges ends with its reason, and the others go on.
    """
    count = len(instances)
    X, U = np.zeros((count, task.horizon + 1, task.nx)), np.zeros((count, task.horizon, task.nu))
    X[:, 0], targets = [each.x0 for each in instances], np.array([each.target for each in instances])
    reasons = [""] * count
    for t in range(task.horizon):
        going = [i for i in range(count) if not reasons[i]]
        if not going:
            break
        U[going, t] = np.clip(act(X[going, t], targets[going], t), task.control_lower, task.control_upper)
        for i in going:
            X[i, t + 1], reason = advance(task, X[i, t], U[i, t])
            reasons[i] = f"step {t + 1}: {reason}" if reason else ""
    return [Rollout(None if reason else Guess(X[i], U[i]), reason) for i, reason in enumerate(reasons)]


def advance(task: Task, x: Array, u: Array) -> tuple[Array, str]:
    """The state after one step, and why it cannot be used, empty where it can."""
    if not np.isfinite(u).all():
        return x, "the policy's control is not finite"
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            after: Array = task.simulate(x, u[None])[1]
    except SoboError as error:
        return x, str(error)
    if not np.isfinite(after).all():
        return x, "the state is not finite"
    largest = float(np.abs(after).max())
    return after, f"the state reaches {largest:.3g}, more than {DIVERGED:g}" if largest > DIVERGED else ""
