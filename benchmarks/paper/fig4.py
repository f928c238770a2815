"""Figure 4 of arXiv:2604.19011: a quadrotor among 0, 1, 3 and 9 columns.

Trajectories of the solver and of policies with and without first-order information, precision at the goal, how often
rollouts enter columns, and the time of the solver alone beside that of rollout and refinement. Policies of one column
count learn from the same trajectories, with the same steps and learning rate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from cells import Cell
from experiment import arguments, parallel, run_cells
from matplotlib.patches import Circle
from originals import paper_task
from plotting import Figure, save
from records import machine, mean, mean_known, store
from rollouts import held_out, solver_alone

METHODS = ("sob_diff", "diff")
COLUMNS = {"smoke": (1,), "laptop": (0, 1, 3, 9), "full": (0, 1, 3, 9)}
TRAJECTORIES = {"smoke": 3, "laptop": 300, "full": 1000}
STEPS = {"smoke": 10, "laptop": 3000, "full": 16000}
SEEDS = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2, 3, 4)}
INSTANCES = {"smoke": 3, "laptop": 50, "full": 50}
T_A = 16
#: A rollout that enters an obstacle deeper than this [m] violates it; so does one that diverges.
DEPTH = 0.01
DRAWN = 5  # trajectories in a picture


def cells_of(columns: int, scale: str) -> list[Cell]:
    """All runs of one column count."""
    return [
        Cell(
            "quadrotor",
            method,
            TRAJECTORIES[scale],
            seed,
            (("columns", columns),),
            train=(("steps", STEPS[scale]),),
            T_a=(T_A,),
            instances=INSTANCES[scale],
            refine=True,
            time_alone=True,
            keep_paths=DRAWN,
        )
        for method in METHODS
        for seed in SEEDS[scale]
    ]


def alone(columns: int, scale: str) -> dict[str, Any]:
    """The solver without a policy."""
    return solver_alone(paper_task("quadrotor", columns=columns), INSTANCES[scale], 4, DRAWN)


def figures(records: list[dict[str, Any]], solver: dict[str, Any]) -> dict[str, Any]:
    """What each method reaches, a list over seeds."""
    out: dict[str, Any] = {
        "solver": {
            "cost": mean(solver["cost"]),
            "ms": float(np.mean(solver["solve_ms"])),
            "iterations": float(np.mean(solver["iterations"])),
            "converged": float(np.mean(solver["converged"])),
        }
    }
    for method in METHODS:
        mine = [each for each in records if each["cell"]["method"] == method]
        rolls = [each["T_a"][str(T_A)] for each in mine]
        out[method] = {
            "cost": [mean(roll["cost"]) for roll in rolls],
            "median_cost": [float(np.median([c or np.inf for c in roll["cost"]])) for roll in rolls],
            "refined": [mean(roll["refined"]) for roll in rolls],
            "converged": [float(np.mean(roll["converged"])) for roll in rolls],
            "iterations": [mean_known(roll["iterations"]) for roll in rolls],
            "solve_ms": [mean_known(roll["solve_ms"]) for roll in rolls],
            "rollout_ms": [float(np.mean(roll["rollout_ms"])) for roll in rolls],
            "alone_ms": [float(np.mean(each["alone_ms"])) for each in mine],
            "median_error_m": [float(np.median([e or np.inf for e in roll["error"]])) for roll in rolls],
            "violating": [float(np.mean([v is None or v > DEPTH for v in roll["violation"]])) for roll in rolls],
            "mean_depth_m": [mean_known(roll["violation"]) for roll in rolls],
        }
    return out


def plot(results: dict[int, Any], path: Path) -> None:
    """Rows: solver, diff, sob_diff; columns: the numbers of columns; seen from above."""
    rows = ("solver", *reversed(METHODS))
    figure = Figure(figsize=(3.2 * len(results), 9.6))
    axes = figure.subplots(3, len(results), squeeze=False)
    for column, (count, each) in enumerate(results.items()):
        task = paper_task("quadrotor", columns=count)
        for axis, row in zip(axes[:, column], rows, strict=True):
            for x, y, radius in task.columns:
                axis.add_patch(Circle((x, y), radius, color="0.7"))
            for instance, path_xy in zip(held_out(task, DRAWN), each["paths"][row], strict=False):
                if path_xy is not None:
                    axis.plot(*np.array(path_xy).T, color="tab:orange")
                axis.plot(*instance.x0[:2], "o", color="tab:blue", markersize=4)
                axis.plot(*instance.target[:2], "o", color="tab:red", markersize=4)
            axis.set(xlim=(-3.8, 3.8), ylim=(-3.8, 3.8), aspect="equal", xticks=[], yticks=[])
            axis.set_title(f"{row}, {count} columns", fontsize=9)
    save(figure, path)


def main() -> None:
    """Runs all column counts and writes fig4.json and fig4.png."""
    args = arguments(__doc__ or "")
    folder = args.out / args.scale
    results: dict[int, Any] = {}
    solvers = parallel(alone, [(count, args.scale) for count in COLUMNS[args.scale]], args.jobs)
    for count, solver in zip(COLUMNS[args.scale], solvers, strict=True):
        records = run_cells(cells_of(count, args.scale), folder, args.jobs)
        paths = {"solver": solver["paths"]}
        for method in METHODS:
            first = next(each for each in records if each["cell"]["method"] == method)
            paths[method] = first["T_a"][str(T_A)]["paths"]
        results[count] = figures(records, solver) | {"paths": paths}
        store(folder / "fig4.json", {"scale": args.scale, "machine": machine(), "columns": results})
        plot(results, folder / "fig4.png")
        for method in METHODS:
            print(
                count, "columns", method, {name: np.round(v, 3).tolist() for name, v in results[count][method].items()}
            )
        print(count, "columns, solver alone", results[count]["solver"])


if __name__ == "__main__":
    main()
