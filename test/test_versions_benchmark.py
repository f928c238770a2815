"""The benchmark of versions, of this one beside itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "versions.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("goal", ["position", "joints"])
def test_a_version_beside_itself_makes_the_same_plans(tmp_path: Path, goal: str) -> None:
    record = tmp_path / "versions.json"
    done = run("--before", str(ROOT), "--goal", goal, "--instances", "3", "--json", str(record))
    assert done.returncode == 0, done.stderr
    found = json.loads(record.read_text())
    now, before, ratio = found["now"], found["before"], found["now_over_before"]
    assert (found["goal"], found["both"], now["plans"], before["plans"]) == (goal, 3, 3, 3)
    assert all(now[name] == before[name] > 0.0 for name in ("iterations", "cost", "seconds"))
    assert ratio["iterations"] == 1.0 and ratio["ms"] == pytest.approx(now["ms"] / before["ms"])
    assert "policy_ms_p50" not in ratio, "neither has a policy"


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    done = run("--before", str(tmp_path))
    assert done.returncode == 2 and f"--before {tmp_path} is no checkout" in done.stderr
