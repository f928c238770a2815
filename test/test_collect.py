"""Collected data depends on the seed alone: not on threads, kills or the number of calls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sobo_planner.errors import ConfigError, DatasetError
from sobo_planner.paths import share_path
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollouts
from sobo_planner.tasks import load_task
from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions
from sobo_training.data.dataset import Dataset, load, shard_paths
from sobo_training.data.instances import Stream, draw, draw_starts, generator
from sobo_training.data.shards import LAYOUT

COUNT = 4
OPTIONS = CollectOptions(count=COUNT, seed=5, starts=2, threads=1, shard_size=2)


def assert_same(first: Dataset, second: Dataset) -> None:
    for name in LAYOUT:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@pytest.fixture(scope="module")
def task():
    return load_task("ur5", r_init=1, r_tgt=1)


@pytest.fixture(scope="module")
def whole(task, tmp_path_factory) -> Path:
    """A folder collected without interruption on one thread."""
    folder = tmp_path_factory.mktemp("whole")
    collect(task, folder, OPTIONS, progress=False)
    return folder


def test_solutions_are_those_of_the_solver(task, whole):
    data = load(whole, task)
    assert len(data) + sum(len(info.rejected) for info in data.shards) == COUNT
    for i in range(len(data)):
        np.testing.assert_array_equal(data.X[i, 0], data.x0[i])
        steps = [task.robot.step(x, u, task.dt, task.integrator) for x, u in zip(data.X[i], data.U[i], strict=False)]
        np.testing.assert_allclose(steps, data.X[i, 1:], atol=1e-3)
        assert task.cost(data.X[i], data.U[i], data.target[i]) == pytest.approx(data.cost[i])
    assert data.K.shape == (len(data), task.horizon, task.nu, task.ndx)


def test_a_start_that_diverges_is_one_start_less(task, monkeypatch):
    starts = type(task).starts

    def one_diverges(self, instance, n, rng):
        good, bad, *others = starts(self, instance, n, rng)
        bad.X[-1] = np.nan
        return [good, bad, *others]

    instance, rng = draw(task, Stream.COLLECT, 0, 0)
    monkeypatch.setattr(type(task), "starts", one_diverges)
    found = draw_starts(task, instance, 3, rng)
    assert len(found) == 2 and all(guess.finite for guess in found)


def test_the_policys_start_is_the_cheapest_of_its_rollouts():
    task = load_task("ur5", **{"policy.samples": 2})
    policy = Policy.load(share_path("config/policies/ur5"), task)
    instance, rng = draw(task, Stream.COLLECT, 5, 0)
    starts = draw_starts(task, instance, 3, rng, policy)
    instance, rng = draw(task, Stream.COLLECT, 5, 0)
    assert len(starts) == 1 + len(task.starts(instance, 3, rng))
    found = rollouts(task, policy, instance, rng=rng, samples=task.config.policy.samples)
    assert len(np.unique(found.costs)) == task.config.policy.samples > 1
    assert task.cost(starts[-1].X, starts[-1].U, instance.target) == pytest.approx(found.costs.min(), rel=1e-12)


def test_summary_counts_everything(task, whole):
    summary = collect(task, whole, OPTIONS, progress=False)
    data = load(whole)
    assert summary.attempted == summary.resumed == COUNT
    assert summary.collected == len(data) == COUNT - summary.rejected == sum(summary.winners.values())
    assert summary.mean_cost == pytest.approx(data.cost.mean())
    assert summary.mean_iterations == pytest.approx(data.iterations.mean())
    assert "mean cost" in summary.render()
    assert len(shard_paths(whole)) == 2


def test_two_threads_give_the_same_bits(task, whole, tmp_path):
    options = CollectOptions(count=COUNT, seed=5, starts=2, threads=2, shard_size=3)
    collect(task, tmp_path, options, progress=False)
    assert_same(load(tmp_path), load(whole))


def test_a_larger_number_extends_the_dataset(task, whole, tmp_path):
    collect(task, tmp_path, CollectOptions(count=1, seed=5, starts=2), progress=False)
    collect(task, tmp_path, OPTIONS, progress=False)
    assert_same(load(tmp_path), load(whole))


def test_a_killed_collection_resumes(task, whole, tmp_path):
    arguments = [
        "--seed",
        "5",
        "--starts",
        "2",
        "--threads",
        "1",
        "--shard-size",
        "1",
        "--out",
        str(tmp_path),
    ]
    command = [sys.executable, "-m", "sobo_planner.cli", "collect", "ur5", "--set", "r_init=1", "r_tgt=1"]
    process = subprocess.Popen([*command, "-n", "200", *arguments], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while len(shard_paths(tmp_path)) < 2 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.005)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = len(shard_paths(tmp_path))
    assert 2 <= before < 200
    (tmp_path / ".shard-00099.safetensors.1.tmp").write_bytes(b"half a shard")
    options = CollectOptions(count=max(before, COUNT), seed=5, starts=2, threads=2)
    summary = collect(task, tmp_path, options, progress=False)
    assert summary.resumed == before
    assert_same(load(tmp_path).select(slice(len(load(whole)))), load(whole))


def test_ctrl_c_leaves_the_finished_shards(task, whole, tmp_path):
    arguments = ["-n", "200", "--seed", "5", "--starts", "2", "--shard-size", "1", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "sobo_planner.cli", "collect", "ur5", "--set", "r_init=1", "r_tgt=1"]
    process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
    while not shard_paths(tmp_path):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors and "Traceback" not in errors
    assert not list(tmp_path.glob(".*.tmp"))
    np.testing.assert_array_equal(load(tmp_path).X[0], load(whole).X[0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seed": 6}, "seed: the folder has 5, this call asks for 6"),
        ({"starts": 3}, "starts: the folder has 2, this call asks for 3"),
    ],
)
def test_other_arguments_are_refused(task, whole, change, reason):
    options = CollectOptions(**{"count": COUNT, "seed": 5, "starts": 2} | change)
    with pytest.raises(DatasetError, match=reason):
        collect(task, whole, options, progress=False)


def test_another_variant_is_refused(whole):
    with pytest.raises(DatasetError, match=r"distribution\.r_tgt: the folder has 1, this call asks for 0"):
        collect(load_task("ur5", r_init=1, r_tgt=0), whole, OPTIONS, progress=False)


def test_a_damaged_shard_stops_the_collection(task, whole, tmp_path):
    for path in shard_paths(whole):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"shard-00000\.safetensors is damaged"):
        collect(task, tmp_path, OPTIONS, progress=False)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"seed": -1}, {"starts": 0}, {"threads": 0}, {"shard_size": 0}])
def test_options_are_checked(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ConfigError, match=f"{name} must be at least .*, got {value}"):
        CollectOptions(**wrong)


def test_streams_never_share_an_instance(task):
    drawn = {generator(stream, seed, index).bytes(16) for stream in Stream for seed in range(4) for index in range(50)}
    assert len(drawn) == len(Stream) * 4 * 50
    first, _ = draw(task, Stream.COLLECT, 3, 7)
    again, _ = draw(task, Stream.COLLECT, 3, 7)
    held_out, _ = draw(task, Stream.EVALUATE, 3, 7)
    np.testing.assert_array_equal(first.x0, again.x0)
    assert not np.allclose(first.target, held_out.target)


def test_the_command_prints_json(whole):
    command = [sys.executable, "-m", "sobo_planner.cli", "collect", "ur5", "--set", "r_init=1", "r_tgt=1"]
    arguments = ["-n", str(COUNT), "--seed", "5", "--starts", "2", "--out", str(whole), "--json"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["attempted"] == COUNT
