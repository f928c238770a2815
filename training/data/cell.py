"""Solutions among the objects of a world, found as the planner finds its plans.

Interpolations are solved first. Where they end in contact, a way through free space is searched for, timed and solved;
motions that take longer than they have to are made shorter. Only solutions that touch nothing, reach the goal and have
converged are kept.

Motions past objects take longer than others, so that one duration does not suit all. Solutions are stored as if they
lasted as long as the task's own motions: positions are the same at the same share of the motion, velocities those of
that duration, and the derivatives fit these states. A policy learns ways, and how the pace changes along them;
`ArmPaces.hastened` finds the duration from its rollout.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from sobo_planner.errors import DatasetError, GoalError, PlanningError, PlanRefusedError, SoboError, StartError
from sobo_planner.planning import Planner
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Solver
from sobo_training.data.collector import Collector, Outcome, cause_of_failure
from sobo_training.data.instances import Stream, draw

if TYPE_CHECKING:
    from sobo_planner.policy import Policy
    from sobo_planner.solver import Instance, Solution
    from sobo_planner.tasks import ArmReach

#: Distance from objects [m] that is learned beyond the one that is to be kept: rollouts differ from what was learned by
#: some centimetres, and the solver brings them nearer where that is cheaper.
ROOM = 0.03
#: Where starts come from, by the number that is stored.
SOURCES = ("interpolation", "policy", "global", "posture", "gravity", "sampling")
#: Causes of failure, by the error that planning ends with.
CAUSES: tuple[tuple[type[SoboError], str], ...] = (
    (StartError, "start_refused"),
    (GoalError, "no_free_posture"),
    (PlanRefusedError, "contact_or_limits"),
    (PlanningError, "not_solved"),
)


def planner_of(task: ArmReach, policy: Policy | None = None) -> Planner:
    """The planner in the world of a task made by `ArmReach.in_cell`, with or without a policy."""
    assert task.cell is not None
    margin = float(task.cell["margin"])
    return Planner(task, policy, PlanChecker(task), first_order=True, world=task.robot.world, margin=margin)


def at_own_pace(solution: Solution, stretch: float) -> Solution:
    """A solution as it would be if it lasted `1 / stretch` times as long.

    Velocities v become `stretch` v: K dx, A dx and B du are those of these states.
    """
    n = solution.X.shape[1] // 2
    scale = np.concatenate([np.ones(n), np.full(n, stretch)])
    return replace(
        solution,
        X=solution.X * scale,
        K=solution.K / scale,
        A=scale[:, None] * solution.A / scale,
        B=scale[:, None] * solution.B,
    )


@dataclass
class CellCollector(Collector):
    """Solves instances in a world, on as many processes as there are to be threads."""

    label: ClassVar[str] = "collect among objects"

    @cached_property
    def teacher(self) -> ArmReach:
        """The task with more distance to be kept."""
        task = cast("ArmReach", self.task)
        assert task.cell is not None
        return task.seeing(False).in_cell(task.robot.world, task.cell["name"], task.cell["margin"] + ROOM)

    @cached_property
    def planner(self) -> Planner:
        """Plans among the objects."""
        return planner_of(self.teacher, self.policy)

    def drawn(self, number: int) -> tuple[Instance, np.random.Generator]:
        """See `Collector.drawn`."""
        return draw(self.teacher, Stream.COLLECT, self.options.seed, number)

    def solve(self, numbers: list[int]) -> list[Outcome]:
        """Solve some instances, one after the other in this process."""
        return [self.solved(number) for number in numbers]

    def solved(self, number: int) -> Outcome:
        """Solve an instance; where that fails, the outcome says why."""
        instance, _ = self.drawn(number)
        try:
            view, found = self.planner.optimum(instance)
        except SoboError as error:
            cause = next((name for kind, name in CAUSES if isinstance(error, kind)), "not_solved")
            return Outcome(number, instance, None, None, (cause,))
        objection = self.objection_to(view, instance, found.solution)
        if objection is not None:
            return Outcome(number, instance, None, None, (objection,))
        cost = view.cost(found.solution.X, found.solution.U, instance.target)
        priced = replace(found.solution, cost=cost, iterations=found.account.iterations)
        stored = at_own_pace(priced, view.stretch)
        return Outcome(number, instance, SOURCES.index(found.source), stored, ())

    def objection_to(self, view: ArmReach, instance: Instance, solution: Solution) -> str | None:
        """Why a plan's solution is not to be learned from, or None if it is."""
        cause = cause_of_failure(solution)
        if cause is None and view.final_error(solution.X, instance.target) >= view.success_distance:
            return "short"
        return cause

    def solve_shards(self, shards: list[list[int]], advance: Callable[[int], Any]) -> Iterator[list[Outcome]]:
        """See `Collector.solve_shards`."""
        with self._solving() as solve:
            for numbers in shards:
                outcomes = []
                for outcome in solve(numbers):
                    outcomes.append(outcome)
                    advance(1)
                yield outcomes

    @contextmanager
    def _solving(self) -> Iterator[Callable[[list[int]], Iterable[Outcome]]]:
        """What solves instances in their order: this process, or several."""
        if self.options.threads == 1:
            yield partial(map, self.solved)
            return
        folder = None if self.policy is None else self.policy.artifact.folder
        begin = partial(_begin, cast("ArmReach", self.task), self.options, folder)
        try:
            with ProcessPoolExecutor(self.options.threads, get_context("spawn"), begin) as pool:
                yield partial(pool.map, _solved)
        except BrokenProcessPool as error:
            raise DatasetError(f"a process that solved instances ended: {error}; the same call goes on") from error


_own: list[CellCollector] = []


def _begin(task: ArmReach, options: Any, folder: Any) -> None:
    """Makes the collector of a process, which ends with the one that started it."""
    from sobo_planner.policy import Policy

    threading.Thread(target=_end_with_parent, daemon=True).start()
    policy = None if folder is None else Policy.load(folder, task)
    _own[:] = [CellCollector(task, Solver(task), options, policy)]


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _solved(number: int) -> Outcome:
    return _own[0].solved(number)
