"""Which of a cycle's start and its refined motion is returned, with a scripted solver, starts and checker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scripted_receding import HANDOVER, Setup, resting

from sobo_planner.receding import Cycle
from sobo_planner.safety import Limit, Violation
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains

NEAR = 0.1  # [m] from the target where a motion that arrives ends


@pytest.fixture
def setup(task: ArmReach, home: np.ndarray) -> Setup:
    return Setup(home)


def test_the_refined_motion_is_returned_where_it_is_cheaper(setup: Setup) -> None:
    cycle = setup.cycle()
    assert cycle.refined and cycle.cost == 1.0 and cycle.motion.U[0, 0] == 5.0 and cycle.objection == ""
    assert cycle.motion.begin == HANDOVER and cycle.violation == 1e-5 and cycle.iterations == 2
    assert (cycle.motion.K == 3.0).all() and cycle.tool_error < 1e-9
    assert setup.solver.kept == [(2.0, True)]


def test_the_start_is_returned_where_that_is_cheaper(setup: Setup) -> None:
    setup.solver.start_cost = 0.5
    cycle = setup.cycle()
    assert not cycle.refined and cycle.cost == 0.5 and cycle.motion.U[0, 0] == 1.0 and cycle.violation == 0.0
    assert setup.solver.kept == [(0.5, False)]


def test_the_second_choice_is_returned_where_the_checker_refuses_the_first(setup: Setup) -> None:
    setup.refuse(5.0, Limit.SELF_COLLISION)
    cycle = setup.cycle()
    assert not cycle.refined and cycle.objection == "refined: torque 5.0"
    assert [violation.limit for violation in setup.solver.violations] == [Limit.SELF_COLLISION]
    setup.refuse(1.0)
    cycle = setup.cycle()
    assert cycle.motion is None and cycle.objection == "refined: torque 5.0; start: torque 1.0"
    assert cycle.tool_error == np.inf and cycle.iterations == 2
    assert (cycle.refined, cycle.cost, cycle.violation) == (False, 0.0, 0.0)


def test_without_an_executable_solution_the_start_is_left(setup: Setup) -> None:
    setup.solver.refined = None
    assert not setup.cycle().refined
    setup.refuse(1.0)
    assert setup.cycle().motion is None


def test_gains_that_are_not_finite_are_computed_along_the_start(setup: Setup) -> None:
    setup.solver.solution = replace(setup.solver.solution, K=np.full((setup.task.horizon, 6, 12), np.nan))
    setup.solver.fallback = np.full((setup.task.horizon, 6, 12), 7.0)
    assert (setup.cycle().motion.K == 7.0).all()
    one = np.zeros((setup.task.horizon, 6, 12))
    one[3, 2, 1] = np.inf
    setup.solver.solution = replace(setup.solver.solution, K=one)
    assert (setup.cycle().motion.K == 7.0).all()
    setup.solver.fallback = None
    cycle = setup.cycle()
    assert cycle.motion is None and "no gains" in cycle.objection and cycle.iterations == 2


def test_a_start_keeps_its_own_gains_while_the_solver_resumes_other_work(setup: Setup) -> None:
    setup.followed.add(resting(setup.task, setup.x, gain=9.0), 100.0)
    setup.solver.start_cost, setup.solver.unfinished = 0.5, True
    assert (setup.cycle().motion.K == 9.0).all()
    setup.solver.start_cost = 2.0
    assert (setup.cycle().motion.K == 3.0).all()


def test_a_start_that_the_solver_began_at_has_its_gains(setup: Setup) -> None:
    setup.followed.add(resting(setup.task, setup.x, gain=9.0), 100.0)
    setup.solver.start_cost = 0.5
    cycle = setup.cycle()
    assert not cycle.refined and (cycle.motion.K == 3.0).all()


def test_while_a_solve_goes_on_the_start_is_published(setup: Setup) -> None:
    """Checked as ever. What the search for a motion does next depends on the solution."""
    setup.cycle(target=setup.target + [0.0, 0.0, -1.01 * NEAR], publish=True)
    setup.planner._gains = Gains.TRACKING
    setup.solver.solution, setup.solver.start_cost = None, np.nan
    for _ in range(2):
        cycle = setup.cycle(target=setup.target + [0.0, 0.0, -1.01 * NEAR], publish=True)
        assert cycle.motion.X is setup.starts.start.X and not cycle.refined and np.isnan(cycle.cost)
        assert (cycle.iterations, cycle.violation, cycle.tool_error) == (0, 0.0, pytest.approx(1.01 * NEAR))
    assert setup.starts.tries == [0, 1, 1] and len(setup.solver.kept) == 1
    setup.checker.refused[float(cycle.motion.U[0, 0])] = Violation(Limit.COLLISION, "a wall")
    setup.checker.refused[1.0] = Violation(Limit.COLLISION, "a wall")
    cycle = setup.cycle(target=setup.target + [0.0, 0.0, -1.01 * NEAR])
    assert cycle.motion is None and cycle.objection == "start: a wall" and len(setup.solver.violations) == 1


def test_a_cycle_has_brought_nothing_unless_it_says_so() -> None:
    cycle = Cycle(None, "shifted")
    assert (cycle.iterations, cycle.lost, cycle.tool_error, cycle.phases_ms) == (0, False, np.inf, {})
