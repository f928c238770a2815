"""The receding horizon's solver: which refinement is chosen, what may be executed, what the next cycle resumes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sobo_planner.motion import Motion
from sobo_planner.planning.attempts import CLEARANCES
from sobo_planner.planning.judge import FEASIBLE
from sobo_planner.receding import solver as solver_module
from sobo_planner.receding.solver import RecedingSolver
from sobo_planner.safety import Limit, PlanChecker, Violation
from sobo_planner.solver import Guess, Instance, Interrupt, Precision, Refinement, Solution, SolverStatus
from sobo_planner.tasks import ArmReach

FAR = np.array([0.4, 0.3, 0.4])
NEAR = 0.1  # [m] from the goal where precision has more weight
UNFINISHED = 10  # cycles for which an iterate is resumed at most
STILL = Guess(np.zeros((1, 12)), np.zeros((0, 6)))


class Scripted:
    """A solver of one refinement that returns what a test says and keeps how it was called."""

    def __init__(self, refinement: Refinement) -> None:
        self.refinement, self.restarts, self.solved = refinement, 0, []
        self.answer: Solution | None = None

    def restart(self) -> None:
        self.restarts += 1

    def cost(self, X: np.ndarray, U: np.ndarray, target: np.ndarray) -> float:
        return float(np.abs(X).sum())

    def gains(self, instance: Instance, trajectory: Guess) -> tuple[Refinement, Instance, Guess]:
        return self.refinement, instance, trajectory

    def solve(self, instance: Instance, guess: Guess, time_limit: float, interrupt: Interrupt) -> Solution:
        self.solved.append((guess, time_limit))
        assert self.answer is not None
        return self.answer


class Solvers:
    """Scripted solvers by refinement."""

    def __init__(self) -> None:
        self.made: dict[Refinement, Scripted] = {}

    def solver(self, refinement: Refinement) -> Scripted:
        return self.made.setdefault(refinement, Scripted(refinement))


@pytest.fixture
def solvers() -> Solvers:
    return Solvers()


@pytest.fixture
def tracking(task: ArmReach, solvers: Solvers) -> RecedingSolver:
    """Without gains, which cycles need not wait for."""
    return RecedingSolver(task, PlanChecker(task), solvers, gains=False)  # type: ignore[arg-type]


@pytest.fixture
def solver(task: ArmReach, solvers: Solvers) -> RecedingSolver:
    return RecedingSolver(task, PlanChecker(task), solvers)  # type: ignore[arg-type]


@pytest.fixture
def instance(home: np.ndarray) -> Instance:
    return Instance(np.concatenate([home, np.zeros(6)]), FAR)


def still(task: ArmReach, instance: Instance, **changes: Any) -> Solution:
    """An arm that stays where it is, as the solver returns it."""
    X = np.tile(instance.x0, (task.horizon + 1, 1))
    U = np.tile(task.robot.gravity(instance.x0[:6]), (task.horizon, 1))
    fields: dict[str, Any] = {name: np.zeros(0) for name in ("k", "A", "B")}
    fields |= {"X": X, "U": U, "K": np.zeros((task.horizon, 6, 12)), "initial_cost": 5.0, "cost": 4.0, "iterations": 2}
    fields |= {"primal_residual": 0.0, "dual_residual": 0.0, "message": "", "time_ms": 1.0, "cpu_ms": 1.0}
    return Solution(**(fields | {"status": SolverStatus.MAX_ITERATIONS} | changes))


def chosen(solver: RecedingSolver) -> Refinement:
    return solver._refinement


# ---------------------------------------------------------------- the choice of a refinement


def test_all_refinements_are_made_before_the_first_cycle(solver: RecedingSolver, solvers: Solvers) -> None:
    expected = {
        Refinement(limits, clearance, precision)
        for limits in (False, True)
        for clearance in (0.0, CLEARANCES[0])
        for precision in (Precision.TASK, Precision.THROUGHOUT)
    }
    assert set(solvers.made) == expected and chosen(solver) == Refinement()


def test_near_the_goal_there_is_more_weight_on_it(task: ArmReach, solver: RecedingSolver, instance: Instance) -> None:
    at = task.robot.tool_position(instance.x0[:6])
    for distance, precision in ((0.99 * NEAR, Precision.THROUGHOUT), (1.01 * NEAR, Precision.TASK)):
        solver.choose(replace(instance, target=at + [0.0, 0.0, distance]))
        assert chosen(solver) == Refinement(precision=precision)


@pytest.mark.parametrize(
    "precision, running, terminal",
    [(Precision.TASK, 1, 1), (Precision.TERMINAL, 1, 100), (Precision.THROUGHOUT, 1000, 100)],
)
def test_how_much_more(task: ArmReach, precision: Precision, running: float, terminal: float) -> None:
    """On the goal alone: what the arm does meanwhile costs as before."""
    usual, found = task._spec(Refinement()), task._spec(Refinement(precision=precision))
    np.testing.assert_allclose(found.running.position, running * usual.running.position)
    np.testing.assert_allclose(found.terminal.position, terminal * usual.terminal.position)
    for name in ("state", "control"):
        np.testing.assert_array_equal(getattr(found.running, name), getattr(usual.running, name))


def test_a_collision_keeps_links_apart_until_there_is_a_new_target(solver: RecedingSolver, instance: Instance) -> None:
    solver.collided(Violation(Limit.TOOL_BOX, ""))
    solver.choose(instance)
    assert not solver.clear and chosen(solver) == Refinement()
    solver.collided(Violation(Limit.SELF_COLLISION, ""))
    solver.collided(Violation(Limit.GAINS, ""))
    solver.choose(instance)
    assert solver.clear and chosen(solver) == Refinement(clearance=CLEARANCES[0])
    solver.new_target()
    solver.choose(instance)
    assert not solver.clear and chosen(solver) == Refinement()


def test_another_refinement_begins_a_sequence_and_the_same_one_does_not(
    task: ArmReach, solver: RecedingSolver, solvers: Solvers, instance: Instance
) -> None:
    def solve(refinement: Refinement) -> int:
        solver.choose(instance)
        solvers.made[refinement].answer = still(task, instance)
        solver.solve(instance, STILL, 1.0, 1.0)
        return solvers.made[refinement].restarts

    assert solve(Refinement()) == 0
    solver.collided(Violation(Limit.SELF_COLLISION, ""))
    assert [solve(Refinement(clearance=CLEARANCES[0])) for _ in range(2)] == [1, 1]


def test_solvers_are_made_for_a_sequence_of_few_iterations(task: ArmReach, monkeypatch) -> None:
    made = []

    def solvers(*arguments: Any, **keywords: Any) -> Solvers:
        made.append((*arguments, keywords))
        return Solvers()

    monkeypatch.setattr(solver_module, "RefinementSolvers", solvers)
    RecedingSolver(task, PlanChecker(task))
    options = replace(task.solver_options, max_iterations=2, retry=False)
    assert made[0] == (task, options, {"sequence": True, "first_order": True})
    assert made[1:] == [(task, options, {})], "costs are computed beside a solve"


def test_gains_are_those_of_the_chosen_refinement(task: ArmReach, solver: RecedingSolver, instance: Instance) -> None:
    start = Guess(np.zeros((1, 12)), np.zeros((0, 6)))
    solver.collided(Violation(Limit.SELF_COLLISION, ""))
    solver.choose(instance)
    asked: Any = solver.gains(instance, start)
    assert asked[0] == Refinement(clearance=CLEARANCES[0]) and asked[1] is instance and asked[2] is start


# ---------------------------------------------------------------- what may be executed


def test_a_consistent_trajectory_is_executed_as_it_is(
    task: ArmReach, solver: RecedingSolver, instance: Instance
) -> None:
    found = still(task, instance, primal_residual=0.5 * FEASIBLE)
    found.U[0], found.U[1] = 1e4, -1e4
    found.X[50:, 0] = task.robot.position_upper[0] + 0.4 * FEASIBLE
    result = solver.executable(found, instance)
    assert result is not None
    assert result[1].X is found.X and (result[1].U[0] == task.torque_limit).all()
    assert (result[1].U[1] == -task.torque_limit).all() and (result[1].U[2:] == found.U[2:]).all()
    assert result[0] == pytest.approx(np.abs(found.X).sum())
    found.U[:2] = 0.0
    result = solver.executable(found, instance)
    assert result is not None and result[0] == found.cost, "of what is executed unchanged it is known"


@pytest.mark.parametrize("name", ["X", "U"])
def test_what_is_not_finite_is_not_executed(task: ArmReach, solver: RecedingSolver, instance: Instance, name) -> None:
    found = still(task, instance)
    getattr(found, name)[-1, 0] = np.nan
    assert solver.executable(found, instance) is None


def test_an_inconsistent_trajectory_is_followed(task: ArmReach, solver: RecedingSolver, instance: Instance) -> None:
    found = still(task, instance, primal_residual=0.51 * FEASIBLE)
    result = solver.executable(found, instance)
    assert result is not None and result[1].X is not found.X
    X, U = result[1].X, result[1].U
    np.testing.assert_allclose(task.simulate(instance.x0, U), X, atol=1e-12)
    solver.choose(instance)
    assert chosen(solver) == Refinement()


def test_a_trajectory_beyond_the_position_limits_is_followed_along_them(
    task: ArmReach, solver: RecedingSolver, instance: Instance
) -> None:
    found = still(task, instance)
    found.X[50:, 0] = task.robot.position_upper[0] + 0.51 * FEASIBLE
    result = solver.executable(found, instance)
    assert result is not None
    assert result[1].X[:, 0].max() <= task.robot.position_upper[0] + 1e-9
    np.testing.assert_allclose(task.simulate(instance.x0, result[1].U), result[1].X, atol=1e-12)
    solver.choose(instance)
    assert chosen(solver) == Refinement(position_limits=True)


def test_what_is_followed_keeps_states_where_it_can(
    task: ArmReach, solver: RecedingSolver, instance: Instance, monkeypatch
) -> None:
    """A joint rests at its position limit; the others go on."""
    asked = []

    def follow(_: ArmReach, x: np.ndarray, states: np.ndarray) -> Guess:
        asked.append(states)
        return Guess(np.vstack([x, states]), np.zeros((task.horizon, 6)))

    monkeypatch.setattr(solver_module, "follow", follow)
    found = still(task, instance, primal_residual=FEASIBLE)
    found.X[1:, 0] += 0.01 * np.arange(1, task.horizon + 1)
    found.X[:, 6] = 7.0
    solver.executable(found, instance)
    np.testing.assert_array_equal(asked[0], found.X[1:])
    found.X[-1, 0] = task.robot.position_upper[0] + 1.0
    solver.executable(found, instance)
    assert asked[1][-1, 0] == task.robot.position_upper[0]
    np.testing.assert_array_equal(asked[1][:-1, 6], found.X[1:-1, 6])
    assert asked[1][-1, 6] == 0.0
    np.testing.assert_array_equal(asked[1][:-1, :6], found.X[1:-1, :6])


# ---------------------------------------------------------------- what is resumed


def resumed(
    task: ArmReach, solver: RecedingSolver, instance: Instance, published: bool = False, **changes: Any
) -> bool:
    fields = {"primal_residual": 0.51 * FEASIBLE, "cost": 4.0} | changes
    solver.keep(still(task, instance, **fields), 5.0, published, 1.0)
    return solver.unfinished


def test_a_cheaper_iterate_that_is_not_feasible_yet_is_resumed(task, solver, solvers, instance) -> None:
    assert resumed(task, solver, instance) and resumed(task, solver, instance, status=SolverStatus.TIME_LIMIT)
    start = Guess(np.ones((task.horizon + 1, 12)), np.zeros((task.horizon, 6)))
    native = solvers.made[Refinement()]
    native.answer = still(task, instance)
    cost, solution = solver.solve(instance, start, 1.0 + 10 * task.dt, 0.003)
    assert cost == pytest.approx(12.0 * (task.horizon + 1)) and solution is native.answer
    (guess, limit), *_ = native.solved
    assert guess.X[0] == pytest.approx(instance.x0) and limit == 0.003


def test_nothing_else_is_resumed(task, solver, instance) -> None:
    assert not resumed(task, solver, instance, published=True)
    assert not resumed(task, solver, instance, status=SolverStatus.CONVERGED)
    assert not resumed(task, solver, instance, status=SolverStatus.FAILED)
    assert not resumed(task, solver, instance, primal_residual=0.5 * FEASIBLE)
    assert not resumed(task, solver, instance, cost=5.0)
    assert not solver.unfinished


def test_work_is_resumed_for_so_many_cycles_and_counted_anew_after_that(task, solver, instance) -> None:
    for _ in range(2):
        assert all(resumed(task, solver, instance) for _ in range(UNFINISHED))
        assert not resumed(task, solver, instance)


def test_multipliers_of_a_failed_solve_are_discarded(task, solver, solvers, instance) -> None:
    native = solvers.made[Refinement()]
    native.answer = still(task, instance)

    def restarts() -> int:
        solver.solve(instance, STILL, 1.0, 1.0)
        return native.restarts

    resumed(task, solver, instance, published=True, status=SolverStatus.FAILED)
    resumed(task, solver, instance, status=SolverStatus.CONVERGED)
    resumed(task, solver, instance)
    assert restarts() == 0
    resumed(task, solver, instance, status=SolverStatus.FAILED)
    assert restarts() == 1 and restarts() == 1


def test_without_unfinished_work_the_start_is_solved_from(task, solver, solvers, instance) -> None:
    native = solvers.made[Refinement()]
    native.answer = still(task, instance, initial_cost=7.0)
    start = Guess(native.answer.X, native.answer.U)
    assert solver.solve(instance, start, 1.0, -1.0) == (7.0, native.answer)
    (guess, limit), *_ = native.solved
    assert guess is start and limit == 1e-4, "none would be no limit"
    resumed(task, solver, instance)
    solver.restart()
    assert not solver.unfinished
    solver.solve(instance, start, 1.0, 1.0)
    assert native.restarts == 1 and native.solved[-1][0] is start


def test_an_unfinished_iterate_lies_where_it_began(task, solver, solvers, instance) -> None:
    found = still(task, instance, primal_residual=1.0)
    found.X[:, 0] = np.arange(task.horizon + 1)
    solver.keep(found, 5.0, False, 2.0)
    native = solvers.made[Refinement()]
    native.answer = found
    solver.solve(instance, Guess(found.X, found.U), 2.0 + 3 * task.dt, 1.0)
    expected = Motion(2.0, task.dt, found.X, found.U, found.K).shifted(2.0 + 3 * task.dt)
    np.testing.assert_allclose(native.solved[0][0].X, expected.X)
    assert native.solved[0][0].X[0, 0] == pytest.approx(3.0)


# ---------------------------------------------------------------- solves that take longer than a cycle


class Slow(Scripted):
    """Solves once it is let."""

    def __init__(self, refinement: Refinement) -> None:
        super().__init__(refinement)
        self.may, self.interrupts = threading.Event(), []

    def solve(self, instance: Instance, guess: Guess, time_limit: float, interrupt: Interrupt) -> Solution:
        self.interrupts.append(interrupt)
        assert self.may.wait(10.0)
        return super().solve(instance, guess, time_limit, interrupt)


@pytest.fixture
def slow(task: ArmReach, tracking: RecedingSolver, solvers: Solvers, instance: Instance) -> Iterator[Slow]:
    slow = solvers.made[Refinement()] = Slow(Refinement())
    slow.answer = still(task, instance)
    yield slow
    slow.may.set()


def begin(tracking: RecedingSolver, instance: Instance, start: Guess) -> None:
    """A cycle whose solve does not end in it."""
    cost, solution = tracking.solve(instance, start, 1.0, 1e-3)
    assert solution is None and np.isnan(cost) and tracking.unfinished


def motion_of(task: ArmReach, instance: Instance) -> Guess:
    found = still(task, instance)
    return Guess(found.X, found.U)


def test_a_later_cycle_takes_the_rest_of_a_solution(task, tracking, slow, instance) -> None:
    """Joined to the state that is then expected, and as consistent with the dynamics as before."""
    begin(tracking, instance, motion_of(task, instance))
    slow.may.set()
    x = instance.x0.copy()
    x[0] += 0.01
    cost, solution = tracking.solve(Instance(x, FAR), motion_of(task, instance), 1.0 + 2 * task.dt, 10.0)
    assert len(slow.solved) == 1 and not tracking.unfinished
    assert (cost, solution.cost) == (5.0, 4.0), "as compared at the hand-over of the solve"
    assert solution.X[0] == pytest.approx(x) and solution.X[-1] == pytest.approx(instance.x0, abs=1e-3)
    np.testing.assert_allclose(task.simulate(x, solution.U), solution.X, atol=1e-9)


def test_the_rest_of_an_iterate_stays_what_it_is(task, tracking, slow, instance) -> None:
    """`executable` follows it, and the next solve resumes it."""
    slow.answer = still(task, instance, primal_residual=1.0)
    slow.answer.X[:, 0] = np.arange(task.horizon + 1)
    begin(tracking, instance, motion_of(task, instance))
    slow.may.set()
    _, solution = tracking.solve(instance, motion_of(task, instance), 1.0 + 3 * task.dt, 10.0)
    assert solution.X[1, 0] == pytest.approx(4.0) and solution.X[0] == pytest.approx(instance.x0)
    assert solution.primal_residual == 1.0 and solution.cost == 4.0


def test_what_diverged_stays_diverged(task, tracking, slow, instance) -> None:
    slow.answer.U[0, 0] = np.nan
    begin(tracking, instance, motion_of(task, instance))
    slow.may.set()
    assert tracking.solve(instance, motion_of(task, instance), 1.1, 10.0)[1] is slow.answer


def test_a_solve_that_is_not_wanted_any_more_is_interrupted(task, tracking, slow, instance) -> None:
    """The next one begins when its iteration has ended, from the start of then."""
    begin(tracking, instance, motion_of(task, instance))
    tracking.restart()
    assert slow.interrupts[0].is_set() and not tracking.unfinished
    start = motion_of(task, instance)
    begin(tracking, instance, start)
    slow.may.set()
    cost, solution = tracking.solve(instance, start, 1.0, 10.0)
    assert (cost, solution) == (5.0, slow.answer) and slow.restarts == 1
    assert slow.solved[-1][0] is start and not slow.interrupts[1].is_set()


def test_a_cycle_with_gains_waits_for_its_solve(task, solver, solvers, instance) -> None:
    slow = solvers.made[Refinement()] = Slow(Refinement())
    slow.answer = still(task, instance)
    threading.Timer(0.05, slow.may.set).start()
    assert solver.solve(instance, motion_of(task, instance), 1.0, 1e-3)[1] is slow.answer


def test_where_nothing_is_to_be_improved_the_motion_is_continued_for_a_while(task, tracking, solvers, instance) -> None:
    native, start = solvers.made[Refinement()], motion_of(task, instance)
    native.answer = still(task, instance, status=SolverStatus.CONVERGED, iterations=0)
    assert tracking.solve(instance, start, 1.0, 1.0)[1] is native.answer
    assert tracking.solve(instance, start, 1.005, 1.0)[1] is None and not tracking.unfinished
    assert tracking.solve(instance, start, 1.01, 1.0)[1] is native.answer, "at 100 Hz every cycle solves"
    tracking.restart()
    assert tracking.solve(instance, start, 1.015, 1.0)[1] is native.answer
    native.answer = still(task, instance, status=SolverStatus.CONVERGED, iterations=1)
    assert tracking.solve(instance, start, 1.03, 1.0)[1] is native.answer
    assert tracking.solve(instance, start, 1.035, 1.0)[1] is native.answer
