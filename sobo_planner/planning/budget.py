"""What planning for one goal has cost so far, and what it has found out on the way."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner.planning.refinement import Variant
from sobo_planner.solver import Guess, Interrupt

Array = NDArray[np.float64]

# Joint positions [rad] by which two local optima may differ and still be one: refinement ends before they agree.
SAME = 0.02


@dataclass
class Effort:
    """The account of one plan.

    Attributes:
        began: When planning began, on the monotonic clock [s].
        limit: Time it may take [s]; None for as long as it takes.
        interrupt: Ends it once set.
        iterations: Solver iterations.
        policy: Time in rollouts [s].
        start: Time in other starts [s].
        refine: Time in the solver [s].
        outside: Starts whose plans leave the position limits, and how they are refined next.
        short: Plans that end far from the goal, and how they are refined if nothing better comes up.
        refused: Why the checker refused a plan, the first one that it did; empty if none.
        collided: Whether it was for self-collision.
    """

    began: float
    limit: float | None
    interrupt: Interrupt | None = None
    iterations: int = 0
    policy: float = 0.0
    start: float = 0.0
    refine: float = 0.0
    outside: list[tuple[Variant, str, Guess]] = field(default_factory=list)
    short: list[tuple[Variant, str, Guess]] = field(default_factory=list)
    refused: str = ""
    collided: bool = False
    _seen: list[tuple[Variant, Array]] = field(default_factory=list)

    def is_new(self, variant: Variant, X: Array) -> bool:
        """Whether no start refined like this has converged to these states (T+1, nx) yet; from now on one has."""
        variant, q = replace(variant, patient=False), X[:, : X.shape[1] // 2]
        if any(variant == other and np.abs(q - before).max() <= SAME for other, before in self._seen):
            return False
        self._seen.append((variant, q))
        return True

    def left(self) -> float | None:
        """Seconds left, at least a little; None without a deadline."""
        return None if self.limit is None else max(self.limit - (time.monotonic() - self.began), 1e-4)

    def over(self) -> bool:
        """Whether the time is up, or planning was interrupted."""
        if self.interrupted:
            return True
        return self.limit is not None and time.monotonic() - self.began >= self.limit

    @property
    def interrupted(self) -> bool:
        """Whether planning is to end without a plan."""
        return self.interrupt is not None and self.interrupt.is_set()

    def phases_ms(self) -> dict[str, float]:
        """Wall time of each phase and in total [ms]."""
        total = time.monotonic() - self.began
        phases = {"policy": self.policy, "start": self.start, "refine": self.refine, "total": total}
        return {name: 1e3 * seconds for name, seconds in phases.items()}
