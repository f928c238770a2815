"""Decisions of the planner around its search: types of goals, statuses, and what a plan is made of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sobo_planner.errors import PlanningError
from sobo_planner.planning.attempts import CLEARANCES
from sobo_planner.planning.plan import ORIENTED, REACHED, PlanStatus
from sobo_planner.planning.planner import Planner
from sobo_planner.planning.proposals import Proposal
from sobo_planner.planning.record import Account, Found
from sobo_planner.planning.search import Search
from sobo_planner.planning.setups import PREPARED
from sobo_planner.solver import Instance, Precision, Refinement, Solution, SolverStatus
from sobo_planner.tasks import ArmReach


@pytest.fixture(scope="module")
def planner(task: ArmReach) -> Planner:
    return Planner(task)


@pytest.fixture
def state(home: np.ndarray) -> np.ndarray:
    return np.concatenate([home, np.zeros(6)])


def found(task: ArmReach, state: np.ndarray, **changes: Any) -> Found:
    """The result of a search: an arm that stays where it is."""
    X, U = np.tile(state, (task.horizon + 1, 1)), np.full((task.horizon, 6), 1e4)
    fields: dict[str, Any] = {name: np.zeros(0) for name in ("k", "A", "B")}
    fields |= {"X": X, "U": U, "K": np.zeros((task.horizon, 6, 12)), "initial_cost": 2.0, "cost": 1.0, "iterations": 2}
    fields |= {"primal_residual": 1e-5, "dual_residual": 0.0, "message": "", "time_ms": 1.0, "cpu_ms": 1.0}
    account = Account(7, {"policy": 0.001, "start": 0.002, "refine": 0.003})
    return Found(Solution(**(fields | {"status": SolverStatus.CONVERGED} | changes)), "gravity", account)


def plan(planner: Planner, state: np.ndarray, goal: np.ndarray, result: Found, monkeypatch: Any) -> Any:
    monkeypatch.setattr(Search, "run", lambda self, instance, budget: result)
    return planner.plan(state, goal)


def test_a_plan_is_what_the_search_found(unlimited, state, monkeypatch) -> None:
    """Of the arm whose torques are the solver's, within the limits."""
    task, planner = unlimited, Planner(unlimited)
    goal = task.robot.tool_position(state[:6])
    result = found(task, state)
    made = plan(planner, state, goal, result, monkeypatch)
    assert made.status is PlanStatus.CONVERGED and made.source == "gravity" and made.iterations == 7
    assert made.X is result.solution.X and made.violation == 1e-5
    assert (task.torque_limit == made.U).all() and (made.goal == goal).all()
    result.solution.U[:] *= -1.0
    assert (-task.torque_limit == plan(planner, state, goal, result, monkeypatch).U).all()
    assert made.time[0] == 0.0 and made.time[-1] == pytest.approx(task.horizon * task.dt)
    np.testing.assert_allclose(np.diff(made.time), task.dt)
    assert made.cost == task.cost(result.solution.X, -result.solution.U, goal)
    phases = dict(made.phases_ms)
    assert phases.pop("total") > 0.0 and phases == pytest.approx({"policy": 1.0, "start": 2.0, "refine": 3.0})
    assert made.tool_error < 1e-9 and made.orientation_error is None


@pytest.mark.parametrize("converged", [True, False])
def test_the_status_says_whether_the_goal_is_reached_and_then_whether_the_solver_converged(
    task, planner, state, monkeypatch, converged
) -> None:
    at = task.robot.tool_position(state[:6])
    result = found(task, state, status=SolverStatus.CONVERGED if converged else SolverStatus.MAX_ITERATIONS)
    for off, status in (
        (0.9 * REACHED, PlanStatus.CONVERGED if converged else PlanStatus.FEASIBLE),
        (1.1 * REACHED, PlanStatus.SHORT),
    ):
        made = plan(planner, state, at - [off, 0.0, 0.0], result, monkeypatch)
        assert made.status is status and made.tool_error == pytest.approx(off)


