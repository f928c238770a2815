"""What the experiments share: scales, cells that are computed once, and the evaluation of a policy.

A cell is one training run with its evaluation. Its result is a JSON file named by everything that determines it, so a
script that stops goes on where it was, and scripts that need the same cell share it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from sobo_planner.solver import Solver
from sobo_planner.tasks import load_task
from sobo_training.chunks import build
from sobo_training.collect import collect
from sobo_training.collection import CollectOptions
from sobo_training.config import TrainConfig
from sobo_training.dataset import load
from sobo_training.export import live_policy
from sobo_training.instances import Stream, draw, policy_start
from sobo_training.train import train

SCALES = ("smoke", "laptop", "full")
#: A mean cost above this counts as infinite, as in the paper.
DIVERGED = 1e5


@dataclass(frozen=True)
class Cell:
    """One training run and its evaluation.

    Attributes:
        task: Name of the task file.
        overrides: Keys of the task's configuration that differ, as sorted pairs.
        method: One of `sobo_training.config.METHODS`.
        trajectories: Solutions to learn from; the first ones of the data of `data_seed`.
        starts: Starts of the teacher, the cheapest solution kept; 1 = interpolation alone.
        seed: Seed of weights, batches and noise, and of the data.
        train: Fields of `TrainConfig` that differ, as sorted pairs.
        T_a: Steps executed of each chunk, several to compare.
        instances: Held-out instances, the same for all cells of a task.
        samples: Noise samples a rollout, the cheapest kept; several to compare.
        goal: First-order information in the goal, too.
        refine: Solve from the rollouts, too.
        keep_paths: Rollouts of which the first two states are stored, for pictures.
    """

    task: str
    method: str
    trajectories: int
    seed: int
    overrides: tuple[tuple[str, Any], ...] = ()
    starts: int = 4
    train: tuple[tuple[str, Any], ...] = ()
    T_a: tuple[int, ...] = ()
    instances: int = 50
    samples: tuple[int, ...] = (1,)
    goal: bool = False
    refine: bool = False
    keep_paths: int = 0

    @property
    def name(self) -> str:
        """Readable, and unique by a hash of everything that differs from the defaults."""
        chosen = {
            item.name: getattr(self, item.name) for item in fields(self) if getattr(self, item.name) != item.default
        }
        digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:10]
        return f"{self.task}-{self.method}-{self.trajectories}-s{self.seed}-{digest}"


@dataclass
class Rollouts:
    """What a policy does on the held-out instances, one entry an instance; None where there is no trajectory.

    Attributes:
        cost: Costs of its rollouts.
        error: Final distances to the target [m].
        violation: Depths in obstacles [m].
        refined: Costs after refinement.
        iterations: Solver iterations of the refinement.
        converged: Whether it converged.
        rollout_ms: Time of the rollout [ms].
        solve_ms: CPU time of the refinement [ms].
        paths: First two states along some of the rollouts.
    """

    cost: list[float | None] = field(default_factory=list)
    error: list[float | None] = field(default_factory=list)
    violation: list[float | None] = field(default_factory=list)
    refined: list[float | None] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)
    converged: list[bool] = field(default_factory=list)
    rollout_ms: list[float] = field(default_factory=list)
    solve_ms: list[float] = field(default_factory=list)
    paths: list[list[list[float]] | None] = field(default_factory=list)


def held_out(task: Any, count: int) -> list[Any]:
    """The held-out instances: never part of collected data."""
    return [draw(task, Stream.EVALUATE, 0, number)[0] for number in range(count)]


def roll_out(task: Any, policy: Any, cell: Cell, T_a: int, samples: int = 1) -> Rollouts:
    """Rolls a policy out on the held-out instances, and refines the rollouts if asked."""
    solver, result = Solver(task), Rollouts()
    for number, instance in enumerate(held_out(task, cell.instances)):
        rng = np.random.default_rng([7, number])
        began = time.perf_counter()
        guess = policy_start(task, policy, instance, rng, T_a, samples)
        result.rollout_ms.append(1e3 * (time.perf_counter() - began))
        cost = None if guess is None else task.cost(guess.X, guess.U, instance.target)
        finite = guess is not None and cost is not None and bool(np.isfinite(cost))
        result.cost.append(float(cost) if finite else None)  # type: ignore[arg-type]
        result.error.append(task.final_error(guess.X, instance.target) if finite else None)  # type: ignore[union-attr]
        result.violation.append(task.violation(guess.X) if finite else None)  # type: ignore[union-attr]
        if number < cell.keep_paths:
            result.paths.append(guess.X[:, :2].tolist() if finite else None)  # type: ignore[union-attr]
        if cell.refine and finite and guess is not None:
            solution = solver.solve(instance, guess)
            result.refined.append(float(solution.cost) if solution.converged else None)
            result.iterations.append(solution.iterations)
            result.converged.append(solution.converged)
            result.solve_ms.append(solution.cpu_ms)
    return result


def solver_alone(task: Any, count: int, starts: int, keep_paths: int = 0) -> dict[str, list[Any]]:
    """The solver from interpolation, and the cheapest of several starts, on the held-out instances."""
    solver = Solver(task)
    names = ("cost", "iterations", "converged", "solve_ms", "best", "paths")
    out: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(count):
        instance, rng = draw(task, Stream.EVALUATE, 0, number)
        guesses = task.starts(instance, max(1, starts), rng)
        solutions = [solver.solve(instance, guess) for guess in guesses]
        first, good = solutions[0], [each.cost for each in solutions if each.converged]
        out["cost"].append(float(first.cost) if np.isfinite(first.cost) else None)
        out["iterations"].append(first.iterations)
        out["converged"].append(first.converged)
        out["solve_ms"].append(first.cpu_ms)
        out["best"].append(float(min(good)) if good else None)
        if number < keep_paths:
            out["paths"].append(first.X[:, :2].tolist())
    return out


def data_folder(cell: Cell, folder: Path) -> Path:
    """Where the trajectories of a cell lie; cells of one seed share them."""
    parts = "-".join(f"{key}={value}" for key, value in cell.overrides)
    return folder / "data" / f"{cell.task}-{parts}-starts{cell.starts}-s{cell.seed}"


def compute(cell: Cell, folder: Path) -> dict[str, Any]:
    """Collects, trains and evaluates one cell; returns what was stored the first time after that."""
    path = folder / "cells" / f"{cell.name}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    logging.disable(logging.INFO)
    task = load_task(cell.task, **dict(cell.overrides))
    data = load(data_folder(cell, folder), task).select(slice(cell.trajectories))
    config = TrainConfig.from_task(task, cell.method, seed=cell.seed, **dict(cell.train))
    began = time.perf_counter()
    chunks = build(data, task, config.T_h, config.action)
    if cell.goal:
        from goal_derivative import with_goal

        chunks = with_goal(chunks, data, task, config.T_h)
    result = train(chunks, task, folder / "runs" / cell.name, config, progress=False)
    seconds = time.perf_counter() - began
    policy = live_policy(result, task)
    horizons = cell.T_a or (config.T_a,)
    horizons = (1,) if config.network == "mlp" else horizons
    evaluated = {str(T_a): asdict(roll_out(task, policy, cell, T_a, cell.samples[0])) for T_a in horizons}
    more = {str(n): asdict(roll_out(task, policy, cell, horizons[0], n)) for n in cell.samples[1:]}
    record = {"cell": asdict(cell), "steps": config.steps, "train_seconds": seconds, "T_a": evaluated, "samples": more}
    store(path, record)
    shutil.rmtree(folder / "runs" / cell.name)  # some megabytes each
    return record


def store(path: Path, record: dict[str, Any]) -> None:
    """Writes JSON under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(record))
    os.replace(temporary, path)


