"""Plans at a pace: views that the search is given, durations that are kept or refused, speeds along the splines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plan_checks import check_plan, peaks

from sobo_planner.errors import DeadlineError, PlanInterruptedError, PlanningError, PlanRefusedError
from sobo_planner.planning.planner import Plan, Planner, PlanStatus
from sobo_planner.planning.record import Account, Found
from sobo_planner.planning.search import Search
from sobo_planner.solver import Solution, SolverStatus
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains, commands
from sobo_planner.tasks.arm.timing import Pace

RATED, LIMIT = np.pi, 8.0  # of every joint of the arm as shipped
GOAL = np.array([-0.5, 0.2, 0.3])  # a second and a fifth from home


@pytest.fixture(scope="module")
def planner(task: ArmReach) -> Planner:
    return Planner(task)


@pytest.fixture
def state(home: np.ndarray) -> np.ndarray:
    return np.concatenate([home, np.zeros(6)])


# ---------------------------------------------------------------- with scripted searches


def found(task: ArmReach, state: np.ndarray, duration: float | None = None, off: float = 0.0) -> Found:
    """The result of a search: the first joint turns a tenth of a radian, and is so much off the state in the end."""
    X, U = np.tile(state, (101, 1)), np.ones((100, 6))
    X[:, 0] += np.linspace(0.1 + off, off, 101)
    X[:, 7] = np.sin(np.linspace(0.0, np.pi, 101))
    arrays = {name: np.zeros(0) for name in ("k", "A", "B")} | {"X": X, "U": U, "K": np.ones((100, 6, 12))}
    figures: dict[str, Any] = {"initial_cost": 2.0, "cost": 1.0, "iterations": 2, "primal_residual": 1e-5}
    figures |= {"dual_residual": 0.0, "message": "", "time_ms": 1.0, "cpu_ms": 1.0, "status": SolverStatus.CONVERGED}
    return Found(Solution(**arrays, **figures), "gravity", Account(), duration)


class Script:
    """Stands for `Search.run`: answers in turn, and keeps the searches and budgets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Found | Exception) -> None:
        self.answers, self.searches, self.budgets = list(answers), [], []  # type: ignore[var-annotated]
        monkeypatch.setattr(Search, "run", lambda search, instance, budget: self.run(search, budget))

    def run(self, search: Search, budget: Any) -> Found:
        self.searches.append(search)
        self.budgets.append(budget)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def tasks(self) -> list[ArmReach]:
        return [search._task for search in self.searches]


def test_the_search_and_its_parts_have_the_view_that_was_asked_for(task, planner, state, monkeypatch) -> None:
    script = Script(monkeypatch, found(task, state))
    state[7] = -2.0
    planner.plan(
        state, task.robot.tool_position(state[:6]), duration=3.0, velocity_scaling=0.5, acceleration_scaling=0.25
    )
    (search,), (view,) = script.searches, script.tasks
    assert view.nominal is task and view.duration == pytest.approx(3.0) and not view.fits
    np.testing.assert_allclose(view.velocity_limit, [0.5 * RATED, 2.0, *[0.5 * RATED] * 4])
    np.testing.assert_allclose(view.acceleration_limit, 0.25 * LIMIT)
    assert search._refiner._solvers._task is view and search._refiner._judge._task is view  # type: ignore[attr-defined]
    assert planner._setups.of("position").task is task


def test_motions_fit_their_way_unless_a_duration_is_asked_for(task, planner, state, monkeypatch) -> None:
    script = Script(monkeypatch, *[found(task, state)] * 2)
    at = task.robot.tool_position(state[:6])
    planner.plan(state, at)
    planner.plan(state, at, velocity_scaling=0.5)
    assert [view.fits for view in script.tasks] == [True, True]
    assert [view.velocity_limit[0] for view in script.tasks] == pytest.approx([0.95 * RATED, 0.5 * RATED])


def test_a_plan_has_the_duration_costs_torques_and_gains_of_the_pace_that_was_found(
    task, planner, state, monkeypatch
) -> None:
    result = found(task, state, 1.5)
    Script(monkeypatch, result)
    made = planner.plan(state, task.robot.tool_position(state[:6]))
    view, solution = task.paced(Pace()).lasting(1.5), result.solution
    assert made.duration == pytest.approx(1.5) and len(made.time) == 101
    np.testing.assert_allclose(made.time, np.linspace(0.0, 1.5, 101))
    assert made.cost == view.cost(solution.X, solution.U, made.goal) != task.cost(solution.X, solution.U, made.goal)
    U, K = commands(view, Gains.TRACKING, solution.X, solution.U, solution.K)
    np.testing.assert_array_equal(made.U, U)
    np.testing.assert_array_equal(made.K, K)
    assert not np.allclose(K, commands(task, Gains.TRACKING, solution.X, solution.U, solution.K)[1])


