"""Every planner on every task: cost over the best known, share solved, time, and simulator calls.

    python benchmarks/paper/all_planners.py --scale laptop --out out/paper
    python benchmarks/paper/all_planners.py --out out/paper --tasks lqr quadrotor --methods solver sob_diff
    python benchmarks/paper/all_planners.py --out out/paper --report

Planners: the solver from its naive start, the cheapest of several starts, model-based diffusion (MBD), policies by
diff, sob_diff, mlp, sob_mlp, PLAL+S, PPO and SAC; what proposes trajectories is measured alone and as the solver's
start.

What is finished is stored and not repeated: the same command resumes. `--tasks` and `--methods` say what is computed;
the tables hold all that is there. It needs the extra `rl`.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiment import parallel, parser
from planner_cells import cells_of, finished, run_cell, run_data, sharing
from planner_tables import draw, render, summary
from planner_tasks import DEFAULT_TASKS, METHODS, TASKS
from records import machine, store


def run_task(name: str, args: Namespace, folder: Path) -> list[dict[str, Any]]:
    """Computes what is missing of a task, first the solutions that policies share; returns what failed."""
    cells = [cell for cell in cells_of(name, tuple(args.methods), args.scale) if not cell.place(folder).exists()]
    print(f"{TASKS[name].title}: {len(cells)} runs to do", flush=True)
    parallel(run_data, [(cell, folder) for cell in sharing(cells)], args.jobs)
    records = parallel(run_cell, [(cell, folder) for cell in cells], args.jobs)
    return [record for record in records if "failed" in record]


def write(args: Namespace, folder: Path, failed: Iterable[dict[str, Any]]) -> str:
    """Writes all_planners.json, all_planners.md and all_planners.png of what is finished; returns the tables."""
    found = {name: finished(name, args.scale, folder) for name in TASKS}
    for each in failed:
        found[each["cell"]["task"]].append(each)
    results = {name: summary(records) for name, records in found.items() if records}
    budgets = {name: asdict(TASKS[name].budgets[args.scale]) for name in results}
    record = {"scale": args.scale, "machine": machine(), "budgets": budgets, "tasks": results}
    folder.mkdir(parents=True, exist_ok=True)
    store(args.out / args.scale / "all_planners.json", record)
    titles = {TASKS[name].title: each for name, each in results.items()}
    tables = render(titles)
    (args.out / args.scale / "all_planners.md").write_text(tables + "\n")
    if titles:
        draw(titles, args.out / args.scale / "all_planners.png")
    return tables


def main() -> None:
    """Runs what is asked for; writes the results after each task."""
    options = parser(__doc__ or "")
    options.add_argument("--tasks", nargs="+", choices=list(TASKS), help="all by default; lqr at the scale smoke")
    options.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="all by default")
    options.add_argument("--report", action="store_true", help="compute nothing, write the tables of what is there")
    args = options.parse_args()
    folder = args.out / args.scale / "all_planners"
    failed: list[dict[str, Any]] = []
    for name in [] if args.report else args.tasks or DEFAULT_TASKS[args.scale]:
        failed += run_task(name, args, folder)
        write(args, folder, failed)
    print(write(args, folder, failed))


if __name__ == "__main__":
    main()
