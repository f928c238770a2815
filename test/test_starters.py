"""Starters: what they propose, and that a start which diverged is one start less."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripted_planning import INSTANCE, Clock, guess

from sobo_planner.errors import DeadlineError, PolicyError
from sobo_planner.planning import starters
from sobo_planner.planning.planner import Planner
from sobo_planner.planning.starters import (
    GRAVITY,
    AlternativeStarter,
    InterpolationStarter,
    PolicyStarter,
    SamplingStarter,
)
from sobo_planner.policy.rollout import Rollouts
from sobo_planner.robot.kinematics import inverse_kinematics
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance


def diverged() -> Guess:
    """A trajectory that ends in a NaN."""
    out = guess()
    out.X[-1, 0] = np.nan
    return out


class Task:
    """Returns trajectories as a test says; costs are first positions."""

    goal_type, nu, fits = "position", 1, False

    def __init__(self, found: list[Guess], bent: list[Guess | None] | None = None) -> None:
        self.found, self.bent = found, list(bent or [])
        self.asked: list[Any] = []
        self.slow: Any = self
        self.nominal: Any = self

    def interpolations(self, instance: Instance, budget: Budget) -> list[Guess]:
        """The first trajectories."""
        self.asked.append("interpolations")
        return self.found[:4]

    def lines(self, instance: Instance, budget: Budget) -> list[np.ndarray]:
        """Their ways."""
        self.asked.append("lines")
        return [each.X[:, :1] for each in self.found[:4]]

    def starts(self, instance: Instance, n: int, rng: np.random.Generator, budget: Budget) -> list[Guess]:
        """All of them."""
        self.asked.append((n, rng.integers(1000), budget))
        return self.found

    def bend(self, way: Guess, instance: Instance, budget: Budget) -> Guess | None:
        """The next bent one."""
        return self.bent.pop(0)

    def cost(self, X: np.ndarray, U: np.ndarray, target: np.ndarray) -> float:
        """The first position."""
        assert np.isfinite(X).all()
        return float(X[0, 0])


class Fitting(Task):
    """A view whose motions last as long as a tenth of their first position, or a second to stay."""

    fits, duration = True, 7.0

    def __init__(self, found: list[Guess], bent: list[Guess | None] | None = None) -> None:
        super().__init__([])
        self.slow, self.nominal = Task(found), Task(found, bent)

    def duration_of(self, way: np.ndarray, x0: np.ndarray) -> float:
        """See `ArmPaces.duration_of`."""
        assert x0 is INSTANCE.x0 and np.isfinite(way).all()
        return 0.1 * float(way[0, 0]) or 1.0

    def lasting(self, duration: float) -> Any:
        """A view that costs its duration, beside the first position, and hurries along ways by moving them."""
        view = Task([])
        view.along = lambda way, instance: guess(way[0, 0] + duration)  # type: ignore[attr-defined]
        view.cost_along = lambda way, instance: 100.0 * duration + way[0, 0]  # type: ignore[attr-defined]
        return view

    def along(self, way: np.ndarray, instance: Instance) -> Guess:
        """See `ArmPaces.along`."""
        return guess(way[0, 0] + 1000.0)

    def cost_along(self, way: np.ndarray, instance: Instance) -> float:
        """See `ArmPaces.cost_along`."""
        return 10.0 * float(way[0, 0])


def propose(starter: Any, task: Task, budget: Budget = UNLIMITED) -> list[tuple[str, float]]:
    found = starter.propose(task, INSTANCE, budget)
    return [(each.source, float(each.guess.X[0, 0])) for each in found]


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


def test_gravity_has_a_duration_where_the_interpolation_diverged() -> None:
    (found,) = AlternativeStarter(0).propose(Fitting([diverged(), guess(4.0)]), INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert (found.source, found.duration, found.guess.X[0, 0]) == (GRAVITY, 0.4, 4.0)


def test_where_no_duration_fits_starts_have_the_tasks() -> None:
    task = Task([guess(3.0), guess(4.0), guess(5.0)])
    found = [*InterpolationStarter().propose(task, INSTANCE, UNLIMITED)]  # type: ignore[arg-type]
    found += AlternativeStarter(0).propose(task, INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert [each.duration for each in found] == [None, None, None]


class Script:
    """Stands for `rollouts`: returns or raises what a test says, and keeps how it was called."""

    def __init__(self, result: Rollouts | Exception) -> None:
        self.result, self.options = result, {}
        self.task: Any = None

    def __call__(self, task: Any, policy: Any, instance: Instance, **options: Any) -> Rollouts:
        self.options, self.task = options, task
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def scripted(monkeypatch: pytest.MonkeyPatch, result: Rollouts | Exception) -> tuple[PolicyStarter, Script]:
    script = Script(result)
    monkeypatch.setattr(starters, "rollouts", script)
    return PolicyStarter(SimpleNamespace(world=None), samples=3, seed=4), script  # type: ignore[arg-type]


def test_the_cheapest_rollout_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Rollouts([guess(2.0), guess(1.0), guess(3.0)], np.array([2.0, 1.0, 3.0]))
    starter, script = scripted(monkeypatch, found)
    assert propose(starter, Task([])) == [("policy", 1.0)] and starter.failures == 0
    assert script.options["samples"] == 3 and script.options["budget"] is UNLIMITED
    assert script.options["rng"].integers(1000) == np.random.default_rng(4).integers(1000)


def test_rollouts_that_are_not_finite_are_counted_as_a_failure_only_if_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    starter, _ = scripted(monkeypatch, Rollouts([diverged(), guess(1.0)], np.array([np.inf, 1.0])))
    assert propose(starter, Task([])) == [("policy", 1.0)] and starter.failures == 0
    starter, _ = scripted(monkeypatch, Rollouts([diverged(), diverged()], np.array([np.inf, np.inf])))
    assert propose(starter, Task([])) == [] and starter.failures == 1
    starter, _ = scripted(monkeypatch, PolicyError("NaN"))
    assert propose(starter, Task([])) == [] and propose(starter, Task([])) == [] and starter.failures == 2


def test_a_deadline_is_no_failure_of_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    starter, _ = scripted(monkeypatch, DeadlineError("late"))
    with pytest.raises(DeadlineError):
        propose(starter, Task([]))
    assert starter.failures == 0


def test_for_a_pose_rollouts_are_also_bent_and_the_cheapest_of_all_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Rollouts([guess(2.0), guess(1.0)], np.array([2.0, 1.0]))
    for bent, cheapest in (([guess(0.5), None], 0.5), ([None, guess(7.0)], 1.0), ([diverged(), None], 1.0)):
        starter, _ = scripted(monkeypatch, found)
        task = Task([], bent)
        task.goal_type = "pose"
        assert propose(starter, task) == [("policy", cheapest)]


def rolled(monkeypatch: pytest.MonkeyPatch, task: Task) -> Any:
    """What is proposed of two rollouts, the second of which is cheaper at the nominal pace, where both are made."""
    starter, script = scripted(monkeypatch, Rollouts([guess(2.0), guess(6.0)], np.array([20.0, 10.0])))
    (found,) = starter.propose(task, INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert script.task is task.nominal and found.source == "policy"
    return found


def test_rollouts_are_timed_along_their_ways_where_durations_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cheapest is proposed as it then is; what it costs does not depend on where a limited motion ends."""
    found = rolled(monkeypatch, Fitting([]))
    assert (found.duration, found.guess.X[0, 0], found.cost) == (pytest.approx(0.2), 2.2, 22.0)


