"""CycleStarts of a cycle: which there are, which is chosen, and when the policy is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sobo_planner.errors import PlanningError
from sobo_planner.motion import Motion
from sobo_planner.receding.starters import CycleStarts
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import Budget, Guess, Instance

TARGET = np.array([0.4, 0.3, 0.4])
HORIZON, NU, DT = 5, 2, 0.1


def guess(value: float) -> Guess:
    return Guess(np.full((HORIZON + 1, 2 * NU), value), np.zeros((HORIZON, NU)))


class Task:
    """Interpolations are as costly as a test says, and each of the other starts has a number of its own."""

    horizon, nu, nx, dt = HORIZON, NU, 2 * NU, DT
    nowhere = False

    def __init__(self, interpolation: float = 5.0) -> None:
        self.interpolation = interpolation

    def interpolate_near(self, instance: Instance, budget: Budget) -> Guess:
        return guess(self.interpolation)

    def elsewhere(self, instance: Instance, rng: np.random.Generator, budget: Budget) -> Guess | None:
        return None if self.nowhere else guess(float(rng.integers(10, 20)))


class Checker:
    """Refuses starts by their number."""

    def __init__(self, *refused: float) -> None:
        self.refused, self.seen = refused, []

    def check(self, time: Any, X: np.ndarray, U: Any, K: Any) -> Violation | None:
        assert time.shape == (HORIZON + 1,) and K.shape == (HORIZON, NU, 2 * NU) and not K.any()
        np.testing.assert_allclose(np.diff(time), DT)
        self.seen.append(X[0, 0])
        return Violation(Limit.TOOL_BOX, "") if X[0, 0] in self.refused else None


class Proposer:
    """Has one proposal for one target, and counts questions."""

    def __init__(self, value: float | None = None, target: np.ndarray = TARGET) -> None:
        self.value, self.target, self.asked = value, target, []

    def take(self, target: np.ndarray) -> Any:
        return moving(self.value) if self.value is not None and np.array_equal(target, self.target) else None

    def ask(self, instance: Instance, begin: float) -> None:
        self.asked.append((instance, begin))


def moving(value: float) -> Any:
    """A motion whose rest is a start with this number."""

    def from_time(task: Any, begin: float, x: np.ndarray) -> Guess:
        assert begin == 7.0 and (x == INSTANCE.x0).all()
        return guess(value)

    return SimpleNamespace(from_time=from_time)


INSTANCE = Instance(np.ones(2 * NU), TARGET)
SOLVER: Any = SimpleNamespace(cost=lambda start, target: abs(start.X[0, 0]))


def best(starts: CycleStarts, shifted: float, tries: int | None) -> tuple[str, float]:
    before: Motion = moving(shifted)
    source, start = starts.best(before, INSTANCE, 7.0, SOLVER, tries)
    return source, float(start.X[0, 0])


def make(task: Any = None, checker: Any = None, proposer: Any = None, every: int = 3) -> CycleStarts:
    return CycleStarts(task or Task(), checker or Checker(), proposer, every)


def test_with_a_motion_to_the_target_it_is_shifted_and_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does its cost matter."""
    checker = Checker(1.0)
    monkeypatch.delattr(SOLVER, "cost")
    assert best(make(checker=checker), 1.0, None) == ("shifted", 1.0) and checker.seen == []


def test_for_a_new_target_the_cheaper_of_shifted_motion_and_interpolation_is_chosen() -> None:
    assert best(make(), 9.0, 0) == ("interpolation", 5.0)
    assert best(make(), 1.0, 0) == ("shifted", 1.0)


def test_starts_that_the_checker_refuses_come_last() -> None:
    assert best(make(checker=Checker(5.0)), 9.0, 0) == ("shifted", 9.0)
    checker = Checker(5.0, 9.0)
    assert best(make(checker=checker), 9.0, 0) == ("interpolation", 5.0) and checker.seen == [5.0, 9.0]


def test_after_a_cycle_without_a_motion_other_postures_are_interpolated_to() -> None:
    """The same in every run."""
    starts, rng = make(), np.random.default_rng(0)
    found = [best(starts, 999.0, tries)[1] for tries in range(1, 8)]
    assert found == [rng.integers(10, 20) for _ in found] and len(set(found)) > 1


def test_where_there_is_no_other_posture_the_shifted_motion_remains() -> None:
    task = Task()
    task.nowhere = True
    assert best(make(task), 999.0, 1) == ("shifted", 999.0)
    assert best(make(task), 999.0, 0) == ("interpolation", 5.0), "the nearest one at first"


def test_a_proposal_counts_when_it_is_cheapest_and_passes_the_checker() -> None:
    assert best(make(proposer=Proposer(0.5)), 1.0, None) == ("policy", 0.5)
    assert best(make(proposer=Proposer(2.0)), 1.0, None) == ("shifted", 1.0)
    assert best(make(checker=Checker(0.5), proposer=Proposer(0.5)), 1.0, None) == ("shifted", 1.0)
    assert best(make(proposer=Proposer(0.5, TARGET + 1.0)), 1.0, None) == ("shifted", 1.0)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_the_policy_is_asked_every_so_many_cycles_and_always_for_a_new_target(every: int) -> None:
    proposer = Proposer()
    starts = make(proposer=proposer, every=every)
    for cycle in range(7):
        before = len(proposer.asked)
        best(starts, 1.0, None)
        assert (len(proposer.asked) > before) == (cycle in range(0, 7, every))
    before = len(proposer.asked)
    best(starts, 1.0, 0)
    best(starts, 1.0, 4)
    assert len(proposer.asked) == before + 2 and proposer.asked[-1] == (INSTANCE, 7.0)


@pytest.mark.parametrize("tries", [None, 0])
def test_a_start_that_diverged_is_one_start_less(tries: int | None) -> None:
    assert best(make(Task(np.nan)), 1.0, tries) == ("shifted", 1.0)
    assert best(make(proposer=Proposer(np.inf)), 1.0, tries) == ("shifted", 1.0)
    with pytest.raises(PlanningError, match="every start of this cycle diverged"):
        best(make(Task(np.nan)), np.nan, tries)
