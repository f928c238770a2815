"""What the policy's proposals are worth to a plan, by denoising steps and samples.

    python benchmarks/proposals.py [--instances 300] [--goal position|pose] [--duration S] [--json FILE]

Every setting plans for the same instances, in turns, with the checker; beside it a planner without a policy, and one
whose start is the plan itself, found before: no proposal could be better. CPU time of the process, one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sobo_planner.errors import SoboError
from sobo_planner.files import write_json
from sobo_planner.paths import share_path
from sobo_planner.planning import Plan, Planner
from sobo_planner.planning.proposals import Proposal
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Budget, Guess, Instance
from sobo_planner.tasks import ArmReach, load_task
from sobo_training.bench import machine
from sobo_training.data.instances import Stream, draw

SETTINGS = ((5, 2), (2, 2), (2, 1), (1, 2), (1, 1))  # denoising steps, samples
NONE, PLAN = "no policy", "the plan"


class Given:
    """A starter that proposes what it was given."""

    phase = "start"

    def __init__(self) -> None:
        self.proposals: list[Proposal] = []

    def propose(self, task: ArmReach, instance: Instance, budget: Budget) -> list[Proposal]:
        """See `Starter.propose`."""
        return self.proposals


class FromThePlan:
    """Plans from what a planner without a policy has found for the instance, which is not timed."""

    def __init__(self, goal: str) -> None:
        self._first, self._given = make_planner(None, goal, first_order=True), Given()
        self._planner = make_planner(None, goal, starters=[self._given])

    def prepare(self, instance: Instance, duration: float | None) -> None:
        """Finds the plan."""
        self._given.proposals = []
        try:
            plan = self._first.plan(instance.x0, instance.target, duration=duration)
        except SoboError:
            return
        assert plan.optimum is not None
        lasting = plan.duration if duration is None else None
        own = Guess(plan.X, plan.optimum.U)
        self._given.proposals = [Proposal("policy", own, plan.cost, lasting, plan.X[:, : self._planner.task.nu])]

    def plan(self, state: Any, goal: Any, duration: float | None) -> Plan:
        """From it."""
        return self._planner.plan(state, goal, duration=duration)


def make_planner(setting: tuple[int, int] | None, goal: str, **options: Any) -> Planner:
    """A planner with so many denoising steps and samples; None for one without a policy."""
    steps, samples = setting or SETTINGS[0]
    task = load_task("ur5", **{"policy.denoising_steps": steps, "policy.samples": samples})
    policy = Policy.load(share_path("config/policies/ur5"), task) if setting else None
    if goal == "pose":
        task = task.with_orientation()
    return Planner(task, policy, checker=PlanChecker(task), **options)


def row_of(planner: Planner | FromThePlan, instance: Any, duration: float | None) -> dict[str, Any] | None:
    """Figures of one plan; None where there is none."""
    began = time.process_time()
    try:
        plan = planner.plan(instance.x0, instance.target, duration=duration)
    except SoboError:
        return None
    total = 1e3 * (time.process_time() - began)
    return {
        "ms": total,
        "policy_ms": plan.phases_ms["policy"],
        "iterations": plan.iterations,
        "cost": plan.cost,
        "from_policy": plan.source == "policy",
    }


def summary(rows: list[dict[str, Any] | None], cold: list[dict[str, Any] | None]) -> dict[str, float]:
    """Means and quantiles of one setting, and ratios to plans without a policy where both have one."""
    both = [(a, b) for a, b in zip(rows, cold, strict=True) if a and b]
    mine, other = ([pair[k] for pair in both] for k in (0, 1))
    mean = {name: float(np.mean([row[name] for row in mine])) for name in mine[0]}
    ms = [row["ms"] for row in mine]
    return {
        "plans": sum(row is not None for row in rows),
        "from_policy": mean["from_policy"],
        "policy_ms": float(np.median([row["policy_ms"] for row in mine])),
        "iterations": mean["iterations"] / float(np.mean([row["iterations"] for row in other])),
        "ms": mean["ms"],
        "ms_p50": float(np.median(ms)),
        "ms_p99": float(np.quantile(ms, 0.99)),
        "ms_over_cold": mean["ms"] / float(np.mean([row["ms"] for row in other])),
        "cost_over_cold": float(np.mean([a["cost"] / b["cost"] for a, b in both])),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=300)
    parser.add_argument("--goal", choices=("position", "pose"), default="position")
    parser.add_argument("--duration", type=float, help="of all motions [s]; by default as long as their way takes")
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    planners: dict[str, Planner | FromThePlan] = {
        ", ".join(map(str, each)): make_planner(each, options.goal) for each in SETTINGS
    }
    cold = make_planner(None, options.goal)
    own = FromThePlan(options.goal)
    planners |= {NONE: cold, PLAN: own}
    task = cold.task
    instances = [draw(task, Stream.EVALUATE, options.seed, i)[0] for i in range(options.instances)]
    for planner in planners.values():
        row_of(planner, instances[0], options.duration)  # what is made on demand
    rows: dict[str, list[dict[str, Any] | None]] = {name: [] for name in planners}
    names = list(planners)
    for i, instance in enumerate(instances):
        own.prepare(instance, options.duration)
        turn = i % len(names)
        for name in names[turn:] + names[:turn]:
            rows[name].append(row_of(planners[name], instance, options.duration))
    table = {name: summary(each, rows[NONE]) for name, each in rows.items()}
    for name, each in table.items():
        print(f"{name:>12}: " + ", ".join(f"{key} {value:.4g}" for key, value in each.items()))
    if options.json is not None:
        write_json(
            options.json,
            {"goal": options.goal, "duration": options.duration, "machine": machine.describe(), "table": table},
        )


if __name__ == "__main__":
    main()
