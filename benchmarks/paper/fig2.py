"""Figure 2 of arXiv:2604.19011: the interplay loop on the double pendulum, which the solver alone struggles with.

Cost over the iterations of the loop for all methods; solver iterations with and without warm start; and what the number
of executed steps T_a trades between rollout and refinement. All methods take the same number of gradient steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from experiment import arguments
from loops import Loop, alone_figures, curves, over_iterations, reference, run_loops, table
from originals import paper_task
from panels import COLOURS
from plotting import Figure, save
from records import machine, store

METHODS = {
    "smoke": ("sob_diff",),
    "laptop": ("sob_diff", "diff", "sob_mlp", "mlp"),
    "full": ("sob_diff", "diff", "sob_mlp", "mlp"),
}
#: Executed steps that the last policy of `sob_diff` is evaluated with; that of `diff` only with those of the loop.
T_A = {"smoke": (4,), "laptop": (1, 2, 4, 6, 9, 12, 15), "full": (1, 2, 4, 6, 9, 12, 15)}
LOOP_T_A = 4
SEEDS = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2, 3, 4)}
INSTANCES = {"smoke": 2, "laptop": 50, "full": 50}
STARTS = {"smoke": 1, "laptop": 8, "full": 8}
#: The loop's numbers that differ from the task file's.
LOOP: dict[str, tuple[tuple[str, Any], ...]] = {
    "smoke": (("iterations", 1), ("trajectories", "[2]"), ("interplay.instances", 2)),
    "laptop": (("iterations", 4), ("interplay.instances", 20)),
    "full": (),
}
EPOCHS = {"smoke": 1, "laptop": 1000, "full": 3000}
#: Mean costs above it are drawn there.
HIGHEST = 500.0


def loop_of(method: str, seed: int, scale: str) -> Loop:
    """One run."""
    epochs = EPOCHS[scale]
    if method in ("mlp", "sob_mlp"):  # whose epochs have T samples a trajectory instead of (T - T_h) / T_h
        task = paper_task("double_pendulum")
        epochs = max(1, round(epochs * (1.0 / task.config.policy.T_h - 1.0 / task.horizon)))
    T_a = T_A[scale] if method == "sob_diff" else (LOOP_T_A,)
    return Loop("double_pendulum", (*LOOP[scale], ("epochs", epochs)), method, seed, T_a, INSTANCES[scale])


def plot(results: dict[str, Any], path: Path) -> None:
    """(a) cost over iterations, (b) histogram of solver iterations."""
    figure = Figure(figsize=(10, 5))
    (costs, histogram) = figure.subplots(1, 2)
    for method, each in results["methods"].items():
        for name, style in (("policy", "--"), ("refined", "-")):
            label = f"{method}, {name}"
            costs.plot(*over_iterations(each["curves"][name], HIGHEST), style, color=COLOURS[method], label=label)
    # Every loop's instances are its seed's, and so are those of the last method.
    alone = over_iterations(each["curves"]["solver"], HIGHEST)
    costs.plot(*alone, color="tab:purple", label="solver alone, where it converges")
    label = f"mean cost ({HIGHEST:.0f} and more: {HIGHEST:.0f})"
    costs.set(xlabel="iteration of the loop", ylabel=label, yscale="log")
    costs.xaxis.get_major_locator().set_params(integer=True)
    costs.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    bins = np.geomspace(1, 1000, 25)
    histogram.hist(np.maximum(results["iterations"]["alone"], 1), bins, alpha=0.6, color="tab:purple", label="alone")
    warm = np.maximum(results["iterations"]["warm"], 1)
    histogram.hist(warm, bins, alpha=0.6, color="tab:red", label="from sob_diff")
    histogram.set(xscale="log", xlabel="solver iterations", ylabel="instances")
    histogram.legend()
    save(figure, path)


def main() -> None:
    """Runs all loops; writes fig2.json and fig2.png."""
    args = arguments(__doc__ or "")
    scale, folder = args.scale, args.out / args.scale
    results: dict[str, Any] = {"methods": {}}
    solver = reference(loop_of("sob_diff", 0, scale), STARTS[scale])
    results["solver"] = alone_figures(solver)
    for method in METHODS[scale]:
        records = run_loops([loop_of(method, seed, scale) for seed in SEEDS[scale]], folder, args.jobs)
        results["methods"][method] = {"curves": curves(records), "T_a": table(records, solver)}
        if method == "sob_diff":
            warm = records[0]["T_a"][str(LOOP_T_A)]["iterations"]
            results["iterations"] = {"alone": solver["iterations"], "warm": warm}
        store(folder / "fig2.json", {"scale": scale, "machine": machine(), **results})
        plot(results, folder / "fig2.png")
        print(method, results["methods"][method])
    print("solver alone", results["solver"])


if __name__ == "__main__":
    main()
