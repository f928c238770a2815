"""What the experiments share: scales, cells that are computed once, and the evaluation of a policy.

A cell is one training run with its evaluation. Its result is a JSON file whose name holds a hash of all settings,
those of the task and the training included. So a script that stops goes on where it was, scripts that need the same
cell share it, and what was computed with other settings is not taken for it. Changes of the code need another folder.
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
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from goal_derivative import with_goal
from tqdm import tqdm

from sobo_planner.files import write_json
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
#: 97.5 % quantiles of Student's t for so many seeds.
STUDENT = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}


@dataclass(frozen=True)
class Cell:
    """One training run and its evaluation.

    Attributes:
        task: Name of the task file.
        overrides: Keys of the task's configuration that differ, as pairs.
        method: One of `sobo_training.config.METHODS`.
        trajectories: Solutions to learn from: the first ones that cells of one seed share.
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

    def load_task(self) -> Any:
        """The task, in the cell's variant."""
        return load_task(self.task, **dict(self.overrides))

    def config(self, task: Any) -> TrainConfig:
        """The training run."""
        return TrainConfig.from_task(task, self.method, seed=self.seed, **dict(self.train))

    def name(self, task: Any) -> str:
        """Readable, and unique by a hash of every setting."""
        digest = fingerprint(problem_of(task), policy_of(task), asdict(self), self.config(task).to_dict())
        return f"{self.task}-{self.method}-{self.trajectories}-s{self.seed}-{digest}"


def problem_of(task: Any) -> Any:
    """What solutions depend on."""
    unrelated = ("policy", "training", "interplay")
    return [task.hash, {name: each for name, each in task.config.to_dict().items() if name not in unrelated}]


def policy_of(task: Any) -> Any:
    """What a policy and its rollouts depend on, besides."""
    return [task.policy_hash, task.config.to_dict()["policy"]]


def fingerprint(*values: Any) -> str:
    """A short hash of JSON values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]


@dataclass
class Rollouts:
    """What a policy does on the held-out instances, one entry an instance; None where its rollout is not finite.

    Attributes:
        cost: Costs of its rollouts.
        error: Final distances to the target [m].
        violation: Depths in obstacles [m].
        refined: Costs after refinement, None where it did not converge.
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
    iterations: list[int | None] = field(default_factory=list)
    converged: list[bool] = field(default_factory=list)
    rollout_ms: list[float] = field(default_factory=list)
    solve_ms: list[float | None] = field(default_factory=list)
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
        cost = np.inf if guess is None else task.cost(guess.X, guess.U, instance.target)
        good = guess if np.isfinite(cost) else None
        result.cost.append(float(cost) if good else None)
        result.error.append(task.final_error(good.X, instance.target) if good else None)
        result.violation.append(task.violation(good.X) if good else None)
        if number < cell.keep_paths:
            result.paths.append(good.X[:, :2].round(3).tolist() if good else None)
        if cell.refine:
            solution = solver.solve(instance, good) if good else None
            result.converged.append(solution is not None and solution.converged)
            result.refined.append(float(solution.cost) if solution and solution.converged else None)
            result.iterations.append(solution.iterations if solution else None)
            result.solve_ms.append(solution.cpu_ms if solution else None)
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
            out["paths"].append(first.X[:, :2].round(3).tolist())
    return out


def data_folder(cell: Cell, folder: Path) -> Path:
    """Where the trajectories of a cell lie; cells of one seed share them."""
    return folder / "data" / f"{cell.task}-starts{cell.starts}-s{cell.seed}-{fingerprint(problem_of(cell.load_task()))}"


def remember(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is stored at the path; made and stored the first time."""
    if not path.exists():
        logging.disable(logging.INFO)
        store(path, make())
    return dict(json.loads(path.read_text()))


def store(path: Path, record: dict[str, Any]) -> None:
    """Writes JSON, whole or not at all; null for numbers that are not finite."""
    write_json(path, _finite(record))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def compute(cell: Cell, folder: Path) -> dict[str, Any]:
    """Trains and evaluates one cell, on data that is there."""
    task = cell.load_task()
    name = cell.name(task)
    return remember(folder / "cells" / f"{name}.json", lambda: _compute(cell, task, folder, folder / "runs" / name))


def _compute(cell: Cell, task: Any, folder: Path, run: Path) -> dict[str, Any]:
    data = load(data_folder(cell, folder), task).select(slice(cell.trajectories))
    config = cell.config(task)
    began = time.perf_counter()
    chunks = build(data, task, config.T_h, config.action)
    if cell.goal:
        chunks = with_goal(chunks, data, task, config.T_h)
    result = train(chunks, task, run, config, progress=False)
    seconds = time.perf_counter() - began
    policy = live_policy(result, task)
    horizons = (1,) if config.network == "mlp" else cell.T_a or (config.T_a,)
    evaluated = {str(T_a): asdict(roll_out(task, policy, cell, T_a, cell.samples[0])) for T_a in horizons}
    more = {str(n): asdict(roll_out(task, policy, cell, horizons[0], n)) for n in cell.samples[1:]}
    shutil.rmtree(run)  # some megabytes each
    return {"cell": asdict(cell), "steps": config.steps, "train_seconds": seconds, "T_a": evaluated, "samples": more}


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


def mean(values: Iterable[float | None]) -> float:
    """Mean, infinite where a value is missing or the mean exceeds `DIVERGED`."""
    numbers = [float("inf") if value is None else value for value in values]
    average = float(np.mean(numbers)) if numbers else float("nan")
    return average if average <= DIVERGED else float("inf")


def mean_known(values: Iterable[float | None]) -> float:
    """Mean of the values that are there."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean over seeds and the ends of its 95 % confidence interval (Student's t); infinite where one diverged."""
    if not np.all(np.isfinite(values)):
        return float("inf"), float("inf"), float("inf")
    average, n = float(np.mean(values)), len(values)
    half = STUDENT[n] * float(np.std(values, ddof=1)) / np.sqrt(n) if n > 1 else 0.0
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
