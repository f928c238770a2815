"""Starters: what they propose, and that a start which diverged is one start less."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripted_planning import INSTANCE, Clock, guess
from scripted_starters import Fitting, Task, diverged, propose

from sobo_planner.errors import DeadlineError
from sobo_planner.planning import starters
from sobo_planner.planning.planner import Planner
from sobo_planner.planning.policy_starter import PolicyStarter
from sobo_planner.planning.proposals import GRAVITY
from sobo_planner.planning.starters import AlternativeStarter, InterpolationStarter, SamplingStarter
from sobo_planner.robot.kinematics import inverse_kinematics
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance


def test_interpolation_is_proposed_with_its_cost() -> None:
    (found,) = InterpolationStarter().propose(Task([guess(3.0)]), INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert (found.source, found.cost) == ("interpolation", 3.0)


def test_the_cheapest_of_the_first_interpolations_is_proposed() -> None:
    found = Task([guess(3.0), diverged(), guess(2.0), guess(1.0)])
    assert propose(InterpolationStarter(), found) == [("interpolation", 2.0)]


def test_where_durations_fit_the_cheapest_motion_that_does_not_diverge_is_proposed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Motions are made from the cheapest way on, until one is finite: ways 2, 4 and 8 last 0.2, 0.4 and 0.8 s."""
    made = []

    def fitting(broken: tuple[float, ...]) -> Fitting:
        task = Fitting([guess(8.0), guess(2.0), guess(4.0)])
        monkeypatch.setattr(task.slow, "fits", True)
        lasting = task.lasting

        def view(duration: float) -> Any:
            out = lasting(duration)
            along = out.along

            def motion(way: np.ndarray, instance: Instance) -> Guess:
                made.append(float(way[0, 0]))
                return diverged() if way[0, 0] in broken else along(way, instance)

            out.along = motion
            return out

        monkeypatch.setattr(task, "lasting", view)
        return task

    for broken, expected in (((), [2.0]), ((2.0,), [2.0, 4.0]), ((2.0, 4.0, 8.0), [2.0, 4.0, 8.0])):
        made.clear()
        found = InterpolationStarter().propose(fitting(broken), INSTANCE, UNLIMITED)  # type: ignore[arg-type]
        assert made == expected
        assert [each.cost for each in found] == ([] if len(broken) == 3 else [pytest.approx(11.0 * expected[-1])])


def test_a_start_that_diverged_is_not_proposed() -> None:
    assert propose(InterpolationStarter(), Task([diverged()])) == []
    others = [guess(1.0), diverged(), guess(2.0), diverged(), guess(3.0)]
    assert propose(AlternativeStarter(0), Task(others)) == [("posture", 2.0), ("posture", 3.0)]
    bad = guess(2.0)
    bad.U[0, 0] = np.inf
    assert propose(AlternativeStarter(0), Task([guess(), guess(1.0), bad])) == [(GRAVITY, 1.0)]


def test_a_start_of_infinite_cost_is_not_proposed() -> None:
    task = Task([guess(1.0)])
    task.cost = lambda X, U, target: np.inf  # type: ignore[method-assign]
    assert propose(InterpolationStarter(), task) == []


def test_alternatives_leave_the_interpolation_out_and_depend_on_the_seed_alone() -> None:
    task = Task([guess(1.0), guess(2.0), guess(3.0)])
    assert propose(AlternativeStarter(5), task) == [(GRAVITY, 2.0), ("posture", 3.0)]
    propose(AlternativeStarter(5), task)
    propose(AlternativeStarter(6), task)
    (n, first, _), (_, again, _), (_, other, _) = task.asked
    assert n == 6 and first == again != other


