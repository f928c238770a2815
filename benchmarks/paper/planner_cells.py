"""One planner on one task with one seed, computed once."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from cells import fingerprint, policy_of, problem_of
from originals import paper_task
from planner_learning import cell_of, job_of, learned, make_data
from planner_plans import from_starts, proposed
from planner_tasks import FROM_DATA, INSTANCES, METHODS, SEEDS, STARTS, TASKS, UNTRAINED, PlannedTask
from records import remember
from rollouts import held_out

from sobo_planner.errors import SoboError
from sobo_planner.sampling import SamplingSettings

#: Names in tables of what a method plans.
NAMES = {"solver": "solver alone", "starts": "best of several starts", "mbd": "MBD"}


@dataclass(frozen=True)
class PlannerCell:
    """One planner on one task with one seed.

    Attributes:
        task: One of `TASKS`.
        method: One of `METHODS`.
        seed: Seed of all that is drawn, except for the test instances.
        scale: Names the budgets.
    """

    task: str
    method: str
    seed: int
    scale: str

    @property
    def planned(self) -> PlannedTask:
        """The task of the comparison."""
        return TASKS[self.task]

    def load_task(self) -> Any:
        """The task."""
        return _loaded(self.task)

    def settings(self, task: Any) -> list[Any]:
        """All that the record depends on besides the task and the seed."""
        own: Any = None
        if self.method == "starts":
            own = STARTS[self.scale]
        elif self.method == "mbd":
            own = asdict(SamplingSettings.of(task))
        elif self.method in FROM_DATA:
            cell = cell_of(self.planned, self.method, self.seed, self.scale)
            own = [asdict(cell), cell.config(task).to_dict()]
        elif self.method not in UNTRAINED:
            own = asdict(job_of(self.planned, self.method, self.seed, self.scale))
        return [self.method, INSTANCES[self.scale], own]

    def place(self, folder: Path) -> Path:
        """File of the record, named by a hash of every setting."""
        task = self.load_task()
        digest = fingerprint(problem_of(task), policy_of(task), self.seed, self.settings(task))
        return folder / "planners" / f"{self.task}-{self.method}-s{self.seed}-{digest}.json"


@functools.lru_cache
def _loaded(name: str) -> Any:
    planned = TASKS[name]
    return paper_task(planned.file, **dict(planned.overrides))


def finished(task: str, scale: str, folder: Path) -> list[dict[str, Any]]:
    """The records of a task that are there."""
    places = [cell.place(folder) for cell in cells_of(task, METHODS, scale)]
    return [json.loads(place.read_text()) for place in places if place.exists()]


def cells_of(task: str, methods: tuple[str, ...], scale: str) -> list[PlannerCell]:
    """All cells of a task; the solver alone has no seeds."""
    return [
        PlannerCell(task, method, seed, scale)
        for method in methods
        for seed in (SEEDS[scale][:1] if method == "solver" else SEEDS[scale])
    ]


def run_cell(cell: PlannerCell, folder: Path) -> dict[str, Any]:
    """The record of a cell; what failed is not stored, so that it is tried again."""
    torch.set_num_threads(1)
    try:
        return remember(cell.place(folder), lambda: _run(cell, folder))
    except SoboError as error:
        return {"cell": asdict(cell), "failed": str(error)}


def _run(cell: PlannerCell, folder: Path) -> dict[str, Any]:
    task = cell.load_task()
    instances, method = held_out(task, INSTANCES[cell.scale]), cell.method
    name = NAMES.get(method, method)
    if method in ("solver", "starts"):
        count = 1 if method == "solver" else STARTS[cell.scale]
        plans, training = {name: from_starts(task, instances, count, cell.seed)}, {"seconds": 0.0, "calls": 0}
    else:
        ready = learned(cell.planned, method, cell.seed, cell.scale, task, folder)
        found, training = proposed(task, instances, ready.propose, ready.calls, cell.seed), ready.training
        plans = {name: found["alone"], f"{name} as start": found["refined"]}
    return {"cell": asdict(cell), "training": training, "plans": plans}


def run_data(cell: PlannerCell, folder: Path) -> str:
    """Makes the solutions that the policies of a seed share; returns why there are none, empty where there are."""
    try:
        make_data(cell_of(cell.planned, cell.method, cell.seed, cell.scale), folder)
    except SoboError as error:
        return str(error)
    return ""


def sharing(cells: list[PlannerCell]) -> list[PlannerCell]:
    """One cell for each dataset that is shared."""
    first: dict[int, PlannerCell] = {}
    for cell in cells:
        if cell.method in FROM_DATA:
            first.setdefault(cell.seed, cell)
    return list(first.values())
