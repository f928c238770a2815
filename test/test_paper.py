"""The experiments at their smallest scale: they run from the command line and write what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "paper"
SHARED = ("experiment", "goal_derivative", "loops", "panels", "plotting")
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)


@pytest.mark.parametrize("script", SCRIPTS)
def test_smoke(script: str, tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / f"{script}.py"), "--scale", "smoke", "--out", str(tmp_path), "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / "smoke" / f"{script}.json").read_text())
    assert results["scale"] == "smoke" and results["machine"]["libaligator"]
    assert (tmp_path / "smoke" / f"{script}.png").stat().st_size > 10_000
    again = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert again.returncode == 0, again.stderr[-2000:]  # stored cells are used again
