"""Decisions of a cycle of the receding horizon, with a scripted solver, starts and checker; the arm is real."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scripted_receding import HANDOVER, Setup, resting

from sobo_planner.errors import StartError
from sobo_planner.motion import Timeline
from sobo_planner.receding import planner as planner_module
from sobo_planner.receding.planner import Cycle
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import SolverStatus
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains

NEAR = 0.1  # [m] from the target where a motion that arrives ends
LOST = 0.3  # [rad] from its motion that an arm does not follow
OVERSHOOT = 0.05  # [rad] beyond its limit that a joint may be while it follows


@pytest.fixture
def setup(task: ArmReach, home: np.ndarray) -> Setup:
    return Setup(home)


# ---------------------------------------------------------------- what is returned


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


def test_the_solver_has_what_is_left_of_the_cycle(setup: Setup, monkeypatch) -> None:
    times = [70.0, 70.001, 70.0035, 70.004]
    monkeypatch.setattr(planner_module, "time", SimpleNamespace(monotonic=iter(times).__next__))
    cycle = setup.cycle()
    assert setup.solver.budgets == [pytest.approx(0.003)]
    assert cycle.phases_ms == pytest.approx({"start": 1.0, "refine": 2.5, "check": 0.5})


def test_an_optimal_start_ends_the_search_though_links_have_to_be_kept_apart(setup: Setup) -> None:
    """Where a motion to the target has collided, one that is only not refined yet does not."""
    setup.solver.clear, setup.solver.start_cost = True, 1.0
    for iterations, status in (
        (1, SolverStatus.CONVERGED),
        (0, SolverStatus.MAX_ITERATIONS),
        (0, SolverStatus.CONVERGED),
    ):
        setup.solver.solution = replace(setup.solver.solution, iterations=iterations, status=status)
        assert not setup.cycle(publish=True).refined
    setup.cycle(publish=True)
    assert setup.starts.tries == [0, 1, 2, None]


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


# ---------------------------------------------------------------- the search for a motion to a new target


def test_the_search_ends_with_a_motion_that_arrives(setup: Setup) -> None:
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    assert setup.starts.tries == [0, None]
    assert setup.solver.calls.count("new_target") == 1


def test_a_motion_that_ends_far_from_the_target_does_not_end_the_search(setup: Setup) -> None:
    away = setup.target + [0.0, 0.0, -1.01 * NEAR]
    assert setup.cycle(target=away, publish=True).tool_error > NEAR
    setup.cycle(target=away, publish=True)
    setup.cycle(target=away, publish=True)
    assert setup.starts.tries == [0, 1, 2]
    near = setup.target + [0.0, 0.0, -0.99 * NEAR]
    setup.cycle(target=near, publish=True)
    setup.cycle(target=near, publish=True)
    assert setup.starts.tries[-1] is None


def test_a_cycle_without_a_motion_does_not_end_the_search(setup: Setup) -> None:
    setup.refuse(1.0)
    setup.refuse(5.0)
    setup.cycle()
    setup.cycle()
    assert setup.starts.tries == [0, 1]


def test_a_motion_that_was_not_published_does_not_end_the_search(setup: Setup) -> None:
    setup.cycle()
    setup.cycle()
    assert setup.starts.tries == [0, 0]


def test_once_motions_have_collided_only_a_refined_one_ends_the_search(setup: Setup) -> None:
    setup.solver.clear, setup.solver.start_cost = True, 0.5
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    setup.solver.start_cost = 2.0
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    assert setup.starts.tries == [0, 1, 2, None]


def test_unfinished_work_goes_on_before_other_starts_are_sought(setup: Setup) -> None:
    away = setup.target + [0.0, 0.0, -2 * NEAR]
    setup.cycle(target=away, publish=True)
    setup.solver.unfinished = True
    setup.cycle(target=away, publish=True)
    assert setup.starts.tries == [0, None]


def test_another_target_is_a_new_search(setup: Setup) -> None:
    setup.cycle(publish=True)
    setup.cycle(target=setup.target + 0.01, publish=True)
    assert setup.starts.tries == [0, 0] and setup.solver.calls.count("new_target") == 2


@pytest.mark.parametrize("source", ["policy", "interpolation"])
def test_only_a_shifted_motion_continues_the_sequence(setup: Setup, source: str) -> None:
    setup.cycle(publish=True)
    setup.solver.calls.clear()
    setup.cycle(publish=True)
    assert "restart" not in setup.solver.calls
    setup.starts.source = source
    setup.cycle(publish=True)
    assert setup.solver.calls.count("restart") == 1


# ---------------------------------------------------------------- what the arm follows


def test_the_next_cycle_shifts_the_draft_published_or_not(setup: Setup) -> None:
    first = setup.cycle(publish=True).motion
    second = setup.cycle().motion
    setup.cycle()
    assert setup.starts.before[1] is first and setup.starts.before[2] is second


def test_a_draft_stays_while_what_is_followed_stays(setup: Setup) -> None:
    """Also where a cycle brings none."""
    setup.followed.add(resting(setup.task, setup.x), 100.0)
    draft = setup.cycle().motion
    setup.cycle()
    setup.refuse(1.0)
    setup.refuse(5.0)
    assert setup.starts.before[1] is draft and setup.cycle().motion is None
    second = setup.starts.before[2]
    setup.cycle()
    assert setup.starts.before[3] is second is not draft


def test_a_motion_of_somebody_else_replaces_the_draft(setup: Setup) -> None:
    setup.cycle(publish=True)
    braking = resting(setup.task, setup.x, begin=99.0)
    setup.followed.add(braking, 100.0)
    setup.solver.calls.clear()
    setup.cycle()
    assert setup.starts.before[1] is braking and setup.starts.tries == [0, 0]
    assert setup.solver.calls == ["restart", "choose"]


def test_a_cycle_without_a_motion_leaves_the_draft(setup: Setup) -> None:
    first = setup.cycle(publish=True).motion
    setup.refuse(1.0)
    setup.refuse(5.0)
    assert setup.cycle().motion is None
    setup.cycle()
    assert setup.starts.before[2] is first


def test_the_refinement_is_chosen_in_each_cycle(setup: Setup) -> None:
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    assert setup.solver.calls.count("choose") == 2


def test_a_measured_state_is_unwound_to_what_the_arm_follows(setup: Setup, monkeypatch) -> None:
    seen = []

    def unwound(task, x, reference):
        seen.append(reference)
        return setup.x

    monkeypatch.setattr(planner_module, "unwound", unwound)
    setup.cycle(setup.x + 0.001)
    assert seen == []  # nothing is followed
    followed = resting(setup.task, setup.x)
    setup.followed.add(followed, 100.0)
    setup.cycle(setup.x + 0.001)
    assert len(seen) == 1 and (seen[0] == followed.state(100.0)).all()
    with pytest.raises(StartError, match="shape"):
        setup.cycle(setup.x[:5])
    assert len(seen) == 1


def test_after_forgetting_the_arm_is_braked_from_where_it_is(setup: Setup) -> None:
    setup.cycle(publish=True)
    setup.followed.forget()
    cycle = setup.cycle()
    assert setup.starts.before[1].begin == 100.0 and not cycle.lost


def test_an_arm_far_from_its_motion_is_lost(setup: Setup) -> None:
    for off, lost in ((0.99 * LOST, False), (1.01 * LOST, True), (-0.99 * LOST, False), (-1.01 * LOST, True)):
        setup.followed.forget()
        setup.cycle(publish=True)
        x = setup.x.copy()
        x[3] += off
        assert setup.cycle(x).lost is lost


def test_an_arm_a_little_beyond_its_limits_is_taken_to_be_at_them(setup: Setup) -> None:
    upper = setup.task.robot.position_upper
    edge = setup.x.copy()
    edge[5] = upper[5]
    setup.followed.add(resting(setup.task, edge), 100.0)
    beyond = edge.copy()
    beyond[5] += 0.99 * OVERSHOOT
    assert not setup.cycle(beyond).lost
    beyond[5] = upper[5] + 1.01 * OVERSHOOT
    with pytest.raises(StartError):
        setup.cycle(beyond)


def test_a_cycle_begins_where_the_arm_will_be(setup: Setup) -> None:
    moving = resting(setup.task, setup.x)
    moving.X[:, 0] += 0.01 * np.arange(setup.task.horizon + 1)
    setup.followed.add(moving, 100.0)
    setup.cycle(Timeline(moving).state(100.0))
    assert setup.starts.x0[0][0] == pytest.approx(moving.state(HANDOVER)[0], abs=0.02)
    assert len(setup.starts.x0) == 1


def test_a_cycle_begins_where_the_arm_is_meant_to_be_if_its_links_would_touch(setup: Setup, monkeypatch) -> None:
    setup.followed.add(resting(setup.task, setup.x), 100.0)
    off = setup.x.copy()
    off[0] += 0.01
    setup.cycle(off)
    desired = setup.x[: setup.task.nu]
    monkeypatch.setattr(type(setup.task.robot), "contact", lambda self, q: None if (q == desired).all() else "a and b")
    setup.cycle(off)
    assert setup.starts.x0[0][0] != setup.x[0] and (setup.starts.x0[1] == setup.x).all()


def test_a_new_target_is_checked_and_one_that_is_followed_is_not(setup: Setup, monkeypatch) -> None:
    checked = []
    monkeypatch.setattr(type(setup.task), "check_goal", lambda self, instance, budget: checked.append(budget))
    setup.cycle(publish=True)
    setup.cycle(publish=True)
    assert checked == [setup.planner.progress]


def test_a_lost_arm_drops_the_draft_and_the_sequence(setup: Setup) -> None:
    first = setup.cycle(publish=True).motion
    away = setup.x.copy()
    away[3] += 2 * LOST
    setup.solver.calls.clear()
    setup.cycle(away)
    assert setup.starts.before[1] is not first and setup.solver.calls == ["restart", "choose"]


def test_an_arm_far_below_its_limits_is_refused_too(setup: Setup) -> None:
    edge = setup.x.copy()
    edge[5] = setup.task.robot.position_lower[5]
    setup.followed.add(resting(setup.task, edge), 100.0)
    beyond = edge.copy()
    beyond[5] -= 1.01 * OVERSHOOT
    with pytest.raises(StartError):
        setup.cycle(beyond)
