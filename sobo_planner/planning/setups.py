"""What planning needs for each type of goal in each world: a task, its solvers and its search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sobo_planner.errors import PlanningError
from sobo_planner.planning.attempts import CLEARANCES
from sobo_planner.planning.global_start import GlobalStarter
from sobo_planner.planning.judge import Checker, Judge
from sobo_planner.planning.search import Search
from sobo_planner.planning.starters import AlternativeStarter, SamplingStarter, Starter
from sobo_planner.solver import Instance, Precision, Refinement, RefinementSolvers
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains
from sobo_planner.tasks.arm.instances import GOAL_TYPES
from sobo_planner.world import World

#: Refinements that more than one plan in a hundred needs; the solver of each problem takes 7 MB.
PREPARED = (
    Refinement(),
    Refinement(position_limits=True),
    Refinement(precision=Precision.TERMINAL),
    Refinement(clearance=CLEARANCES[0]),
)

# Ways past objects that are searched for at most: with a gripper in a cage, three sometimes are not enough.
WAYS = 8


@dataclass(frozen=True)
class Setup:
    """What planning for one type of goal in one world needs."""

    task: ArmReach
    solvers: RefinementSolvers
    search: Search


class Setups:
    """Makes setups when they are first needed. Of each type of goal, that of the last world is kept.

    Args:
        task: The task, for one type of goal, in its own world.
        starters: Propose the first starts.
        checker: Passes every motion that is found.
        gains: Which gains motions are executed with.
        first_order: Whether solutions come with gains and Jacobians of the optimal control problem.
        seed: Of the starts that are random.
        margin: Distance [m] to be kept from objects in other worlds.
    """

    def __init__(
        self,
        task: ArmReach,
        starters: Sequence[Starter],
        checker: Checker | None,
        gains: Gains,
        *,
        first_order: bool,
        seed: int,
        margin: float,
    ) -> None:
        self._task, self._starters, self._checker, self._gains = task, starters, checker, gains
        self._first_order, self._seed, self._margin = first_order, seed, margin
        self._own = {task.goal_type: self._make(task)}
        self._views: dict[str, tuple[tuple[int, object], Setup]] = {}

    def of(self, goal_type: str) -> Setup:
        """That for a type of goal in the task's own world."""
        if goal_type not in self._own:
            self._own[goal_type] = self._make(self._task.with_goal_type(goal_type))
        return self._own[goal_type]

    def among(self, goal_type: str, world: World) -> Setup:
        """That for a type of goal in a world."""
        setup = self.of(goal_type)
        own = setup.task.robot.world
        if world.version == own.version or not (world.everything or own.everything):
            return setup
        made_for = (world.version, setup.task.robot.native)
        if self._views.get(goal_type, (None,))[0] != made_for:
            view = setup.task.with_world(world, self._margin)
            self._views[goal_type] = made_for, Setup(view, setup.solvers.of(view), setup.search.of(view))
        return self._views[goal_type][1]

    def prepare(self, goal_type: str) -> None:
        """Builds the solvers that plans to a type of goal often need.

        Raises:
            PlanningError: There is no such type.
        """
        if goal_type not in GOAL_TYPES:
            raise PlanningError(f"unknown type of goal {goal_type!r}; use {', '.join(GOAL_TYPES)}")
        for refinement in PREPARED:
            self.of(goal_type).solvers.solver(refinement)

    def _make(self, task: ArmReach) -> Setup:
        solvers = RefinementSolvers(task, first_order=self._first_order)
        judge, others = Judge(task, self._checker, self._gains), AlternativeStarter(self._seed)
        around = tuple(GlobalStarter(self._seed + each) for each in range(WAYS))
        search = Search(task, self._starters, others, solvers, judge, SamplingStarter(self._seed), around)
        q = np.array(task.config.robot.home)
        target = q if task.goal_type == "joints" else task.robot.tool_pose(q)[: task.goal_size]
        home = Instance(np.concatenate([q, np.zeros(task.nu)]), target)
        search.measure(home, task.gravity_rollout(home))
        return Setup(task, solvers, search)
