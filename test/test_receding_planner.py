"""Decisions of a cycle of the receding horizon, with a scripted solver, starts and checker; the arm is real."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from sobo_planner.errors import SolverError, StartError
from sobo_planner.motion import Followed, Motion, Timeline
from sobo_planner.receding import planner as planner_module
from sobo_planner.receding.planner import LOST, NEAR, OVERSHOOT, RecedingPlanner
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import Guess, Instance, Solution, SolverStatus
from sobo_planner.tasks import ArmReach

HANDOVER = 100.02


@dataclass
class Solver:
    """Stands for `RecedingSolver`: returns what a test says and keeps how it was called."""

    solution: Solution
    start_cost: float = 2.0
    refined: tuple[float, Guess] | None = None
    fallback: np.ndarray | None = None
    clear: bool = False
    unfinished: bool = False
    calls: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    kept: list[tuple[float, bool]] = field(default_factory=list)
    budgets: list[float] = field(default_factory=list)

    def choose(self, instance: Instance) -> None:
        self.calls.append("choose")

    def restart(self) -> None:
        self.calls.append("restart")

    def new_target(self) -> None:
        self.calls.append("new_target")

    def solve(self, instance: Instance, start: Guess, handover: float, budget: float) -> tuple[float, Solution]:
        self.budgets.append(budget)
        return self.start_cost, self.solution

    def executable(self, solution: Solution, instance: Instance) -> tuple[float, Guess] | None:
        return self.refined

    def gains(self, instance: Instance, trajectory: Guess) -> np.ndarray:
        if self.fallback is None:
            raise SolverError("there are no gains along this trajectory")
        return self.fallback

    def collided(self, violation: Violation) -> None:
        self.violations.append(violation)

    def keep(self, solution: Solution, start_cost: float, published: bool, handover: float) -> None:
        self.kept.append((start_cost, published))


@dataclass
class Starts:
    """Stands for `CycleStarts`."""

    start: Guess
    source: str = "shifted"
    tries: list[int | None] = field(default_factory=list)
    before: list[Motion] = field(default_factory=list)
    x0: list[np.ndarray] = field(default_factory=list)

    def best(
        self, before: Motion, instance: Instance, handover: float, solver: Any, tries: int | None, budget: Any
    ) -> Any:
        self.tries.append(tries)
        self.before.append(before)
        self.x0.append(instance.x0)
        return self.source, self.start


class Checker:
    """Refuses trajectories by their first torque."""

    def __init__(self) -> None:
        self.refused: dict[float, Violation] = {}

    def check(self, time: Any, X: Any, U: np.ndarray, K: Any) -> Violation | None:
        return self.refused.get(float(U[0, 0]))


class Brakes:
    """Stands still."""

    def __init__(self, task: ArmReach) -> None:
        self.task = task

    def motion(self, x: np.ndarray, begin: float) -> Motion:
        return resting(self.task, x, begin)


def trajectory(task: ArmReach, x: np.ndarray, mark: float) -> Guess:
    """A trajectory that stays at x, with this first torque."""
    U = np.zeros((task.horizon, 6))
    U[0, 0] = mark
    return Guess(np.tile(x, (task.horizon + 1, 1)), U)


def resting(task: ArmReach, x: np.ndarray, begin: float = 100.0, gain: float = 0.0) -> Motion:
    guess = trajectory(task, np.concatenate([x[:6], np.zeros(6)]), 0.0)
    return Motion(begin, task.dt, guess.X, guess.U, np.full((task.horizon, 6, 12), gain))


class Setup:
    """A planner among scripted parts, the arm at home and at rest, with the tool at the target."""

    def __init__(self, task: ArmReach, home: np.ndarray) -> None:
        self.task, self.x = task, np.concatenate([home, np.zeros(6)])
        self.target = task.robot.tool_position(home)
        gains = np.full((task.horizon, 6, 12), 3.0)
        fields: dict[str, Any] = {name: np.zeros(0) for name in ("k", "A", "B")}
        start = trajectory(task, self.x, 1.0)
        fields |= {"X": start.X, "U": start.U, "K": gains, "initial_cost": 2.0, "cost": 1.0, "iterations": 2}
        fields |= {"primal_residual": 1e-5, "dual_residual": 0.0, "message": "", "time_ms": 1.0, "cpu_ms": 1.0}
        self.solver = Solver(Solution(**fields, status=SolverStatus.CONVERGED))
        self.solver.refined = (1.0, trajectory(task, self.x, 5.0))
        self.starts, self.checker, self.followed = Starts(start), Checker(), Followed()
        self.planner = RecedingPlanner(
            task, self.checker, Brakes(task), self.followed,  # type: ignore[arg-type]
            budget=0.004, propose_every=25, starts=self.starts, solver=self.solver,  # type: ignore[arg-type]
        )  # fmt: skip

    def cycle(self, x: np.ndarray | None = None, target: np.ndarray | None = None, publish: bool = False) -> Any:
        cycle = self.planner.cycle(
            self.x if x is None else x, 100.0, self.target if target is None else target, HANDOVER
        )
        if publish:
            self.followed.add(cycle.motion, 100.0)
        return cycle

    def refuse(self, mark: float, limit: Limit = Limit.TOOL_BOX) -> None:
        self.checker.refused[mark] = Violation(limit, f"torque {mark}")


@pytest.fixture
def setup(task: ArmReach, home: np.ndarray) -> Setup:
    return Setup(task, home)


# ---------------------------------------------------------------- what is returned


def test_the_refined_motion_is_returned_where_it_is_cheaper(setup: Setup) -> None:
    cycle = setup.cycle()
    assert cycle.refined and cycle.cost == 1.0 and cycle.motion.U[0, 0] == 5.0 and cycle.objection == ""
    assert cycle.motion.begin == HANDOVER and cycle.violation == 1e-5 and cycle.iterations == 2
    assert (cycle.motion.K == 3.0).all() and cycle.tool_error < 1e-9
    assert setup.solver.kept == [(2.0, True)]
    assert set(cycle.phases_ms) == {"start", "refine", "check"}


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


def test_the_solver_has_what_is_left_of_the_cycle(setup: Setup) -> None:
    setup.cycle()
    assert 0.0 < 0.004 - setup.solver.budgets[0] < 0.1


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
    monkeypatch.setattr(type(setup.task.robot), "colliding_pair", lambda self, q: ("a", "b"))
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
