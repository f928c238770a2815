"""ProxDDP behind a Python interface: guesses in, solutions with feedback gains out."""

from __future__ import annotations

from sobo_planner.solver.adjoint import Gradients, Pullback, Pullbacks
from sobo_planner.solver.budget import UNLIMITED, Budget, Interrupt, WorkEstimate
from sobo_planner.solver.options import SolverOptions
from sobo_planner.solver.problem import LinearQuadratic, Problem
from sobo_planner.solver.refinement import Precision, Refinement, RefinementSolvers
from sobo_planner.solver.solution import Solution, SolverStatus
from sobo_planner.solver.solver import Solver
from sobo_planner.solver.terms import StageTerms
from sobo_planner.solver.trajectory import Guess, Instance

__all__ = [
    "UNLIMITED",
    "Budget",
    "Gradients",
    "Guess",
    "Instance",
    "Interrupt",
    "LinearQuadratic",
    "WorkEstimate",
    "Precision",
    "Problem",
    "Pullback",
    "Pullbacks",
    "Refinement",
    "RefinementSolvers",
    "Solution",
    "Solver",
    "SolverOptions",
    "SolverStatus",
    "StageTerms",
]