def run_cells(cells: Sequence[Cell], folder: Path, jobs: int) -> list[dict[str, Any]]:
    """Computes cells in parallel processes, after the data that they share."""
    needed: dict[Path, Cell] = {}
    for cell in cells:
        place = data_folder(cell, folder)
        if place not in needed or needed[place].trajectories < cell.trajectories:
            needed[place] = cell
    for place, cell in needed.items():
        task = load_task(cell.task, **dict(cell.overrides))
        # Some instances may have no solution: a few more than needed.
        count = cell.trajectories + max(4, cell.trajectories // 5)
        collect(task, place, CollectOptions(count=count, seed=100 + cell.seed, starts=cell.starts, threads=jobs))
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


def mean(values: Iterable[float | None]) -> float:
    """Mean, infinite where a value is missing or the mean exceeds `DIVERGED`."""
    numbers = [float("inf") if value is None else value for value in values]
    average = float(np.mean(numbers)) if numbers else float("nan")
    return average if average <= DIVERGED else float("inf")


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean over seeds and the ends of its 95 % confidence interval (Student's t); infinite where one diverged."""
    if not np.all(np.isfinite(values)):
        return float("inf"), float("inf"), float("inf")
    average, n = float(np.mean(values)), len(values)
    quantile = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}.get(n, 2.0)
    half = quantile * float(np.std(values, ddof=1)) / np.sqrt(n) if n > 1 else 0.0
    return average, average - half, average + half


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    packages = ("libaligator", "pin", "torch", "numpy")
    return {
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def arguments(description: str) -> argparse.Namespace:
    """The command line that all experiments share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scale", choices=SCALES, default="laptop", help="smoke: seconds; laptop: hours; full: a day")
    parser.add_argument("--out", type=Path, default=Path("out/paper"), help="folder of results and of what they share")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    return parser.parse_args()
