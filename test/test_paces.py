"""Views of an arm's task: slower ones, and those whose motions last longer, against tasks that were built that way."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from sobo_planner.solver import Instance, Refinement, RefinementSolvers, Solver
from sobo_planner.tasks import ArmReach, load_task
from sobo_planner.tasks.arm.paces import UNHURRIED
from sobo_planner.tasks.arm.timing import Pace

PLAIN = Refinement()
RATED, LIMIT = np.pi, 8.0  # of every joint of the arm as shipped


@pytest.fixture
def instance(task: ArmReach, home: np.ndarray) -> Instance:
    return Instance(np.concatenate([home, np.zeros(6)]), np.array([0.4, 0.3, 0.4]))


def moving(home: np.ndarray, *speeds: float) -> np.ndarray:
    """A state at home whose first joints move."""
    return np.concatenate([home, speeds, np.zeros(6 - len(speeds))])


def straight(home: np.ndarray, *moves: float, points: int = 11) -> np.ndarray:
    """A straight way from home."""
    end = np.concatenate([moves, np.zeros(6 - len(moves))])
    return home + np.linspace(0.0, 1.0, points)[:, None] * end


# ---------------------------------------------------------------- shares and durations


def test_a_view_is_the_same_task_at_another_pace_and_leaves_it_as_it_was(task: ArmReach) -> None:
    before = dict(vars(task))
    view = task.paced(Pace(3.0, 0.5, 0.25))
    assert vars(task).keys() == before.keys() and all(vars(task)[name] is value for name, value in before.items())
    assert view.robot is task.robot and view.nominal is task and view.config is task.config
    assert (view.hash, view.policy_hash, view.robot_hash) == (task.hash, task.policy_hash, task.robot_hash)
    assert view.dt == pytest.approx(0.03) and view.duration == pytest.approx(3.0) and view.horizon == task.horizon
    np.testing.assert_allclose(view.velocity_limit, 0.5 * RATED)
    np.testing.assert_allclose(view.acceleration_limit, 0.25 * LIMIT)
    assert not view.fits and not task.fits


def test_shares_are_those_of_the_robot_and_not_of_another_view(task: ArmReach) -> None:
    again = task.paced(Pace(3.0, 0.5, 0.25)).paced(Pace(None, 0.8, 0.5))
    np.testing.assert_allclose(again.velocity_limit, 0.8 * RATED)
    np.testing.assert_allclose(again.acceleration_limit, 0.5 * LIMIT)
    assert again.fits and again.nominal is task and again.duration == pytest.approx(2.0 / np.sqrt(0.5))


@pytest.mark.parametrize(
    "pace, duration",
    [(Pace(), 2.0), (Pace(None, 0.25, 0.25), 8.0), (Pace(None, 0.5, 0.01), 20.0), (Pace(7.0, 0.5), 7.0)],
)
def test_without_a_duration_the_tasks_own_is_stretched_by_what_is_slower(task, pace, duration) -> None:
    assert task.paced(pace).duration == pytest.approx(duration)


def test_motions_fit_their_way_where_there_are_limits_on_accelerations(task, unlimited) -> None:
    assert task.paced(Pace()).fits and task.paced(Pace(None, 0.5, 0.5)).fits
    assert not task.paced(Pace(2.0)).fits and not unlimited.paced(Pace(None, 0.5)).fits
    slower = unlimited.paced(Pace(None, 0.5, 0.5))
    assert np.isinf(slower.acceleration_limit).all() and slower.duration == pytest.approx(4.0)
    assert unlimited.paced(Pace()) is unlimited, "a policy's rollouts are good starts as they are"
    assert unlimited.paced(Pace(2.0)) is not unlimited


def test_a_joint_that_moves_too_fast_need_not_be_slower_at_once(task: ArmReach, home: np.ndarray) -> None:
    pace = Pace(None, 0.25)
    x = moving(home, 1.0, -2.0, 0.1, -(RATED + 1e-3))
    expected = [1.0, 2.0, 0.25 * RATED, RATED, 0.25 * RATED, 0.25 * RATED]
    np.testing.assert_allclose(task.paced(pace, x).velocity_limit, expected)
    np.testing.assert_allclose(task.paced(pace, moving(home)).velocity_limit, 0.25 * RATED)
    np.testing.assert_allclose(task.paced(pace).velocity_limit, 0.25 * RATED)
    np.testing.assert_array_equal(task.paced(Pace(), x).velocity_limit, task.robot.velocity_limit)


def test_whole_motions_begin_and_end_smoothly(task: ArmReach, unlimited: ArmReach, home: np.ndarray) -> None:
    assert task.ramps == task.paced(Pace()).ramps == task.slow.ramps == (0, 0)
    still, moved = task.from_rest_to_rest(Pace(), moving(home)), task.from_rest_to_rest(Pace(), moving(home, 0.04))
    assert (still.ramps, moved.ramps) == ((4, 4), (0, 4))
    assert task.from_rest_to_rest(Pace(), moving(home, 0.0, -0.03)).ramps == (4, 4), "what encoders' noise looks like"
    way, usual = straight(home, 2.0), task.paced(Pace(None, 0.95)).duration_of(straight(home, 2.0), moving(home))
    assert still.duration_of(way, moving(home)) == pytest.approx(usual / 0.96)
    assert still.lasting(3.0).ramps == pickle.loads(pickle.dumps(still)).ramps == (4, 4)
    assert (still._spec(PLAIN).ramp_start, moved._spec(PLAIN).ramp_start, moved._spec(PLAIN).ramp_end) == (4, 0, 4)
    assert unlimited.from_rest_to_rest(Pace(), moving(home)) is unlimited
    short = load_task("ur5", **{"problem.horizon": 9, "policy.T_h": 8, "policy.T_a": 4})
    assert short.from_rest_to_rest(Pace(), moving(home)).ramps == (1, 1)


def test_whole_motions_leave_some_of_the_speeds_to_the_controller(
    task: ArmReach, unlimited: ArmReach, home: np.ndarray
) -> None:
    for share, expected in ((1.0, 0.95), (0.97, 0.95), (0.95, 0.95), (0.5, 0.5)):
        view = task.from_rest_to_rest(Pace(None, share, 0.5), moving(home))
        np.testing.assert_allclose(view.velocity_limit, expected * RATED)
        np.testing.assert_allclose(view.acceleration_limit, 0.5 * LIMIT)
    moved = task.from_rest_to_rest(Pace(), moving(home, 0.98 * RATED))
    np.testing.assert_allclose(moved.velocity_limit, [0.98 * RATED, *[0.95 * RATED] * 5])
    none = load_task("ur5", **{"tracking.speed_margin": 0.0}).from_rest_to_rest(Pace(), moving(home))
    np.testing.assert_allclose(none.velocity_limit, RATED)
    np.testing.assert_allclose(unlimited.from_rest_to_rest(Pace(2.0), moving(home)).velocity_limit, RATED)
    np.testing.assert_allclose(task.paced(Pace()).velocity_limit, RATED)  # what replans all the time needs none


def test_positions_at_knots_leave_room_for_what_is_between_them(task: ArmReach, home: np.ndarray) -> None:
    """A joint that arrives at a speed and has the opposite one a step later goes a quarter of a step further."""
    low, high = task.robot.position_lower, task.robot.position_upper
    for same in (task, task.paced(Pace(), moving(home)), task.slow):
        np.testing.assert_array_equal(same.position_bounds(), (low, high))
    q = home.copy()
    q[:3] = low[0], high[1] - 0.001, high[2] + 0.001
    for pace, margin in ((Pace(4.0, 0.01), 0.01 * RATED * 0.04 / 4.0), (Pace(4.0), LIMIT * 0.04**2 / 8.0)):
        lower, upper = task.from_rest_to_rest(pace, moving(q)).position_bounds()
        full = margin + 5e-4
        np.testing.assert_allclose(lower - low, [0.0, *[full] * 5], atol=1e-12)
        np.testing.assert_allclose(high - upper, [full, min(0.001, full), 0.0, *[full] * 3], atol=1e-12)


def test_where_jerk_is_limited_accelerations_are_those_that_may_turn_round_within_a_step(home: np.ndarray) -> None:
    task = load_task("ur5", **{"robot.jerk_limits": [500.0]})
    np.testing.assert_allclose(task.acceleration_limit, 5.0)  # 0.02 s
    np.testing.assert_allclose(task.paced(Pace(1.0)).acceleration_limit, 2.5)
    np.testing.assert_allclose(task.paced(Pace(4.0)).acceleration_limit, LIMIT)
    view, way = task.paced(Pace()), straight(home, 0.02)
    np.testing.assert_allclose(view.acceleration_limit, LIMIT)
    duration = view.duration_of(way, moving(home))
    bound = view.lasting(duration).acceleration_limit
    np.testing.assert_allclose(bound, 500.0 * duration / 200.0)
    # From rest to rest in step: half of the way at each bound.
    assert duration == pytest.approx(1.1 * 2.0 * np.sqrt(0.02 / bound[0]), rel=0.01)
    assert view.duration_of(straight(home, 2.0), moving(home)) > task.paced(Pace(None, 0.5)).duration_of(
        way, moving(home)
    )


def test_another_duration_leaves_all_else(task: ArmReach) -> None:
    view = task.paced(Pace(None, 0.5, 0.25))
    longer = view.lasting(6.0)
    assert longer.duration == pytest.approx(6.0) and longer.dt == pytest.approx(0.06) and view.dt != longer.dt
    assert longer.fits and longer.nominal is task
    for name in ("velocity_limit", "acceleration_limit", "torque_limit"):
        assert getattr(longer, name) is getattr(view, name)


def test_ways_that_are_timed_later_are_looked_for_in_time_enough_and_with_all_of_the_limits(task, unlimited) -> None:
    slow = task.paced(Pace(None, 0.1, 0.1)).slow
    assert slow.duration == pytest.approx(UNHURRIED * 2.0) and UNHURRIED == 6.0 and not slow.fits
    assert slow.velocity_limit is task.velocity_limit and slow.acceleration_limit is task.acceleration_limit
    for other in (task, task.paced(Pace(1.0, 0.5)), unlimited):
        assert other.slow is other


def test_the_cost_along_a_way_is_that_of_its_motion_without_limits(task: ArmReach, instance: Instance) -> None:
    """The motion's own where that keeps to the way; along a bend it ends at rest, where a limited one cannot."""
    home = instance.x0[:6]
    view = task.lasting(2.0)
    way = straight(home, 0.3, -0.2)
    guess = view.along(way, instance)
    assert view.cost_along(way, instance) == pytest.approx(view.cost(guess.X, guess.U, instance.target), rel=0.02)
    bent = np.vstack([straight(home, 1.0), straight(home, 1.0, 1.0)[-1:] + [0, 0, 0, 1, 0, 0]])
    hurried = task.lasting(0.6)
    guess = hurried.along(bent, instance)
    assert hurried.cost(guess.X, guess.U, instance.target) > 2.0 * hurried.cost_along(bent, instance)
    twice = hurried.cost_along(np.repeat(bent, 2, axis=0), instance)
    assert twice == pytest.approx(hurried.cost_along(bent, instance), rel=1e-6)


