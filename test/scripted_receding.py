"""Scripted parts for a cycle of the receding horizon: solver, starts, checker and brakes; the arm is real."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sobo_planner.errors import SolverError
from sobo_planner.motion import Followed, Motion
from sobo_planner.receding.planner import RecedingPlanner
from sobo_planner.safety import Limit, Violation
from sobo_planner.solver import Guess, Instance, Solution, SolverStatus
from sobo_planner.tasks import ArmReach, load_task
from sobo_planner.tasks.arm.commands import Gains

HANDOVER = 100.02


@dataclass
class Solver:
    """Stands for `RecedingSolver`: returns what a test says and keeps how it was called."""

    solution: Solution | None
    start_cost: float = 2.0
    refined: tuple[float, Guess] | None = None
    fallback: np.ndarray | None = None
    clear: bool = False
    unfinished: bool = False
    calls: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    kept: list[tuple[float, bool]] = field(default_factory=list)
    budgets: list[float] = field(default_factory=list)

    def choose(self, instance: Instance) -> None:
        self.calls.append("choose")

    def restart(self) -> None:
        self.calls.append("restart")

    def new_target(self) -> None:
        self.calls.append("new_target")

    def solve(self, instance: Instance, start: Guess, handover: float, budget: float) -> tuple[float, Solution | None]:
        self.budgets.append(budget)
        return self.start_cost, self.solution

    def executable(self, solution: Solution, instance: Instance) -> tuple[float, Guess] | None:
        return self.refined

    def gains(self, instance: Instance, trajectory: Guess) -> np.ndarray:
        if self.fallback is None:
            raise SolverError("there are no gains along this trajectory")
        return self.fallback

    def collided(self, violation: Violation) -> None:
        self.violations.append(violation)

    def keep(self, solution: Solution, start_cost: float, published: bool, handover: float) -> None:
        self.kept.append((start_cost, published))


@dataclass
class Starts:
    """Stands for `CycleStarts`."""

    start: Guess
    source: str = "shifted"
    tries: list[int | None] = field(default_factory=list)
    before: list[Motion] = field(default_factory=list)
    x0: list[np.ndarray] = field(default_factory=list)

    def best(
        self, before: Motion, instance: Instance, handover: float, solver: Any, tries: int | None, budget: Any
    ) -> Any:
        self.tries.append(tries)
        self.before.append(before)
        self.x0.append(instance.x0)
        return self.source, self.start


class Checker:
    """Refuses trajectories by their first torque."""

    def __init__(self) -> None:
        self.refused: dict[float, Violation] = {}

    def check(self, time: Any, X: Any, U: np.ndarray, K: Any) -> Violation | None:
        return self.refused.get(float(U[0, 0]))


class Brakes:
    """Stands still."""

    def __init__(self, task: ArmReach) -> None:
        self.task = task

    def motion(self, x: np.ndarray, begin: float) -> Motion:
        return resting(self.task, x, begin)


def trajectory(task: ArmReach, x: np.ndarray, mark: float) -> Guess:
    """A trajectory that stays at x, with this first torque."""
    U = np.zeros((task.horizon, 6))
    U[0, 0] = mark
    return Guess(np.tile(x, (task.horizon + 1, 1)), U)


def resting(task: ArmReach, x: np.ndarray, begin: float = 100.0, gain: float = 0.0) -> Motion:
    guess = trajectory(task, np.concatenate([x[:6], np.zeros(6)]), 0.0)
    return Motion(begin, task.dt, guess.X, guess.U, np.full((task.horizon, 6, 12), gain))


class Setup:
    """A planner among scripted parts, the arm at home and at rest, with the tool at the target."""

    def __init__(self, home: np.ndarray) -> None:
        # Its torques leave as they are: they mark the trajectories here.
        task = load_task("ur5", integrator="semi_implicit_euler")
        self.task, self.x = task, np.concatenate([home, np.zeros(6)])
        self.target = task.robot.tool_position(home)
        gains = np.full((task.horizon, 6, 12), 3.0)
        fields: dict[str, Any] = {name: np.zeros(0) for name in ("k", "A", "B")}
        start = trajectory(task, self.x, 1.0)
        fields |= {"X": start.X, "U": start.U, "K": gains, "initial_cost": 2.0, "cost": 1.0, "iterations": 2}
        fields |= {"primal_residual": 1e-5, "dual_residual": 0.0, "message": "", "time_ms": 1.0, "cpu_ms": 1.0}
        self.solver = Solver(Solution(**fields, status=SolverStatus.CONVERGED))
        self.solver.refined = (1.0, trajectory(task, self.x, 5.0))
        self.starts, self.checker, self.followed = Starts(start), Checker(), Followed()
        self.planner = RecedingPlanner(
            task, self.checker, Brakes(task), self.followed,  # type: ignore[arg-type]
            budget=0.004, propose_every=25, starts=self.starts, solver=self.solver,  # type: ignore[arg-type]
            gains=Gains.TASK,
        )  # fmt: skip

    def cycle(self, x: np.ndarray | None = None, target: np.ndarray | None = None, publish: bool = False) -> Any:
        cycle = self.planner.cycle(
            self.x if x is None else x, 100.0, self.target if target is None else target, HANDOVER
        )
        if publish:
            self.followed.add(cycle.motion, 100.0)
        return cycle

    def refuse(self, mark: float, limit: Limit = Limit.TOOL_BOX) -> None:
        self.checker.refused[mark] = Violation(limit, f"torque {mark}")
