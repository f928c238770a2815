"""Plan time by phase, with the policy and without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from sobo_planner.errors import SoboError
from sobo_planner.planning.planner import Plan, Planner
from sobo_planner.policy import Policy
from sobo_training.bench.options import BenchOptions
from sobo_training.data.instances import Stream, draw
from sobo_training.evaluation.statistics import paired_ratio, summarise

if TYPE_CHECKING:
    from pathlib import Path

    from sobo_planner.tasks import ArmReach

PHASES = ("policy", "start", "refine", "total")
SIDES = ("policy", "cold")


def summarise_plans(plans: Sequence[list[Plan]]) -> dict[str, Any]:
    """Summaries over the instances.

    Args:
        plans: The plans of each instance, one a round; none if planning failed. They differ in time alone.
    """
    failures = sum(not each for each in plans)
    known = [each[0] for each in plans if each]
    return {
        "phases_ms": {phase: summarise(median_times(plans, phase), failures) for phase in PHASES},
        "iterations": summarise([plan.iterations for plan in known], failures),
        "cost": summarise([plan.cost for plan in known], failures),
        "reached": sum(plan.reached for plan in known) / len(plans),
        "sources": dict(Counter(plan.source for plan in known)),
    }


def median_times(plans: Sequence[list[Plan]], phase: str) -> list[float | None]:
    """Time of a phase for each instance [ms], the median over the rounds."""
    return [float(np.median([plan.phases_ms[phase] for plan in each])) if each else None for each in plans]


def measure(task: ArmReach, folder: Path, options: BenchOptions) -> dict[str, Any]:
    """Plans for held-out instances; the planners take turns instance by instance."""
    planners = {"policy": Planner(task, Policy.load(folder, task)), "cold": Planner(task)}
    instances = [draw(task, Stream.EVALUATE, options.seed, i)[0] for i in range(options.instances)]
    plans: dict[str, list[list[Plan]]] = {name: [[] for _ in instances] for name in SIDES}
    reasons: dict[str, dict[int, str]] = {name: {} for name in SIDES}
    for planner in planners.values():  # the first call of a planner also pays for what is made on demand
        with suppress(SoboError):
            planner.plan(instances[0].x0, instances[0].target)
    for turn in range(options.rounds):
        for i, instance in enumerate(instances):
            for name in SIDES if (turn + i) % 2 == 0 else SIDES[::-1]:
                try:
                    plans[name][i].append(planners[name].plan(instance.x0, instance.target))
                except SoboError as error:  # a failure, the same in every round
                    reasons[name][i] = str(error)
    totals = [median_times(plans[name], "total") for name in SIDES]
    iterations = [[each[0].iterations if each else None for each in plans[name]] for name in SIDES]
    return {
        **{name: summarise_plans(plans[name]) | {"reasons": reasons[name]} for name in SIDES},
        "ratio": {"total": paired_ratio(*totals), "iterations": paired_ratio(*iterations)},
    }
