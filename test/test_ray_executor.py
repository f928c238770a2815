"""Collection in a Ray cluster of two nodes: the same data as on threads, and a worker that dies costs nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sobo_planner.tasks import load_task
from sobo_training.collect import Outcome, collect
from sobo_training.collection import CollectOptions
from sobo_training.dataset import load
from sobo_training.shards import LAYOUT

pytestmark = pytest.mark.slow
OPTIONS = CollectOptions(count=60, wanted=9, seed=3, starts=2, threads=2, shard_size=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    ray.init(address=nodes.address, log_to_driver=False)
    yield
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture(scope="module")
def task():
    return load_task("lqr", max_iterations=2, half_width=2.5)


def assert_same(first: Path, second: Path) -> None:
    mine, theirs = load(first), load(second)
    for name in LAYOUT:
        np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=name)


def rejected(folder: Path) -> dict[int, list[str]]:
    return {number: causes for info in load(folder).shards for number, causes in info.rejected.items()}


def test_both_nodes_give_the_data_of_threads(cluster, task, tmp_path):
    collect(task, tmp_path / "threads", OPTIONS, progress=False)
    summary = collect(task, tmp_path / "ray", OPTIONS, progress=False, executor="ray")
    assert summary.collected == 9 and summary.rejected > 0
    assert_same(tmp_path / "ray", tmp_path / "threads")
    assert rejected(tmp_path / "ray") == rejected(tmp_path / "threads")
