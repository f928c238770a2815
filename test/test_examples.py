"""The examples run as their headers say, with small budgets, and draw their pictures."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from document_checks import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# What keeps a run short, and what the example needs besides the run-time package.
BUDGETS = {
    "1_plan_and_plot": ([], ["matplotlib"]),
    "2_own_arm": ([], ["matplotlib"]),
    "3_train_a_policy": (["--steps", "2"], ["matplotlib", "torch"]),
    "4_receding_horizon": (["--seconds", "0.3"], ["matplotlib"]),
    "5_read_a_bag": ([], ["matplotlib", "rosbags"]),
    "6_retrain_from_logs": (["--small"], ["matplotlib", "torch", "rosbags", "rclpy"]),
}
PNG = b"\x89PNG\r\n"


def run(path: Path, folder: Path, *arguments: str) -> str:
    """Runs an example in a folder; returns what it prints."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pictures(path: Path) -> list[str]:
    """Pictures that the header of an example promises."""
    header = ast.get_docstring(ast.parse(path.read_text()))
    assert header
    return re.findall(r"out/examples/\w+\.png", header)


def test_every_example_has_a_budget() -> None:
    assert [path.stem for path in EXAMPLES] == sorted(BUDGETS)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs_and_draws(path: Path, tmp_path: Path) -> None:
    arguments, needs = BUDGETS[path.stem]
    for module in needs:
        pytest.importorskip(module)
    printed = run(path, tmp_path, *arguments)
    promised = pictures(path)
    assert promised
    for name in promised:
        assert (tmp_path / name).read_bytes().startswith(PNG)
        assert f"picture: {name}" in printed


@pytest.mark.slow
def test_a_bag_is_read_again(tmp_path: Path) -> None:
    """The bag that the example writes is one that it reads when it is given as an argument."""
    pytest.importorskip("rosbags")
    path = ROOT / "examples" / "5_read_a_bag.py"
    first = run(path, tmp_path)
    again = run(path, tmp_path, "out/examples/5_bag")
    found = re.search(r"1 trajectories, (\d+) joint states\n.*\nlargest tracking error ([\d.]+) rad", first)
    assert found and int(found[1]) > 80 and float(found[2]) < 0.02, first
    assert again == first


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_header_says_what_it_shows_and_how_to_run_it(path: Path) -> None:
    header = ast.get_docstring(ast.parse(path.read_text()))
    assert header and f".venv/bin/python examples/{path.name}" in header
    assert f"`examples/{path.name}`" in (ROOT / "README.md").read_text()