def test_the_cost_along_a_way_counts_torques_where_these_are_the_controls() -> None:
    """With RK2; elsewhere the native problem finds them from the states."""
    task = load_task("ur5", integrator="rk2", damping=[0.0] * 6)
    instance = task.sample(np.random.default_rng(4))
    guess = task.interpolate(instance)
    along = task.cost_along(guess.X[:, :6], instance)
    torques = task.robot.linear_torques(guess.X[:-1], np.diff(guess.X[:, 6:], axis=0) / task.dt)[0]
    still = task.cost(guess.X, 0.0 * torques, instance.target)
    assert along == pytest.approx(task.cost(guess.X, torques, instance.target), rel=0.1) and along > 1.05 * still


# ---------------------------------------------------------------- the problem of a view


def figures(view: Any) -> dict[str, Any]:
    names = ("dt", "fits", "horizon", "hash", "goal_type", "integrator")
    limits = ("velocity_limit", "acceleration_limit", "torque_limit")
    return {name: getattr(view, name) for name in names} | {name: getattr(view, name).tolist() for name in limits}


def test_a_pickle_of_a_view_gives_the_same_view(task: ArmReach, home: np.ndarray, instance: Instance) -> None:
    paced = task.paced(Pace(None, 0.5, 0.25), moving(home, 2.0))
    way = straight(home, 0.5)
    for view in (paced, paced.lasting(3.0), paced.lasting(3.0).lasting(1.5), task.lasting(5.0), task.paced(Pace(4.0))):
        back = pickle.loads(pickle.dumps(view))
        assert figures(back) == figures(view)
        assert figures(back.nominal) == figures(task)
        guess = view.along(way, instance)
        np.testing.assert_array_equal(back.along(way, instance).X, guess.X)
        target = instance.target
        assert back.cost(guess.X, guess.U, target) == view.cost(guess.X, guess.U, target)


