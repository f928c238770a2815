"""Retraining a policy of the UR5 on logged goals from the region where it is weakest.

The workspace is split by the target's distance from the base's axis and by its height, six parts each. In the region
where the solver needs the most iterations after the shipped policy, an arm visits goals one after the other, each from
where the last one left it, as a node records them; they are solved from several starts as `sobo from-bag` does.
`sobo interplay --from-data --policy` then goes on from the shipped policy. Iterations before and after are measured on
the same fresh instances: other goals there, visited in the same way, and instances of the task elsewhere. Run it as

    python benchmarks/retraining.py --out out/retraining                         # three seeds, about 25 minutes each
    python benchmarks/retraining.py --out out/shares --shares 0.3 0.5 0.7 --seeds 1 --set interplay.iterations=1
    python benchmarks/retraining.py --out out/unknown --unknown --set interplay.iterations=1

With `--unknown`, the policy to go on from is one that has never seen a target in the region: it is trained first, on
solutions outside.

What is finished is not repeated. Results: results.json, and a table on standard output.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sobo_planner.cli.shared import parse_overrides
from sobo_planner.files import write_json
from sobo_planner.paths import share_path
from sobo_planner.policy import Policy
from sobo_planner.solver import Instance, Solver
from sobo_planner.tasks import Task, load_task
from sobo_training.config import TrainConfig
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions, resolved_config
from sobo_training.data.collector import Collector, cheapest
from sobo_training.data.dataset import load
from sobo_training.data.filling import fill
from sobo_training.data.instances import InstanceSource, Stream, generator, held_out
from sobo_training.evaluation import verdict
from sobo_training.evaluation.evaluator import Evaluator
from sobo_training.evaluation.options import EvaluateOptions
from sobo_training.export.exporter import export
from sobo_training.interplay.loop import interplay
from sobo_training.interplay.options import LOGGED_SHARE, InterplayOptions
from sobo_training.learning.train import train

PARTS = 6
FAR = 10.0  # no target is farther [m]
#: Seeds of the instances that regions are compared on, of those that results are measured on, and of goals visited.
SURVEY, MEASURE, WALK = 101, 202, 31
STARTS = 4
#: Instances elsewhere for each one in the region: a change of 5 % there is to be told from chance.
ELSEWHERE = 4
#: Solutions outside the region, and gradient steps on them, of a policy that does not know it.
OUTSIDE, OUTSIDE_STEPS = 600, 2500


@dataclass(frozen=True)
class Region:
    """Targets between two distances from the base's axis and two heights [m]."""

    radius: tuple[float, float]
    height: tuple[float, float]

    def holds(self, target: np.ndarray) -> bool:
        """Whether a target lies there."""
        radius, height = float(np.hypot(target[0], target[1])), float(target[2])
        return self.radius[0] <= radius < self.radius[1] and self.height[0] <= height < self.height[1]


def within(task: Task, wanted: Callable[[np.ndarray], bool]) -> Task:
    """The task with instances of some targets only."""

    def sample(rng: np.random.Generator) -> Any:
        while True:
            instance = task.sample(rng)
            if wanted(instance.target):
                return instance

    view = copy.copy(task)
    view.sample = sample  # type: ignore[method-assign]
    return view


def walk(task: Task, region: Region, seed: int, count: int) -> list[Instance]:
    """Instances of an arm that visits goals of a region, at rest at each; the way to the first one is left out."""
    rng, solver, view = np.random.default_rng([WALK, seed]), Solver(task), within(task, region.holds)
    visited: list[Instance] = []
    x0 = view.sample(rng).x0
    while len(visited) <= count:
        instance = Instance(x0, view.sample(rng).target)
        starts = [each for each in task.starts(instance, STARTS, rng) if each.finite]
        solutions = [solver.solve(instance, each) for each in starts]
        best, _ = cheapest(solutions)
        if best is not None:
            visited.append(instance)
            x0 = np.concatenate([solutions[best].X[-1, : task.nu], np.zeros(task.nu)])
    return visited[1:]


