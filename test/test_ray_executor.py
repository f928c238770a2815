"""Collection in a Ray cluster of two nodes: the same data as on threads, and a worker that dies costs nothing else."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from deadly_task import Deadly

from sobo_planner.cli import main
from sobo_planner.errors import ConfigError
from sobo_planner.paths import share_path
from sobo_planner.tasks import load_task
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions
from sobo_training.data.dataset import load
from sobo_training.data.instances import Stream, draw
from sobo_training.data.shards import LAYOUT
from sobo_training.interplay.loop import interplay
from sobo_training.interplay.options import InterplayOptions

pytestmark = pytest.mark.slow
OPTIONS = CollectOptions(count=60, wanted=9, seed=3, starts=2, threads=2, shard_size=2)
MARK = f"SOBO_TEST_CLUSTER={uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    name, _, value = MARK.partition("=")
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as environment:  # which the processes of the cluster inherit
        for key, text in ((name, value), ("PYTHONPATH", here), ("RAY_USAGE_STATS_ENABLED", "0")):
            environment.setenv(key, text)
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        ray.init(address=nodes.address, log_to_driver=False)
        yield
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(scope="module")
def lqr():
    return load_task("lqr", max_iterations=2, half_width=2.5)


def assert_same(first: Path, second: Path) -> None:
    mine, theirs = load(first), load(second)
    for name in LAYOUT:
        np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=name)


def rejected(folder: Path) -> dict[int, list[str]]:
    return {number: causes for info in load(folder).shards for number, causes in info.rejected.items()}


def busy_workers() -> list[int]:
    """Processes of this file's cluster that solve instances right now."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:  # it ended, or belongs to somebody else
            continue
        if name.startswith(b"ray::_solve") and MARK.encode() in environment:
            found.append(int(process.name))
    return found


@pytest.mark.parametrize("installed", [True, False])
def test_what_ray_lacks_is_named(installed, tmp_path, monkeypatch, capsys):
    """Nothing at the address, or no Ray; this test stands before the cluster of this file starts."""
    if installed:
        pytest.importorskip("ray", reason="the extra ray is not installed")
        monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
        reason = "cannot connect to a Ray cluster (RAY_ADDRESS: 127.0.0.1:1)"
    else:
        monkeypatch.setitem(sys.modules, "ray", None)
        reason = 'pip install "sobo_planner[ray]"'
    assert main(["interplay", "lqr", "--executor", "ray", "--out", str(tmp_path)]) == 2
    assert reason in capsys.readouterr().err


def test_both_nodes_give_the_data_of_threads(cluster, lqr, tmp_path):
    collect(lqr, tmp_path / "threads", OPTIONS, progress=False)
    summary = collect(lqr, tmp_path / "ray", OPTIONS, progress=False, executor="ray")
    assert summary.collected == 9 and summary.rejected > 0
    assert_same(tmp_path / "ray", tmp_path / "threads")
    assert rejected(tmp_path / "ray") == rejected(tmp_path / "threads")


def test_killed_workers_cost_nothing_and_policies_travel(cluster, tmp_path):
    """An arm, with the rollout of a policy as one more start; the first two workers to be busy are killed."""
    task, policy = load_task("ur5"), share_path("config/policies/ur5")
    options = CollectOptions(count=8, seed=3, starts=1, threads=2, shard_size=2)
    killed: list[int] = []

    def kill_two() -> None:
        end = time.monotonic() + 60
        while len(killed) < 2 and time.monotonic() < end:
            for worker in busy_workers():
                if worker not in killed and len(killed) < 2:
                    os.kill(worker, signal.SIGKILL)
                    killed.append(worker)
            time.sleep(0.01)

    killer = threading.Thread(target=kill_two)
    killer.start()
    summary = collect(task, tmp_path / "ray", options, policy, progress=False, executor="ray")
    killer.join()
    assert len(killed) == 2 and summary.attempted == 8
    collect(task, tmp_path / "threads", options, policy, progress=False)
    assert set(load(tmp_path / "threads").start) == {0, 1}  # the task's own start, the policy
    assert_same(tmp_path / "ray", tmp_path / "threads")


def test_an_instance_that_kills_every_worker_is_rejected_alone(cluster, lqr, tmp_path):
    first = [draw(lqr, Stream.COLLECT, OPTIONS.seed, number)[0].x0[0] for number in range(6)]
    second_largest, largest = sorted(first)[-2:]
    task = Deadly(lqr.config, (second_largest + largest) / 2)
    deadly = int(np.argmax(first))
    options = dataclasses.replace(OPTIONS, count=6, wanted=None)
    summary = collect(task, tmp_path / "ray", options, progress=False, executor="ray")
    assert summary.attempted == 6
    assert rejected(tmp_path / "ray")[deadly] == ["worker_lost"]
    collect(lqr, tmp_path / "threads", options, progress=False)
    mine, theirs = load(tmp_path / "ray"), load(tmp_path / "threads")
    alive = theirs.x0[:, 0] < task.bound
    np.testing.assert_array_equal(mine.X, theirs.X[alive])


def test_the_loop_runs_in_the_cluster(cluster, lqr, tmp_path):
    small = load_task("lqr", trajectories=[3], epochs=20, instances=2, batch=32)
    figures = []
    for executor in ("ray", "threads"):
        status = interplay(small, tmp_path / executor, InterplayOptions("mlp", executor=executor), progress=False)
        figures.append([{key: each[key] for key in ("teacher", "training", "cost")} for each in status["iterations"]])
    assert figures[0] == figures[1] and len(figures[0]) == 2


def test_a_worker_error_is_that_of_the_task(cluster, lqr, tmp_path, monkeypatch):
    monkeypatch.setattr(lqr, "hash", "of another version")
    with pytest.raises(ConfigError, match="a worker has another version of the task lqr"):
        collect(lqr, tmp_path, OPTIONS, progress=False, executor="ray")
