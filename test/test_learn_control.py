"""`sobo learn-control` on the control suite of dm_control."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from sobo_planner.cli import main  # noqa: E402
from sobo_planner.errors import ConfigError  # noqa: E402
from sobo_training.latent.environments import ACTION_REPEAT, ControlSuite  # noqa: E402


@pytest.fixture
def dm_control() -> Any:
    """The package; what needs it is skipped without it, or with a MuJoCo that it does not run with."""
    pytest.importorskip("dm_control", reason="needs the extra `control-suite`, in an environment of its own")
    mujoco = pytest.importorskip("mujoco")
    if not mujoco.__version__.startswith("3."):
        pytest.skip(f"dm_control does not run with MuJoCo {mujoco.__version__}; needs the extra `control-suite`")


def test_refused_without_dm_control_or_with_an_unknown_task(monkeypatch, capsys) -> None:
    assert main(["learn-control", "walker-run"]) == 2
    assert f"unknown task 'walker-run'; use {', '.join(ACTION_REPEAT)}" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "dm_control", None)
    assert main(["learn-control", "cartpole-swingup"]) == 2
    assert 'in an environment of its own: pip install "sobo_planner[train,control-suite]"' in capsys.readouterr().err
    assert main(["learn-control", "cartpole-swingup", "--episodes", "10"]) == 2
    assert "episodes and random must be multiples of parallel, 4" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "sizes"), [("pendulum-swingup", (3, 1)), ("reacher-easy", (6, 2))])
def test_episodes_depend_on_their_seed_alone(name, sizes, dm_control) -> None:
    suite = ControlSuite(name)
    assert (suite.observations, suite.actions) == sizes and suite.steps * ACTION_REPEAT[name] == suite.frames

    def play(seeds: list[int]) -> tuple[Any, Any]:
        suite.reset(seeds)
        action = torch.full((len(seeds), suite.actions), 0.7)
        return [suite.step(action) for _ in range(3)][-1]

    both, again, alone = play([3, 4]), play([3, 4]), play([4])
    for first, second in zip(both, again, strict=True):
        assert (first == second).all()
    assert (both[0][1] == alone[0][0]).all() and (both[0][0] != both[0][1]).any()
    assert ((both[1] >= 0) & (both[1] <= 1)).all()


def test_a_run_of_the_command_line(tmp_path, dm_control, capsys) -> None:
    arguments = ["learn-control", "pendulum-swingup", "--episodes", "1", "--parallel", "1", "--evaluations", "1"]
    small = ["--planner", "difftori", "--width", "16", "--horizon", "2", "--out", str(tmp_path), "--json"]
    assert main([*arguments, *small]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["frames"] == 1000 and len(record["evaluations"]) == 1 and record["agent"]["planner"] == "difftori"
    assert json.loads((tmp_path / "record.json").read_text()) == record


def test_the_benchmark_counts_finished_runs_only(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    suite: Any = importlib.import_module("control_suite")
    base = {"task": "reacher-easy", "frames": 40000, "updates": 9, "minutes": 1.0, "returns": [], "evaluations": [1.0]}
    for variant, seed, episodes, value in (("mppi", 0, 40, 10.0), ("mppi", 1, 40, 30.0), ("difftori", 0, 36, 99.0)):
        folder = suite.folder_of(tmp_path, "reacher-easy", variant, seed)
        folder.mkdir(parents=True)
        record = {**base, "seed": seed, "episodes": episodes, "return": value}
        (folder / "record.json").write_text(json.dumps(record))
    cells = [("reacher-easy", variant, seed) for variant in suite.VARIANTS for seed in range(3)]
    found = suite.collect(tmp_path, {}, cells, 40)
    assert found["table"] == {"reacher-easy, mppi": {"seeds": 2, "mean": 20.0, "returns": [10.0, 30.0]}}
    assert [row["variant"] for row in found["runs"]] == ["mppi", "mppi"]


def test_the_benchmark_adds_to_its_record_and_refuses_one_of_other_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    suite: Any = importlib.import_module("control_suite")
    path = tmp_path / "record.json"

    def store(variants: tuple[str, ...], episodes: int, settings: dict[str, Any]) -> None:
        runs = [
            {"task": "reacher-easy", "variant": variant, "seed": 1, "episodes": episodes, "return": 10.0}
            for variant in variants
        ]
        path.write_text(json.dumps({"runs": runs, "settings": settings}))

    store(("mppi",), 40, suite.settings_of())
    earlier = suite.earlier_rows(path, 40)
    assert list(earlier) == [("reacher-easy", "mppi", 1)]
    found = suite.collect(tmp_path / "runs", earlier, [("reacher-easy", "difftori", 0)], 40)
    assert found["table"] == {"reacher-easy, mppi": {"seeds": 1, "mean": 10.0, "returns": [10.0]}}
    for episodes in (36, 80):
        with pytest.raises(ConfigError, match=rf"record.json has runs of 40 episodes, not {episodes}"):
            suite.earlier_rows(path, episodes)
    store(("mppi",), 40, {**suite.settings_of(), "mppi": {}})
    with pytest.raises(ConfigError, match=r"record.json was recorded with other settings"):
        suite.earlier_rows(path, 40)
    assert suite.earlier_rows(tmp_path / "none.json", 40) == {}


def test_the_benchmark_ends_with_3_until_its_record_is_complete(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    suite: Any = importlib.import_module("control_suite")
    path, variants = tmp_path / "record.json", list(suite.VARIANTS)
    arguments = ["--runs", str(tmp_path / "runs"), "--tasks", "reacher-easy", "--seeds", "1", "--max-minutes", "0"]
    for count, status in ((2, 3), (3, 0)):
        runs = [
            {"task": "reacher-easy", "variant": variant, "seed": 0, "episodes": 40, "return": 1.0}
            for variant in variants[:count]
        ]
        path.write_text(json.dumps({"runs": runs, "settings": suite.settings_of()}))
        assert suite.main([*arguments, "--json", str(path)]) == status
        assert len(json.loads(path.read_text())["runs"]) == count