@dataclass
class LogCollector(Collector):
    """Solves given instances."""

    visited: list[Instance] = field(default_factory=list)

    def drawn(self, number: int) -> tuple[Instance, np.random.Generator]:
        """The instance of a number, and the generator to draw its starts from."""
        return self.visited[number], generator(Stream.LOGGED, self.options.seed, number)


def walked(folder: Path, task: Task, region: Region, seed: int, count: int) -> list[Instance]:
    """The instances of `walk`, which are kept in a file."""

    def make() -> list[list[list[float]]]:
        return [[each.x0.tolist(), each.target.tolist()] for each in walk(task, region, seed, count)]

    return [Instance(np.array(x0), np.array(target)) for x0, target in stored(folder / f"walk-seed{seed}.json", make)]


def log(task: Task, folder: Path, visited: list[Instance], seed: int, threads: int) -> None:
    """Stores solutions of logged goals."""
    options = CollectOptions(count=len(visited), seed=seed, starts=STARTS, threads=threads)
    collector = LogCollector(task, Solver(task), options, visited=visited)
    fill(folder, collector, resolved_config(task, options, None))


def solve_all(task: Task, folder: Path, source: InstanceSource, count: int, naive: bool) -> list[dict[str, Any]]:
    """Iterations and costs of a policy on instances, and of the naive start if wanted."""
    evaluator = Evaluator(task, Policy.load(folder, task), EvaluateOptions(planner=False))
    rows = []
    for index in range(count):
        instance, rng = source(index)
        rollout, guess = evaluator.roll_out(instance, rng)
        sides = {"warm": verdict.effort(evaluator.solve(instance, guess), task.success_distance, rollout)}
        if naive:
            sides["naive"] = verdict.effort(evaluator.solve_from(instance, task.interpolate), task.success_distance)
        rows.append(
            {"target": np.asarray(instance.target).tolist()} | {name: vars(each) for name, each in sides.items()}
        )
    return rows


def stored(path: Path, make: Callable[[], Any]) -> Any:
    """What a file holds, made first where it is missing."""
    if not path.exists():
        write_json(path, make())
    return json.loads(path.read_text())


def weakest(rows: list[dict[str, Any]]) -> tuple[Region, list[dict[str, Any]]]:
    """The region with the most iterations after the policy, and the figures of all.

    Not that with the highest ratio to the naive start's: there it was that start which needed few.
    """
    targets = np.array([row["target"] for row in rows])
    sides = np.hypot(targets[:, 0], targets[:, 1]), targets[:, 2]
    radius, height = ([-FAR, *np.quantile(side, np.arange(1, PARTS) / PARTS), FAR] for side in sides)
    regions = [Region((*r,), (*h,)) for r in pairwise(radius) for h in pairwise(height)]
    figures = []
    for region in regions:
        inside = [row for row in rows if region.holds(np.array(row["target"]))]
        naive, warm = (float(np.mean([row[side]["iterations"] for row in inside])) for side in ("naive", "warm"))
        figures.append({"instances": len(inside), "naive": naive, "warm": warm, "ratio": warm / naive})
        figures[-1] |= {"radius": list(map(float, region.radius)), "height": list(map(float, region.height))}
    worst = int(np.argmax([each["warm"] for each in figures]))
    return regions[worst], figures