def test_where_durations_fit_ways_are_looked_for_slowly_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = InterpolationStarter().propose(Fitting([guess(3.0)]), INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert (found.source, found.duration) == ("interpolation", pytest.approx(0.3))
    assert found.guess.X[0, 0] == pytest.approx(3.3) and found.cost == pytest.approx(33.0)
    gravity, posture = AlternativeStarter(0).propose(
        Fitting([guess(2.0), guess(9.0), guess(5.0)]),
        INSTANCE,
        UNLIMITED,  # type: ignore[arg-type]
    )
    assert (gravity.source, gravity.duration, gravity.guess.X[0, 0]) == (GRAVITY, 0.2, 9.0), "to stay is no way"
    assert (posture.source, posture.duration, posture.guess.X[0, 0]) == ("posture", 0.5, 5.5)
    assert gravity.cost == posture.cost == np.inf


@pytest.mark.parametrize(
    "goal_type, velocity, asked",
    [("position", 0.0, "lines"), ("joints", 0.0, "lines"), ("pose", 0.0, "interpolations")]
    + [("position", 0.1, "interpolations"), ("joints", -0.1, "interpolations")],
)
def test_from_rest_straight_lines_are_timed_and_for_poses_the_cheapest_slow_motions(
    goal_type: str, velocity: float, asked: str
) -> None:
    task = Fitting([guess(3.0), guess(2.0), guess(5.0), guess(1.0)])
    task.goal_type = goal_type
    instance = Instance(np.array([0.0, velocity]), INSTANCE.target)
    task.duration_of = lambda way, x0: 0.1 * float(way[0, 0])  # type: ignore[method-assign]
    (found,) = InterpolationStarter().propose(task, instance, UNLIMITED)  # type: ignore[arg-type]
    assert task.slow.asked == [asked] and found.source == "interpolation"
    assert found.duration == pytest.approx(0.1 if asked == "lines" else 0.2), "three interpolations are compared"


@pytest.mark.parametrize("goal_type", ["position", "joints", "pose"])
@pytest.mark.parametrize(("least", "start"), [(2.5, 3.0), (0.5, 1.0), (9.0, 3.0)])
def test_among_objects_the_cheapest_line_that_touches_nothing_is_timed_or_else_the_first(
    goal_type: str, least: float, start: float
) -> None:
    task = Fitting([guess(3.0), guess(2.0), guess(5.0), guess(1.0)])
    free = lambda times, Q, V: None if Q[0, 0] > least else "contact"  # noqa: E731
    task.goal_type, task.least_clearance, task.robot = goal_type, 1.0, SimpleNamespace(first_contact=free)
    (found,) = InterpolationStarter().propose(task, INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert found.duration == pytest.approx(0.1 * start) and task.slow.asked == ["lines"]
    moving = Instance(np.array([0.0, 0.1]), INSTANCE.target)
    task.duration_of = lambda way, x0: 0.1 * float(way[0, 0])  # type: ignore[method-assign]
    (found,) = InterpolationStarter().propose(task, moving, UNLIMITED)  # type: ignore[arg-type]
    assert found.duration == pytest.approx(0.2) and task.slow.asked[1:] == ["interpolations"]


def test_gravity_has_a_duration_where_the_interpolation_diverged() -> None:
    (found,) = AlternativeStarter(0).propose(Fitting([diverged(), guess(4.0)]), INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert (found.source, found.duration, found.guess.X[0, 0]) == (GRAVITY, 0.4, 4.0)


def test_where_no_duration_fits_starts_have_the_tasks() -> None:
    task = Task([guess(3.0), guess(4.0), guess(5.0)])
    found = [*InterpolationStarter().propose(task, INSTANCE, UNLIMITED)]  # type: ignore[arg-type]
    found += AlternativeStarter(0).propose(task, INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert [each.duration for each in found] == [None, None, None]


# ---------------------------------------------------------------- with the real arm


def test_lines_are_the_ways_of_interpolations_from_rest(task, home) -> None:
    for view, target in (
        (task, task.robot.tool_position(home + 0.4)),
        (task.with_orientation(), task.robot.tool_pose(home + 0.4)),
        (task.with_goal_type("joints"), home + 0.4),
    ):
        instance = Instance(np.concatenate([home, np.zeros(6)]), target)
        lines = view.slow.lines(instance)
        ends = np.array([each.X[-1, :6] for each in view.slow.interpolations(instance)])
        assert len(lines) == len(ends)
        for line in lines:
            assert line.shape == (task.horizon + 1, 6) and np.abs(np.diff(line, 2, axis=0)).max() < 1e-12
            np.testing.assert_array_equal(line[0], home)
            assert np.abs(ends - line[-1]).max(axis=1).min() < 0.1


def test_interpolations_to_a_position_lead_to_the_nearest_postures_the_cheapest_first(task) -> None:
    rng = np.random.default_rng(2)
    for instance in [task.sample(rng) for _ in range(3)]:
        found = task.interpolations(instance)
        costs = [task.cost(each.X, each.U, instance.target) for each in found]
        assert costs == sorted(costs) and len(found) == 3
        q0, speed = instance.x0[:6], task.velocity_limit
        nearest = sorted(task.goal_postures(instance), key=lambda q: (np.abs(q - q0) / speed).sum())[:3]
        expected = sorted(task._interpolate_to(instance, q).X[-1, :6].tolist() for q in nearest)
        np.testing.assert_allclose(sorted(each.X[-1, :6].tolist() for each in found), expected)
        np.testing.assert_array_equal(task.interpolate(instance).X, found[0].X)
        near = task.interpolate_near(instance)
        np.testing.assert_array_equal(near.X, task._interpolate_to(instance, task.goal_configuration(instance)).X)


def test_starts_for_which_there_is_no_other_posture_are_the_cheapest_again(task, home, monkeypatch) -> None:
    instance = Instance(np.concatenate([home, np.zeros(6)]), np.array([0.4, 0.3, 0.4]))
    monkeypatch.setattr(type(task), "elsewhere", lambda self, instance, rng, budget: None)
    cheapest, gravity, *others = task.starts(instance, 6, np.random.default_rng(0))
    assert [each is cheapest for each in others] == [False, False, True, True] and gravity is not cheapest


def test_a_plan_survives_an_interpolation_that_diverges(task, policy, home, monkeypatch) -> None:
    """One start less, with the policy and without."""
    state = np.concatenate([home, np.zeros(6)])
    monkeypatch.setattr(type(task), "_interpolate_to", lambda self, instance, q: Guess(
        np.full((self.horizon + 1, self.nx), np.nan), np.zeros((self.horizon, self.nu))
    ))  # fmt: skip
    nowhere = [np.full((task.horizon + 1, 6), np.nan)]
    monkeypatch.setattr(type(task), "lines", lambda self, instance, budget: nowhere)
    plan = Planner(task, policy).plan(state, [0.4, 0.3, 0.4])
    assert plan.reached and plan.source == "policy"
    assert Planner(task).plan(state, [0.4, 0.3, 0.4]).source == GRAVITY
    pose = task.with_orientation()
    found = pose.interpolate(Instance(state, pose.robot.tool_pose(home + 0.1)))
    assert np.isnan(found.X).any()  # sorting them by cost is no error


class Ticking(Clock):
    """Every look at the clock takes a millisecond."""

    def __call__(self) -> float:
        self.now += 1e-3
        return self.now


def test_inverse_kinematics_rollouts_and_postures_end_with_the_budget(task, policy, home) -> None:
    far = np.array([3.0, 0.0, 0.0])
    assert inverse_kinematics(task.robot, home, far, over=lambda: True) is None
    state = np.concatenate([home, np.zeros(6)])
    with pytest.raises(DeadlineError, match="inverse kinematics of the goal did not finish within .* 0.02 s"):
        task.check(Instance(state, far), Budget(0.02, clock=Ticking()))
    reachable = Instance(state, np.array([0.4, 0.3, 0.4]))
    with pytest.raises(DeadlineError, match="the policy's rollout did not finish"):
        PolicyStarter(policy, 1, 0).propose(task, reachable, Budget(0.001, clock=Ticking()))
    pose = task.with_orientation()
    goal = Instance(state, pose.robot.tool_pose(home + 0.3))
    all_of_them, few = pose.goal_postures(goal), pose.goal_postures(goal, Budget(0.005, clock=Ticking()))
    assert 1 <= len(few) < len(all_of_them)


def test_a_plan_from_sampling_alone_needs_no_inverse_kinematics(task, home, monkeypatch) -> None:
    """Neither for where the arm ends nor for its way."""
    instance = Instance(np.concatenate([home, np.zeros(6)]), np.array([0.4, 0.3, 0.4]))
    planner = Planner(task, starters=[SamplingStarter(seed=0)])
    monkeypatch.setattr(type(task), "check_goal", lambda *_: None)
    monkeypatch.setattr(type(task), "goal_configuration", lambda *_: pytest.fail("inverse kinematics"))
    plan = planner.plan(instance.x0, instance.target)
    assert plan.source == "sampling" and plan.tool_error < 0.01
    again = SamplingStarter(seed=0).propose(task, instance, UNLIMITED)
    np.testing.assert_array_equal(
        again[0].guess.X, SamplingStarter(seed=0).propose(task, instance, UNLIMITED)[0].guess.X
    )


@pytest.mark.parametrize(("late_after", "chosen"), [(3, 1), (1, 0)], ids=["in time", "in time for one"])
def test_the_cheapest_of_the_samplings_that_there_is_time_for(task, home, monkeypatch, late_after, chosen) -> None:
    instance = Instance(np.concatenate([home, np.zeros(6)]), np.array([0.4, 0.3, 0.4]))
    guesses, made = task.starts(instance, 3, np.random.default_rng(0)), []

    def diffuse(*_: Any, **__: Any) -> Any:
        if len(made) == late_after:
            raise DeadlineError("late")
        made.append(guesses[len(made)])
        return SimpleNamespace(guess=made[-1], chain=SimpleNamespace(cost=(3.0, 1.0, 2.0)[len(made) - 1]))

    monkeypatch.setattr(starters, "diffuse", diffuse)
    [proposal] = SamplingStarter(seed=0).propose(task, instance, UNLIMITED)
    way = guesses[chosen].X[:, :6]
    assert (
        np.abs(proposal.guess.X[-1, :6] - way[-1]).max() < np.abs(proposal.guess.X[-1, :6] - guesses[2].X[-1, :6]).max()
    )
    assert len(made) == min(3, late_after)


def test_sampling_fits_a_slower_view_and_ends_with_the_budget(task, home) -> None:
    instance = Instance(np.concatenate([home, np.zeros(6)]), np.array([0.4, 0.3, 0.4]))
    slower = task.lasting(4.0)
    [proposal] = SamplingStarter(seed=0).propose(slower, instance, UNLIMITED)
    assert np.isfinite(proposal.cost)
    q, v = proposal.guess.X[:, :6], proposal.guess.X[:, 6:]
    np.testing.assert_allclose(np.diff(q, axis=0), 0.5 * slower.dt * (v[1:] + v[:-1]), atol=1e-9)
    with pytest.raises(DeadlineError, match="sampling"):
        SamplingStarter(seed=0).propose(task, instance, Budget(1e-9))
