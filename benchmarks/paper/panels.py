"""Cost of the policy alone over the number of trajectories, one panel a task."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cell
from experiment import parallel, run_cells
from originals import paper_task
from plotting import Figure, save
from records import interval, machine, mean, mean_known, store
from rollouts import solver_alone

#: A dataset is large enough when it and all larger ones give policies within this factor of the solver's mean cost, in
#: the mean over seeds.
LEARNED = 1.05
#: Names in the figures: a method and the fields of `TrainConfig` that differ.
VARIANTS: dict[str, tuple[str, tuple[tuple[str, Any], ...]]] = {
    "sob_diff": ("sob_diff", ()),
    "sob_diff, augment": ("sob_diff", (("mode", "augment"),)),
    "diff": ("diff", ()),
    "sob_mlp": ("sob_mlp", ()),
    "mlp": ("mlp", ()),
}
COLOURS = {
    "sob_diff": "tab:red",
    "sob_diff, augment": "tab:pink",
    "diff": "tab:green",
    "sob_mlp": "tab:blue",
    "mlp": "goldenrod",
}
SEEDS = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2, 3, 4)}
INSTANCES = {"smoke": 4, "laptop": 50, "full": 50}


@dataclass(frozen=True)
class Panel:
    """One task of a figure.

    Attributes:
        title: Name in the figure.
        task: Task file.
        overrides: Its variant.
        trajectories: Dataset sizes, by scale.
        steps: Gradient steps, by scale.
        T_a: Steps executed of each chunk; the first is the figure's, the others are stored.
    """

    title: str
    task: str
    overrides: tuple[tuple[str, Any], ...]
    trajectories: dict[str, tuple[int, ...]]
    steps: dict[str, int]
    T_a: tuple[int, ...] = ()


def cells_of(panel: Panel, variant: str, scale: str, refine: bool) -> list[Cell]:
    """All runs of a panel with one of `VARIANTS`."""
    method, changes = VARIANTS[variant]
    return [
        Cell(
            panel.task,
            method,
            count,
            seed,
            panel.overrides,
            train=tuple(sorted((*changes, ("steps", panel.steps[scale])))),
            T_a=panel.T_a,
            instances=INSTANCES[scale],
            refine=refine,
        )
        for count in panel.trajectories[scale]
        for seed in SEEDS[scale]
    ]


def alone(panel: Panel, scale: str) -> dict[str, Any]:
    """The solver without a policy."""
    return solver_alone(paper_task(panel.task, **dict(panel.overrides)), INSTANCES[scale], 6)


def summary(records: dict[str, list[dict[str, Any]]], solver: dict[str, Any]) -> dict[str, Any]:
    """Figures over seeds, for each variant, T_a and dataset size; and how many trajectories are enough.

    What is enough is measured by the mean cost of the solver alone, or, where that diverges, of the cheapest of six
    starts.
    """
    reference = mean(solver["cost"])
    if not np.isfinite(reference):
        reference = mean(solver["best"])
    out: dict[str, Any] = {
        "reference": reference,
        "solver": mean(solver["cost"]),
        "solver_iterations": float(sum(solver["iterations"]) / len(solver["iterations"])),
        "best_of_6": mean(solver["best"]),
        "methods": {},
    }
    for variant, mine in records.items():
        for T_a in mine[0]["T_a"]:
            points = {}
            for count in sorted({each["cell"]["trajectories"] for each in mine}):
                rolls = [each["T_a"][T_a] for each in mine if each["cell"]["trajectories"] == count]
                costs = [mean(roll["cost"]) for roll in rolls]
                points[count] = {"seeds": costs, "interval": interval(costs)}
                if mine[0]["cell"]["refine"]:
                    points[count]["iterations"] = [mean_known(r["iterations"]) for r in rolls]
            short = [n for n, point in points.items() if not point["interval"][0] <= LEARNED * reference]
            enough = [n for n in points if n > max(short, default=0)]
            out["methods"].setdefault(variant, {})[T_a] = {"points": points, "enough": min(enough, default=None)}
    return out


def plot(results: dict[str, Any], path: Path) -> None:
    """One axis a panel, cost over the solver's; diverged policies at the upper edge. The direct policies have T_a 1."""
    figure = Figure(figsize=(4.2 * len(results), 4.1))
    axes = figure.subplots(1, len(results), squeeze=False)
    for axis, (title, panel) in zip(axes[0], results.items(), strict=True):
        reference, top = panel["reference"], 10.0
        sizes: set[int] = set()
        for method, by_T_a in panel["methods"].items():
            points = next(iter(by_T_a.values()))["points"]
            counts = [int(count) for count in points]
            sizes |= set(counts)
            middle, low, high = (
                [min(max(point["interval"][k] / reference, 0.9), top) for point in points.values()] for k in range(3)
            )
            axis.plot(counts, middle, "o-", color=COLOURS[method], label=method, markersize=3)
            axis.fill_between(counts, low, high, color=COLOURS[method], alpha=0.15)
        axis.axhline(1.0, color="tab:purple", label="solver")
        T_a = next(iter(next(iter(panel["methods"].values()))))
        heading = title if T_a == "1" else f"{title}, $T_a$ = {T_a}"
        axis.set(xscale="log", yscale="log", ylim=(0.9, top), title=heading, xlabel="trajectories")
        axis.set_xticks(sorted(sizes), [str(size) for size in sorted(sizes)])
        axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    axes[0][0].set_ylabel("mean cost / solver's")
    lines, names = axes[0][0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=len(names), fontsize=8)
    save(figure, path)


def run(name: str, panels: Sequence[Panel], variants: Sequence[str], args: Namespace, refine: bool = False) -> None:
    """Computes all panels that the scale has data for; writes NAME.json and NAME.png after each."""
    scale, jobs, folder = args.scale, args.jobs, args.out / args.scale
    panels = [panel for panel in panels if scale in panel.trajectories]
    results: dict[str, Any] = {}
    solvers = parallel(alone, [(panel, scale) for panel in panels], jobs)
    for panel, solver in zip(panels, solvers, strict=True):
        cells = {variant: cells_of(panel, variant, scale, refine) for variant in variants}
        found = iter(run_cells([cell for each in cells.values() for cell in each], folder, jobs))
        records = {variant: [next(found) for _ in each] for variant, each in cells.items()}
        results[panel.title] = summary(records, solver)
        store(folder / f"{name}.json", {"scale": scale, "machine": machine(), "panels": results})
        plot(results, folder / f"{name}.png")
        for variant, by_T_a in results[panel.title]["methods"].items():
            enough = {T_a: each["enough"] for T_a, each in by_T_a.items()}
            print(f"{panel.title}: {variant} is within 5 % of the solver, by T_a, from trajectories: {enough}")