def retrain(arguments: argparse.Namespace, region: Region, share: float, seed: int) -> dict[str, Any]:
    """One loop, from solving the logged goals to the new policy, and what it has changed."""
    task = load_task("ur5", **parse_overrides(arguments.overrides))
    folder, goals = arguments.out / f"share{share:g}-seed{seed}", arguments.out / f"goals-seed{seed}"
    began = time.perf_counter()
    log(task, goals, walked(arguments.out, task, region, seed, arguments.goals), seed, arguments.threads)
    solved = time.perf_counter() - began
    wanted = InterplayOptions(
        seed=seed, threads=arguments.threads, policy=arguments.policy, from_data=(goals,), logged_share=share
    )
    status = interplay(task, folder, wanted)
    seconds = {name: sum(each["seconds"][name] for each in status["iterations"]) for name in ("collect", "train")}
    minutes = (time.perf_counter() - began) / 60
    visited = walked(arguments.out, task, region, MEASURE, arguments.instances)
    places: dict[str, InstanceSource] = {
        "there": lambda index: (visited[index], generator(Stream.EVALUATE, MEASURE, index)),
        "elsewhere": held_out(within(task, lambda target: not region.holds(target)), MEASURE),
    }
    found = {}
    for name, source in places.items():
        count, sides = arguments.instances * (ELSEWHERE if name == "elsewhere" else 1), []
        for label, policy in (("before", arguments.policy), ("after", folder / "policy")):
            path = (arguments.out if label == "before" else folder) / f"{name}-{label}.json"
            rows = stored(path, partial(solve_all, task, policy, source, count, naive=False))
            sides.append([verdict.Effort(**row["warm"]) for row in rows])
        found[name] = verdict.compare(*sides)
    spent = {"goals": solved, **seconds}
    return {"share": share, "seed": seed, "minutes": minutes, "seconds": spent, "status": status["iterations"], **found}


def without(arguments: argparse.Namespace, region: Region) -> Path:
    """A policy trained on targets outside a region."""
    task, folder = load_task("ur5"), arguments.out / "outside"
    options = CollectOptions(count=OUTSIDE, starts=STARTS, threads=arguments.threads)
    collect(within(task, lambda target: not region.holds(target)), folder / "data", options)
    config = TrainConfig.from_task(task, "sob_diff", steps=OUTSIDE_STEPS)
    result = train(load(folder / "data", task), task, folder / "run", config)
    if not (folder / "policy").exists():
        export(result, task, folder / "policy")
    return folder / "policy"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/retraining"), help="folder of data, runs and results")
    parser.add_argument("--policy", type=Path, default=share_path("config/policies/ur5"), help="policy to go on from")
    parser.add_argument("--unknown", action="store_true", help="go on from a policy that does not know the region")
    parser.add_argument("--shares", type=float, nargs="+", default=[LOGGED_SHARE], help="shares of logged goals")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--goals", type=int, default=500, help="logged goals")
    parser.add_argument("--survey", type=int, default=3000, help="instances on which the regions are compared")
    parser.add_argument("--instances", type=int, default=300, help="instances there; elsewhere four times as many")
    parser.add_argument("--threads", type=int, default=2, help="solver threads")
    parser.add_argument(
        "--set", dest="overrides", nargs="+", default=[], help="settings, such as interplay.iterations=1"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    task = load_task("ur5")
    survey = stored(
        arguments.out / "survey.json",
        lambda: solve_all(task, arguments.policy, held_out(task, SURVEY), arguments.survey, True),
    )
    region, regions = weakest(survey)
    if arguments.unknown:
        arguments.policy = without(arguments, region)
    runs = [retrain(arguments, region, share, seed) for seed in range(arguments.seeds) for share in arguments.shares]
    for run in runs:
        print(f"share {run['share']:g}, seed {run['seed']}, {run['minutes']:.1f} min")
        for place in ("there", "elsewhere"):
            print(f"{place}: " + verdict.render(run[place], "the new policy", "the one before", times=False))
    machine = {"processor": platform.machine(), "python": platform.python_version(), "threads": arguments.threads}
    settings = {
        "unknown": arguments.unknown,
        "goals": arguments.goals,
        "instances": arguments.instances,
        "overrides": arguments.overrides,
    }
    write_json(arguments.out / "results.json", {**settings, "regions": regions, "runs": runs, "machine": machine})


if __name__ == "__main__":
    main()
