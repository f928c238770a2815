"""The benchmark of receding horizon runs, over real topics, and counts what the node reports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "receding_horizon.py"


def test_cycles_without_ros(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import cycles

    monkeypatch.setattr(cycles, "WARM", 0)
    monkeypatch.setattr(sys, "argv", ["cycles", "--cycles", "6", "--json", str(tmp_path / "cycles.json")])
    cycles.main()
    found = json.loads((tmp_path / "cycles.json").read_text())
    assert {"policy, 2 samples", "cycle, start", "cycle, refine", "cycle, check", "cycle, cpu"} <= found.keys()
    assert all(0.0 < figures["p50"] <= figures["p90"] <= figures["p99"] for figures in found.values())
    assert "cycle, check [ms]" in capsys.readouterr().out


def test_a_few_seconds(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--minutes", "0.05", "--goal-every", "1.5", "--engine", "onnxruntime"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "receding_horizon_onnxruntime.json").read_text())
    assert result["goals"] == 2 and result["motions"] > 10
    assert result["achieved_rate_hz"] == pytest.approx(result["motions"] / result["seconds"])
    assert {"start", "refine", "check", "total", "state_to_trajectory"} <= result["phases_ms"].keys()
    for figures in (result["interval_ms"], *result["phases_ms"].values()):
        assert 0.0 <= figures["p50"] <= figures["p90"] <= figures["p99"] <= figures["max"]
    assert sum(result["sources"].values()) == result["motions"]
    assert "achieved rate" in done.stdout
