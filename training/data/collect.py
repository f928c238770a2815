"""Collect solver solutions: every instance solved from several starts, the cheapest converged one kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sobo_planner.errors import ConfigError
from sobo_planner.solver import Solver
from sobo_training.data.collection import CollectOptions, CollectSummary, resolved_config
from sobo_training.data.collector import Collector
from sobo_training.data.filling import fill

if TYPE_CHECKING:
    from sobo_planner.policy import Policy
    from sobo_planner.tasks import Task


def _load_policy(folder: str | Path, task: Task) -> Policy:
    from sobo_planner.policy import Policy  # brings the inference engine, which most collections do not need

    return Policy.load(folder, task)


def collect(
    task: Task,
    folder: str | Path,
    options: CollectOptions | None = None,
    policy_folder: str | Path | None = None,
    progress: bool = True,
    executor: str = "threads",
) -> CollectSummary:
    """Collect solutions of a task into a folder, or go on with a collection that stopped.

    Args:
        task: What to solve.
        folder: Dataset folder; created if it does not exist.
        options: What to collect. In a world (`ArmReach.in_cell`) starts are those of the planner, whatever it says.
        policy_folder: Artifact of a policy whose rollout is one more start.
        progress: Show a progress bar on stderr.
        executor: `threads` of this process, or `ray`: the processes of a Ray cluster, with the same result.

    Returns:
        What the folder holds now.

    Raises:
        DatasetError: The folder holds a damaged shard, was collected with other arguments, or cannot be
            written; or too few instances have a solution.
        SoboError: The policy does not fit the task.
    """
    options = options or CollectOptions()
    config = resolved_config(task, options, policy_folder)
    policy = None if policy_folder is None else _load_policy(policy_folder, task)
    if task.cell is not None:
        from sobo_training.data.cell import CellCollector

        if executor != "threads" or options.sampled:
            raise ConfigError("in a world, instances are solved by processes of this machine, without sampled starts")
        return fill(folder, CellCollector(task, Solver(task), options, policy), config, progress=progress)
    collector = Collector(task, Solver(task), options, policy)
    solve_shards = collector.solve_shards
    if executor == "ray":
        from sobo_training.data.ray_executor import RayCollector  # brings Ray, which is optional

        solve_shards = RayCollector(task, options, policy_folder).solve_shards
    return fill(folder, collector, config, solve_shards, progress)
