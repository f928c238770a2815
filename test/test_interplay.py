"""Algorithm 1: what an iteration does, and that neither kills nor full disks change or damage its results."""

from __future__ import annotations

import dataclasses
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sobo_planner.cli import main
from sobo_planner.errors import ConfigError, DatasetError, PolicyError, SoboError
from sobo_planner.policy import Policy
from sobo_planner.tasks import load_task
from sobo_planner.tasks.config import InterplayConfig
from sobo_training.config import TrainConfig
from sobo_training.data.dataset import load, locked
from sobo_training.data.instances import Stream, draw
from sobo_training.export.exporter import export, load_run
from sobo_training.interplay.loop import interplay
from sobo_training.interplay.options import InterplayOptions, gradient_steps, seed_of
from sobo_training.learning.trainer import read_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

#: So few solver iterations that a third of the instances is rejected.
SMALL = {"trajectories": "[3, 4]", "epochs": 150, "instances": 2, "batch": 32, "max_iterations": 2, "half_width": 2.5}
PHASES = ("collect", "train", "export", "evaluate", None)
OPTIONS = InterplayOptions(method="sob_mlp", seed=7, threads=1)


def arguments(folder: Path, *more: str) -> list[str]:
    pairs = [f"{key}={value}" for key, value in SMALL.items()]
    return ["interplay", "lqr", "--out", str(folder), "--method", "sob_mlp", "--seed", "7", "--set", *pairs, *more]


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "policy" / "model.safetensors")


def figures(status: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in status["iterations"]]


@pytest.fixture(scope="module")
def task():
    return load_task("lqr", **SMALL)


@pytest.fixture(scope="module")
def whole(task, tmp_path_factory) -> Path:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    interplay(task, folder, OPTIONS, progress=False)
    return folder


def test_every_iteration_is_recorded(task, whole):
    status = json.loads((whole / "status.json").read_text())
    assert status["state"] == "finished" and status["phase"] is None
    curves = EventAccumulator(str(whole / "tensorboard")).Reload()
    for number, entry in enumerate(status["iterations"], start=1):
        folder = whole / f"iteration-{number:02d}"
        data, report = load(folder / "data", task), json.loads((folder / "evaluation.json").read_text())
        assert entry["trajectories"] == len(data) == [3, 4][number - 1]
        assert entry["teacher"]["cost"] == data.cost.mean()
        assert sum(entry["winners"].values()) == len(data)
        assert entry["rejected"] == sum(len(info.rejected) for info in data.shards)
        assert entry["cost"]["policy"] == report["cost"]["policy"]["mean"]
        assert set(entry["seconds"]) == {"collect", "train", "export", "evaluate"}
        assert curves.Scalars("cost/policy")[number - 1].value == pytest.approx(entry["cost"]["policy"])
    assert sum(entry["rejected"] for entry in status["iterations"]) > 0
    Policy.load(whole / "policy", task)
    last, final = weights(whole / "iteration-02"), weights(whole)
    assert all(np.array_equal(last[name], final[name]) for name in last)


def test_iterations_draw_different_instances(task, whole):
    first, second = (load(whole / f"iteration-{i:02d}" / "data", task) for i in (1, 2))
    assert not set(map(tuple, first.x0)) & set(map(tuple, second.x0))
    expected, _ = draw(task, Stream.COLLECT, seed_of(7, 0), first.shards[0].indices[0])
    np.testing.assert_array_equal(first.x0[0], expected.x0)


def test_the_policy_helps_to_collect_and_its_weights_go_on(tmp_path):
    """The unions of two iterations, a diffusion policy: the second starts where the first ended, on its scale."""
    task = load_task("lqr", **(SMALL | {"hidden": [8, 8], "reset": False, "epochs": 1, "lr": 1e-9}))
    status = interplay(task, tmp_path, InterplayOptions(method="sob_diff", threads=1), progress=False)
    assert [entry["training"]["chunks"] for entry in status["iterations"]] == [3 * task.horizon, 7 * task.horizon]
    states = [read_checkpoint(tmp_path / f"iteration-{i:02d}" / "run" / "checkpoint.pt") for i in (1, 2)]
    assert states[0]["normaliser"] == states[1]["normaliser"]
    for name, value in states[0]["average"].items():
        np.testing.assert_allclose(states[1]["net"][name], value, rtol=1e-5, atol=1e-7)
    configs = [load(tmp_path / f"iteration-{i:02d}" / "data").shards[0].config for i in (1, 2)]
    assert configs[0]["policy"] is None and len(configs[1]["policy"]) == 64


def test_each_iteration_has_its_number_of_starts(tmp_path):
    task = load_task("lqr", **(SMALL | {"starts": "[2, 1]", "iterations": 3, "epochs": 1}))
    interplay(task, tmp_path, OPTIONS, progress=False)
    configs = [load(tmp_path / f"iteration-{i:02d}" / "data").shards[0].config for i in (1, 2, 3)]
    assert [config["starts"] for config in configs] == [2, 1, 1]


def test_killed_runs_end_like_one_that_was_not(whole, tmp_path):
    """Killed at random moments after it has come to some of its phases."""
    rng = np.random.default_rng(0)
    command = [sys.executable, "-m", "sobo_planner.cli", *arguments(tmp_path, "--threads", "2", "--json")]

    def progress() -> tuple[int, int]:
        path = tmp_path / "status.json"
        status = json.loads(path.read_text()) if path.exists() else {"iteration": 0, "phase": None}
        return status["iteration"], PHASES.index(status["phase"])

    for moment in [(1, "train"), (1, "export"), (2, "collect"), (2, "train")]:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and progress() < (moment[0], PHASES.index(moment[1])):
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.5))
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert figures(json.loads(done.stdout)) == figures(json.loads((whole / "status.json").read_text()))
    for name in ("iteration-01", "iteration-02", "."):
        mine, theirs = weights(tmp_path / name), weights(whole / name)
        assert all(np.array_equal(mine[each], theirs[each]) for each in theirs)
    assert not [path for path in tmp_path.rglob(".policy*") if path.is_dir()]


