"""Shards come back as they were written, and a damaged or foreign one is refused by name."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sobo_planner.errors import DatasetError
from sobo_planner.tasks import load_task
from sobo_training.data.collection import CollectOptions, CollectSummary, finished, resolved_config
from sobo_training.data.dataset import ShardWriter, load, shard_paths
from sobo_training.data.shards import LAYOUT, ShardInfo, read_shard


def solutions(count: int = 3, horizon: int = 4, n: int = 2, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = {"n": count, "T": horizon, "T+1": horizon + 1, "nx": 2 * n, "ndx": 2 * n, "nu": n}
    tensors = {
        name: rng.normal(size=[s if isinstance(s, int) else sizes[s] for s in symbols])
        for name, symbols in LAYOUT.items()
    }
    tensors["iterations"] = rng.integers(1, 50, count)
    tensors["start"] = rng.integers(0, 6, count)
    return tensors


def info(indices: tuple[int, ...] = (0, 1, 2), task_hash: str = "aa11", robot_hash: str = "bb22") -> ShardInfo:
    config = {"r_init": 1.0, "weights": [1, 2.5], "policy": None}
    return ShardInfo("ur5", task_hash, robot_hash, 7, indices, {3: ["failed", "max_iterations"]}, config, 1.25)


def write(folder: Path, seed: int = 0, **origin: Any) -> Path:
    with ShardWriter(folder) as writer:
        return writer.write(solutions(seed=seed), info(**origin))


@given(
    count=st.integers(0, 4),
    horizon=st.integers(1, 6),
    n=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    name=st.text(max_size=12),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path_factory, count, horizon, n, seed, name):
    tensors = solutions(count, horizon, n, seed)
    origin = ShardInfo(name, "aa", "bb", seed, tuple(range(count)), {9: [name]}, {"name": name}, 0.5)
    with ShardWriter(tmp_path_factory.mktemp("data")) as writer:
        path = writer.write(tensors, origin)
    stored, read = read_shard(path)
    assert read == origin
    for key, array in tensors.items():
        np.testing.assert_array_equal(stored[key], array)


def test_shards_are_stacked_in_order(tmp_path):
    paths = [write(tmp_path, seed=seed, indices=(3 * seed, 3 * seed + 1, 3 * seed + 2)) for seed in range(12)]
    assert [path.name for path in paths][:2] == ["shard-00000.safetensors", "shard-00001.safetensors"]
    data = load(tmp_path)
    assert len(data) == 36
    np.testing.assert_array_equal(data.X[33:], solutions(seed=11)["X"])
    np.testing.assert_array_equal(data.select(slice(3)).K, solutions(seed=0)["K"])
    assert data.task_hash == "aa11" and data.robot_hash == "bb22"


def test_solutions_come_in_the_order_of_their_instances(tmp_path):
    for seed, indices in enumerate([(3, 4, 7), (0, 1, 2), (6, 5, 8)]):
        write(tmp_path, seed=seed, indices=indices)
    data = load(tmp_path)
    np.testing.assert_array_equal(data.X[:3], solutions(seed=1)["X"])
    np.testing.assert_array_equal(data.cost[3:5], solutions(seed=0)["cost"][:2])
    np.testing.assert_array_equal(data.cost[5:8], [*solutions(seed=2)["cost"][[1, 0]], solutions(seed=0)["cost"][2]])


def test_folders_are_joined(tmp_path):
    write(tmp_path / "a", seed=1)
    write(tmp_path / "b", seed=2)
    data = load([tmp_path / "a", tmp_path / "b"])
    np.testing.assert_array_equal(data.cost[3:], solutions(seed=2)["cost"])


@pytest.mark.parametrize("keep", [0, 7, 8, 200, 0.5, -1])
def test_truncated_shard_is_refused(tmp_path, keep):
    path = write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(DatasetError, match=r"shard-00000\.safetensors is damaged: .+"):
        load(tmp_path)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bits_never_change_the_data(tmp_path_factory, data):
    """A flip is refused by name; only one in the padding of the header, which holds nothing, may pass."""
    folder = tmp_path_factory.mktemp("data")
    path = write(folder)
    content = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    region = data.draw(st.sampled_from([(0, 8), (8, header), (header, len(content))]))
    content[data.draw(st.integers(region[0], region[1] - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        stored, origin = read_shard(path)
    except DatasetError as error:
        assert "shard-00000.safetensors is damaged: " in str(error)
        return
    assert origin == info()
    for name, array in solutions().items():
        np.testing.assert_array_equal(stored[name], array)


def test_damaged_shards_are_skipped_and_counted_on_request(tmp_path, caplog):
    write(tmp_path, seed=0)
    write(tmp_path, seed=1).write_bytes(b"not a shard")
    data = load(tmp_path, skip_damaged=True)
    assert len(data) == 3
    assert len(data.skipped) == 1 and "shard-00001" in data.skipped[0]
    assert "skipped 1 damaged" in caplog.text


def test_all_shards_damaged(tmp_path):
    write(tmp_path).write_bytes(b"")
    with pytest.raises(DatasetError, match="1 damaged shards skipped"):
        load(tmp_path, skip_damaged=True)


def test_missing_folder(tmp_path):
    with pytest.raises(DatasetError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_data_of_another_task_is_refused(tmp_path):
    task = load_task("ur5")
    write(tmp_path, task_hash="aa11")
    with pytest.raises(DatasetError) as caught:
        load(tmp_path, task)
    assert "aa11" in str(caught.value) and task.hash in str(caught.value)


def test_data_of_the_task_is_accepted(tmp_path):
    task = load_task("ur5")
    write(tmp_path, task_hash=task.hash, robot_hash=task.robot_hash)
    assert len(load(tmp_path, task)) == 3


def test_mixed_tasks_are_refused(tmp_path):
    write(tmp_path, task_hash="aa11")
    write(tmp_path, task_hash="cc33")
    with pytest.raises(DatasetError, match="cc33.*aa11"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t["K"].__setitem__((0, 0, 0, 0), np.nan), "K holds values that are not finite"),
        (lambda t: t.update(U=t["U"][:, :-1]), r"a size is 3, not 4 \(T elsewhere"),
        (lambda t: t.update(cost=t["cost"][:2]), r"a size is 2, not 3 \(n elsewhere"),
        (lambda t: t.update(target=t["target"][:, :2]), "a size is 2, not 3$"),
        (lambda t: t.pop("A"), r"missing: \['A'\]"),
    ],
)
def test_wrong_tensors_are_not_written(tmp_path, change, reason):
    tensors = solutions()
    change(tensors)
    with ShardWriter(tmp_path) as writer, pytest.raises(DatasetError, match=reason):
        writer.write(tensors, info())
    assert shard_paths(tmp_path) == []


def test_full_disk_leaves_the_earlier_shards(tmp_path, monkeypatch):
    write(tmp_path, seed=0)
    real = os.write
    written = []

    def fills_up(descriptor: int, data: bytes) -> int:
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(real(descriptor, bytes(data[:100])))
        return written[-1]

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fills_up)
        with pytest.raises(DatasetError, match="shard-00001.*No space left"):
            write(tmp_path, seed=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "shard-00000.safetensors"]
    assert len(load(tmp_path)) == 3
    write(tmp_path, seed=1)
    assert len(load(tmp_path)) == 6


def test_leftover_temporary_files_are_ignored(tmp_path):
    write(tmp_path)
    (tmp_path / ".shard-00001.safetensors.4242.tmp").write_bytes(b"half a sh")
    (tmp_path / "notes.txt").write_text("not a shard")
    assert len(load(tmp_path)) == 3
    assert write(tmp_path).name == "shard-00001.safetensors"


def test_one_writer_at_a_time(tmp_path):
    program = "import sys; from sobo_training.data.dataset import ShardWriter; ShardWriter(sys.argv[1])"
    with ShardWriter(tmp_path):
        second = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True)
    assert second.returncode != 0
    assert "another process is writing" in second.stderr
    assert subprocess.run([sys.executable, "-c", program, tmp_path]).returncode == 0


@pytest.mark.parametrize("again", ["link", "relative", "copy", "same", "slash"])
def test_data_that_is_named_twice_counts_once(again, tmp_path, monkeypatch, caplog):
    write(tmp_path / "a", seed=1)
    monkeypatch.chdir(tmp_path)
    if again == "link":
        (tmp_path / "b").symlink_to("a")
    elif again == "copy":
        shutil.copytree("a", "b")
    second = {"relative": "a", "same": tmp_path / "a", "slash": "./a/../a/"}.get(again, "b")
    data = load([tmp_path / "a", second])
    np.testing.assert_array_equal(data.cost, solutions(seed=1)["cost"])
    assert len(data.shards) == 1 and "1 repeated shards are left out" in caplog.text


def test_settings_that_differ_from_the_task_are_named(tmp_path):
    here, there = load_task("ur5"), load_task("ur5", r_init=0, dt=0.05)
    config = resolved_config(there, CollectOptions(), None)
    with ShardWriter(tmp_path) as writer:
        writer.write(solutions(), ShardInfo("ur5", there.hash, there.robot_hash, 7, (0, 1, 2), {}, config))
    with pytest.raises(DatasetError) as refused:
        load(tmp_path, here)
    message = str(refused.value)
    assert "problem.dt was 0.05, is 0.02 here" in message and "distribution.r_init was 0, is 1 here" in message
    assert there.hash not in message and "robot" not in message


def test_settings_that_differ_between_shards_are_named(tmp_path):
    for number, r_init in enumerate((0, 1)):
        task = load_task("ur5", r_init=r_init)
        config = resolved_config(task, CollectOptions(), None)
        with ShardWriter(tmp_path) as writer:
            origin = ShardInfo("ur5", task.hash, task.robot_hash, 7, (3 * number,), {}, config)
            writer.write(solutions(count=1, seed=number), origin)
    with pytest.raises(DatasetError, match=r"distribution\.r_init is 1, 0 before$"):
        load(tmp_path)


def test_how_motions_are_tracked_does_not_matter_to_solutions(tmp_path):
    task, other = load_task("ur5"), load_task("ur5", **{"tracking.velocity": 1.0})
    config = resolved_config(task, CollectOptions(), None)
    assert "tracking" not in config["config"] and config == resolved_config(other, CollectOptions(), None)
    for number, stored in enumerate(({"tracking": {"velocity": 2.0}}, {"problem": {"dt": 0.5}})):
        folder = tmp_path / str(number)
        earlier = config | {"config": config["config"] | stored}
        with ShardWriter(folder) as writer:
            writer.write(solutions(), ShardInfo("ur5", task.hash, task.robot_hash, 7, (0, 1, 2), {}, earlier))
        if number == 0:
            assert finished(folder, config, CollectSummary("")) == {0, 1, 2}
        else:
            with pytest.raises(DatasetError, match=r"problem\.dt"):
                finished(folder, config, CollectSummary(""))
