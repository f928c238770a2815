"""The soak in short: both nodes meet their faults and answer everything; what is wrong ends it with status 1."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "soak.py"


def test_in_short(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    command = [sys.executable, str(SCRIPT), "--minutes", "2.5", "--receding", "0.1", "--rate", "20"]
    # Caches and windows do not fill up so soon.
    done = subprocess.run([*command, "--growth", "50", "--out", str(out)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(out.read_text())
    once, receding = results["nodes"]
    assert once["goals"] == 30 and sum(once["answers"].values()) >= 30
    assert {"BAD_GOAL", "BAD_FRAME", "SUPERSEDED"} <= set(once["answers"]) and once["counts"]["BAD_STATE"] > 0
    assert once["plans"] > 5 and once["times_ms"]["total_ms_p99"] >= once["times_ms"]["total_ms_p50"] > 0.0
    assert receding["plans"] > receding["goals"] > 0
    assert all(len(node["minutes"]) == len(node["memory_mib"]) for node in results["nodes"])
    assert results["passed"] and results["machine"]["processors"] > 0


@pytest.fixture
def soak() -> Any:
    spec = importlib.util.spec_from_file_location("soak", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module  # its dataclass looks there
    spec.loader.exec_module(module)
    return module


VALUES = {"plans": "7", "count_INTERNAL_ERROR": "0", "count_BAD_GOAL": "3", "total_ms_p50": "1.5"}


def test_a_node_that_grows_does_not_pass(soak: Any) -> None:
    steady = [(float(minute), 200.0 + (minute < 10) * -50.0) for minute in range(60)]
    result = soak.verdict("plan_once", steady, VALUES, soak.Options())
    assert result["problems"] == [] and result["growth_mib"] == 0.0 and result["counts"] == {"BAD_GOAL": 3}
    leaking = [(at, mib + 0.5 * at) for at, mib in steady]
    assert "grew by" in soak.verdict("plan_once", leaking, VALUES, soak.Options())["problems"][0]
    late = [(at, mib + 50.0 * (at > 40)) for at, mib in steady]
    assert soak.verdict("plan_once", late, VALUES, soak.Options())["problems"] == [], "a solver, once"
    many = [(at, mib + 30.0 * (at // 5)) for at, mib in steady]
    assert "took" in soak.verdict("plan_once", many, VALUES, soak.Options())["problems"][0]


def test_a_node_with_a_defect_does_not_pass(soak: Any) -> None:
    values = VALUES | {"count_INTERNAL_ERROR": "1", "last_problem": "INTERNAL_ERROR: KeyError"}
    assert "KeyError" in soak.verdict("plan_once", [(0.0, 1.0), (1.0, 1.0)], values, soak.Options())["problems"][0]
