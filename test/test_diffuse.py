"""`sobo diffuse`, and sampling in `sobo evaluate` and `sobo collect`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sobo_planner.cli import main
from sobo_planner.tasks import load_task

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