def test_costs_are_those_of_a_task_with_these_steps(task: ArmReach, instance: Instance) -> None:
    """One native problem for all views, asked in turn."""
    built = {dt: load_task("ur5", **{"problem.dt": dt}) for dt in (0.01, 0.02, 0.05)}
    views = {dt: task.lasting(100 * dt) for dt in built}
    for dt in (0.01, 0.05, 0.02, 0.01, 0.01, 0.05):
        guess = built[dt].interpolate(instance)
        expected = built[dt].cost(guess.X, guess.U, instance.target)
        assert views[dt].cost(guess.X, guess.U, instance.target) == pytest.approx(expected, rel=1e-12)
    assert task.cost(guess.X, guess.U, instance.target) != pytest.approx(expected, rel=1e-3)


def test_costs_begin_with_the_first_state(task: ArmReach, instance: Instance) -> None:
    """The position of the tool there costs, and the torques of the first step."""
    guess = task.interpolate(instance)
    before, X = task.cost(guess.X, guess.U, instance.target), guess.X.copy()
    X[0, 1] += 0.1
    assert abs(task.cost(X, guess.U, instance.target) - before) > 1e-3


def test_costs_of_all_views_take_one_native_problem(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    arm, made = load_task("ur5"), []
    make = ArmReach.make_worker
    monkeypatch.setattr(ArmReach, "make_worker", lambda self, *parts: made.append(self) or make(self, *parts))
    guess = arm.interpolate(instance)
    for view in (arm, arm.lasting(3.0), arm.paced(Pace(None, 0.5)), arm.lasting(4.0), arm):
        view.cost(guess.X, guess.U, instance.target)
    assert len(made) == 1


def test_costs_of_one_view_after_another_switch_the_problem_once(instance: Instance, monkeypatch) -> None:
    arm, switched = load_task("ur5"), []
    adapt = ArmReach.adapt
    monkeypatch.setattr(ArmReach, "adapt", lambda self, *parts: switched.append(self) or adapt(self, *parts))
    guess, view = arm.interpolate(instance), arm.lasting(3.0)
    for each in (arm, arm, view, view, view, arm):
        each.cost(guess.X, guess.U, instance.target)
    assert len(switched) == 2 and switched[0] is view and switched[1] is arm


def test_a_policy_sees_a_slower_view_as_the_task_that_it_was_made_for(task: ArmReach, instance: Instance) -> None:
    """Observations and chunks are those of the same motion at the task's own pace."""
    view, rng = task.lasting(6.0), np.random.default_rng(2)
    x = np.concatenate([instance.x0[:6], rng.normal(size=6)])
    own = np.concatenate([x[:6], 3.0 * x[6:]])
    assert view.stretch == pytest.approx(3.0) and task.stretch == 1.0
    for t in (0, 40):
        expected = task.observation(own, instance.target, t)
        np.testing.assert_allclose(view.observation(x, instance.target, t), expected, atol=1e-12)
    chunk = rng.normal(size=(5, 12))
    found, usual = view.actions("state").decode(x, chunk), task.actions("state").decode(own, chunk)
    np.testing.assert_allclose(found[:, :6], usual[:, :6], atol=1e-12)
    np.testing.assert_allclose(3.0 * found[:, 6:], usual[:, 6:], atol=1e-12)
    u = np.zeros(6)
    np.testing.assert_allclose(view.actions("state").history(x, u), task.actions("state").history(own, u), atol=1e-12)


def test_solvers_of_views_solve_what_tasks_with_these_steps_and_limits_do(task: ArmReach, instance: Instance) -> None:
    """A view's motions keep its limits; the shared native problem is switched there and back."""
    built = load_task("ur5", **{"problem.dt": 0.03, "robot.acceleration_limits": [2.0]})
    view, solvers = task.paced(Pace(3.0, 1.0, 0.25)), RefinementSolvers(task)
    guess = built.interpolate(instance)
    expected, first = Solver(built).solve(instance, guess), solvers.solver(PLAIN).solve(instance, guess)
    for _ in range(2):
        found = solvers.of(view).solver(PLAIN).solve(instance, guess)
        np.testing.assert_allclose(found.X, expected.X, atol=1e-3)
        np.testing.assert_allclose(found.K, expected.K, atol=0.02 * np.abs(expected.K).max())
        assert np.abs(np.diff(found.X[:, 6:], axis=0)).max() / 0.03 <= 2.0 + 1e-2
        np.testing.assert_array_equal(solvers.solver(PLAIN).solve(instance, guess).X, first.X)


def test_speeds_of_a_solution_are_those_of_its_view(task: ArmReach, instance: Instance) -> None:
    view = task.paced(Pace(3.0, 0.25))
    found = RefinementSolvers(view).solver(PLAIN).solve(instance, view.interpolate(instance))
    top = np.abs(found.X[:, 6:]).max()
    assert found.converged and 0.98 * 0.25 * RATED < top <= 0.25 * RATED + 1e-3


def test_following_keeps_the_speeds_of_a_view(task: ArmReach, home: np.ndarray, instance: Instance) -> None:
    far = np.tile(np.concatenate([home + [1.0, -0.5, 0.0, 0.0, 0.5, 1.0], np.full(6, 9.0)]), (60, 1))
    for view, share, most in ((task.paced(Pace(2.0, 0.2)), 1.0, 0.2), (task.paced(Pace(2.0, 0.2)), 0.5, 0.1)):
        X, _ = view.track(instance.x0, far, 0.5, share)
        assert np.abs(X[:, 6:]).max() == pytest.approx(most * RATED, rel=1e-6)


def test_costs_of_slow_motions_are_smaller_in_the_native_problem_and_as_they_are_outside(
    task: ArmReach, instance: Instance
) -> None:
    """The cost of a step is no larger than at the task's own pace; faster motions are as they are."""
    own, slow, fast = task._spec(PLAIN), task.lasting(4.0 * task.duration), task.lasting(0.5 * task.duration)
    assert (slow.cost_scale, task.cost_scale, fast.cost_scale) == (0.25, 1.0, 1.0)
    np.testing.assert_allclose(slow._spec(PLAIN).running.position, own.running.position)
    np.testing.assert_allclose(slow._spec(PLAIN).terminal.position, 0.25 * own.terminal.position)
    np.testing.assert_allclose(fast._spec(PLAIN).running.position, 0.5 * own.running.position)
    np.testing.assert_allclose(fast._spec(PLAIN).terminal.position, own.terminal.position)
    guess = slow.interpolate(instance)
    solver = RefinementSolvers(slow).solver(PLAIN)
    outside = slow.cost(guess.X, guess.U, instance.target)
    assert solver.cost(guess.X, guess.U, instance.target) == pytest.approx(0.25 * outside)
