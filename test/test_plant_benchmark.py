"""The benchmark of plans on the plant, with one goal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mujoco", reason="needs the extra `sim`")

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "plant.py"


def test_one_goal(tmp_path: Path) -> None:
    record = tmp_path / "plant.json"
    command = [sys.executable, str(SCRIPT), "--goals", "1", "--seed", "3", "--json", str(record)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(record.read_text())
    rows = report["rows"]
    assert (report["goals"], report["seed"]) == (1, 3) and len(rows) == 9
    for name, row in rows.items():
        assert name in done.stdout and row["goals"] == 1
        assert f"{'reached' if row['met'] else 'MISSED '}  {name}: {row['target']}" in done.stdout
    assert all(row["met"] for name, row in rows.items() if "unknown" not in name)
    nominal, hard = rows["effort, nominal"], rows["effort, heavy friction, half known, +10 %, 5 ms"]
    assert nominal["tracking_error"]["max"] < 0.3 * hard["tracking_error"]["max"]


def test_a_record_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--goals", "1", "--json", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("plant: cannot write") and done.stderr.count("\n") == 1
