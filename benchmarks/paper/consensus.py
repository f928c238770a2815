"""Figures 3 to 5 of arXiv:2209.09006: cost of the policy over simulator calls, for all methods and seeds.

Calls of the simulator count alike for all methods (docs/consensus.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from consensus_runs import Job, run_job, summary
from experiment import arguments, parallel
from plotting import Figure, save
from records import machine, store

SEEDS = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2, 3, 4)}
INSTANCES = {"smoke": 2, "laptop": 20, "full": 50}
#: Costs over the best known are drawn up to here.
HIGHEST = 20.0
COLOURS = {
    "PDDP": "tab:cyan",
    "PDDP+S": "tab:blue",
    "PDDP+S-C": "navy",
    "PLAL": "tab:orange",
    "PLAL+S": "tab:red",
    "PLAL+M": "tab:olive",
    "PLAL+M+S": "tab:green",
    "PLAL+S-C": "tab:brown",
    "DPL": "tab:pink",
    "PODS": "tab:purple",
    "PPO": "0.2",
    "SAC": "0.6",
}


@dataclass(frozen=True)
class Panel:
    """One task of a figure.

    Attributes:
        title: Name in the figure.
        task: Task file.
        overrides: Its variant.
        methods: What is compared, by scale.
        options: Options of all methods that use the model, by scale.
        free: Simulator calls, and those between evaluations, of PPO and SAC, by scale.
    """

    title: str
    task: str
    overrides: tuple[tuple[str, Any], ...]
    methods: dict[str, tuple[str, ...]]
    options: dict[str, dict[str, Any]]
    free: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def jobs(self, scale: str) -> list[Job]:
        """All runs, the shortest first."""
        return [
            Job(self.task, self.overrides, method, self._options(method, scale), seed, INSTANCES[scale])
            for method in self.methods[scale]
            for seed in SEEDS[scale]
        ]

    def _options(self, method: str, scale: str) -> tuple[tuple[str, Any], ...]:
        if method in ("PPO", "SAC"):
            calls, every = self.free[scale][method]
            return (("calls", calls), ("every", every))
        return tuple(sorted(self.options[scale].items()))


SMOKE = {"steps": 2, "instances": 2, "gradient_steps": 5, "hidden": (8,), "warm_steps": 1}
ABLATION = ("PDDP", "PDDP+S", "PDDP+S-C", "PLAL", "PLAL+S", "PLAL+M", "PLAL+M+S", "PLAL+S-C", "DPL", "PODS")
ROBOTS = ("PDDP", "PDDP+S", "PLAL", "PLAL+S", "PLAL+S-C", "PLAL+M+S", "PODS")
LQR = {"steps": 10, "instances": 10, "gradient_steps": 150}
PENDULUM = {"steps": 10, "instances": 6}
PANELS = (
    Panel(
        "figure 3: constrained LQR",
        "lqr",
        (),
        {"smoke": ("PLAL+M+S", "PODS", "SAC"), "laptop": (*ABLATION, "PPO", "SAC"), "full": (*ABLATION, "PPO", "SAC")},
        {"smoke": SMOKE, "laptop": LQR, "full": LQR | {"steps": 20}},
        {
            "smoke": {"SAC": (120, 60)},
            "laptop": {"PPO": (102_400, 10_240), "SAC": (20_000, 4_000)},
            "full": {"PPO": (1_024_000, 20_480), "SAC": (200_000, 10_000)},
        },
    ),
    Panel(
        "figure 4: pendulum, 8 Nm",
        "pendulum",
        (("problem.torque_limit", 8.0),),
        {"smoke": ("PLAL+S-C",), "laptop": ABLATION, "full": (*ABLATION, "PPO", "SAC")},
        {"smoke": SMOKE, "laptop": PENDULUM, "full": PENDULUM | {"steps": 20}},
        {"full": {"PPO": (1_024_000, 20_480), "SAC": (200_000, 10_000)}},
    ),
    Panel(
        "figure 5: double pendulum",
        "double_pendulum",
        (),
        {"laptop": ROBOTS, "full": ROBOTS},
        {
            "laptop": {"steps": 6, "instances": 10, "starts": 6, "gradient_steps": 1000, "hidden": (128, 128)},
            "full": {"steps": 20, "instances": 50, "starts": 6, "gradient_steps": 3000, "hidden": (256, 256)},
        },
    ),
    Panel(
        "figure 5: UR5(0, 1)",
        "ur5",
        (("r_init", 0), ("r_tgt", 1)),
        {"laptop": ROBOTS, "full": ROBOTS},
        {
            "laptop": {"steps": 5, "instances": 30, "gradient_steps": 1500, "hidden": (128, 128), "alpha": 0.01},
            "full": {"steps": 20, "instances": 200, "gradient_steps": 3000, "hidden": (256, 256), "alpha": 0.01},
        },
    ),
)


def draw(panels: dict[str, Any], path: Path) -> None:
    """One axis a panel: cost over the best known, over simulator calls; a line a method, the mean over seeds."""
    figure = Figure(figsize=(4.6 * len(panels), 4.4))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        for method, found in panel["methods"].items():
            calls, costs = mean_curve(found["curves"], panel["reference"]["best"])
            axis.plot(calls, costs, "o-", markersize=3, color=COLOURS[method], label=method)
        axis.axhline(1.0, color="black", linewidth=0.8)
        axis.set(xscale="log", yscale="log", ylim=(0.95, HIGHEST), title=title, xlabel="simulator calls")
        axis.legend(fontsize=6)
    axes[0].set_ylabel("mean cost / best known")
    save(figure, path)


def mean_curve(curves: Sequence[Sequence[tuple[int, float | None]]], best: float) -> tuple[list[float], list[float]]:
    """Mean calls and mean costs over seeds, step by step; each cost counts as `HIGHEST` at most."""
    steps = list(zip(*curves, strict=True))
    calls = [float(np.mean([point[0] for point in step])) for step in steps]
    over = [[HIGHEST if point[1] is None else min(point[1] / best, HIGHEST) for point in step] for step in steps]
    return calls, [float(np.mean(each)) for each in over]


def main() -> None:
    """Runs all panels; writes consensus.json and consensus.png after each."""
    args = arguments(__doc__ or "")
    folder, panels = args.out / args.scale, {}
    for panel in PANELS:
        if args.scale not in panel.methods:
            continue
        jobs = panel.jobs(args.scale)
        records = parallel(run_job, [(job, folder) for job in jobs], args.jobs)
        by_method: dict[str, list[Any]] = {}
        for job, record in zip(jobs, records, strict=True):
            by_method.setdefault(job.method, []).append(record)
        methods = {method: summary(found) for method, found in by_method.items()}
        panels[panel.title] = {"reference": records[0]["reference"], "methods": methods}
        store(folder / "consensus.json", {"scale": args.scale, "machine": machine(), "panels": panels})
        draw(panels, folder / "consensus.png")
        for method, found in methods.items():
            print(f"{panel.title}: {method}: over the best known {found['over_best']}, |u - pi| {found['residual']}")


if __name__ == "__main__":
    main()
