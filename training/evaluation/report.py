"""The report of an evaluation, as JSON values and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sobo_training.evaluation import cells, verdict
from sobo_training.evaluation.statistics import number, paired_ratio, summarise, table

if TYPE_CHECKING:
    from sobo_planner.tasks import Task
    from sobo_training.evaluation.attempts import Attempt, Row
    from sobo_training.evaluation.options import EvaluateOptions

NAIVE_STARTS = {
    "interpolation": "interpolation to the target",
    "gravity": "the start held against gravity",
}


def choose_cold_start(rows: Sequence[Row]) -> str:
    """The naive start with fewer solver iterations on average.

    A failed solve counts as the most iterations that any naive solve took: giving up early is no advantage.
    """
    worst = max(getattr(row, name).iterations for row in rows for name in NAIVE_STARTS)

    def mean_iterations(name: str) -> float:
        attempts = [getattr(row, name) for row in rows]
        return float(np.mean([each.iterations if each.good else worst for each in attempts]))

    return min(NAIVE_STARTS, key=mean_iterations)


def summarise_attempts(attempts: Sequence[Attempt], distance: float) -> dict[str, Any]:
    """Cost (of the good ones), iterations and time (of all), and the share that ends this close to the target."""
    failures = sum(not each.good for each in attempts)
    return {
        "cost": summarise([each.usable_cost for each in attempts], failures),
        "iterations": summarise([each.iterations for each in attempts], failures),
        "time_ms": summarise([each.time_ms for each in attempts], failures),
        "start_ms": summarise([each.start_ms for each in attempts], failures),
        "error_m": summarise([each.error_m for each in attempts], failures),
        "success": float(np.mean([each.success(distance) for each in attempts])),
    }


def _total(first: Attempt, second: Attempt) -> float | None:
    return None if first.time_ms is None or second.time_ms is None else first.time_ms + second.time_ms


def compare(rows: Sequence[Row], cold_start: str) -> dict[str, Any]:
    """Ratios on the instances where both sides converged (`count` of them)."""
    cold = [getattr(row, cold_start) for row in rows]
    refined, policy = [row.refined for row in rows], [row.policy for row in rows]
    both = [a.good and b.good for a, b in zip(cold, refined, strict=True)]

    def of(values: Sequence[float | None]) -> list[float | None]:
        return [value if use else None for value, use in zip(values, both, strict=True)]

    totals = [_total(a, b) for a, b in zip(policy, refined, strict=True)]
    solver_costs = [each.usable_cost for each in cold]
    return {
        "cost_refined_over_solver": paired_ratio([each.usable_cost for each in refined], solver_costs),
        "cost_policy_over_solver": paired_ratio([each.usable_cost for each in policy], solver_costs),
        "iterations_warm_over_cold": paired_ratio(
            of([each.iterations for each in refined]), of([each.iterations for each in cold])
        ),
        "time_warm_total_over_cold": paired_ratio(of(totals), of([each.time_ms for each in cold])),
    }


def planner_figures(rows: Sequence[Row], distance: float) -> dict[str, Any] | None:
    """What `Planner.plan` achieves, and how often it used which start; None for tasks that it does not plan."""
    attempts = [row.planner for row in rows if row.planner is not None]
    if not attempts:
        return None
    sources = Counter(row.planner_source for row in rows if row.planner_source is not None)
    return summarise_attempts(attempts, distance) | {"sources": dict(sources)}


def best_of_starts(rows: Sequence[Row], starts: int, cold_start: str) -> dict[str, Any] | None:
    """Costs compared with the cheapest solution from several different starts; None if that was not asked for."""
    if not starts:
        return None
    best = [row.best_of_starts for row in rows]
    refined = [row.refined.usable_cost for row in rows]
    ratios = [a / b for a, b in zip(refined, best, strict=True) if a is not None and b]
    fields = {"refined": "refined", "policy": "policy", "planner": "planner", "solver": cold_start}
    attempts = {name: [getattr(row, field) for row in rows] for name, field in fields.items()}
    return {
        "starts": starts,
        "cost": summarise(best),
        **{
            f"{name}_over_best": paired_ratio([each.usable_cost if each else None for each in made], best)
            for name, made in attempts.items()
            if any(made)
        },
        "refined_share_above_1.1": float(np.mean(np.array(ratios) > 1.1)) if ratios else None,
    }


def report(
    task: Task,
    policy_folder: str | Path,
    options: EvaluateOptions,
    rows: Sequence[Row],
    action_horizon: int | None,
    samples: int,
) -> dict[str, Any]:
    """All figures of an evaluation, as JSON values.

    Costs are those of converged solutions and valid rollouts, iterations and times those of all solves;
    `failures` counts the attempts that are neither. `time_ms.cold` and `time_ms.refine` are solver time only,
    so `time_ms.warm_total` (rollout and refinement) is compared with a cold time that excludes making the naive
    start, which is `time_ms.cold_start`.
    """
    cold_start, distance = choose_cold_start(rows), task.success_distance
    cold = summarise_attempts([getattr(row, cold_start) for row in rows], distance)
    policy = summarise_attempts([row.policy for row in rows], distance)
    refined = summarise_attempts([row.refined for row in rows], distance)
    naive = {name: summarise_attempts([getattr(row, name) for row in rows], distance) for name in NAIVE_STARTS}
    totals = [_total(row.policy, row.refined) for row in rows]
    return {
        "task": task.name,
        "task_hash": task.hash,
        "policy": str(policy_folder),
        "instances": len(rows),
        "seed": options.seed,
        "action_horizon": action_horizon,
        "samples": samples,
        "cold_start": cold_start,
        "cost": {"solver": cold["cost"], "policy": policy["cost"], "refined": refined["cost"]},
        "iterations": {"cold": cold["iterations"], "warm": refined["iterations"]},
        "time_ms": {
            "cold": cold["time_ms"],
            "policy": policy["time_ms"],
            "refine": refined["time_ms"],
            "warm_total": summarise(totals, refined["time_ms"]["failures"]),
            "cold_start": cold["start_ms"],
        },
        "success": {"solver": cold["success"], "policy": policy["success"], "refined": refined["success"]},
        "error_m": {"solver": cold["error_m"], "policy": policy["error_m"], "refined": refined["error_m"]},
        "success_distance": distance,
        "planner": planner_figures(rows, distance),
        "paired": compare(rows, cold_start),
        "best_of_starts": best_of_starts(rows, options.starts, cold_start),
        "naive_starts": naive,
        "verdict": verdict.compare(
            [verdict.effort(getattr(row, cold_start), distance) for row in rows],
            [verdict.effort(row.refined, distance, row.policy) for row in rows],
        ),
        "rows": [row.to_json() for row in rows],
    }


def render(data: dict[str, Any]) -> str:
    """The report as text."""
    if "world" in data:
        return cells.render(data)
    cold = data["cold_start"]
    naive = ", ".join(
        f"{NAIVE_STARTS[name]} {number(each['iterations']['mean'])}" for name, each in data["naive_starts"].items()
    )
    sampled = data["action_horizon"] is None
    horizon = "" if sampled else f", action horizon {data['action_horizon']}"
    kind = "logged instances" if data.get("logged") else f"held-out instances, seed {data['seed']}"
    lines = [
        f"{data['task']}: {data['instances']} {kind}",
        f"{'sampled by' if sampled else 'policy'} {data['policy']}{horizon}, noise samples {data['samples']}",
        f"cold start: {NAIVE_STARTS[cold]}, the better on average (mean iterations: {naive})",
        "",
    ]
    figures = [
        (f"{group} {name}", data[group][name]) for group in ("cost", "iterations", "time_ms") for name in data[group]
    ]
    planner = data["planner"]
    if planner:
        figures += [(f"{name} planner", planner[name]) for name in ("cost", "iterations", "time_ms")]
    figures += [(f"final error [m] {name}", values) for name, values in data["error_m"].items()]
    figures += [(name.replace("_", " "), values) for name, values in data["paired"].items()]
    best = data["best_of_starts"]
    if best:
        figures.append((f"cost best of {best['starts']} starts", best["cost"]))
        figures += [(f"cost {name.replace('_', ' ')}", best[name]) for name in best if name.endswith("over_best")]
    lines += [table(figures), ""]
    share = ", ".join(f"{name} {100 * value:.0f} %" for name, value in data["success"].items())
    share += f", planner {100 * planner['success']:.0f} %" if planner else ""
    lines.append(f"final error under {data['success_distance']:g} m: {share}")
    if planner:
        sources = ", ".join(f"{name} {count}" for name, count in planner["sources"].items())
        lines.append(f"starts that the planner used: {sources or 'none'}")
    if best and best["refined_over_best"]["ratio_of_means"] is not None:
        ratio = best["refined_over_best"]["ratio_of_means"]
        lines.append(f"mean refined cost / mean cost of the best of {best['starts']} starts: {ratio:.3f}")
    sides = ("the sampled start", "the naive start") if sampled else ("the policy", "no policy")
    lines += ["", verdict.render(data["verdict"], *sides)]
    return "\n".join(lines)
