"""`sobo diffuse`, and sampling in `sobo evaluate` and `sobo collect`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sobo_planner.cli import main
from sobo_planner.sampling import ChainSettings, SamplingSettings
from sobo_planner.tasks import load_task
from sobo_training.data.dataset import load
from sobo_training.evaluation.evaluate import evaluate
from sobo_training.evaluation.options import EvaluateOptions

FEW = ["--samples", "16", "--steps", "5"]


def test_a_trajectory_its_figures_and_its_picture(tmp_path, capsys) -> None:
    out, picture = tmp_path / "found.npz", tmp_path / "chain.png"
    arguments = ["--json", "--out", str(out), "--picture", str(picture), "--update", "cem", "--knots", "6"]
    assert main(["diffuse", "pendulum", *FEW, *arguments]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["update"] == "cem" and summary["knots"] == 6 and len(summary["chain"]) == 5
    refined = summary["refined"]
    assert refined["status"] == "converged" and refined["cost"] < summary["cost"]
    task, stored = load_task("pendulum"), np.load(out)
    assert task.cost(stored["X"], stored["U"], stored["target"]) == pytest.approx(refined["cost"], rel=1e-9)
    np.testing.assert_array_equal(stored["X"][0], stored["x0"])
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["ur5", "quadrotor", "lqr"])
def test_every_kind_of_task(name, tmp_path, capsys) -> None:
    picture = tmp_path / "chain.svg"
    assert main(["diffuse", name, *FEW, "--no-refine", "--picture", str(picture), "--seed", "3"]) == 0
    assert f"{name}: mbd on" in capsys.readouterr().out
    assert "</svg>" in picture.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lqr", "--space", "motions"], "lqr has no joints whose motions could be sampled; use controls"),
        (["pendulum", "--update", "ppo"], "unknown update 'ppo'; use mbd, mppi, cem, cma-es"),
        (["pendulum", "--out", "found.txt"], "--out must end with .npz"),
        (["pendulum", "--picture", "chain.doc"], "--picture must end with .png, .svg or .pdf"),
    ],
)
def test_what_cannot_be_done_is_refused(arguments, message, capsys) -> None:
    assert main(["diffuse", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_sampling_is_evaluated_in_the_place_of_a_policy(tmp_path, capsys) -> None:
    path = tmp_path / "report.json"
    arguments = ["evaluate", "pendulum", "-n", "2", "--starts", "2", "--json", str(path)]
    assert main([*arguments, "--planner", "mbd"]) == 0
    printed = capsys.readouterr().out
    assert "sampled by mbd on controls, 40 steps, noise samples 128" in printed and "the sampled start" in printed
    report = json.loads(path.read_text())
    assert report["action_horizon"] is None and report["success"]["refined"] == 1.0
    for row in report["rows"]:
        assert row["policy"]["status"] == "valid"  # what is sampled as controls is within their bounds
        assert row["refined"]["cost"] < row["policy"]["cost"] < 1.4 * row["best_of_starts"]
    for wrong, message in (
        ([], "give either --policy or --planner"),
        (["--planner", "mbd", "--policy", "somewhere"], "give either --policy or --planner"),
        (["--planner", "ppo"], "unknown update 'ppo'"),
        (["--planner", "mbd", "--samples", "3"], "samples are those of a policy"),
    ):
        assert main([*arguments, *wrong]) == 2
        assert message in capsys.readouterr().err


def test_an_arms_plans_from_sampling_are_evaluated() -> None:
    task = load_task("ur5", r_init=0, r_tgt=0)
    few = SamplingSettings("motions", 4, 3.0, chain=ChainSettings(samples=48, steps=12))
    report = evaluate(task, few, EvaluateOptions(instances=1, starts=0), progress=False)
    assert report["policy"] == "mbd on motions, 12 steps" and report["samples"] == 48
    assert report["planner"]["success"] == 1.0 and list(report["planner"]["sources"]) == ["sampling"]


def test_starts_by_sampling_teach(tmp_path) -> None:
    """They come behind the others, depend on the seed alone, and are part of what a folder was collected with."""
    arguments = ["collect", "pendulum", "-n", "2", "--starts", "1"]
    plain, taught, again = (tmp_path / name for name in ("plain", "taught", "again"))
    assert main([*arguments, "--out", str(plain)]) == 0
    for folder, threads in ((taught, "1"), (again, "2")):
        assert main([*arguments, "--sampled", "1", "--threads", threads, "--out", str(folder)]) == 0
    data = {folder: load([folder], load_task("pendulum")) for folder in (plain, taught, again)}
    assert (data[taught].cost <= data[plain].cost + 0.01).all()
    np.testing.assert_array_equal(data[taught].X, data[again].X)
    assert main([*arguments, "--sampled", "2", "--out", str(taught)]) == 2
