"""Figures 6 and 7 of arXiv:2209.09006: what a policy in agreement with the solver is worth to it as a start.

Figure 6: one held-out instance by the policy alone, by the solver from the policy's rollout, and from interpolation.
Figure 7: iterations that the solver needs on held-out instances from either start. The policies are those of
`consensus.py` (PLAL+S), which are learned first where they are not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from consensus import PANELS, SEEDS, SMOKE, Panel
from consensus_runs import Job, run_job
from experiment import arguments, parallel
from plotting import Figure, save
from records import machine, remember, store

from sobo_planner.solver import Solver
from sobo_training.consensus.loop import held_out, load_policy
from sobo_training.consensus.options import ConsensusOptions
from sobo_training.evaluation.closed_loop import roll_out

INSTANCES = {"smoke": 3, "laptop": 50, "full": 200}
#: Panels of `consensus.py` by scale.
TASKS = {"smoke": ("pendulum",), "laptop": ("pendulum", "ur5"), "full": ("pendulum", "double_pendulum", "ur5")}


def jobs_of(panel: Panel, scale: str) -> list[Job]:
    """The runs of PLAL+S, a seed each."""
    found = [job for job in panel.jobs(scale) if job.method == "PLAL+S"]
    if found:
        return found
    small = tuple(sorted(SMOKE.items()))
    return [Job(panel.task, panel.overrides, "PLAL+S", small, seed, 2) for seed in SEEDS[scale]]


def compare(job: Job, folder: Path, count: int) -> dict[str, Any]:
    """Iterations and costs from both starts, and the trajectories of the first instance."""
    run_job(job, folder)
    place = job.place(folder)
    return remember(place.with_name(f"{place.name}-starts{count}.json"), lambda: _compare(job, place, count))


def _compare(job: Job, place: Path, count: int) -> dict[str, Any]:
    task, settings = job.load_task(), job.settings
    assert isinstance(settings, ConsensusOptions)
    policy, solver = load_policy(place, task, settings), Solver(task)
    instances = [instance for instance, _ in held_out(task, count)]
    rollouts = roll_out(task, policy.act, instances)
    cold = [solver.solve(each, task.interpolate(each)) for each in instances]
    pairs = zip(rollouts, instances, strict=True)
    warm = [solver.solve(each, rollout.guess) if rollout.guess else None for rollout, each in pairs]
    alone = [
        task.cost(rollout.guess.X, rollout.guess.U, each.target) if rollout.guess else None
        for rollout, each in zip(rollouts, instances, strict=True)
    ]
    first = rollouts[0].guess
    return {
        "cold": {"iterations": [each.iterations for each in cold], "cost": [float(each.cost) for each in cold]},
        "warm": {
            "iterations": [each.iterations if each else None for each in warm],
            "cost": [float(each.cost) if each else None for each in warm],
        },
        "policy": {"cost": alone},
        "example": {
            "policy": first.U.tolist() if first else None,
            "warm": warm[0].U.tolist() if warm[0] else None,
            "cold": cold[0].U.tolist(),
        },
    }


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over instances, a list over seeds; solves without a start count as failed."""
    out: dict[str, Any] = {"failed": [sum(each is None for each in r["warm"]["iterations"]) for r in records]}
    for start in ("cold", "warm"):
        iterations = [[each for each in r[start]["iterations"] if each is not None] for r in records]
        out[start] = {
            "mean": [float(np.mean(each)) if each else None for each in iterations],
            "longest": [max(each, default=None) for each in iterations],
            "cost": [_mean(r[start]["cost"]) for r in records],
        }
    return out | {"policy_cost": [_mean(r["policy"]["cost"]) for r in records]}


def _mean(costs: list[float | None]) -> float | None:
    known = [each for each in costs if each is not None]
    return float(np.mean(known)) if len(known) == len(costs) else None


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Above the controls of one instance, below the iterations from both starts, over all seeds."""
    figure = Figure(figsize=(4.6 * len(found), 6.4))
    axes = figure.subplots(2, len(found), squeeze=False)
    for column, (title, records) in enumerate(found.items()):
        above, below = axes[0][column], axes[1][column]
        for name, style in (("policy", "-"), ("warm", "--"), ("cold", ":")):
            U = records[0]["example"][name]
            if U is not None:
                above.plot(np.array(U)[:, :3], style, label=name)
        above.set(title=title, xlabel="step", ylabel="first controls [Nm]")
        above.legend(fontsize=6)
        both = [
            [each for r in records for each in r[start]["iterations"] if each is not None] for start in ("cold", "warm")
        ]
        below.hist(both, bins=20, label=["from interpolation", "from the policy"])
        below.set(xlabel="solver iterations", ylabel="instances")
        below.legend(fontsize=8)
    save(figure, path)


def main() -> None:
    """Compares the starts; writes consensus_starts.json and consensus_starts.png."""
    args = arguments(__doc__ or "")
    folder, found = args.out / args.scale, {}
    for panel in PANELS:
        if panel.task in TASKS[args.scale]:
            jobs = [(job, folder, INSTANCES[args.scale]) for job in jobs_of(panel, args.scale)]
            found[panel.title.partition(": ")[2]] = parallel(compare, jobs, args.jobs)
    figures = {title: summary(records) for title, records in found.items()}
    store(folder / "consensus_starts.json", {"scale": args.scale, "machine": machine(), "tasks": figures})
    draw(found, folder / "consensus_starts.png")
    for title, each in figures.items():
        print(f"{title}: iterations {each['cold']['mean']} from interpolation, {each['warm']['mean']} from the policy")


if __name__ == "__main__":
    main()
