"""Figure 3 of arXiv:2604.19011: the interplay loop on the UR5 with random starts, T_h 32 and 64, T_a 16, 31 and 63.

Cost of the policy alone over the iterations of the loop, iterations of the solver with and without warm start, and one
instance each as a picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from experiment import arguments
from loops import Loop, alone_figures, curves, over_iterations, policy_folder, reference, run_loops, table
from plotting import Figure, save
from records import machine, store
from rollouts import held_out

from sobo_planner.policy import Policy
from sobo_planner.solver import Solver
from sobo_training.data.instances import policy_start

VARIANTS = {"UR5(1, 0)": (("r_init", 1), ("r_tgt", 0)), "UR5(1, 1)": (("r_init", 1), ("r_tgt", 1))}
#: Prediction horizon, and the numbers of executed steps that it allows; the loop collects with the last.
T_A = {32: (16, 31), 64: (16, 31, 63)}
SEEDS = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2, 3, 4)}
INSTANCES = {"smoke": 2, "laptop": 50, "full": 50}
STARTS = {"smoke": 2, "laptop": 9, "full": 9}
#: Noise samples a rollout, the cheapest kept: a rollout of few long chunks leaves time for several.
SAMPLES = {"smoke": 2, "laptop": 16, "full": 16}
LOOP: dict[str, tuple[tuple[str, Any], ...]] = {
    "smoke": (("iterations", 1), ("interplay.instances", 2)),
    "laptop": (("iterations", 3),),
    "full": (("iterations", 5),),
}
TRAJECTORIES = {
    "smoke": {"UR5(1, 0)": 2, "UR5(1, 1)": 2},
    "laptop": {"UR5(1, 0)": 200, "UR5(1, 1)": 400},
    "full": {"UR5(1, 0)": 400, "UR5(1, 1)": 800},
}
#: Mean costs above it are drawn there.
HIGHEST = 20.0
#: How tool paths are drawn; refined ones mostly end where the solver alone does.
PATHS = {"solver alone": "-", "sob_diff": "-", "refined": "--", "target": "ro"}
#: By prediction horizon: an epoch is counted in whole chunks, of which long ones make few.
EPOCHS = {
    "smoke": {"UR5(1, 0)": {32: 1, 64: 1}, "UR5(1, 1)": {32: 1, 64: 1}},
    "laptop": {"UR5(1, 0)": {32: 200, 64: 700}, "UR5(1, 1)": {32: 250, 64: 900}},
    "full": {"UR5(1, 0)": {32: 1000, 64: 4000}, "UR5(1, 1)": {32: 1000, 64: 4000}},
}


def loops_of(variant: str, T_h: int, scale: str) -> list[Loop]:
    """The runs of one variant and prediction horizon."""
    overrides = (
        *VARIANTS[variant],
        ("T_h", T_h),
        ("T_a", 31 if T_h == 32 else 63),
        ("trajectories", f"[{TRAJECTORIES[scale][variant]}]"),
        ("epochs", EPOCHS[scale][variant][T_h]),
        *LOOP[scale],
    )
    samples = (1, SAMPLES[scale])
    return [Loop("ur5", overrides, "sob_diff", seed, T_A[T_h], INSTANCES[scale], samples) for seed in SEEDS[scale]]


def tool_paths(loop: Loop, folder: Path) -> dict[str, list[list[float]]]:
    """Tool paths on the first held-out instance: solver alone, policy alone, refined."""
    task = loop.load_task()
    policy = Policy.load(policy_folder(loop, folder), task)
    instance, solver = held_out(task, 1)[0], Solver(task)
    rolled = policy_start(task, policy, instance, np.random.default_rng([7, 0]), loop.T_a[-1])
    states = {"solver alone": solver.solve(instance, task.interpolate(instance)).X}
    if rolled is not None:
        states |= {"sob_diff": rolled.X, "refined": solver.solve(instance, rolled).X}
    paths = {name: task.robot.tool_positions(np.ascontiguousarray(X[:, : task.nu])) for name, X in states.items()}
    return {name: path.tolist() for name, path in paths.items()} | {"target": [np.asarray(instance.target).tolist()]}


def plot(results: dict[str, Any], path: Path) -> None:
    """A row a variant: costs over iterations, solver iterations, one instance."""
    figure = Figure(figsize=(13, 4 * len(results)))
    for row, (variant, each) in enumerate(results.items()):
        costs, histogram = (figure.add_subplot(len(results), 3, 3 * row + k) for k in (1, 2))
        space = figure.add_subplot(len(results), 3, 3 * row + 3, projection="3d")
        for colour, (T_h, runs) in zip(("tab:blue", "tab:orange"), each["T_h"].items(), strict=True):
            for name, style in (("policy", "--"), ("refined", "-")):
                label = f"$T_h$ = {T_h}, {name}"
                costs.plot(*over_iterations(runs["curves"][name], HIGHEST), style, color=colour, label=label)
            histogram.hist(np.maximum(runs["warm"], 1), np.geomspace(1, 200, 25), alpha=0.5, label=f"$T_h$ = {T_h}")
        alone = next(iter(each["T_h"].values()))["curves"]["solver"]  # every loop's instances are its seed's
        costs.plot(*over_iterations(alone, HIGHEST), color="tab:purple", label="solver alone")
        label = f"mean cost ({HIGHEST:.0f} and more: {HIGHEST:.0f})"
        costs.set(title=variant, xlabel="iteration of the loop", ylabel=label, yscale="log")
        costs.xaxis.get_major_locator().set_params(integer=True)
        costs.legend(fontsize=7)
        histogram.hist(
            np.maximum(each["alone"], 1), np.geomspace(1, 200, 25), histtype="step", color="tab:purple", label="alone"
        )
        histogram.set(xscale="log", xlabel="solver iterations", ylabel="instances")
        histogram.legend(fontsize=7)
        for name, points in each["paths"].items():
            x, y, z = np.array(points).T
            space.plot(x, y, z, PATHS[name], label=name)
        space.legend(fontsize=7)
    save(figure, path)


def main() -> None:
    """Runs all loops; writes fig3.json and fig3.png."""
    args = arguments(__doc__ or "")
    scale, folder = args.scale, args.out / args.scale
    results: dict[str, Any] = {}
    for variant in list(VARIANTS)[: 1 if scale == "smoke" else None]:
        example = loops_of(variant, 32, scale)[0]
        solver = reference(example, STARTS[scale])
        each: dict[str, Any] = {"solver": alone_figures(solver), "alone": solver["iterations"], "T_h": {}}
        for T_h in T_A:
            loops = loops_of(variant, T_h, scale)
            records = run_loops(loops, folder, args.jobs)
            warm = records[0]["T_a"][f"{T_A[T_h][-1]}, best of {SAMPLES[scale]}"]["iterations"]
            each["T_h"][T_h] = {"curves": curves(records), "T_a": table(records, solver), "warm": warm}
            print(variant, "T_h", T_h, each["T_h"][T_h]["T_a"])
            each["paths"] = tool_paths(loops[0], folder)
        print(variant, "solver alone", each["solver"])
        results[variant] = each
        store(folder / "fig3.json", {"scale": scale, "machine": machine(), "variants": results})
        plot(results, folder / "fig3.png")


if __name__ == "__main__":
    main()
