"""Scripted parts for the planning loop: solutions, solvers, judges and starters that do as a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from sobo_planner.planning.attempts import Attempt
from sobo_planner.planning.judge import Verdict
from sobo_planner.planning.proposals import GRAVITY, Proposal
from sobo_planner.planning.record import Found
from sobo_planner.planning.search import Search
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance, Refinement, Solution, SolverStatus

T, N = 4, 1  # steps, joints
INSTANCE = Instance(np.zeros(2 * N), np.array([1.0, 0.0, 0.0]))
TOUCHING = Violation(Limit.SELF_COLLISION, "a touches b")
BOXED = Violation(Limit.TOOL_BOX, "tool x is outside")


def guess(value: float = 0.0) -> Guess:
    """A trajectory whose positions are all one number."""
    X = np.zeros((T + 1, 2 * N))
    X[:, :N] = value
    return Guess(X, np.zeros((T, N)))


def solution(value: float = 0.0, *, converged: bool = True, iterations: int = 3, **changes: Any) -> Solution:
    """A solution whose positions are all one number."""
    trajectory, nx = guess(value), 2 * N
    fields: dict[str, Any] = {
        "X": trajectory.X,
        "U": trajectory.U,
        "K": np.zeros((T, N, nx)),
        "k": np.zeros((T, N)),
        "A": np.zeros((T, nx, nx)),
        "B": np.zeros((T, nx, N)),
        "initial_cost": 2.0,
        "cost": 1.0,
        "iterations": iterations,
        "primal_residual": 0.0,
        "dual_residual": 0.0,
        "status": SolverStatus.CONVERGED if converged else SolverStatus.MAX_ITERATIONS,
        "message": "",
        "time_ms": 1.0,
        "cpu_ms": 1.0,
    }
    return Solution(**(fields | changes))


def negative(Q: np.ndarray) -> tuple[int, str, str] | None:
    """Negative positions collide."""
    return (0, "a", "b") if Q[0, 0] < 0 else None


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Task:
    """As much of a task as the loop asks for: positions are distances to the goal, and costs per second."""

    nu: int = N
    goal_type: str = "position"
    fits: bool = False
    robot: Any = field(default_factory=lambda: SimpleNamespace(first_collision=negative))
    duration: float | None = None  # of a view
    least_clearance: float = 0.0  # no objects

    def lasting(self, duration: float) -> Task:
        """A view for motions of another duration."""
        return replace(self, duration=duration)

    def final_error(self, X: np.ndarray, target: np.ndarray) -> float:
        """The last position."""
        return float(abs(X[-1, 0]))

    def cost(self, X: np.ndarray, U: np.ndarray, target: np.ndarray) -> float:
        """The first position, for each second."""
        return float(abs(X[0, 0])) * (1.0 if self.duration is None else self.duration)


@dataclass
class Starter:
    """Proposes what it was made with."""

    proposals: list[Proposal]
    phase: str = "start"
    effect: Callable[[], None] = lambda: None
    budgets: list[Budget] = field(default_factory=list)

    def propose(self, task: Any, instance: Instance, budget: Budget) -> list[Proposal]:
        """See `sobo_planner.planning.starters.Starter`."""
        self.budgets.append(budget)
        self.effect()
        return self.proposals


@dataclass
class Solvers:
    """Answers every solve by a function of refinement and start, and keeps what was asked."""

    answer: Callable[[Refinement, float], Solution]
    shortest: float = 0.0
    asked: list[tuple[Refinement, float]] = field(default_factory=list)
    limits: list[float | None] = field(default_factory=list)
    durations: list[float | None] = field(default_factory=list)  # of the views that were solved
    task: Any = None

    def of(self, task: Any) -> Solvers:
        """Those of a view, which keep in the same place what was asked."""
        return replace(self, task=task)

    def solver(self, refinement: Refinement) -> Any:
        """A solver of this refinement."""

        def solve(instance: Instance, start: Guess, time_limit: float | None = None, interrupt: Any = None) -> Solution:
            value = float(start.X[-1, 0])
            self.asked.append((refinement, value))
            self.limits.append(time_limit)
            self.durations.append(None if self.task is None else self.task.duration)
            return self.answer(refinement, value)

        return SimpleNamespace(solve=solve, shortest_solve=self.shortest)


@dataclass
class Judge:
    """Judges by a function of the last position."""

    verdict: Callable[[float], Verdict]
    durations: list[float | None] = field(default_factory=list)  # of the views that were judged
    task: Any = None

    def of(self, task: Any) -> Judge:
        """That of a view."""
        return replace(self, task=task)

    def judge(self, found: Solution, instance: Instance) -> Verdict:
        """See `sobo_planner.planning.judge.Judge`."""
        self.durations.append(None if self.task is None else self.task.duration)
        return self.verdict(float(found.X[-1, 0]))


def sources(attempts: list[Attempt]) -> list[str]:
    """Where attempts start."""
    return [attempt.source for attempt in attempts]


PROPOSALS = [Proposal("interpolation", guess(10.0), 2.0), Proposal("policy", guess(20.0), 1.0)]
OTHERS = [Proposal(GRAVITY, guess(30.0)), Proposal("posture", guess(40.0))]


def keep(refinement: Refinement, start: float) -> Solution:
    """A solver that returns its start, moved a little, so that no two motions are the same."""
    return solution(start + 1.0)


def search(
    verdict: Callable[[float], Verdict],
    answer: Callable[[Refinement, float], Solution] = keep,
    *,
    starters: list[Any] | None = None,
    others: list[Proposal] | None = None,
    shortest: float = 0.0,
    last: Any = None,
) -> tuple[Search, Solvers]:
    """A search among scripted parts, and its solvers."""
    solvers = Solvers(answer, shortest)
    first = [Starter(PROPOSALS)] if starters is None else starters
    alternatives = Starter(OTHERS if others is None else others)
    return Search(Task(), first, alternatives, solvers, Judge(verdict), last), solvers


def run(verdict: Callable[[float], Verdict], **options: Any) -> tuple[Found, Solvers]:
    """What such a search finds with all the time that it takes."""
    searching, solvers = search(verdict, **options)
    return searching.run(INSTANCE, UNLIMITED), solvers