def test_a_pose_is_reached_by_its_angle_too(task, planner, state, monkeypatch) -> None:
    goal = task.robot.tool_pose(state[:6])
    for turn, status in ((0.9 * ORIENTED, PlanStatus.CONVERGED), (1.1 * ORIENTED, PlanStatus.SHORT)):
        q = state[:6].copy()
        q[5] += turn  # the last joint turns the tool about its axis, which moves it not at all
        result = found(task, state)
        result.solution.X[-1, :6] = q
        made = plan(planner, state, goal, result, monkeypatch)
        assert made.status is status and made.orientation_error == pytest.approx(turn)


def test_goals_are_told_apart_by_their_size(task, state, monkeypatch) -> None:
    planner, asked = Planner(task), []
    result = found(task, state)
    monkeypatch.setattr(Search, "run", lambda self, *_: (asked.append(self._task.goal_type), result)[1])
    pose = task.robot.tool_pose(state[:6])
    planner.plan(state, pose[:3])
    planner.plan(state, pose)
    planner.plan(state, joints=state[:6])
    assert asked == ["position", "pose", "joints"]
    assert Planner(task.with_orientation())._setups.of("pose").task.goal_type == "pose"


def test_the_search_has_the_deadline_and_the_interrupt(task, planner, state, monkeypatch) -> None:
    seen: list[Any] = []
    result = found(task, state)
    monkeypatch.setattr(Search, "run", lambda self, i, budget: (seen.append(budget), result)[1])
    interrupt = SimpleNamespace(is_set=lambda: False)
    goal = task.robot.tool_position(state[:6])
    planner.plan(state, goal, 0.5, interrupt)  # type: ignore[arg-type]
    planner.plan(state, goal)
    assert seen[0].limit == 0.5 and seen[0].interrupt is interrupt
    assert seen[1].limit is None and seen[1].interrupt is None


@pytest.mark.parametrize("deadline", [0.0, -1.0, float("nan")])
def test_a_deadline_is_positive(planner, state, deadline) -> None:
    with pytest.raises(PlanningError, match="deadline must be positive"):
        planner.plan(state, [0.4, 0.3, 0.4], deadline)


def test_the_solvers_that_are_prepared(task) -> None:
    planner = Planner(task)
    assert (
        Refinement(),
        Refinement(position_limits=True),
        Refinement(precision=Precision.TERMINAL),
        Refinement(clearance=CLEARANCES[0]),
    ) == PREPARED
    solvers = planner._setups.of("position").solvers
    assert set(solvers._solvers) == {Refinement()}
    planner.prepare()
    assert set(solvers._solvers) == set(PREPARED)
    with pytest.raises(PlanningError, match="unknown type of goal 'place'; use position, pose, joints"):
        planner.prepare("place")


def test_starters_can_be_handed_in(task, state) -> None:
    class Still:
        phase, asked = "start", 0

        def propose(self, task: ArmReach, instance: Instance, budget: Any) -> list[Proposal]:
            self.asked += 1
            return [Proposal("still", task.gravity_rollout(instance), 1.0)]

    starter = Still()
    made = Planner(task, starters=[starter]).plan(state, task.robot.tool_position(state[:6]))
    assert starter.asked == 1 and made.source == "still" and made.reached


def test_samples_are_those_of_the_task_unless_given(task, policy) -> None:
    usual = Planner(task, policy)._proposing
    assert usual is not None and (usual._samples, usual._seed) == (task.config.policy.samples, 0)
    given = Planner(task, policy, samples=2, seed=5)
    assert given._proposing._samples == 2 and given._proposing._seed == 5  # type: ignore[union-attr]
    assert Planner(task).policy_failures == 0
    given._proposing.failures = 3  # type: ignore[union-attr]
    assert given.policy_failures == 3


def test_a_measurement_comes_before_the_first_plan(task) -> None:
    search = Planner(task)._setups.of("position").search
    assert search._refiner._refining.seconds > 0.0 and search._refiner._judging.seconds > 0.0
