"""Computes cells in parallel, each once, so that a stopped script resumes; and the command line of the scripts."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cells import Cell, data_folder
from goal_derivative import with_goal
from records import remember
from rollouts import roll_out, solver_alone
from tqdm import tqdm

from sobo_planner.policy import Policy
from sobo_training.config import TrainConfig
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions
from sobo_training.data.dataset import load
from sobo_training.export.exporter import live_policy
from sobo_training.learning.chunks import build
from sobo_training.learning.train import train

SCALES = ("smoke", "laptop", "full")


def compute(cell: Cell, folder: Path) -> dict[str, Any]:
    """Trains and evaluates one cell, on data that is there."""
    task = cell.load_task()
    name = cell.name(task)
    return remember(folder / "cells" / f"{name}.json", lambda: _compute(cell, task, folder, folder / "runs" / name))


def trained(cell: Cell, task: Any, folder: Path, run: Path) -> tuple[Policy, TrainConfig]:
    """Trains the policy of a cell on data that is there; `run` receives what training writes."""
    data = load(data_folder(cell, folder), task).select(slice(cell.trajectories))
    config = cell.config(task)
    chunks = build(data, task, config.T_h, config.action)
    if cell.goal:
        chunks = with_goal(chunks, data, task, config.T_h)
    return live_policy(train(chunks, task, run, config, progress=False), task), config


def _compute(cell: Cell, task: Any, folder: Path, run: Path) -> dict[str, Any]:
    began = time.perf_counter()
    policy, config = trained(cell, task, folder, run)
    seconds = time.perf_counter() - began
    horizons = (1,) if config.network == "mlp" else cell.T_a or (config.T_a,)
    evaluated = {str(T_a): asdict(roll_out(task, policy, cell, T_a, cell.samples[0])) for T_a in horizons}
    more = {str(n): asdict(roll_out(task, policy, cell, horizons[0], n)) for n in cell.samples[1:]}
    shutil.rmtree(run)  # some megabytes each
    record = {"cell": asdict(cell), "steps": config.steps, "train_seconds": seconds, "T_a": evaluated, "samples": more}
    if cell.time_alone:
        record["alone_ms"] = solver_alone(task, cell.instances, 1)["solve_ms"]
    return record


def run_cells(cells: Sequence[Cell], folder: Path, jobs: int) -> list[dict[str, Any]]:
    """Computes cells in parallel processes, after the data that they share."""
    needed: dict[Path, Cell] = {}
    for cell in cells:
        place = data_folder(cell, folder)
        if place not in needed or needed[place].trajectories < cell.trajectories:
            needed[place] = cell
    for place, cell in needed.items():
        # As many instances as it takes, like in the interplay loop.
        options = CollectOptions(
            count=20 * cell.trajectories,
            wanted=cell.trajectories,
            seed=100 + cell.seed,
            starts=cell.starts,
            threads=jobs,
            shard_size=2 * jobs,
        )
        collect(cell.load_task(), place, options)
    return parallel(compute, [(cell, folder) for cell in cells], jobs)


def parallel(work: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], jobs: int) -> list[Any]:
    """Results of work(*arguments), in order, from `jobs` processes of one thread each."""
    arguments = list(arguments)
    if jobs == 1:
        return [work(*each) for each in tqdm(arguments)]
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(work, *each) for each in arguments]
        for done in tqdm(as_completed(futures), total=len(futures)):
            done.result()
        return [future.result() for future in futures]


def parser(description: str) -> argparse.ArgumentParser:
    """The command line that all experiments share."""
    formatter = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=description, formatter_class=formatter)
    options.add_argument("--scale", choices=SCALES, default="laptop", help="smoke: seconds; laptop: hours; full: a day")
    options.add_argument("--out", type=Path, default=Path("out/paper"), help="folder of results and of what they share")
    options.add_argument("--jobs", type=int, default=2, help="processes")
    return options


def arguments(description: str) -> argparse.Namespace:
    """The arguments of an experiment without options of its own."""
    return parser(description).parse_args()
