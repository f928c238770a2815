"""Time of the receding horizon's cycles and of the policy's rollouts, without ROS.

The arm is where it is meant to be, and gets another goal every few seconds. CPU time varies less than wall time on a
computer that has other work.

python benchmarks/cycles.py [--cycles 3000] [--rate 100] [--json benchmarks/results/cycles.json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sobo_planner.errors import TaskError
from sobo_planner.motion import Followed
from sobo_planner.motion.braking import Brakes
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollouts
from sobo_planner.receding import RecedingPlanner
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach, load_arm

GOAL_EVERY = 3.0  # [s]
WARM = 100  # cycles that are not counted
PERCENTILES = (50, 90, 99)


def percentiles(values: list[float]) -> dict[str, float]:
    """Median, 90th and 99th percentile."""
    return {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES}


def new_goal(task: ArmReach, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random target that can be reached from x."""
    while True:
        target = task.sample(rng).target
        try:
            task.goal_configuration(Instance(x, target))
        except TaskError:
            continue
        return target


def cycles(task: ArmReach, count: int, rate: float, seed: int = 0) -> dict[str, dict[str, float]]:
    """Phases and the whole (wall time), and CPU time of all threads, of so many cycles [ms].

    They follow each other at once: solves in their thread have less time than the rate says.
    """
    checker, followed, rng = PlanChecker(task), Followed(), np.random.default_rng(seed)
    planner = RecedingPlanner(task, checker, Brakes(task, checker), followed, budget=0.2 / rate, propose_every=50)
    x = np.concatenate([task.config.robot.home, np.zeros(task.nu)])
    times: dict[str, list[float]] = {"start": [], "refine": [], "check": [], "whole": [], "cpu": []}
    for i in range(count + WARM):
        now = i / rate
        if i % round(GOAL_EVERY * rate) == 0:
            target = new_goal(task, x, rng)
        began, cpu = time.monotonic(), time.process_time()
        cycle = planner.cycle(x, now, target, now + 2.0 / rate)
        spent = {"whole": 1e3 * (time.monotonic() - began), "cpu": 1e3 * (time.process_time() - cpu)}
        spent |= cycle.phases_ms
        if cycle.motion is not None:
            followed.add(cycle.motion, now)
        if followed.timeline is not None:
            x = followed.timeline.state(now + 1.0 / rate)
        if i >= WARM:
            for name, values in times.items():
                values.append(spent[name])
    return {name: percentiles(values) for name, values in times.items()}


def cpu_ms(work: Callable[[int], object], count: int) -> dict[str, float]:
    """CPU time of a call [ms]."""
    work(0)
    spent = []
    for i in range(count):
        began = time.thread_time()
        work(i)
        spent.append(1e3 * (time.thread_time() - began))
    return percentiles(spent)


def policy_phase(task: ArmReach, policy: Policy, samples: int, count: int = 100) -> dict[str, float]:
    """Rollouts of a policy from random instances [ms]."""
    rng = np.random.default_rng(0)
    instances = [task.sample(rng) for _ in range(count)]
    return cpu_ms(lambda i: rollouts(task, policy, instances[i], rng=np.random.default_rng(0), samples=samples), count)


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    task = load_arm("ur5")
    policy = Policy.load("config/policies/ur5", task)
    found = {f"policy, {n} samples": policy_phase(task, policy, n) for n in (1, 2, 4)}
    found |= {f"cycle, {name}": value for name, value in cycles(task, options.cycles, options.rate).items()}
    for name, figures in found.items():
        print(f"{name:>20} [ms]  " + "  ".join(f"{key} {value:6.2f}" for key, value in figures.items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
