"""Chunk latency of the native engine, of onnxruntime, and of torch as the reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sobo_planner.policy import Policy
from sobo_training.bench.options import BenchOptions, NotMeasured
from sobo_training.data.instances import Stream, draw
from sobo_training.evaluation.statistics import summarise

if TYPE_CHECKING:
    from pathlib import Path

    from sobo_planner.tasks import ArmReach

OURS, OTHERS = "native", ("onnxruntime", "torch")
ENGINES = (OURS, *OTHERS)
CALLS = 60  # a round
WARM_UP = 10
# Largest difference of a chunk between engines, relative to the largest entry.
TOLERANCE = 1e-3


def measure(task: ArmReach, folder: Path, options: BenchOptions) -> dict[str, Any]:
    """Times whole chunks (all K denoising steps, batch 1, one thread); the engines take turns call by call.

    Raises:
        NotMeasured: The engines disagree.
    """
    torch.set_num_threads(1)
    policies = {name: Policy.load(folder, task, (name,)) for name in ENGINES}
    # Two in turn: an engine may remember what it computed from the observation before.
    instances = [draw(task, Stream.EVALUATE, options.seed, number)[0] for number in range(2)]
    observations = [np.asarray(task.observation(each.x0, each.target))[None] for each in instances]
    histories = [policies["torch"].actions.history(each.x0, np.zeros(task.nu))[None] for each in instances]

    def chunk(policy: Policy, call: int) -> np.ndarray:
        rng = np.random.default_rng(options.seed)
        return policy.sample_chunk(observations[call % 2], histories[call % 2], rng)

    error = _difference({name: chunk(policy, 0) for name, policy in policies.items()})
    times = _times({name: partial(chunk, policy) for name, policy in policies.items()}, CALLS * options.rounds)
    wall_ms = {name: summarise([wall for wall, _ in times[name]]) for name in ENGINES}
    cpu_ms = {name: summarise([cpu for _, cpu in times[name]]) for name in ENGINES}
    spec = policies["torch"].artifact.spec
    return {
        "calls": CALLS * options.rounds,
        "denoising_steps": spec.K,
        "chunk_slots": spec.T_h,
        "difference": error,
        "wall_ms": wall_ms,
        "cpu_ms": cpu_ms,
        "ratio": {
            name: {
                "median": wall_ms[OURS]["median"] / wall_ms[name]["median"],
                "p99": wall_ms[OURS]["p99"] / wall_ms[name]["p99"],
                "cpu_median": cpu_ms[OURS]["median"] / cpu_ms[name]["median"],
            }
            for name in OTHERS
        },
    }


def _difference(chunks: dict[str, np.ndarray]) -> float:
    reference = chunks["torch"]
    error = max(float(np.abs(chunk - reference).max() / np.abs(reference).max()) for chunk in chunks.values())
    if not error <= TOLERANCE:
        raise NotMeasured(f"the engines differ from torch by {error:.1e}, allowed is {TOLERANCE:.0e}")
    return error


def _times(chunks: dict[str, Callable[[int], np.ndarray]], calls: int) -> dict[str, list[tuple[float, float]]]:
    """Wall-clock and CPU time of each call [ms]; the engine that begins changes from call to call."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in chunks}
    for call in range(WARM_UP + calls):
        for name in list(chunks) if call % 2 == 0 else reversed(chunks):
            wall, cpu = time.perf_counter(), time.thread_time()
            chunks[name](call)
            sample = 1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - cpu)
            if call >= WARM_UP:
                times[name].append(sample)
    return times
