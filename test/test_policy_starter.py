"""What a policy proposes, and when it is counted as a failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripted_planning import INSTANCE, guess
from scripted_starters import Fitting, Task, diverged, propose

from sobo_planner.errors import DeadlineError, PolicyError
from sobo_planner.planning import policy_starter
from sobo_planner.planning.policy_starter import PolicyStarter
from sobo_planner.policy.rollout import Rollouts
from sobo_planner.solver import UNLIMITED, Instance


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
    monkeypatch.setattr(policy_starter, "rollouts", script)
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


def test_in_its_world_a_free_way_is_proposed_before_a_cheaper_one_that_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Rollouts([guess(2.0), guess(3.0), guess(1.0)], np.array([20.0, 30.0, np.inf]))
    monkeypatch.setattr(policy_starter, "rollouts", Script(found))
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
