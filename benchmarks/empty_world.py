"""What a world costs the planner where nothing is in the way: plans and times, paired, in one process.

    python benchmarks/empty_world.py --goals 200 --json out/empty_world.json

The same random goals of the UR5 are planned for without a world, in an empty one, and among objects that are all out
of reach. All three take their turns at each goal, in an order that changes, and the fastest of some rounds counts.
Times are CPU times of one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import SoboError
from sobo_planner.files import write_json
from sobo_planner.planning import Plan, Planner
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach, load_task
from sobo_planner.world import Box, Part, Pose, World, WorldObject
from sobo_training.bench import machine

Array = NDArray[np.float64]
FAR, OBJECTS = 10.0, 20  # [m], and how many lie there


def far_world() -> World:
    """Boxes on a circle that is out of reach."""
    angles = np.linspace(0.0, 2.0 * np.pi, OBJECTS, endpoint=False)
    places = [Pose((FAR * float(np.cos(each)), FAR * float(np.sin(each)), 0.0)) for each in angles]
    part = (Part(Box((0.5, 0.5, 0.5))),)
    return World(tuple(WorldObject(f"box{i}", part, place) for i, place in enumerate(places)))


def timed(planner: Planner, x0: Array, goal: Array, kind: str, world: World | None) -> tuple[Plan | None, float]:
    """A plan, None if there is none, and its CPU time [ms]."""
    began, plan = time.thread_time(), None
    asked: dict[str, Any] = {kind: goal}
    with contextlib.suppress(SoboError):
        plan = planner.plan(x0, world=world, **asked)
    return plan, 1e3 * (time.thread_time() - began)


def goals(task: ArmReach, count: int, kind: str) -> list[tuple[Array, Array]]:
    """States at rest and goals: of the task's distribution, or of the joints where nothing touches."""
    found: list[tuple[Array, Array]] = []
    rng = np.random.default_rng(11)
    while len(found) < count:
        instance = task.sample(rng)
        x0 = np.concatenate([instance.x0[: task.nu], np.zeros(task.nu)])
        goal = instance.target
        if kind == "joints":
            goal = x0[: task.nu] + rng.uniform(-1.5, 1.5, task.nu)
        if task.robot.contact(x0[: task.nu]) is None and (kind == "goal" or task.robot.contact(goal) is None):
            found.append((x0, goal))
    return found


def compare(task: ArmReach, kind: str, count: int, rounds: int) -> dict[str, Any]:
    """Figures for one kind of goal; ratios are those of each goal's times."""
    worlds: dict[str, World | None] = {"none": None, "empty": World(), "far": far_world()}
    planners = {name: Planner(task, checker=PlanChecker(task)) for name in worlds}
    names = list(worlds)
    best: dict[str, list[float]] = {name: [] for name in names}
    plans: dict[str, list[Plan | None]] = {name: [] for name in names}
    for number, (x0, goal) in enumerate(goals(task, count + 1, kind)):
        least = dict.fromkeys(names, np.inf)
        made: dict[str, Plan | None] = {}
        for turn in range(rounds):
            for name in np.roll(names, turn):
                made[name], taken = timed(planners[name], x0, goal, kind, worlds[name])
                least[name] = min(least[name], taken)
        if number:  # first calls allocate
            for name in names:
                best[name].append(least[name])
                plans[name].append(made[name])
    return {name: _against(best["none"], plans["none"], best[name], plans[name]) for name in ("empty", "far")}


def _against(
    before: list[float], alone: list[Plan | None], times: list[float], plans: list[Plan | None]
) -> dict[str, Any]:
    ratios = np.array(times) / np.array(before)
    pairs = list(zip(alone, plans, strict=True))
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    same = [a.X.shape == b.X.shape and np.array_equal(a.X, b.X) and np.array_equal(a.K, b.K) for a, b in both]
    return {
        "goals": len(pairs),
        "planned_without": sum(a is not None for a, _ in pairs),
        "planned": sum(b is not None for _, b in pairs),
        "same_bits": sum(same),
        "ms_without_p50": float(np.median(before)),
        "ms_p50": float(np.median(times)),
        "ratio_p50": float(np.median(ratios)),
        "ratio_of_sums": float(np.sum(times) / np.sum(before)),
        "ratio_p05_p95": [float(each) for each in np.quantile(ratios, (0.05, 0.95))],
    }


def main() -> None:
    """Both kinds of goals, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goals", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    task, found = load_task("ur5"), {}
    for kind in ("goal", "joints"):
        found[kind] = compare(task, kind, options.goals, options.rounds)
        for name, each in found[kind].items():
            print(
                f"{kind}, {name} world: {each['planned']} of {each['goals']} planned ({each['planned_without']} "
                f"without), {each['same_bits']} the same to the bit; time x {each['ratio_p50']:.3f} in the median, "
                f"x {each['ratio_of_sums']:.3f} in all, {each['ms_without_p50']:.1f} ms without"
            )
    if options.json is not None:
        about = {"machine": machine.describe(), "versions": machine.versions(), "rounds": options.rounds}
        write_json(options.json, about | found)


if __name__ == "__main__":
    main()
