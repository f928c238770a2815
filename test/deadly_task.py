"""A task that some instances of kill the process that solves them, importable by the workers of a cluster."""

from __future__ import annotations

import os
import signal

import numpy as np

from sobo_planner.solver import Guess, Instance
from sobo_planner.tasks.lqr import Lqr, LqrConfig


class Deadly(Lqr):
    """The LQR, deadly where the first state exceeds a bound."""

    def __init__(self, config: LqrConfig, bound: float) -> None:
        super().__init__(config)
        self.bound = bound

    def starts(self, instance: Instance, n: int, rng: np.random.Generator) -> list[Guess]:
        """As an error in native code would end it."""
        if instance.x0[0] > self.bound:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().starts(instance, n, rng)
