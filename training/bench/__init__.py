"""`sobo bench`: the planner compared with alternatives, as ratios.

The sections of the report:

    solver     ProxDDP and Crocoddyl's BoxFDDP, ms an iteration and to a solution
    chunk      the native network, onnxruntime and torch, ms a chunk
    plan       `Planner.plan` by phase, with the policy and without
    training   vjp, jvp, augment and plain diffusion, ms a gradient step
    process    memory and CPU time of the run-time process
    plant      plans played in MuJoCo, with friction and masses that they do not know
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sobo_planner.errors import ConfigError, PolicyError
from sobo_training.bench import footprint, inference, machine, planning, plant, solver, training_step
from sobo_training.bench.options import BenchOptions, NotMeasured
from sobo_training.bench.render import render

if TYPE_CHECKING:
    from sobo_planner.tasks import ArmReach

__all__ = ["SECTIONS", "BenchOptions", "NotMeasured", "bench", "ratios", "render", "stored_ratios"]

logger = logging.getLogger(__name__)

SECTIONS = ("solver", "chunk", "plan", "training", "process", "plant")


def bench(task: ArmReach, policy_folder: Path | None, options: BenchOptions | None = None) -> dict[str, Any]:
    """Measures everything that can be measured here.

    Args:
        task: The task, with random starts and targets or without.
        policy_folder: Policy artifact; None leaves out what needs one.
        options: The budget.

    Returns:
        JSON values: `ratios` (the figures that can be compared between machines), the sections, `machine`, `versions`.
        A section that could not be measured is None, with the reason in `skipped`.
    """
    options = options or BenchOptions()
    load = machine.load()
    found: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for name, measure in _measures(task, policy_folder, options).items():
        logger.info("measuring: %s", name)
        try:
            found[name] = measure()
        except (NotMeasured, PolicyError) as reason:  # a shipped policy may not fit the task's overrides
            found[name], skipped[name] = None, str(reason)
            logger.warning("not measured: %s: %s", name, reason)
    return {
        "task": task.name,
        "task_hash": task.hash,
        "policy": None if policy_folder is None else str(policy_folder),
        **vars(options),
        "ratios": ratios(found),
        **found,
        "skipped": skipped,
        "machine": machine.describe() | {"load_before": load, "load_after": machine.load()},
        "versions": machine.versions(),
    }


def _measures(task: ArmReach, folder: Path | None, options: BenchOptions) -> dict[str, Callable[[], dict[str, Any]]]:
    def with_policy(measure: Callable[[ArmReach, Path, BenchOptions], dict[str, Any]]) -> dict[str, Any]:
        if folder is None:
            raise NotMeasured(f"no policy is shipped for {task.name}; name one with --policy")
        return measure(task, folder, options)

    return {
        "solver": lambda: solver.measure(task, options),
        "chunk": lambda: with_policy(inference.measure),
        "plan": lambda: with_policy(planning.measure),
        "training": lambda: training_step.measure(task, options),
        "process": lambda: footprint.measure(task, folder, options),
        "plant": lambda: plant.measure(task, options),
    }


def ratios(found: dict[str, Any]) -> dict[str, float | None]:
    """The ratios of all sections, ours over the alternative; None where a section is missing."""

    def of(section: str, *path: str) -> float | None:
        value = found.get(section)
        for key in ("ratio", *path):
            value = None if value is None else value[key]
        return value

    return {
        "solver_ms_per_iteration": of("solver", "ms_per_iteration", "median"),
        "solver_near_iterations": of("solver", "near_iterations", "median"),
        "solver_near_ms": of("solver", "near_ms", "median"),
        "solver_converged_ms": of("solver", "ms", "median"),
        "chunk_median": of("chunk", "onnxruntime", "median"),
        "chunk_p99": of("chunk", "onnxruntime", "p99"),
        "chunk_torch_median": of("chunk", "torch", "median"),
        "plan_total_median": of("plan", "total", "median"),
        "plan_total_of_means": of("plan", "total", "ratio_of_means"),
        "training_vjp": of("training", "vjp"),
        "training_jvp": of("training", "jvp"),
        "training_augment": of("training", "augment"),
    }


def stored_ratios(path: Path) -> dict[str, float | None]:
    """The ratios of a report in a file.

    Raises:
        ConfigError: The file cannot be read, or is no report.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["ratios"]
        return {name: None if value is None else float(value) for name, value in found.items()}
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path} is no report of `sobo bench`: name another file") from error
