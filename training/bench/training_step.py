"""Cost of a training step: three ways to use first-order information, and plain diffusion."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from sobo_planner.solver import Solver
from sobo_planner.tasks.config import MODES
from sobo_training.bench.options import BenchOptions, NotMeasured
from sobo_training.config import TrainConfig
from sobo_training.data.instances import Stream, draw
from sobo_training.evaluation.statistics import summarise
from sobo_training.learning.chunks import ChunkTask, TrainingSet, build
from sobo_training.learning.trainer import Trainer
from sobo_training.networks import kernels

if TYPE_CHECKING:
    from sobo_planner.tasks import ArmReach

SOLUTIONS = 2  # what is in a batch does not change its cost
STEPS = 6  # a round
WARM_UP = 2
METHODS = ("diff", *MODES)


def training_set(task: ArmReach, options: BenchOptions, config: TrainConfig) -> TrainingSet:
    """Chunks of a few solutions.

    Raises:
        NotMeasured: The solver found none.
    """
    solver, found = Solver(task), []
    for i in range(10 * SOLUTIONS):
        instance, _ = draw(task, Stream.EVALUATE, options.seed, i)
        solution = solver.solve(instance, task.interpolate(instance))
        if solution.converged:
            found.append((solution, instance.target))
        if len(found) == SOLUTIONS:
            break
    if not found:
        raise NotMeasured("no instance could be solved to train on")
    arrays = {name: np.stack([getattr(each, name) for each, _ in found]) for name in "XUKAB"}
    arrays["target"] = np.stack([target for _, target in found])
    return build(SimpleNamespace(**arrays), cast(ChunkTask, task), config.T_h, config.action)


def measure(task: ArmReach, options: BenchOptions) -> dict[str, Any]:
    """Times gradient steps with the task's batch size, one thread; the methods take turns step by step."""
    torch.set_num_threads(1)
    configs = {"diff": TrainConfig.from_task(task, loss="diff")}
    configs |= {mode: TrainConfig.from_task(task, loss="sobolev", mode=mode) for mode in MODES}
    data = training_set(task, options, configs["diff"])
    trainers = {name: Trainer(data, task, config) for name, config in configs.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
    for step in range(WARM_UP + STEPS * options.rounds):
        for name in METHODS if step % 2 == 0 else METHODS[::-1]:
            wall, cpu = time.perf_counter(), time.process_time()
            trainers[name].advance()
            sample = 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)
            if step >= WARM_UP:
                times[name].append(sample)
    wall_ms = {name: summarise([wall for wall, _ in times[name]]) for name in METHODS}
    cpu_ms = {name: summarise([cpu for _, cpu in times[name]]) for name in METHODS}
    return {
        "batch": configs["diff"].batch,
        "steps": STEPS * options.rounds,
        "compiled_kernels": kernels.library() is not None,
        "wall_ms": wall_ms,
        "cpu_ms": cpu_ms,
        "ratio": {mode: cpu_ms[mode]["median"] / cpu_ms["diff"]["median"] for mode in MODES},
        "ratio_wall": {mode: wall_ms[mode]["median"] / wall_ms["diff"]["median"] for mode in MODES},
    }
