"""ProxDDP behind a Python interface: guesses in, solutions with feedback gains out."""

from __future__ import annotations

from sobo_planner.solver.solver import (
    Interrupt,
    LinearQuadratic,
    Problem,
    Solution,
    Solver,
    SolverOptions,
    SolverStatus,
)
from sobo_planner.solver.trajectory import Guess, Instance

__all__ = [
    "Guess",
    "Instance",
    "Interrupt",
    "LinearQuadratic",
    "Problem",
    "Solution",
    "Solver",
    "SolverOptions",
    "SolverStatus",
]
