"""The demo from end to end, and its handling of processes that die or hang."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.paths import share_path
from sobo_planner.ros.demo import command as demo
from sobo_planner.ros.demo.__main__ import main as demo_main
from sobo_planner.ros.demo.processes import DemoError, Processes
from sobo_planner.ros.demo.results import GoalResult, Trial, goal_table, trial_table

GOAL_KEYS = {
    "target",
    "reached",
    "final_error_m",
    "plan_ms",
    "policy_ms",
    "refine_ms",
    "iterations_warm",
    "iterations_cold",
    "cost_warm",
    "cost_cold",
}


def children_of(folder: Path) -> list[str]:
    """Command lines of living processes whose ROS logs go to `folder`."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"ROS_LOG_DIR={folder}".encode() in environment.read_bytes():
                found.append(environment.with_name("cmdline").read_text().replace("\0", " "))
        except OSError:  # not ours, or gone
            continue
    return found


def demo_command(out: Path, *arguments: str) -> list[str]:
    command = ["timeout", "--foreground", "-k", "5", "100", sys.executable, "-m", "sobo_planner.ros.demo"]
    return [*command, "--out", str(out), *arguments]


def test_two_goals(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    command = demo_command(out, "--goals", "2", "--seed", "3", "--disturbed-goals", "1")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["sent"] == len(summary["goals"]) == 2
    assert summary["reached"] == sum(goal["reached"] for goal in summary["goals"]) == 2
    for goal in summary["goals"]:
        assert goal.keys() >= GOAL_KEYS
        assert len(goal["target"]) == 3
        assert 0.0 <= goal["final_error_m"] < 0.01
        assert goal["plan_ms"] >= goal["refine_ms"] > 0.0
        assert goal["iterations_cold"] > 0 and goal["cost_cold"] > 0.0 and goal["cost_warm"] > 0.0
    on, off = summary["robustness"]["trials"]
    assert on["gains"] and not off["gains"]
    assert on["final_error_m"] < off["final_error_m"] and on["peak_error_m"] < off["peak_error_m"]
    for name in ("tool_error.png", "iterations.png", "phases.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert "mean" in done.stdout and "gains on" in done.stdout
    assert not children_of(out)


def test_a_goal_in_a_shelf(tmp_path: Path) -> None:
    world = str(share_path("config/worlds/shelf.yaml"))
    done = subprocess.run(demo_command(tmp_path, "--goals", "1", "--world", world), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    (goal,) = summary["goals"]
    assert goal["reached"] and goal["clearance_m"] > 0.0 and goal["nearest"] and goal["iterations_cold"] is None
    assert summary["world"] == world and not summary["robustness"]["trials"]
    assert (tmp_path / "cell.png").read_bytes().startswith(b"\x89PNG")


def test_mujoco_as_the_arm(tmp_path: Path) -> None:
    pytest.importorskip("mujoco", reason="needs the extra `sim`")
    command = demo_command(tmp_path, "--goals", "1", "--disturbed-goals", "0", "--plant", "mujoco")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["plant"] == "mujoco" and summary["reached"] == 1
    assert "plant: mujoco" in (tmp_path / "log" / "arm_simulator.log").read_text()


def test_without_mujoco_the_demo_says_so_before_it_starts_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    monkeypatch.setattr(demo.domain, "apply", lambda environment: None)
    assert demo_main(["--plant", "mujoco", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("demo: the parameter plant: MuJoCo is not installed") and "\n" not in error
    assert not (tmp_path / "log" / "arm_simulator.log").exists()


def test_interrupted_demo_leaves_no_process(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    with subprocess.Popen(
        demo_command(out, "--goals", "50"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as demo:
        end = time.monotonic() + 30.0
        while len(children_of(out)) < 2:
            assert time.monotonic() < end and demo.poll() is None
            time.sleep(0.05)
        pid = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()[0]
        os.kill(int(pid), signal.SIGINT)
        assert demo.wait(30) != 0
    assert not children_of(out)


def test_dead_process_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path, {}) as processes:
        processes.start("broken", "sobo_planner.no_such_module")
        end = time.monotonic() + 20.0
        with pytest.raises(DemoError) as error:
            while time.monotonic() < end:
                processes.check()
                time.sleep(0.05)
        assert "broken ended with status 1" in str(error.value)
        assert str(tmp_path / "broken.log") in str(error.value)
        assert "no_such_module" in str(error.value)


def test_stubborn_process_is_killed(tmp_path: Path) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('up')\ntime.sleep(60)\n"
    )
    processes = Processes(tmp_path, {"PYTHONPATH": str(tmp_path)})
    with processes:
        pid = processes.start("stubborn", "stubborn")
        end = time.monotonic() + 20.0
        while "up" not in processes.log_path("stubborn").read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        processes.stop(grace=0.3)
    assert not Path(f"/proc/{pid}").exists()


def test_tables_show_refused_goals() -> None:
    good = GoalResult([0.1, 0.2, 0.3], True, 0.001, 30.0, 10.0, 18.0, 4, 12, 1.5, 1.6)
    refused = GoalResult([0.4, 0.5, 0.6], reached=False, refused="OUT_OF_REACH: too far")
    table = goal_table([good, refused])
    assert "OUT_OF_REACH" in table and "1/2" in table
    widths = {len(line) for line in table.splitlines()}
    assert len(widths) == 1
    assert "3.0" in trial_table([Trial([0, 0, 0], True, 0.003, 0.02), Trial([0, 0, 0], False, 0.3, 0.4)])
