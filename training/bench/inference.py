"""Chunk latency of the run-time engine beside torch, the reference."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sobo_planner.policy import Policy
from sobo_training.bench.options import BenchOptions, NotMeasured
from sobo_training.instances import Stream, draw
from sobo_training.statistics import summarise

if TYPE_CHECKING:
    from pathlib import Path

    from sobo_planner.tasks import Task

ENGINES = ("onnxruntime", "torch")
CALLS = 60  # a round
WARM_UP = 10
# Largest difference of a chunk between engines, relative to the largest entry.
TOLERANCE = 1e-3


def measure(task: Task, folder: Path, options: BenchOptions) -> dict[str, Any]:
    """Times whole chunks (all K denoising steps, batch 1, one thread); the engines take turns call by call.

    Raises:
        NotMeasured: The engines disagree.
    """
    torch.set_num_threads(1)
    policies = {name: Policy.load(folder, task, (name,)) for name in ENGINES}
    instance, _ = draw(task, Stream.EVALUATE, options.seed, 0)
    observation = np.asarray(task.observation(instance.x0, instance.target))[None]
    history = np.asarray(task.history(instance.x0))[None]

    def chunk(policy: Policy) -> np.ndarray:
        return policy.sample_chunk(observation, history, np.random.default_rng(options.seed))

    chunks = {name: chunk(policy) for name, policy in policies.items()}
    error = float(np.abs(chunks["onnxruntime"] - chunks["torch"]).max() / np.abs(chunks["torch"]).max())
    if not error <= TOLERANCE:
        raise NotMeasured(f"onnxruntime and torch differ by {error:.1e}, allowed is {TOLERANCE:.0e}")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ENGINES}
    for call in range(WARM_UP + CALLS * options.rounds):
        for name in ENGINES if call % 2 == 0 else ENGINES[::-1]:
            wall, cpu = time.perf_counter(), time.thread_time()
            chunk(policies[name])
            sample = 1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - cpu)
            if call >= WARM_UP:
                times[name].append(sample)
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
            "median": wall_ms["onnxruntime"]["median"] / wall_ms["torch"]["median"],
            "p99": wall_ms["onnxruntime"]["p99"] / wall_ms["torch"]["p99"],
            "cpu_median": cpu_ms["onnxruntime"]["median"] / cpu_ms["torch"]["median"],
        },
    }
