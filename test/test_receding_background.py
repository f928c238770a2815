"""Solves in a thread of their own, with scripted solvers."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sobo_planner.receding.background import Background
from sobo_planner.solver import Guess, Instance, Interrupt, Refinement

INSTANCE = Instance(np.zeros(2), np.zeros(3))
LIMIT = 0.25


def guess(value: float) -> Guess:
    return Guess(np.full((2, 2), value), np.zeros((1, 1)))


class Scripted:
    """Solvers that end when they may or are interrupted, and keep what they were called with."""

    def __init__(self) -> None:
        self.may_end, self.begun = threading.Event(), threading.Event()
        self.calls: list[Any] = []
        self.interrupted: list[bool] = []

    def of(self, task: Any) -> Scripted:
        self.calls.append(("of", task))
        return self

    def solver(self, refinement: Refinement) -> Scripted:
        return self

    def restart(self) -> None:
        self.calls.append("restart")

    def cost(self, X: np.ndarray, U: np.ndarray, target: np.ndarray) -> float:
        return 100.0 + float(X[0, 0])

    def solve(self, instance: Instance, start: Guess, limit: float, interrupt: Interrupt) -> Any:
        self.calls.append(float(start.X[0, 0]))
        assert limit == LIMIT
        self.begun.set()
        while not (self.may_end.wait(0.001) or interrupt.is_set()):
            pass
        self.interrupted.append(interrupt.is_set())
        return SimpleNamespace(initial_cost=float(start.X[0, 0]))


@pytest.fixture
def scripted() -> Any:
    script = Scripted()
    yield script
    script.may_end.set()


@pytest.fixture
def background(scripted: Scripted) -> Background:
    return Background(scripted)  # type: ignore[arg-type]


def begin(background: Background, value: float, resumed: float | None = None) -> None:
    again = None if resumed is None else guess(resumed)
    background.begin(Refinement(), INSTANCE, guess(value), 7.0 + value, LIMIT, again)


def test_a_solve_is_taken_once_it_has_ended(background: Background, scripted: Scripted) -> None:
    begin(background, 1.0)
    assert background.take(0.0) is None and background.busy
    scripted.may_end.set()
    solved = background.take(None)
    assert solved is not None and not background.busy
    assert (solved.start_cost, solved.handover) == (1.0, 8.0) and scripted.calls == [1.0]


def test_what_is_resumed_is_solved_and_the_start_priced(background: Background, scripted: Scripted) -> None:
    scripted.may_end.set()
    begin(background, 1.0, resumed=3.0)
    solved = background.take(None)
    assert solved is not None and solved.start_cost == 101.0 and scripted.calls == [3.0]


def test_the_sequence_ends_before_the_next_solve_alone(background: Background, scripted: Scripted) -> None:
    scripted.may_end.set()
    background.restart()
    for value in (1.0, 2.0):
        begin(background, value)
        assert background.take(None) is not None
    assert scripted.calls == ["restart", 1.0, 2.0]


@pytest.mark.parametrize("how", ["restart", "adopt"])
def test_a_solve_that_is_not_wanted_any_more_ends_and_so_does_its_sequence(
    background: Background, scripted: Scripted, how: str
) -> None:
    begin(background, 1.0)
    scripted.begun.wait(10.0)
    if how == "restart":
        background.restart()
    else:
        background.adopt("slower")  # type: ignore[arg-type]
    assert not background.busy
    begin(background, 2.0)
    scripted.may_end.set()
    solved = background.take(None)
    assert solved is not None and solved.start_cost == 2.0
    assert scripted.interrupted == [True, False]
    adopted = [("of", "slower")] if how == "adopt" else []
    assert scripted.calls == [1.0, *adopted, "restart", 2.0]


def test_what_a_solver_raises_is_raised_where_it_is_taken(background: Background, scripted: Scripted) -> None:
    scripted.may_end.set()
    scripted.cost = None  # type: ignore[method-assign,assignment]
    begin(background, 1.0, resumed=3.0)
    with pytest.raises(TypeError):
        background.take(None)
    assert not background.busy