def test_gains_are_the_solvers_where_those_are_asked_for(task, state, monkeypatch) -> None:
    result = found(task, state, 1.5)
    Script(monkeypatch, result)
    planner = Planner(task, gains=Gains.TASK)
    assert planner.plan(state, task.robot.tool_position(state[:6])).K is result.solution.K
    assert planner._setups.of("position").search._refiner._judge._gains is Gains.TASK  # type: ignore[attr-defined]
    assert Planner(task)._setups.of("pose").search._refiner._judge._gains is Gains.TRACKING  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "options, told", [({}, False), ({"first_order": True}, True), ({"gains": Gains.TASK}, True)], ids=str
)
def test_gains_of_the_optimum_are_found_where_they_are_asked_for(task, state, options: dict, told: bool) -> None:
    made = Planner(task, **options).plan(state, task.robot.tool_position(state[:6] + 0.3))
    plain = Planner(task).plan(state, task.robot.tool_position(state[:6] + 0.3))
    np.testing.assert_array_equal(made.X, plain.X)
    assert (made.optimum is not None) is told
    if made.optimum is not None:
        assert made.optimum.K.shape == made.K.shape and np.isfinite(made.optimum.K).all()
        assert np.allclose(made.optimum.K, made.K) is ("gains" in options)


def asked_for(task: ArmReach, planner: Planner, state: np.ndarray, **options: float) -> Plan:
    """A plan in 0.5 s to where the tool is."""
    return planner.plan(state, task.robot.tool_position(state[:6]), duration=0.5, **options)


SHORT = 0.2  # [rad] that the first joint may be off: 16 cm of the tool


def test_a_duration_that_is_too_short_is_refused_with_the_shortest(task, planner, state, monkeypatch) -> None:
    script = Script(monkeypatch, found(task, state, off=SHORT), found(task, state, 1.234))
    told = (
        r"cannot be reached in 0.5 s: the shortest motion that was found takes 1.23 s; ask for that or more, or for no"
    )
    with pytest.raises(PlanningError, match=told):
        asked_for(task, planner, state, velocity_scaling=0.5, acceleration_scaling=0.25)
    first, second = script.tasks
    assert (first.fits, second.fits) == (False, True)
    np.testing.assert_array_equal(first.velocity_limit, second.velocity_limit)
    np.testing.assert_array_equal(first.acceleration_limit, second.acceleration_limit)
    assert script.budgets[0] is script.budgets[1]


@pytest.mark.parametrize("second", ["short", "as long", "deadline", "nothing"])
def test_where_more_time_is_not_known_to_help_the_plan_that_ends_closest_is_returned(
    task, planner, state, monkeypatch, second
) -> None:
    answer = {
        "short": found(task, state, 3.0, SHORT),
        "as long": found(task, state, 0.5),
        "deadline": DeadlineError("late"),
        "nothing": PlanningError("no start"),
    }[second]
    script = Script(monkeypatch, found(task, state, off=SHORT), answer)
    made = asked_for(task, planner, state)
    assert made.status is PlanStatus.SHORT and made.duration == pytest.approx(0.5) and script.answers == []


def test_a_duration_in_which_no_plan_may_be_executed_is_refused_with_the_shortest_in_which_one_may(
    task, planner, state, monkeypatch
) -> None:
    Script(monkeypatch, PlanRefusedError("links touch"), found(task, state, 1.234))
    told = "cannot be reached in 0.5 s: the shortest motion that was found takes 1.23 s"
    with pytest.raises(PlanningError, match=told):
        asked_for(task, planner, state)
    for second in (found(task, state, 3.0, SHORT), PlanningError("no start")):
        script = Script(monkeypatch, PlanRefusedError("links touch"), second)
        with pytest.raises(PlanRefusedError, match="links touch"):
            asked_for(task, planner, state)
        assert script.answers == []
    for error in (DeadlineError("late"), PlanInterruptedError("stopped")):
        script = Script(monkeypatch, error, found(task, state, 1.234))
        with pytest.raises(type(error)):
            asked_for(task, planner, state)
        assert len(script.answers) == 1
    Script(monkeypatch, PlanRefusedError("links touch"), found(task, state, 1.234))
    with pytest.raises(PlanRefusedError):
        planner.plan(state, task.robot.tool_position(state[:6]))


def test_an_interrupt_of_the_second_search_counts(task, planner, state, monkeypatch) -> None:
    Script(monkeypatch, found(task, state, off=SHORT), PlanInterruptedError("stopped"))
    with pytest.raises(PlanInterruptedError):
        asked_for(task, planner, state)


def test_more_time_is_looked_for_only_where_a_duration_was_asked_for_and_is_too_short(
    task, planner, state, monkeypatch
) -> None:
    Script(monkeypatch, found(task, state))
    assert asked_for(task, planner, state).status is PlanStatus.CONVERGED
    Script(monkeypatch, found(task, state, 1.0, SHORT))
    assert planner.plan(state, task.robot.tool_position(state[:6])).status is PlanStatus.SHORT


