"""The report of a benchmark as text."""

from __future__ import annotations

from typing import Any

from sobo_training.bench import plant
from sobo_training.evaluation.statistics import number, table

RATIOS = {
    "solver_ms_per_iteration": "ProxDDP / BoxFDDP, CPU ms an iteration",
    "solver_near_iterations": "ProxDDP / BoxFDDP, iterations to 0.1 % (same optimum)",
    "solver_near_ms": "ProxDDP / BoxFDDP, CPU ms to 0.1 % (same optimum)",
    "solver_converged_ms": "ProxDDP / BoxFDDP, CPU ms to own tolerance (same optimum)",
    "chunk_median": "native network / onnxruntime, ms a chunk, median",
    "chunk_p99": "native network / onnxruntime, ms a chunk, p99",
    "chunk_torch_median": "native network / torch, ms a chunk, median",
    "plan_total_median": "plan with policy / without, ms, median of ratios",
    "plan_total_of_means": "plan with policy / without, ms, ratio of means",
    "training_vjp": "vjp / diff, CPU ms a training step",
    "training_jvp": "jvp / diff, CPU ms a training step",
    "training_augment": "augment / diff, CPU ms a training step",
}

# Ratios that are shown for each start of the solvers.
SHOWN = ("ms_per_iteration", "near_iterations", "near_ms", "iterations", "ms", "cost")


def render(report: dict[str, Any], before: dict[str, Any] | None = None) -> str:
    """The report as text: ratios first, beside those of an earlier report where there is one, then each section."""
    blocks = [_head(report), _ratios(report, before)]
    for name, write in (
        ("solver", solver_part),
        ("chunk", _chunk),
        ("plan", _plan),
        ("training", _training),
        ("process", _process),
        ("plant", _plant),
    ):
        blocks.append(
            f"{name}: not measured: {report['skipped'][name]}" if report[name] is None else write(report[name])
        )
    return "\n\n".join(blocks)


def _head(report: dict[str, Any]) -> str:
    where, versions = report["machine"], report["versions"]
    lines = [
        f"{report['task']}: {report['instances']} held-out instances, seed {report['seed']}, {report['rounds']} rounds",
        f"{where['processor']}, {where['processors']} processors, "
        f"load {where['load_before']} ... {where['load_after']}",
        ", ".join(f"{name} {version}" for name, version in versions.items() if version),
    ]
    if where["load_before"] > 0.5 * where["processors"]:
        lines.append("The machine was busy: trust the ratios, not the milliseconds.")
    return "\n".join(lines)


def _ratios(report: dict[str, Any], before: dict[str, Any] | None) -> str:
    width = max(map(len, RATIOS.values()))
    title = "ratios (below 1: the first is cheaper)"
    rows = [title if before is None else f"{title.ljust(width)}  {'now':>7}  {'before':>7}"]
    for name, text in RATIOS.items():
        row = f"{text.ljust(width)}  {number(report['ratios'][name]):>7}"
        rows.append(row if before is None else f"{row}  {number(before.get(name)):>7}")
    return "\n".join(rows)


def solver_part(part: dict[str, Any]) -> str:
    """The comparison of the solvers as text."""
    rows = []
    for name in ("proxddp", "boxfddp"):
        side = part[name]
        rows += [(f"{name} {figure.replace('_', ' ')}", side[figure]) for figure in side if figure != "converged"]
    parity = part["parity"]
    lines = [
        f"solver: Crocoddyl {part['versions']['crocoddyl']} with Pinocchio {part['versions']['pinocchio']}",
        f"the same problem: costs agree to {parity['cost_relative']:.0e} (relative), "
        f"a step to {parity['step_absolute']:.0e}",
        table(rows),
    ]
    for start, figures in part["starts"].items():
        ratio, count = figures["ratio"], figures["ratio"]["ms_per_iteration"]["count"]
        shares = ", ".join(f"{name} {100 * figures[name]['converged']:.0f} %" for name in ("proxddp", "boxfddp"))
        lines += [
            f"from {start}: converged {shares}; the same optimum in {ratio['same_optimum']} of {count}, "
            f"cheaper: proxddp in {ratio['proxddp_cheaper']}, boxfddp in {ratio['boxfddp_cheaper']}",
            "  medians of proxddp / boxfddp: "
            + ", ".join(f"{name.replace('_', ' ')} {number(ratio[name]['median'])}" for name in SHOWN),
        ]
    return "\n".join(lines)


def _chunk(part: dict[str, Any]) -> str:
    rows = [
        (f"{clock.replace('_', ' ')} {engine}", part[clock][engine])
        for clock in ("wall_ms", "cpu_ms")
        for engine in part[clock]
    ]
    what = f"{part['denoising_steps']} denoising steps, {part['chunk_slots']} slots, batch 1, one thread"
    return f"chunk: {what}, {part['calls']} calls\n" + table(rows)


def _plan(part: dict[str, Any]) -> str:
    rows, notes = [], []
    for side in ("policy", "cold"):
        figures = part[side]
        rows += [(f"{side}: {phase} ms", summary) for phase, summary in figures["phases_ms"].items()]
        rows += [(f"{side}: iterations", figures["iterations"]), (f"{side}: cost", figures["cost"])]
        sources = ", ".join(f"{name} {count}" for name, count in figures["sources"].items())
        notes.append(f"{side}: reached {100 * figures['reached']:.0f} %, plans from {sources}")
        notes += [f"{side}: no plan for instance {i}: {reason}" for i, reason in figures["reasons"].items()]
    return "\n".join(["plan", table(rows), *notes])


def _training(part: dict[str, Any]) -> str:
    rows = [
        (f"{clock.replace('_', ' ')} {method}", part[clock][method])
        for clock in ("wall_ms", "cpu_ms")
        for method in part[clock]
    ]
    kernels = "with" if part["compiled_kernels"] else "without"
    return f"training step: batch {part['batch']}, {part['steps']} steps, {kernels} compiled kernels\n" + table(rows)


def _process(part: dict[str, Any]) -> str:
    lines = [f"process: {part['starts']} starts each"]
    rows = [
        (f"{kind}: {name.replace('_', ' ')}", summary)
        for kind in ("planner", "node")
        if part[kind] is not None
        for name, summary in part[kind].items()
        if name != "within_targets"
    ]
    if rows:
        lines.append(table(rows))
    targets = part["targets"]
    for kind in ("planner", "node"):
        if part[kind] is None:
            lines.append(f"{kind}: not measured: {part['skipped'][kind]}")
        else:
            verdict = "within" if part[kind]["within_targets"] else "ABOVE"
            lines.append(f"{kind}: {verdict} {targets['rss_mb']:.0f} MB and {targets['ready_cpu_s']:.0f} s of CPU time")
    return "\n".join(lines)


def _plant(part: dict[str, Any]) -> str:
    return "plant: errors of the tool in mm, speeds and torques as shares of the limits\n" + plant.table(part)