def test_a_finished_run_is_only_read(task, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.safetensors")}
    status = interplay(task, whole, OPTIONS, progress=False)
    assert len(status["iterations"]) == 2 and status["state"] == "finished"
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.safetensors")} == before


def test_other_arguments_are_refused_by_name(task, whole, tmp_path):
    with pytest.raises(ConfigError, match=r"another run: seed: the folder has 7, this call asks for 8"):
        interplay(task, whole, dataclasses.replace(OPTIONS, seed=8), progress=False)
    with pytest.raises(ConfigError, match=r"method: the folder has 'sob_mlp', this call asks for 'mlp'"):
        interplay(task, whole, dataclasses.replace(OPTIONS, method="mlp"), progress=False)
    other = load_task("lqr", **(SMALL | {"epochs": 151}))
    with pytest.raises(ConfigError, match=r"config\.interplay\.epochs: the folder has 150, this call asks for 151"):
        interplay(other, whole, OPTIONS, progress=False)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match=r"something else than a run of interplay: thesis\.tex"):
        interplay(task, tmp_path, OPTIONS, progress=False)


def test_one_process_a_folder(task, tmp_path):
    with locked(tmp_path), pytest.raises(DatasetError, match="another process"):
        interplay(task, tmp_path, OPTIONS, progress=False)


def test_a_task_that_cannot_be_solved_ends_with_the_causes(tmp_path):
    task = load_task("lqr", **(SMALL | {"half_width": 1000.0, "control_limit": 0.001}))
    with pytest.raises(DatasetError, match="60 instances gave only 0 of the 3 solutions wanted.*max_iterations"):
        interplay(task, tmp_path, OPTIONS, progress=False)
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["state"] == "failed" and "max_iterations" in status["error"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["no_such_task"], "no_such_task"),
        (["lqr", "--set", "epocs=3"], "unknown key 'epocs'"),
        (["lqr", "--set", "epochs=0"], "interplay.epochs must be at least 1, got 0"),
        (["lqr", "--set", "trajectories=[]"], "interplay.trajectories must be numbers from 1 on"),
        (["lqr", "--set", "horizon=16"], "T_h=16 must be below the horizon of 16"),
        (["lqr", "--set", "hidden=[8, 8, 8, 8]"], "use fewer levels"),
        (["lqr", "--set", "action=state"], "has no actions of kind 'state'"),
        (["lqr", "--threads", "0"], "threads must be at least 1, got 0"),
        (["lqr", "--set", "trajectories=[1000000000]"], "has room for"),
    ],
)
def test_bad_input_is_refused_before_work_starts(given, reason, tmp_path, capsys):
    assert main(["interplay", *given, "--out", str(tmp_path / "out")]) == 2
    assert reason in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_an_unknown_method_is_refused():
    with pytest.raises(ConfigError, match="unknown method 'dif'; known: None, sob_diff, diff"):
        InterplayOptions(method="dif")


def test_epochs_are_those_of_the_paper():
    chunks = TrainConfig(T_h=32, batch=100)
    assert gradient_steps(10, 100, 96, chunks) == 10 * 100 * 2 // 100
    assert gradient_steps(10, 3, 96, chunks) == 10  # an epoch of six chunks is one batch
    direct = TrainConfig(network="mlp", action="control", T_h=2, T_a=1, K=1, batch=100)
    assert gradient_steps(10, 100, 96, direct) == 10 * 96
    assert gradient_steps(7, 10, 50, TrainConfig(T_h=32, batch=4)) == int(np.ceil(7 * 10 * 18 / 32 / 4))


def test_the_last_number_of_trajectories_is_repeated():
    config = InterplayConfig(iterations=5, trajectories=(100, 200))
    assert [config.trajectories_of(i) for i in range(4)] == [100, 200, 200, 200]
    for empty in ("trajectories", "starts"):
        with pytest.raises(ConfigError, match=f"{empty} must be numbers from 1 on, got \\[\\]"):
            InterplayConfig(**{empty: ()})


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Lets longer files fail in the same system calls as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_refuses_is_named_and_costs_nothing(task, whole, tmp_path):
    for size, name in ((200, "config.json"), (10_000, "shard-00000.safetensors"), (100_000, "checkpoint.pt")):
        with largest_file(size), pytest.raises(SoboError, match=f"cannot write .*{name}: File too large"):
            interplay(task, tmp_path, OPTIONS, progress=False)
        assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["state"] == "failed" and "File too large" in status["error"]
    status = interplay(task, tmp_path, OPTIONS, progress=False)
    assert "error" not in status
    assert figures(status) == figures(json.loads((whole / "status.json").read_text()))


def test_no_part_of_a_policy_is_left_by_a_disk_that_refuses(task, whole, tmp_path):
    run = load_run(whole / "iteration-01" / "run", task)
    for size in (1_000, 400_000):  # within the weights, between the weights and the size of the ONNX file
        with largest_file(size), pytest.raises(PolicyError, match=r"cannot write the policy .*File too large"):
            export(run, task, tmp_path / "policy")
        assert not list(tmp_path.iterdir())
