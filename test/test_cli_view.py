"""`sobo view`: what it draws, serves and says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from sobo_planner.cli.main import main
from sobo_planner.cli.view import tell_unlike
from sobo_planner.view import canvas
from sobo_planner.view.links import Looks

PLAN = ["plan", "ur5", "--goal", "0.4", "-0.2", "0.4", "--policy", "none"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "DPI", 50)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "plan.json"
    assert main([*PLAN, "--out", str(path)]) == 0
    return path


def test_a_plan_becomes_a_picture(plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: the extra `viz`")
    png = tmp_path / "plan.png"
    assert main(["view", str(plan), "--png", str(png), "--executed", str(plan)]) == 0
    said = capsys.readouterr()
    assert said.out == f"written: {png}\n" and said.err == ""
    with Image.open(png) as image:
        assert image.format == "PNG" and image.size == (450, 400)


def test_an_old_plan_is_shown_with_a_word(plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: the extra `viz`")
    data = json.loads(plan.read_text())
    old = tmp_path / "old.json"
    old.write_text(json.dumps({key: value for key, value in data.items() if not key.startswith(("pro", "planned"))}))
    assert main(["view", str(old), "--png", str(tmp_path / "old.png")]) == 0
    assert capsys.readouterr().err == (
        f"{old} is of an earlier version and has no world and no proposal; plan again to see them\n"
    )


def test_a_plan_is_served_until_ctrl_c(plan: Path) -> None:
    pytest.importorskip("viser", reason="needs viser: the extra `viz`")
    from test_viewer import free_port

    command = [sys.executable, "-m", "sobo_planner.cli", "view", str(plan), "--port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            title, where = process.stdout.readline(), process.stdout.readline()
            assert title.startswith("ur5: converged, refined from interpolation, ")
            assert where.startswith("open http://localhost:") and where.endswith("; Ctrl-C ends\n")
            with urllib.request.urlopen(where.split()[1].rstrip(";"), timeout=10) as page:
                assert page.status == 200
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130 and out == "" and "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "give a plan of `sobo plan --out`, or --node /planner for a running node"),
        (["a.json", "--node", "/planner"], "give a plan"),
        (["--node", "/planner", "--png", "a.png"], "--png and --executed are for plans from files"),
        (["gone.json"], "gone.json cannot be read: No such file"),
        (["gone.json", "--png", "a.jpg"], "--png must end with .png, got a.jpg"),
        (["gone.json", "--png", "/dev/null/a.png"], "/dev/null/a.png"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(
    arguments: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["view", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("sobo: ") and reason in line


def test_a_motion_of_another_arm_is_told(plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "driven.json").write_text(json.dumps({"time": [0.0, 1.0], "X": [[0.0] * 7] * 2}))
    assert main(["view", str(plan), "--executed", str(tmp_path / "driven.json")]) == 2
    assert "6 or 12 columns; it has the shape (2, 7)" in capsys.readouterr().err


def test_links_that_look_otherwise_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    tell_unlike(Looks((), {}))
    assert capsys.readouterr().err == ""
    tell_unlike(Looks((), {"base_link": "base.dae is not there", "tool0": "tool.dae is not there"}))
    told = "collision bodies stand for what base_link looks like: base.dae is not there, and 1 more\n"
    assert capsys.readouterr().err == told
