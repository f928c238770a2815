"""UR5 with a small start area and random targets, UR5(0, 1), with the number of gradient steps of the paper.

The paper trains for 10^4 epochs, each over n (T - T_h) / T_h chunks of n trajectories: with batches of 128, 3320 steps
for 20 trajectories and 16602 for 100. Figure 1 (`fig1.py`) gives all sizes the same 1500. `sob_diff` also learns the
derivative with respect to the goal (`goal_derivative.py`); `diff` has up to five times as many trajectories, and the
steps that go with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cells import Cell
from experiment import arguments, run_cells
from originals import paper_task
from plotting import Figure, save
from records import interval, machine, mean, mean_known, store
from rollouts import solver_alone

from sobo_training.config import TrainConfig

VARIANT: tuple[tuple[str, Any], ...] = (("r_init", 0), ("r_tgt", 1))
SEEDS = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2, 3, 4)}
INSTANCES = {"smoke": 2, "laptop": 50, "full": 50}
EPOCHS = {"smoke": 2, "laptop": 10_000, "full": 10_000}
#: Method, trajectories, derivative with respect to the goal.
RUNS = {
    "smoke": (("sob_diff", 2, True), ("diff", 2, False)),
    "laptop": (("sob_diff", 20, True), ("sob_diff", 40, True), ("diff", 100, False)),
    "full": (
        ("sob_diff", 20, True),
        ("sob_diff", 20, False),
        ("sob_diff", 40, True),
        ("diff", 100, False),
        ("diff", 200, False),
    ),
}


def steps(trajectories: int, horizon: int, T_h: int, batch: int, epochs: int) -> int:
    """Gradient steps of the paper's number of epochs."""
    return max(1, round(epochs * trajectories * (horizon - T_h) / T_h / batch))


def cells(scale: str) -> dict[str, list[Cell]]:
    """The runs of a scale, by name."""
    task = paper_task("ur5", **dict(VARIANT))
    out: dict[str, list[Cell]] = {}
    for method, count, goal in RUNS[scale]:
        config = TrainConfig.from_task(task, method)
        budget = steps(count, task.horizon, config.T_h, config.batch, EPOCHS[scale])
        train = (("steps", budget),)
        out[f"{method}, {count}" + (", goal" if goal else "")] = [
            Cell(
                "ur5",
                method,
                count,
                seed,
                VARIANT,
                train=train,
                T_a=(8, 31),
                instances=INSTANCES[scale],
                goal=goal,
                refine=True,
            )
            for seed in SEEDS[scale]
        ]
    return out


def figures(records: list[dict[str, Any]], reference: float) -> dict[str, Any]:
    """Cost of the policy alone over the solver's mean, iterations and training time, a value a seed."""
    out: dict[str, Any] = {"steps": records[0]["steps"], "train_seconds": [each["train_seconds"] for each in records]}
    for T_a in records[0]["T_a"]:
        rolls = [each["T_a"][T_a] for each in records]
        ratios = [mean(roll["cost"]) / reference for roll in rolls]
        out[f"T_a {T_a}"] = {
            "over_solver": ratios,
            "interval": interval(ratios),
            "refined_over_solver": [mean(roll["refined"]) / reference for roll in rolls],
            "iterations": [mean_known(roll["iterations"]) for roll in rolls],
        }
    return out


def plot(results: dict[str, Any], path: Path) -> None:
    """Cost of the policies alone over the solver's, a point a seed."""
    figure = Figure(figsize=(1.5 + 1.2 * len(results), 4.0))
    axis = figure.subplots()
    for T_a, colour in (("T_a 8", "tab:red"), ("T_a 31", "tab:blue")):
        for place, each in enumerate(results.values()):
            ratios = each[T_a]["over_solver"]
            axis.scatter([place] * len(ratios), ratios, color=colour, label=T_a if place == 0 else None)
    axis.axhline(1.05, color="grey", linestyle=":")
    axis.set_xticks(range(len(results)), list(results), rotation=30, ha="right", fontsize=8)
    axis.set_ylabel("mean cost over the solver's")
    axis.set_yscale("log")
    axis.legend()
    save(figure, path)


def main() -> None:
    """Computes all cells; writes paper_budget.json and .png after each method and number of trajectories."""
    args = arguments(__doc__ or "")
    folder: Path = args.out / args.scale
    planned = cells(args.scale)
    solver = solver_alone(paper_task("ur5", **dict(VARIANT)), INSTANCES[args.scale], 6)
    reference = mean(solver["cost"])
    results: dict[str, Any] = {}
    for name, mine in planned.items():
        results[name] = figures(run_cells(mine, folder, args.jobs), reference)
        document = {
            "scale": args.scale,
            "machine": machine(),
            "reference": reference,
            "best_of_6": mean(solver["best"]),
            "results": results,
        }
        store(folder / "paper_budget.json", document)
        plot(results, folder / "paper_budget.png")
        print(name, {key: value["over_solver"] for key, value in results[name].items() if key.startswith("T_a")})


if __name__ == "__main__":
    main()
