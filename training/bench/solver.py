"""ProxDDP and Crocoddyl's BoxFDDP on the same problem, instances and guesses, call by call in turns.

Both are timed from Python, around one call. Ours solves as for a plan, without the sweep for gains at the returned
trajectory; BoxFDDP returns those of its last iteration, which it has at hand.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sobo_planner.robot import SEMI_IMPLICIT_EULER
from sobo_planner.tasks import ArmReach
from sobo_training.bench.contenders import BoxFDDP, ProxDDP, Series
from sobo_training.bench.crocoddyl_client import CrocoddylSide, compare, environment_python, export_problem
from sobo_training.bench.options import BenchOptions
from sobo_training.data.instances import Stream, draw
from sobo_training.evaluation.statistics import paired_ratio, summarise

# Final costs that differ by less belong to the same optimum.
SAME_OPTIMUM = 0.01
SOLVERS = ("proxddp", "boxfddp")
STARTS = ("interpolation", "gravity")


def without_limits(task: ArmReach) -> ArmReach:
    """The task as Crocoddyl has it: torques as controls, no bounds on states, no damping of joints."""
    problem = replace(task.config.problem, velocity_limits=False, integrator=SEMI_IMPLICIT_EULER)
    robot = task.robot.with_surroundings(task.robot.gravity_vector.tolist(), task.nu * [0.0])
    return ArmReach(replace(task.config, problem=problem), robot)


def run_in_turns(contenders: Sequence[ProxDDP | BoxFDDP], instances: int, rounds: int) -> list[list[Series]]:
    """Times all contenders on all instances; within a round they take turns, and the first one alternates.

    Returns:
        A row an instance, with a series a contender.
    """
    rows = [[Series(contender.near(i)) for contender in contenders] for i in range(instances)]
    for turn in range(rounds):
        for i, row in enumerate(rows):
            order = list(zip(contenders, row, strict=True))
            for contender, series in order if (turn + i) % 2 == 0 else order[::-1]:
                run = contender.solve(i)
                series.iterations, series.cost = run["iterations"], run["cost"]
                series.converged = run["converged"]
                series.wall_ms.append(run["wall_ms"])
                series.cpu_ms.append(run["cpu_ms"])
                if series.near is not None:
                    run = contender.solve(i, series.near)
                    series.near_wall_ms.append(run["wall_ms"])
                    series.near_cpu_ms.append(run["cpu_ms"])
    return rows


def summarise_solver(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summaries over the instances; `failures` counts those that did not converge."""
    failures = sum(not each["converged"] for each in figures)
    names = [name for name in figures[0] if name != "converged"]
    summaries = {name: summarise([each[name] for each in figures], failures) for name in names}
    return summaries | {"converged": 1.0 - failures / len(figures)}


def compare_solvers(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """ProxDDP over BoxFDDP, instance by instance; below 1 ProxDDP is faster. Times are CPU times."""

    def ratio(name: str, both: Sequence[bool]) -> dict[str, Any]:
        sides = ([each[name] if use else None for each, use in zip(side, both, strict=True)] for side in (ours, theirs))
        return paired_ratio(*sides)

    pairs = list(zip(ours, theirs, strict=True))
    everywhere = [True] * len(pairs)
    same = [abs(a["cost"] / b["cost"] - 1.0) < SAME_OPTIMUM and a["converged"] and b["converged"] for a, b in pairs]
    return {
        "ms_per_iteration": ratio("ms_per_iteration", everywhere),
        "wall_ms_per_iteration": ratio("wall_ms_per_iteration", everywhere),
        "near_iterations": ratio("near_iterations", same),
        "near_ms": ratio("near_cpu_ms", same),
        "iterations": ratio("iterations", same),
        "ms": ratio("cpu_ms", same),
        "cost": ratio("cost", everywhere),
        "same_optimum": sum(same),
        "proxddp_cheaper": sum(a["cost"] < (1 - SAME_OPTIMUM) * b["cost"] for a, b in pairs),
        "boxfddp_cheaper": sum(b["cost"] < (1 - SAME_OPTIMUM) * a["cost"] for a, b in pairs),
    }


def figures_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summaries of both solvers and their ratios, over rows as `measure` stores them."""
    sides = {name: [row[name] for row in rows] for name in SOLVERS}
    return {
        **{name: summarise_solver(side) for name, side in sides.items()},
        "ratio": compare_solvers(*sides.values()),
    }


def measure(task: ArmReach, options: BenchOptions) -> dict[str, Any]:
    """Compares the solvers from each naive start.

    Raises:
        NotMeasured: No environment with Crocoddyl, or its problem is not the same as ours.
    """
    python = environment_python()
    task = without_limits(task)
    instances = [draw(task, Stream.EVALUATE, options.seed, i)[0] for i in range(options.instances)]
    rows: list[dict[str, Any]] = []
    seen: dict[str, Any] = {}
    parity: dict[str, float] = {}
    for start, make_guess in zip(STARTS, (task.interpolate, task.gravity_rollout), strict=True):
        guesses = [make_guess(instance) for instance in instances]
        with tempfile.TemporaryDirectory(prefix="sobo-bench-") as folder:
            path = Path(folder) / "problem.npz"
            arrays = export_problem(task, instances, guesses, path, options.seed)
            with CrocoddylSide(python, path) as side:
                seen = side.seen
                found = compare(task, arrays, seen)
                contenders = (ProxDDP(task, instances, guesses), BoxFDDP(side))
                runs = run_in_turns(contenders, len(instances), options.rounds)
        parity = {name: max(value, parity.get(name, 0.0)) for name, value in found.items()}
        for run in runs:
            sides = {name: series.figures() for name, series in zip(SOLVERS, run, strict=True)}
            rows.append({"start": start, **sides})
    starts = {start: [row for row in rows if row["start"] == start] for start in STARTS}
    return {
        "parity": parity,
        "versions": seen["versions"],
        "starts": {start: figures_of(part) for start, part in starts.items()},
        **figures_of(rows),
        "rows": rows,
    }
