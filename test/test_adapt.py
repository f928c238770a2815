"""One native problem whose parts are switched in place, against problems that were built that way."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.errors import SolverError
from sobo_planner.solver import Precision, Refinement, RefinementSolvers, Solver
from sobo_planner.tasks import load_task
from sobo_planner.tasks.arm.timing import Pace

REFINEMENTS = (
    Refinement(),
    Refinement(position_limits=True),
    Refinement(clearance=2e3),
    Refinement(precision=Precision.TERMINAL),
    Refinement(position_limits=True, clearance=2e4, precision=Precision.THROUGHOUT),
)


class Built:
    """A task whose problem has one refinement from the beginning."""

    def __init__(self, task, refinement: Refinement) -> None:
        self.task, self.refinement, self.solver_options = task, refinement, task.solver_options

    def make_worker(self):
        return self.task.make_worker(self.refinement)


@pytest.fixture(scope="module", params=["semi_implicit_euler", "constant_acceleration"])
def arm(request):
    return load_task("ur5", integrator=request.param)


def test_switched_parts_are_those_of_a_problem_that_was_built_with_them(arm) -> None:
    solvers, instance = RefinementSolvers(arm), arm.sample(np.random.default_rng(3))
    guess = arm.interpolate(instance)
    for refinement in (*REFINEMENTS, *REFINEMENTS[:2]):
        switched = solvers.solver(refinement).solve(instance, guess)
        built = Solver(Built(arm, refinement)).solve(instance, guess)
        # Where links are kept apart, the search for their distance begins where the last one ended.
        off = 1e-6 if refinement.clearance else 0.0
        assert switched.iterations == built.iterations and switched.cost == pytest.approx(built.cost, rel=off, abs=0.0)
        np.testing.assert_allclose(switched.X, built.X, rtol=0.0, atol=off)
        np.testing.assert_allclose(switched.K, built.K, rtol=off, atol=1e3 * off)


def test_views_of_the_same_problem_do_not_disturb_each_other(arm) -> None:
    solvers, instance = RefinementSolvers(arm), arm.sample(np.random.default_rng(4))
    guess = arm.interpolate(instance)
    plain, precise = solvers.solver(REFINEMENTS[0]), solvers.solver(REFINEMENTS[3])
    first = plain.cost(guess.X, guess.U, instance.target)
    assert precise.cost(guess.X, guess.U, instance.target) > first
    assert plain.cost(guess.X, guess.U, instance.target) == first
    assert solvers.solver(REFINEMENTS[0]) is plain


def test_another_step_and_other_bounds(arm) -> None:
    """A problem with steps of 30 ms and half of the speed, from one with 20 ms."""
    slow = load_task("ur5", integrator=arm.integrator, dt=0.03).paced(Pace(3.0, velocity_scaling=0.5))
    instance = arm.sample(np.random.default_rng(5))
    worker = arm.make_worker()
    slow.adapt(worker, Refinement())

    class Adapted:
        solver_options = slow.solver_options

        def make_worker(self):
            return worker

    guess = slow.interpolate(instance)
    switched, built = Solver(Adapted()).solve(instance, guess), Solver(slow).solve(instance, guess)
    np.testing.assert_array_equal(switched.X, built.X)
    assert np.abs(switched.X[:, 6:]).max() <= 0.5 * np.pi + 1e-3


def test_what_cannot_be_switched_is_named(arm) -> None:
    worker = arm.make_worker()
    for other, what in (
        (load_task("ur5", integrator=arm.integrator, horizon=50), "horizon"),
        (arm.with_orientation(), "type of goal"),
        (arm.with_goal_type("joints"), "type of goal"),
    ):
        with pytest.raises(SolverError, match=f"cannot be adapted to another {what}"):
            other.adapt(worker, Refinement())
    with pytest.raises(SolverError, match="dt must be positive"):
        arm.dt = -0.02
        try:
            arm.adapt(worker, Refinement())
        finally:
            arm.dt = 0.02
    midpoint = load_task("ur5", integrator="rk2", **{"robot.damping": []})
    assert midpoint.adapt(worker, Refinement(position_limits=True)) is not worker