def test_rollouts_take_the_duration_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Fitting([])
    task.fits = False
    found = rolled(monkeypatch, task)
    assert (found.duration, found.guess.X[0, 0], found.cost) == (None, 1002.0, 20.0)


def test_a_rollout_at_the_nominal_pace_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rolled(monkeypatch, Task([]))
    assert (found.duration, found.guess.X[0, 0], found.cost) == (None, 6.0, 10.0)


def test_rollouts_to_a_pose_are_bent_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    for bent, way in (([guess(1.0), None], 1.0), ([guess(11.0), None], 2.0)):
        task = Fitting([], bent)
        task.goal_type = "pose"
        found = rolled(monkeypatch, task)
        assert (found.duration, found.guess.X[0, 0]) == (pytest.approx(0.1 * way), pytest.approx(1.1 * way))


def test_what_diverges_on_its_way_is_not_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in ("along", "cost_along"):
        task = Fitting([])
        task.fits = False
        bad = diverged() if broken == "along" else np.inf
        monkeypatch.setattr(task, broken, lambda way, instance, bad=bad: bad)
        starter, _ = scripted(monkeypatch, Rollouts([guess(2.0)], np.array([20.0])))
        assert propose(starter, task) == []


def test_where_the_joints_are_the_goal_a_policy_has_nothing_to_propose(monkeypatch: pytest.MonkeyPatch) -> None:
    starter, script = scripted(monkeypatch, PolicyError("not to be asked"))
    task = Task([])
    task.goal_type = "joints"
    assert propose(starter, task) == [] and starter.failures == 0 and script.task is None


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


def test_in_its_world_a_free_way_is_proposed_before_a_cheaper_one_that_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Rollouts([guess(2.0), guess(3.0), guess(1.0)], np.array([20.0, 30.0, np.inf]))
    monkeypatch.setattr(starters, "rollouts", Script(found))
    policy = SimpleNamespace(world={"hash": "known"}, serving=lambda task: policy)
    starter, touching = PolicyStarter(policy, samples=3, seed=0), {2.0}  # type: ignore[arg-type]
    task = Fitting([])
    task.slow = task
    task.robot = SimpleNamespace(
        first_contact=lambda times, Q, V: "touch" if Q[0, 0] in touching else None,
        world=SimpleNamespace(everything=()),
    )
    (proposal,) = starter.propose(task, INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert proposal.duration == pytest.approx(0.3) and proposal.in_cell
    assert proposal.way is not None and proposal.way[0, 0] == 3.0
    touching.add(3.0)
    (proposal,) = starter.propose(task, INSTANCE, UNLIMITED)  # type: ignore[arg-type]
    assert proposal.duration == pytest.approx(0.2), "where none is free, the cheapest"
