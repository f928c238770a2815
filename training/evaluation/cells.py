"""Evaluate a policy in a world: are its ways free, and what are they worth to the planner?

    Planner without the policy --> interpolation, and the global start where that ends in contact
    policy's proposal -----------> free of contact? how far from the goal?
    Planner with the policy

Times are CPU times of the whole call, on one thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from sobo_planner.errors import SoboError
from sobo_planner.planning import Planner, PlanStatus
from sobo_planner.planning.mending import is_free
from sobo_planner.planning.policy_starter import PolicyStarter
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import UNLIMITED, Instance
from sobo_planner.tasks.arm.timing import Pace
from sobo_training.data.instances import InstanceSource
from sobo_training.evaluation import verdict
from sobo_training.evaluation.attempts import Attempt
from sobo_training.evaluation.statistics import number, paired_ratio, summarise, table

if TYPE_CHECKING:
    from sobo_planner.tasks import ArmReach

#: Names of the two planners in reports.
SIDES = ("cold", "warm")


@dataclass(frozen=True)
class Planned:
    """A plan, or why there is none.

    Attributes:
        attempt: Its figures, as of other evaluations.
        source: The start behind it; empty where there is no plan.
        duration: Of the motion [s].
        why: Why there is no plan.
    """

    attempt: Attempt
    source: str = ""
    duration: float | None = None
    why: str = ""


@dataclass(frozen=True)
class CellRow:
    """What was made of one instance.

    Attributes:
        index: Its number.
        x0: Initial state.
        target: Target [m].
        rollout: The policy's proposal; `valid` if it touches nothing.
        depth: How deep it lies in objects or links [m].
        cold: The plan without the policy.
        warm: The plan with it.
    """

    index: int
    x0: list[float]
    target: list[float]
    rollout: Attempt
    depth: float
    cold: Planned
    warm: Planned


class CellEvaluator:
    """Plans with and without a policy in a world.

    Args:
        task: The task in it (`ArmReach.in_cell`).
        policy: The policy.
        samples: Noise samples a proposal.
    """

    def __init__(self, task: ArmReach, policy: Policy, samples: int) -> None:
        assert task.cell is not None
        self.task, world, margin = task, task.robot.world, float(task.cell["margin"])
        self.planners = {
            "cold": Planner(task, None, PlanChecker(task), world=world, margin=margin),
            "warm": Planner(task, policy, PlanChecker(task), samples=samples, world=world, margin=margin),
        }
        self._starter = PolicyStarter(policy, samples, 0)

    def row(self, index: int, instance: Instance) -> CellRow:
        """Evaluates on one instance."""
        rollout, depth = self._rollout(instance)
        cold, warm = (self._planned(self.planners[side], instance) for side in SIDES)
        return CellRow(index, instance.x0.tolist(), instance.target.tolist(), rollout, depth, cold, warm)

    def _rollout(self, instance: Instance) -> tuple[Attempt, float]:
        task = self.task.from_rest_to_rest(Pace(), instance.x0)
        began = time.thread_time()
        found = self._starter.propose(task, instance, UNLIMITED)
        elapsed = 1e3 * (time.thread_time() - began)
        if not found:
            return Attempt("failed", time_ms=elapsed), 0.0
        way = found[0].way
        assert way is not None
        contacts = [task.robot.contact(q) for q in way]
        depth = max((-each.distance for each in contacts if each is not None), default=0.0)
        error = float(np.linalg.norm(task.robot.tool_position(way[-1]) - instance.target))
        outcome = "valid" if is_free(task, way) else "invalid"
        return Attempt(outcome, found[0].cost, 0, elapsed, 0.0, error), float(depth)

    def _planned(self, planner: Planner, instance: Instance) -> Planned:
        began = time.thread_time()
        try:
            plan = planner.plan(instance.x0, instance.target)
        except SoboError as error:
            return Planned(Attempt("failed", time_ms=1e3 * (time.thread_time() - began)), why=str(error)[:200])
        elapsed = 1e3 * (time.thread_time() - began)
        status = "converged" if plan.status is PlanStatus.CONVERGED else str(plan.status.value)
        return Planned(
            Attempt(status, plan.cost, plan.iterations, elapsed, 0.0, plan.tool_error), plan.source, plan.duration
        )


def evaluate_cell(
    task: ArmReach, policy: Policy, numbers: Sequence[int], source: InstanceSource, samples: int, progress: bool
) -> dict[str, Any]:
    """The report of an evaluation in a world; its groups are those of other reports.

    Args:
        task: The task in the world.
        policy: The policy.
        numbers: Of the instances.
        source: Of the instances.
        samples: Noise samples a proposal.
        progress: Show a progress bar.
    """
    evaluator = CellEvaluator(task, policy, samples)
    first = source(numbers[0])[0]
    evaluator.row(numbers[0], first)  # first calls allocate; what follows is timed
    shown = tqdm(numbers, "evaluate", unit="inst", disable=not progress)
    rows = [evaluator.row(each, source(each)[0]) for each in shown]
    return _report(task, policy, rows, samples)


def _report(task: ArmReach, policy: Policy, rows: Sequence[CellRow], samples: int) -> dict[str, Any]:
    distance, folder = task.success_distance, policy.artifact.folder
    attempts = {side: [getattr(row, side).attempt for row in rows] for side in SIDES}
    attempts["policy"] = [row.rollout for row in rows]
    costs = {name: summarise([each.usable_cost for each in made]) for name, made in attempts.items()}
    good = [all(row.attempt.good for row in (each.cold, each.warm)) for each in rows]

    def paired(name: str) -> dict[str, Any]:
        warm, cold = ([getattr(each, name) for each in attempts[side]] for side in ("warm", "cold"))
        return paired_ratio(*([v if use else None for v, use in zip(side, good, strict=True)] for side in (warm, cold)))

    durations = {side: [getattr(row, side).duration for row in rows] for side in SIDES}
    return {
        "task": task.name,
        "task_hash": task.hash,
        "policy": str(folder if folder != Path() else "in memory"),
        "world": dict(task.cell or {}),
        "policy_world": None if policy.world is None else dict(policy.world),
        "instances": len(rows),
        "samples": samples,
        "rollouts": {
            "free": float(np.mean([row.rollout.good for row in rows])),
            "free_and_near": float(np.mean([row.rollout.success(5.0 * distance) for row in rows])),
            "depth_m": summarise([row.depth for row in rows]),
            "error_m": summarise([row.rollout.error_m for row in rows]),
            "time_ms": summarise([row.rollout.time_ms for row in rows]),
        },
        "cost": {"solver": costs["cold"], "policy": costs["policy"], "refined": costs["warm"]},
        "iterations": {side: summarise([each.iterations for each in attempts[side]]) for side in SIDES},
        "time_ms": {side: summarise([each.time_ms for each in attempts[side]]) for side in SIDES},
        "duration": {side: summarise(durations[side]) for side in SIDES},
        "sources": {side: dict(Counter(getattr(row, side).source or "none" for row in rows)) for side in SIDES},
        "success": {
            name: float(np.mean([each.success(distance) for each in attempts[side]]))
            for name, side in (("solver", "cold"), ("policy", "policy"), ("refined", "warm"))
        },
        "paired": {
            **{f"{name}_warm_over_cold": paired(name) for name in ("iterations", "time_ms", "cost")},
            "duration_warm_over_cold": paired_ratio(durations["warm"], durations["cold"]),
        },
        "verdict": verdict.compare(*([verdict.effort(each, distance) for each in attempts[side]] for side in SIDES)),
        "rows": [asdict(row) for row in rows],
    }


def render(report: dict[str, Any]) -> str:
    """The report as text."""
    world, rollouts, known = report["world"], report["rollouts"], report["policy_world"]
    other = known is None or known["hash"] != world["hash"]
    figures = [
        (f"{group} {name}", values)
        for group in ("cost", "iterations", "time_ms", "duration")
        for name, values in report[group].items()
    ]
    figures += [(name.replace("_", " "), values) for name, values in report["paired"].items()]
    lines = [
        f"{report['task']} in the world {world['name']} ({world['hash']}): {report['instances']} held-out instances",
        f"policy {report['policy']}, noise samples {report['samples']}"
        + (f"; it knows {'no world' if known is None else 'another world, ' + known['name']}" if other else ""),
        f"rollouts: {100 * rollouts['free']:.0f} % touch nothing, {100 * rollouts['free_and_near']:.0f} % and end "
        f"within 5 cm; they end {number(rollouts['error_m']['median'])} m from the goal in the median",
        "",
        table(figures),
        "",
    ]
    lines += [f"starts behind plans, {side}: {_counts(report['sources'][side])}" for side in SIDES]
    return "\n".join([*lines, "", verdict.render(report["verdict"], "the policy", "no policy")])


def _counts(sources: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(sources.items(), key=lambda each: -each[1]))
