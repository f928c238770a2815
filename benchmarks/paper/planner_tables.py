"""Figures, tables and a picture of what the planners reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plotting import Figure, save

#: Costs over the best known are drawn up to here.
HIGHEST = 10.0
COLOURS = {
    "solver alone": "black",
    "best of several starts": "0.5",
    "MBD": "tab:purple",
    "diff": "tab:green",
    "sob_diff": "tab:red",
    "mlp": "goldenrod",
    "sob_mlp": "tab:blue",
    "PLAL+S": "tab:orange",
    "PPO": "tab:brown",
    "SAC": "tab:pink",
}
AS_START = " as start"


def best_known(records: Iterable[Mapping[str, Any]]) -> np.ndarray:
    """The lowest cost of any valid plan of each instance, whoever made it; infinite where there is none."""
    rows = [costs_of(plans) for record in records for plans in record["plans"].values()]
    lowest: np.ndarray = np.min(rows, axis=0)
    return lowest


def costs_of(plans: Iterable[Mapping[str, Any]]) -> np.ndarray:
    """Costs of plans; infinite for those that are not valid, which may be cheap because they exceed a limit."""
    return np.array([plan["cost"] if plan["valid"] else np.inf for plan in plans], float)


def summary(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of one task: the mean of the best known costs, and for each planner a list over seeds.

    `over_best` is the median over the instances of cost over best known, where no valid plan counts as infinite, and
    `mean_over_best` the mean over those that were solved.
    """
    good = [record for record in records if "plans" in record]
    if not good:
        return {"best": None, "planners": {}, "failed": failures(records)}
    best = best_known(good)
    planners: dict[str, Any] = {}
    for record in good:
        for name, plans in record["plans"].items():
            each = planners.setdefault(name, {"seeds": [], "training_seconds": [], "training_calls": []})
            each["seeds"].append(record["cell"]["seed"])
            each["training_seconds"].append(record["training"]["seconds"])
            each["training_calls"].append(record["training"]["calls"])
            for figure, value in figures(plans, best).items():
                each.setdefault(figure, []).append(value)
    return {"best": float(best[np.isfinite(best)].mean()), "planners": planners, "failed": failures(records)}


def failures(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Why cells have no figures."""
    failed = [each for each in records if "failed" in each]
    return {f"{each['cell']['method']}, seed {each['cell']['seed']}": each["failed"] for each in failed}


def figures(plans: Sequence[Mapping[str, Any]], best: np.ndarray) -> dict[str, float]:
    """Figures of one planner with one seed."""
    known = np.isfinite(best)  # no planner has a plan for the others
    solved = np.array([plan["solved"] for plan in plans])
    over = costs_of(plans)[known] / best[known]
    return {
        "over_best": float(np.median(over)) if known.any() else float("nan"),
        "mean_over_best": float(over[solved[known]].mean()) if solved[known].any() else float("nan"),
        "solved": float(solved.mean()),
        "cpu_ms": float(np.mean([plan["cpu_ms"] for plan in plans])),
        "calls": float(np.mean([plan["calls"] for plan in plans])),
        "iterations": float(np.mean([plan["iterations"] for plan in plans])),
    }


def render(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Three tables in Markdown, a column a task: plans, what planning takes, what learning takes."""
    names = list(dict.fromkeys(name for each in results.values() for name in each["planners"]))
    trained = [
        name
        for name in names
        if not name.endswith(AS_START)
        and any(max(each["planners"].get(name, {}).get("training_calls", [0])) > 0 for each in results.values())
    ]
    parts = [
        ("Cost over the best known, median over the instances, for each seed; share solved", names, quality),
        ("Processor time of a plan [ms]; simulator calls", names, effort),
        ("Processor time of learning [s]; simulator calls", trained, learning),
    ]
    lines = []
    for heading, rows, show in parts:
        lines += [f"**{heading}**", "", f"| planner | {' | '.join(results)} |", f"|{'---|' * (len(results) + 1)}"]
        for name in rows:
            cells = [show(each["planners"][name]) if name in each["planners"] else "" for each in results.values()]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    for title, each in results.items():
        lines += [f"{title}: {which} failed: {reason}" for which, reason in each["failed"].items()]
    return "\n".join(lines)


def quality(planner: Mapping[str, Any]) -> str:
    """Costs over the best known, and the share solved."""
    costs = ", ".join(ratio(each) for each in planner["over_best"])
    return f"{costs} ({100 * np.mean(planner['solved']):.0f} %)"


def ratio(value: float) -> str:
    """A cost over the best known, a dash where there is none for half of the instances."""
    if not np.isfinite(value):
        return "-"
    return f"{value:.3f}" if value < 1.1 else f"{value:.3g}"


def effort(planner: Mapping[str, Any]) -> str:
    """What a plan takes."""
    return f"{np.mean(planner['cpu_ms']):.3g}; {count(np.mean(planner['calls']))}"


def learning(planner: Mapping[str, Any]) -> str:
    """What learning takes."""
    return f"{np.mean(planner['training_seconds']):.3g}; {count(np.mean(planner['training_calls']))}"


def count(value: Any) -> str:
    """A number of calls."""
    for unit, name in ((1e6, " million"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.0f}"


def draw(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """One axis a task: cost over the best known over the time of a plan; circles refined, crosses as they are."""
    figure = Figure(figsize=(4.2 * len(results), 4.4))
    axes = figure.subplots(1, len(results), squeeze=False)[0]
    for axis, (title, each) in zip(axes, results.items(), strict=True):
        for name, planner in each["planners"].items():
            plain = name.removesuffix(AS_START)
            solves = name != plain or name in ("solver alone", "best of several starts")
            cost = min(float(np.median(planner["over_best"])), HIGHEST)
            axis.plot(
                [np.mean(planner["cpu_ms"])],
                [cost],
                "o" if solves else "x",
                color=COLOURS[plain],
                label=plain if solves else None,
            )
        axis.axhline(1.0, color="black", linewidth=0.8)
        axis.set(xscale="log", yscale="log", ylim=(0.95, 1.1 * HIGHEST), title=title, xlabel="time of a plan [ms]")
    axes[0].set_ylabel("median cost / best known")
    axes[0].legend(fontsize=6)
    save(figure, path)