@pytest.mark.parametrize("name", ["duration", "velocity_scaling", "acceleration_scaling"])
def test_a_pace_that_makes_no_sense_is_refused(planner, state, name) -> None:
    with pytest.raises(PlanningError, match=f"^{name} must .* got 0$"):
        planner.plan(state, GOAL, **{name: 0.0})


# ---------------------------------------------------------------- the arm


@pytest.mark.parametrize("speed, acceleration", [(1.0, 1.0), (0.25, 1.0), (1.0, 0.25), (0.5, 0.1)])
def test_shares_of_speeds_and_accelerations_are_kept_along_the_splines(task, planner, speed, acceleration) -> None:
    rng, tops = np.random.default_rng(5), []
    for _ in range(3):
        instance = task.sample(rng)
        options = {"velocity_scaling": speed, "acceleration_scaling": acceleration}
        plan = planner.plan(instance.x0, instance.target, **options)
        check_plan(task, plan, instance.x0)
        speeds, accelerations = peaks(plan)
        assert plan.reached and plan.status is PlanStatus.CONVERGED
        assert speeds.max() <= speed * RATED + 1e-3 and accelerations.max() <= acceleration * LIMIT + 1e-2
        tops.append((speeds.max() / RATED / speed, accelerations.max() / LIMIT / acceleration))
    assert np.max(tops, axis=0)[0 if speed < 1.0 and acceleration == 1.0 else 1] > 0.99, "what is allowed is used"


@pytest.mark.parametrize("duration", [1.5, 4.0])
def test_a_duration_that_is_asked_for_is_kept(task, planner, state, duration) -> None:
    plan = planner.plan(state, GOAL, duration=duration)
    check_plan(task, plan, state)
    assert plan.duration == pytest.approx(duration) and plan.reached


def test_a_duration_in_which_the_arm_cannot_get_there_is_refused(task, planner, state) -> None:
    fitting = planner.plan(state, GOAL)
    assert 1.0 < fitting.duration < 1.4
    for duration in (0.5 * fitting.duration, 0.02):
        with pytest.raises(PlanningError, match=f"cannot be reached in .* takes {fitting.duration:.2f} s"):
            planner.plan(state, GOAL, duration=duration)


def test_a_short_way_takes_little_time(task, planner, state) -> None:
    """To a centimetre from where the tool is: a hundred of the shortest steps of controllers."""
    at = task.robot.tool_position(state[:6])
    for way in ([0.0, 0.0, 0.0], [0.0, 0.0, 0.01], [0.01, 0.0, 0.0]):
        plan = planner.plan(state, at + way)
        check_plan(task, plan, state)
        assert plan.reached and plan.duration == pytest.approx(0.2, abs=0.05)


def test_a_moving_arm_may_begin_faster_than_its_share(task, planner, state) -> None:
    state[6:] = [0.5, -0.3, 0.4, 0.2, 0.0, 1.0]
    plan = planner.plan(state, GOAL, velocity_scaling=0.1)
    check_plan(task, plan, state)
    speeds, accelerations = peaks(plan)
    assert plan.reached and accelerations.max() <= LIMIT + 1e-2
    assert (speeds <= np.maximum(0.1 * RATED, np.abs(state[6:])) + 1e-3).all()


def test_the_fastest_motions_take_little_longer_than_their_way_allows(task, planner) -> None:
    """Against a tenth more than the least duration of the joints' way, and what more time was needed to get there."""
    rng = np.random.default_rng(8)
    for _ in range(4):
        instance = task.sample(rng)
        plan = planner.plan(instance.x0, instance.target)
        fitting = task.paced(Pace()).duration_of(plan.X[:, :6], instance.x0)
        assert 0.9 * plan.duration <= fitting <= 1.6 * plan.duration


def test_without_limits_on_accelerations_slower_motions_take_longer_in_proportion(unlimited, state) -> None:
    planner = Planner(unlimited)
    full, slow = planner.plan(state, GOAL), planner.plan(state, GOAL, velocity_scaling=0.25)
    assert (full.duration, slow.duration) == pytest.approx((2.0, 8.0))
    for plan, share in ((full, 1.0), (slow, 0.25)):
        check_plan(unlimited, plan, state)
        assert plan.reached and np.abs(plan.X[:, 6:]).max() <= share * RATED + 1e-3


def test_equal_requests_give_equal_plans_whatever_was_asked_for_between(task, planner, state) -> None:
    first = planner.plan(state, GOAL, velocity_scaling=0.5)
    planner.plan(state, GOAL, duration=3.0)
    second = planner.plan(state, GOAL, velocity_scaling=0.5)
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.U, second.U)
    assert replace(first, phases_ms={}).cost == second.cost
